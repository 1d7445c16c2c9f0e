"""Several hosts: which one a handle uses while primaries die, come back, freeze and are made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

import forgedb
from forgedb import Database, Unavailable
from forgedb.drivers.postgres import hosts
from forgedb.drivers.postgres.timelines import Server as SeenServer
from forgedb.drivers.postgres.timelines import Timelines
from forgedb.ids import new_ulid
from forgedb.testing.servers.cluster import Cluster
from forgedb.testing.servers.server import Server
from tests.faults.surfaces import Surface, fill_pool, until
from tests.servers.postgres import server_programs

SOON_SECONDS = 30.0

PAUSE_SECONDS = 1.5
"""How long nobody is a primary, in tests of who waits for one: longer than a look at all hosts."""


class Forgetful(Timelines):
    """A mutant: each connection is the first one."""

    def see(self, host: str, answer: Sequence[bytes | None]) -> SeenServer:
        return Timelines().see(host, answer)


SESSIONS = "FROM pg_stat_activity WHERE datname = 'forge'"


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
    return int(server.query(f"SELECT count(*) {SESSIONS}")[0])


def end_sessions(server: Server) -> None:
    server.query(f"SELECT pg_terminate_backend(pid, 10000) {SESSIONS}")


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
        assert used_port(db) == cluster.primary.port, "a session went back to the old primary"
        assert sessions(old) == 0
        assert len(set(tokens)) == len(tokens), "a token was given twice"


@pytest.mark.parametrize("options", ["", "?target_session_attrs=read-write"])
def test_no_session_goes_back_to_an_old_primary_that_came_back(
    cluster: Cluster, open_db: Surface, options: str
) -> None:
    comes_back(cluster, open_db(old_first(cluster) + options))


def test_a_pool_that_forgets_timelines_goes_back_to_the_old_primary(
    cluster: Cluster, open_db: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "Timelines", Forgetful)
    db = open_db(old_first(cluster))
    with pytest.raises(AssertionError, match="a session went back"):
        comes_back(cluster, db)


def test_where_the_new_primary_is_gone_too_the_old_one_is_refused_by_name(
    cluster: Cluster, open_db: Surface
) -> None:
    old, *standbys = cluster.primary, *cluster.standbys
    db = open_db(cluster.url(old, standbys[0]), pool_timeout=2.0)
    repository_id = new_repository(db)
    cluster.wait_for_standbys()
    cluster.kill()
    cluster.promote(standbys[0])
    next_token(db, repository_id)
    old.start()
    cluster.kill()
    refusal = f"127.0.0.1:{old.port} is a primary on timeline [0-9]+, and timeline [0-9]+ of this"
    for refused in (lambda: next_token(db, repository_id), db.migrate):
        with pytest.raises(Unavailable, match=refusal) as raised:
            refused()
        assert raised.value.retryable
        assert f"127.0.0.1:{standbys[0].port}: Connection refused" in str(raised.value)


# Where the old primary is still alive


def test_sessions_with_a_primary_that_was_replaced_are_used_no_more(
    cluster: Cluster, open_db: Surface
) -> None:
    old = cluster.primary
    db = open_db(old_first(cluster))
    repository_id = new_repository(db)
    cluster.wait_for_standbys()
    fill_pool(db, 4)
    assert sessions(old) == 4
    cluster.promote(cluster.most_advanced())
    with pytest.raises(Unavailable, match="nothing was committed") as left, db.transaction() as tx:
        tx.leases.acquire(repository_id)
        end_idle_sessions(old)
        with ThreadPoolExecutor(1) as threads:
            threads.submit(next_token, db, repository_id).result(SOON_SECONDS)
    assert left.value.retryable
    assert old.query("SELECT count(*) FROM leases WHERE ended_at IS NULL", "forge") == [0]
    fill_pool(db, 4)
    assert used_port(db) == cluster.primary.port
    until(lambda: sessions(old) == 0)


def end_idle_sessions(server: Server) -> None:
    """End the sessions that have no transaction open."""
    server.query(f"SELECT pg_terminate_backend(pid, 10000) {SESSIONS} AND state = 'idle'")


def test_a_new_handle_finds_the_primary_of_the_highest_timeline(
    cluster: Cluster, open_db: Surface
) -> None:
    url = old_first(cluster)
    cluster.promote(cluster.most_advanced())
    assert used_port(open_db(url)) == cluster.primary.port


# Where there are standbys alone


def test_a_standby_is_read_from_while_nobody_is_a_primary_and_a_write_says_so(
    cluster: Cluster, open_db: Surface
) -> None:
    with forgedb.connect(cluster.url(), actor="user:ada") as before:
        repository_id = new_repository(before)
    cluster.wait_for_standbys()
    dead = cluster.kill()
    db = open_db(cluster.url(), pool_timeout=PAUSE_SECONDS)
    assert db.repositories.get(repository_id).id == repository_id
    with pytest.raises(Unavailable, match="takes writes") as refused:
        next_token(db, repository_id)
    assert refused.value.retryable
    for standby in cluster.standbys:
        assert f"127.0.0.1:{standby.port}: in recovery" in str(refused.value) or standby is dead
    assert f"127.0.0.1:{dead.port}: Connection refused" in str(refused.value)
    assert db.repositories.get(repository_id).id == repository_id
    fill_pool(db, 4)
    cluster.promote(cluster.most_advanced())
    next_token(db, repository_id)
    # What was written is read: no session with the standby is left in use.
    fill_pool(db, 4)
    assert used_port(db) == cluster.primary.port
    assert sessions(next(each for each in cluster.standbys if each is not dead)) == 0


@pytest.mark.parametrize("in_a_block", [False, True])
def test_a_write_waits_for_a_primary_and_runs_on_it(
    cluster: Cluster, open_db: Surface, in_a_block: bool
) -> None:
    db = open_db(cluster.url(*cluster.standbys, cluster.primary))
    repository_id = new_repository(db)
    cluster.wait_for_standbys()
    cluster.kill()

    def write() -> int:
        if not in_a_block:
            return next_token(db, repository_id)
        with db.transaction() as tx:
            return tx.leases.acquire(repository_id).fencing_token

    with ThreadPoolExecutor(1) as threads:
        token = threads.submit(write)
        time.sleep(PAUSE_SECONDS)
        assert not token.done()
        cluster.promote(cluster.most_advanced())
        written = token.result(SOON_SECONDS)
    leases = db.leases.history(repository_id).items
    assert [each.fencing_token for each in leases] == [written]


@pytest.mark.parametrize("wanted", ["standby", "read-only"])
def test_whoever_asked_for_a_standby_has_one_and_its_refusal_to_write_is_final(
    cluster: Cluster, open_db: Surface, wanted: str
) -> None:
    db = open_db(f"{cluster.url()}?target_session_attrs={wanted}")
    assert used_port(db) in {standby.port for standby in cluster.standbys}
    began = time.monotonic()
    with pytest.raises(Unavailable, match="read-only") as refused:
        db.projects.create("platform", "Platform")
    assert not refused.value.retryable
    assert time.monotonic() - began < PAUSE_SECONDS


def test_whoever_takes_any_server_has_the_first(cluster: Cluster, open_db: Surface) -> None:
    first = cluster.standbys[0]
    db = open_db(f"{cluster.url(first, cluster.primary)}?target_session_attrs=any")
    assert used_port(db) == first.port


def test_a_server_that_takes_no_writes_any_more_is_left_for_the_new_primary(
    cluster: Cluster, open_db: Surface
) -> None:
    old = cluster.primary
    db = open_db(old_first(cluster))
    repository_id = new_repository(db)
    fill_pool(db, 4)
    cluster.wait_for_standbys()
    old.configure(default_transaction_read_only="on")
    try:
        with pytest.raises(Unavailable, match="another host may take it") as refused:
            next_token(db, repository_id)
        assert refused.value.retryable
        cluster.promote(cluster.most_advanced())
        next_token(db, repository_id)
        assert used_port(db) == cluster.primary.port
    finally:
        del old.settings["default_transaction_read_only"]
        old.configure()


def test_what_was_begun_to_read_alone_is_refused_for_good(
    cluster: Cluster, open_db: Surface
) -> None:
    db = open_db(cluster.url())
    with (
        pytest.raises(Unavailable, match="read-only") as refused,
        db.transaction(read_only=True) as tx,
    ):
        tx.client.query("EXPLAIN ANALYZE DELETE FROM projects")
    assert not refused.value.retryable


# Whoever connects, or waits for a lease, during a failover


@pytest.mark.parametrize("options", ["", "?target_session_attrs=primary"])
def test_whoever_connects_waits_while_no_host_can_be_used(
    cluster: Cluster, open_db: Surface, options: str
) -> None:
    servers = [cluster.kill(), *cluster.standbys[1:]]
    standby = next(each for each in cluster.standbys if each not in servers)
    for server in servers[1:]:
        server.kill()
    if not options:
        standby.kill()
    with ThreadPoolExecutor(1) as threads:
        opened = threads.submit(open_db, cluster.url() + options)
        time.sleep(PAUSE_SECONDS)
        assert not opened.done()
        if options:
            cluster.promote(standby)
        else:
            standby.start()
        assert used_port(opened.result(SOON_SECONDS)) == standby.port


def test_no_host_at_all_is_told_after_pool_timeout_with_each_ones_reason(
    cluster: Cluster, open_db: Surface
) -> None:
    dead = cluster.kill()
    standby = cluster.standbys[-1]
    began = time.monotonic()
    with pytest.raises(Unavailable, match="can't be reached") as refused:
        open_db(
            f"{cluster.url(dead, standby)}?target_session_attrs=primary", pool_timeout=PAUSE_SECONDS
        )
    assert PAUSE_SECONDS <= time.monotonic() - began < 4 * PAUSE_SECONDS
    assert refused.value.retryable
    assert f"127.0.0.1:{dead.port}: Connection refused" in str(refused.value)
    assert f"127.0.0.1:{standby.port}: server is in hot standby mode" in str(refused.value)
    with pytest.raises(Unavailable, match="Connection refused"):
        open_db(cluster.url(dead), pool_timeout=60.0)
    assert time.monotonic() - began < 30


def test_a_frozen_host_takes_its_share_of_the_time_once(cluster: Cluster, open_db: Surface) -> None:
    db = open_db(old_first(cluster), pool_timeout=6.0)
    repository_id = new_repository(db)
    cluster.wait_for_standbys()
    frozen = cluster.primary
    frozen.freeze()
    cluster.promote(cluster.most_advanced())
    began = time.monotonic()
    other = open_db(cluster.url(frozen, cluster.primary), pool_timeout=6.0)
    next_token(other, repository_id)
    assert 2.0 < time.monotonic() - began < 5.5
    began = time.monotonic()
    fill_pool(other, 5)
    assert time.monotonic() - began < 2.0


def test_a_lease_is_waited_for_through_a_failover(cluster: Cluster, open_db: Surface) -> None:
    db = open_db(cluster.url(), pool_timeout=0.5)
    repository_id = new_repository(db)
    cluster.wait_for_standbys()
    cluster.kill()

    def hold() -> int:
        with db.leases.hold(repository_id, wait=SOON_SECONDS) as lease:
            assert db.leases.active(repository_id) == lease
            return lease.fencing_token

    with pytest.raises(Unavailable), db.leases.hold(repository_id):
        pytest.fail("the block must not be entered")
    with ThreadPoolExecutor(1) as threads:
        token = threads.submit(hold)
        time.sleep(2 * PAUSE_SECONDS)
        assert not token.done()
        cluster.promote(cluster.most_advanced())
        assert token.result(SOON_SECONDS) > 0
    assert db.leases.active(repository_id) is None
