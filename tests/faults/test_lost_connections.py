"""Sessions that the server ends, and servers that stop: what is kept, told, and found again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from forgedb import Database, Unavailable
from tests.faults.surfaces import (
    Surface,
    beside,
    fill_pool,
    terminate_others,
    until,
    value,
    waits_for_a_lock,
)
from tests.servers.postgres import PostgresServer, embedded_programs

CONNECTIONS = 4


# Sessions that the server ends


def test_calls_after_every_idle_session_was_ended_just_work(
    open_db: Surface, url: str, admin: psycopg.Connection[Any]
) -> None:
    db = open_db(url, pool_max_size=CONNECTIONS)
    project = db.projects.create("platform", "Platform")
    fill_pool(db, CONNECTIONS)
    assert terminate_others(admin) == CONNECTIONS
    assert db.projects.get(project.id) == project
    fill_pool(db, CONNECTIONS)
    assert terminate_others(admin) == CONNECTIONS
    assert db.projects.update(project.id, name="New").name == "New"
    fill_pool(db, CONNECTIONS)
    assert terminate_others(admin) == CONNECTIONS
    with db.transaction() as tx:
        tx.projects.update(project.id, name="Newer")
    fill_pool(db, CONNECTIONS)
    assert terminate_others(admin) == CONNECTIONS
    with db.transaction(read_only=True) as tx:
        assert tx.projects.get(project.id).name == "Newer"
    fill_pool(db, CONNECTIONS)
    assert terminate_others(admin) == CONNECTIONS
    assert db.client.query_value("SELECT name FROM projects") == "Newer"
    assert len(db.audit.list(stream=project.id).items) == 3
    assert db.audit.verify().ok


def test_a_transaction_whose_session_is_ended_leaves_nothing_and_the_next_one_works(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with pytest.raises(Unavailable) as refused, db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        assert terminate_others(admin) > 0
        tx.projects.create("other", "Other")
    assert refused.value.retryable
    assert refused.value.outcome == "not_committed"
    assert "connection was lost" in str(refused.value)
    with db.transaction() as tx:
        assert tx.projects.list().items == []
        tx.projects.create("platform", "Platform")
    assert len(db.projects.list().items) == 1


def test_who_goes_on_after_the_session_was_ended_is_told_so_each_time(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with pytest.raises(Unavailable) as at_the_end, db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        terminate_others(admin)
        for _ in range(2):
            with pytest.raises(Unavailable, match="connection was lost"):
                tx.projects.create("other", "Other")
    # No COMMIT was sent any more.
    assert at_the_end.value.outcome == "not_committed"
    assert at_the_end.value.retryable
    assert db.projects.list().items == []


def test_a_block_whose_session_was_ended_before_its_commit_never_says_that_it_was_kept(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with pytest.raises(Unavailable) as refused, db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        terminate_others(admin)
    assert refused.value.outcome in ("unknown", "not_committed")
    assert db.projects.list().items == []


def test_a_savepoint_whose_session_is_ended_takes_the_whole_transaction_with_it(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    with pytest.raises(Unavailable), db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        with pytest.raises(Unavailable), tx.transaction() as inner:
            terminate_others(admin)
            inner.projects.create("other", "Other")
        tx.projects.create("third", "Third")
    assert db.projects.list().items == []


def test_an_operation_of_its_own_whose_session_is_ended_is_done_again(
    db: Database, url: str, admin: psycopg.Connection[Any]
) -> None:
    project = db.projects.create("platform", "Platform")
    with beside(url) as other, ThreadPoolExecutor(1) as threads:
        with other.transaction():
            other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
            changed = threads.submit(db.projects.update, project.id, name="New")
            until(lambda: waits_for_a_lock(admin))
            waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert value(admin, f"SELECT pg_terminate_backend(pid) {waiting}")
            # It waits anew, in another session.
            until(lambda: waits_for_a_lock(admin))
        assert changed.result().name == "New"
    assert len(db.audit.list(stream=project.id).items) == 2


# Servers that stop


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that tests may stop, and start again."""
    # What is committed outlives a crash: of the process, if not of the machine.
    with PostgresServer(embedded_programs(), synchronous_commit="on") as server:
        yield server


@pytest.fixture
def own_url(server: PostgresServer) -> Iterator[str]:
    with beside(server.url("postgres")) as session:
        session.execute("DROP DATABASE IF EXISTS forge WITH (FORCE)")
        session.execute("CREATE DATABASE forge")
    yield server.url("forge")
    server.stop()
    server.start()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_stops_and_starts_is_used_again_by_the_same_database(
    open_db: Surface, server: PostgresServer, own_url: str, how: signal.Signals
) -> None:
    db = open_db(own_url, pool_max_size=CONNECTIONS)
    db.migrate()
    project = db.projects.create("platform", "Platform")
    fill_pool(db, CONNECTIONS)
    with pytest.raises(Unavailable) as refused, db.transaction() as tx:
        tx.projects.create("other", "Other")
        tx.projects.update(project.id, name="New")
        server.stop(how)
        tx.projects.create("third", "Third")
    assert refused.value.retryable
    assert refused.value.outcome == "not_committed"
    server.start()
    with db.transaction() as tx:
        assert tx.projects.list().items == [project]
        tx.projects.update(project.id, name="New")
    fill_pool(db, CONNECTIONS)
    assert db.projects.create("other", "Other").slug == "other"
    assert db.audit.verify().ok


def test_while_the_server_is_down_every_call_says_that_it_cant_be_reached(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, pool_max_size=CONNECTIONS, pool_timeout=0.5)
    db.migrate()
    fill_pool(db, CONNECTIONS)
    server.stop()
    for _ in range(2 * CONNECTIONS):
        with pytest.raises(Unavailable) as refused:
            db.projects.create("platform", "Platform")
        assert refused.value.retryable
        assert refused.value.outcome == "not_committed"
    assert "can't be reached" in str(refused.value)
    server.start()
    until(lambda: _works(db))
    assert [each.slug for each in db.projects.list().items] == ["platform"]
    assert db.audit.verify().ok


def _works(db: Database) -> bool:
    try:
        db.projects.create("platform", "Platform")
    except Unavailable:
        return False
    return True


def test_a_database_that_cant_be_reached_isnt_opened(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    server.stop()
    with pytest.raises(Unavailable, match="can't be reached") as refused:
        open_db(own_url)
    assert refused.value.retryable
