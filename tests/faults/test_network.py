"""Networks that break: whether a change was made is known, or said to be unknown."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from forgedb import Database, EndReason, Unavailable
from forgedb.testing.servers.network import Network, Side
from tests.faults.surfaces import WAIT_SECONDS_MAX, Surface, attempts, refuse_first

COMMIT = b"COMMIT\0"
"""As the client asks for it, and as the server says that it is done."""


def test_a_lost_reply_to_a_commit_is_told_as_unknown_and_the_change_is_made_once(
    far_db: Database, network: Network, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 0)
    network.cut_instead_of("server", COMMIT)
    with pytest.raises(Unavailable) as lost:
        far_db.projects.create("platform", "Platform")
    assert lost.value.outcome == "unknown"
    assert not lost.value.retryable
    assert "unknown whether the change was made" in str(lost.value)
    assert attempts(admin) == 1
    project = far_db.projects.get_by_slug("platform")
    assert len(far_db.audit.list(stream=project.id).items) == 1


def test_a_lost_reply_to_the_commit_of_a_block_is_told_as_unknown(
    far_db: Database, network: Network, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 0)
    with pytest.raises(Unavailable) as lost, far_db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        tx.projects.create("other", "Other")
        network.cut_instead_of("server", COMMIT)
    assert lost.value.outcome == "unknown"
    assert not lost.value.retryable
    assert attempts(admin) == 2
    assert len(far_db.projects.list().items) == 2


@pytest.mark.parametrize("side", ["client", "server"])
def test_who_waits_for_a_lease_and_lost_the_reply_to_its_grant_has_one_lease(
    far_db: Database, network: Network, side: Side
) -> None:
    repository = far_db.repositories.create(far_db.projects.create("p", "P").id, "api")
    network.cut_instead_of(side, COMMIT)
    with far_db.leases.hold(repository.id, wait=WAIT_SECONDS_MAX) as lease:
        assert not network.mend()
        assert far_db.leases.active(repository.id) == lease
    (only,) = far_db.leases.history(repository.id).items
    assert (only.id, only.end_reason) == (lease.id, EndReason.RELEASED)


def test_who_doesnt_wait_and_lost_the_reply_to_its_grant_leaves_no_lease_behind(
    far_db: Database, network: Network
) -> None:
    repository = far_db.repositories.create(far_db.projects.create("p", "P").id, "api")
    network.cut_instead_of("server", COMMIT)
    with pytest.raises(Unavailable) as lost, far_db.leases.hold(repository.id):
        pytest.fail("the block must not be entered")
    assert lost.value.outcome == "unknown"
    assert not hasattr(lost.value, "__notes__")
    (only,) = far_db.leases.history(repository.id).items
    assert only.end_reason is EndReason.RELEASED


def test_who_lets_go_of_a_lease_waits_until_its_grant_is_committed_or_not(
    far_db: Database, open_db: Surface, url: str
) -> None:
    repository = far_db.repositories.create(far_db.projects.create("p", "P").id, "api")
    asking: Any = far_db.leases
    with ThreadPoolExecutor(1) as threads:
        with open_db(url).transaction() as granting:
            lease = granting.leases.acquire(repository.id)
            letting_go = threads.submit(asking._let_go, lease.id, repository.id)
            time.sleep(0.2)
            assert not letting_go.done()
        letting_go.result(WAIT_SECONDS_MAX)
    assert far_db.leases.active(repository.id) is None


def test_a_network_that_refuses_is_waited_for_by_who_waits_for_a_lease(
    open_db: Surface, network: Network, url: str
) -> None:
    db = open_db(network.url(url), pool_max_size=1, pool_timeout=0.2)
    repository = db.repositories.create(db.projects.create("p", "P").id, "api")
    network.refuse()
    with pytest.raises(Unavailable), db.leases.hold(repository.id):
        pytest.fail("the block must not be entered")

    def hold() -> int:
        with db.leases.hold(repository.id, wait=WAIT_SECONDS_MAX) as lease:
            return lease.fencing_token

    with ThreadPoolExecutor(1) as threads:
        token = threads.submit(hold)
        time.sleep(1.5)
        assert not token.done()
        network.accept()
        assert token.result(WAIT_SECONDS_MAX) == 1


def test_a_file_that_stays_locked_is_waited_for_by_who_waits_for_a_lease(
    open_db: Surface, tmp_path: Path
) -> None:
    db = open_db(f"sqlite:///{tmp_path}/forge.db", busy_timeout=0.05)
    db.migrate()
    repository = db.repositories.create(db.projects.create("p", "P").id, "api")
    other = open_db(f"sqlite:///{tmp_path}/forge.db")

    def hold() -> int:
        with db.leases.hold(repository.id, wait=WAIT_SECONDS_MAX) as lease:
            return lease.fencing_token

    with ThreadPoolExecutor(1) as threads:
        with other.transaction() as tx:
            tx.projects.update(repository.project_id, name="Q")
            token = threads.submit(hold)
            time.sleep(0.5)
            assert not token.done()
        assert token.result(WAIT_SECONDS_MAX) == 1


def test_a_commit_that_never_arrived_is_told_as_unknown_too(
    far_db: Database, network: Network
) -> None:
    network.cut_instead_of("client", COMMIT)
    with pytest.raises(Unavailable) as lost:
        far_db.projects.create("platform", "Platform")
    assert lost.value.outcome == "unknown"
    assert not lost.value.retryable
    assert far_db.projects.list().items == []


def test_an_operation_of_its_own_cut_before_its_commit_is_done_again_and_made_once(
    far_db: Database, network: Network, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 0)
    network.cut_instead_of("client", b"INSERT INTO audit_entries")
    project = far_db.projects.create("platform", "Platform")
    assert not network.mend()
    assert attempts(admin) == 1
    assert len(far_db.audit.list(stream=project.id).items) == 1
    network.cut_instead_of("server", b"UPDATE 1\0")
    assert far_db.projects.update(project.id, name="New").name == "New"
    assert not network.mend()
    assert len(far_db.audit.list(stream=project.id).items) == 2


def test_a_block_cut_before_its_commit_leaves_nothing_and_isnt_repeated(
    far_db: Database, network: Network, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 0)
    with pytest.raises(Unavailable) as lost, far_db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        network.cut()
        tx.projects.create("other", "Other")
    assert lost.value.outcome == "not_committed"
    assert lost.value.retryable
    assert attempts(admin) == 1
    assert far_db.projects.list().items == []


@pytest.mark.parametrize(("side", "step"), [("client", 60), ("server", 15)])
def test_wherever_an_operation_is_cut_its_change_is_there_once_or_not_at_all(
    far_db: Database, network: Network, side: Side, step: int
) -> None:
    carried, unknown, is_cut = 0, 0, True
    while is_cut:
        slug = f"p{carried}"
        network.cut_after(side, carried)
        try:
            made = far_db.projects.create(slug, "Platform")
        except Unavailable as lost:
            # All else is done again.
            assert lost.outcome == "unknown"
            unknown += 1
            found = [each for each in far_db.projects.list(limit=1000).items if each.slug == slug]
            assert len(found) == (side == "server")
        else:
            is_cut = not network.mend()
            found = [far_db.projects.get(made.id)]
        assert [len(far_db.audit.list(stream=each.id).items) for each in found] == [1] * len(found)
        carried += step
    assert carried > 4 * step
    assert unknown < 3
    assert side == "client" or unknown > 0


def test_reads_are_made_again_wherever_they_are_cut(far_db: Database, network: Network) -> None:
    project = far_db.projects.create("platform", "Platform")
    for read in (
        lambda: [far_db.projects.get(project.id)],
        lambda: far_db.projects.list().items,
        lambda: far_db.audit.verify().ok and [project],
    ):
        carried, is_cut = 0, True
        while is_cut:
            network.cut_after("server", carried)
            assert read() == [project]
            is_cut = not network.mend()
            carried += max(100, carried // 8)
        assert carried > 200


def test_a_network_that_refuses_for_a_while_is_used_again_soon_after(
    open_db: Surface, network: Network, url: str
) -> None:
    db = open_db(network.url(url), pool_max_size=1, pool_timeout=0.5)
    project = db.projects.create("platform", "Platform")
    network.refuse()
    for _ in range(8):
        with pytest.raises(Unavailable) as refused:
            db.projects.get(project.id)
        assert refused.value.retryable
    assert "can't be reached" in str(refused.value)
    network.accept()
    # The first of these may have waited for an attempt that was made too early.
    assert any(_gets(db, project.id) for _ in range(3))
    with db.transaction() as tx:
        tx.projects.update(project.id, name="New")
    assert db.projects.get(project.id).name == "New"


def _gets(db: Database, project_id: str) -> bool:
    try:
        db.projects.get(project_id)
    except Unavailable:
        return False
    return True


def test_who_waits_for_the_network_is_served_when_it_takes_connections_again(
    open_db: Surface, network: Network, url: str
) -> None:
    db = open_db(network.url(url), pool_max_size=1, pool_timeout=WAIT_SECONDS_MAX)
    project = db.projects.create("platform", "Platform")
    network.refuse()
    with ThreadPoolExecutor(1) as threads:
        got = threads.submit(db.projects.get, project.id)
        # Longer than the pool goes on about one connection.
        time.sleep(2.5)
        network.accept()
        assert got.result(WAIT_SECONDS_MAX) == project


def test_what_a_stalled_network_holds_up_is_done_when_it_flows_again(
    far_db: Database, network: Network
) -> None:
    network.stall()
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(far_db.projects.create, "platform", "Platform")
        assert not made.done()
        network.flow()
        assert made.result().slug == "platform"
    assert len(far_db.projects.list().items) == 1


def test_what_a_stalled_network_holds_up_is_done_again_when_it_is_cut(
    far_db: Database, network: Network
) -> None:
    network.stall()
    with ThreadPoolExecutor(1) as threads:
        made = threads.submit(far_db.projects.create, "platform", "Platform")
        network.cut()
        network.flow()
        assert made.result().slug == "platform"
    assert len(far_db.projects.list().items) == 1


@pytest.mark.parametrize(
    "query", ["SELECT charge()", "EXPLAIN ANALYZE INSERT INTO charges VALUES (1)"]
)
def test_a_query_that_may_have_changed_something_is_asked_once_and_its_outcome_unknown(
    far_db: Database, network: Network, admin: psycopg.Connection[Any], query: str
) -> None:
    admin.execute("CREATE TABLE charges (charge integer)")
    admin.execute(
        "CREATE FUNCTION charge() RETURNS integer LANGUAGE sql"
        " AS 'INSERT INTO charges VALUES (1) RETURNING charge'"
    )
    network.cut_instead_of("server", b"C")
    with pytest.raises(Unavailable) as lost:
        far_db.client.query(query)
    assert (lost.value.retryable, lost.value.outcome) == (False, "unknown")
    assert not network.mend()
    assert far_db.client.query("SELECT * FROM charges") == [(1,)]


def test_a_query_whose_session_ended_while_it_was_idle_is_asked_on_another(
    far_db: Database, network: Network
) -> None:
    network.cut()
    assert far_db.client.query("SELECT 1") == [(1,)]
