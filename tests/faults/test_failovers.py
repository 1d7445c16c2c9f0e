"""Several hosts: which one a handle uses while primaries die, come back, freeze and are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

import forgedb
from forgedb import Database
from forgedb.drivers.postgres import hosts
from forgedb.drivers.postgres.timelines import Server as SeenServer
from forgedb.drivers.postgres.timelines import Timelines
from forgedb.ids import new_ulid
from forgedb.testing.servers.cluster import Cluster
from forgedb.testing.servers.server import Server
from tests.faults.surfaces import Surface, fill_pool
from tests.servers.postgres import server_programs


class Forgetful(Timelines):
    """A mutant: each connection is the first one."""

    def see(self, host: str, answer: Sequence[bytes | None]) -> SeenServer:
        return Timelines().see(host, answer)


SESSIONS = "FROM pg_stat_activity WHERE datname = 'forge' AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def servers() -> Iterator[Cluster]:
    with Cluster(server_programs()) as cluster:
        with forgedb.connect(cluster.url(cluster.primary)) as db:
            db.migrate()
        yield cluster


@pytest.fixture
def cluster(servers: Cluster) -> Iterator[Cluster]:
    """A primary and two standbys, which are there again after the test."""
    yield servers
    for server in servers.servers:
        server.thaw()
    if not servers.primary.running:
        servers.primary.start()
    for server in servers.standbys:
        if not server.running or not is_standby(server):
            servers.rejoin(server)
    servers.wait_for_standbys()


def is_standby(server: Server) -> bool:
    return server.query("SELECT pg_is_in_recovery()") == [True]


def used_port(db: Database) -> int:
    """The port of the server that a call goes to."""
    return int(db.client.query_value("SELECT current_setting('port')"))


def sessions(server: Server) -> int:
    return int(server.query(f"SELECT count(*) {SESSIONS}", "forge")[0])


def end_sessions(server: Server) -> None:
    server.query(f"SELECT pg_terminate_backend(pid, 10000) {SESSIONS}", "forge")


def new_repository(db: Database) -> str:
    project = db.projects.create(f"p{new_ulid().lower()}", "Platform")
    return db.repositories.create(project.id, "api").id


def next_token(db: Database, repository_id: str) -> int:
    lease = db.leases.acquire(repository_id, duration=timedelta(minutes=1))
    db.leases.release(lease.id)
    return lease.fencing_token


def old_first(cluster: Cluster) -> str:
    """The URL of all, its present primary first, as an old primary may come back there."""
    return cluster.url(cluster.primary, *cluster.standbys)


def comes_back(cluster: Cluster, db: Database) -> None:
    """The primary dies, another one is made, the old one comes back, and sessions are ended."""
    repository_id = new_repository(db)
    tokens = [next_token(db, repository_id) for _ in range(3)]
    cluster.wait_for_standbys()
    old = cluster.kill()
    cluster.promote(cluster.most_advanced())
    tokens += [next_token(db, repository_id) for _ in range(3)]
    old.start()
    assert not is_standby(old)
    for _ in range(3):
        end_sessions(cluster.primary)
        fill_pool(db, 4)
        tokens += [next_token(db, repository_id) for _ in range(3)]
        assert len(set(tokens)) == len(tokens), "a token was given twice"
        assert used_port(db) == cluster.primary.port
        assert sessions(old) == 0


@pytest.mark.parametrize("options", ["", "?target_session_attrs=read-write"])
def test_no_session_goes_back_to_an_old_primary_that_came_back(
    cluster: Cluster, open_db: Surface, options: str
) -> None:
    comes_back(cluster, open_db(old_first(cluster) + options))


def test_a_pool_that_forgets_timelines_gives_tokens_twice(
    cluster: Cluster, open_db: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "Timelines", Forgetful)
    db = open_db(old_first(cluster))
    with pytest.raises(AssertionError, match="a token was given twice"):
        comes_back(cluster, db)
