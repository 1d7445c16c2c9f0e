"""COMMITs that wait for a synchronous standby which isn't there, and whose wait is cancelled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import AsyncDatabase, Database, Unavailable
from forgedb.drivers.postgres.timeouts import Patient
from forgedb.migrations import Runner
from tests.faults.surfaces import Surface, beside, until, value

AT_ONCE_SECONDS = 2.5

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def admin(own_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session on the test's own server, which waits for no standby when the test has ended."""
    with beside(own_url) as session:
        # Its own changes wait for nobody.
        session.execute("SET synchronous_commit TO local")
        yield session
        _wait_for(session, "")


def _wait_for(session: psycopg.Connection[Any], standby: str) -> None:
    """Have each COMMIT wait for a standby of this name, or for none."""
    session.execute(f"ALTER SYSTEM SET synchronous_standby_names TO '{standby}'".encode())
    session.execute("SELECT pg_reload_conf()")
    until(lambda: value(session, "SHOW synchronous_standby_names") == standby)
    # Each process reads it when it next looks.
    time.sleep(0.1)


@contextmanager
def commits_wait(admin: psycopg.Connection[Any]) -> Iterator[None]:
    """In the block a COMMIT waits for a standby that never comes."""
    _wait_for(admin, "nobody")
    try:
        yield
    finally:
        _wait_for(admin, "")


def cancelled_by_a_dba(admin: psycopg.Connection[Any], call: Callable[[], Any]) -> Unavailable:
    """What a call raises whose COMMIT waits, until a DBA cancels it."""
    with ThreadPoolExecutor(1) as threads:
        called = threads.submit(call)
        until(lambda: called.done() or value(admin, WAITS))
        admin.execute(CANCEL)
        with pytest.raises(Unavailable) as raised:
            called.result(timeout=10)
    return raised.value


def _check(error: Unavailable) -> None:
    assert error.outcome == "unknown"
    assert not error.retryable
    assert "on the primary, but may not be on any standby" in str(error)


def test_a_change_whose_wait_for_a_standby_is_cancelled_isnt_reported_as_done(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    db = open_db(own_url)
    project = db.projects.create("platform", "Platform")
    with commits_wait(admin):
        error = cancelled_by_a_dba(admin, lambda: db.projects.update(project.id, name="New"))
        _check(error)
        assert "/forge" in str(error)
        assert db.projects.get(project.id).name == "New"
    # What was said of one COMMIT isn't said of the next.
    assert db.projects.update(project.id, name="Newer").name == "Newer"
    assert db.audit.verify().ok


def test_a_transaction_whose_wait_for_a_standby_is_cancelled_isnt_reported_as_done(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    db = open_db(own_url)

    def block() -> None:
        with db.transaction() as tx, tx.transaction() as inner:
            inner.projects.create("platform", "Platform")
            # Its release goes with the COMMIT.

    with commits_wait(admin):
        _check(cancelled_by_a_dba(admin, block))
    assert len(db.projects.list().items) == 1


def test_a_callers_own_change_whose_wait_for_a_standby_is_cancelled_isnt_reported_as_done(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    db = open_db(own_url)
    admin.execute("CREATE TABLE mine (a int)")
    admin.execute(
        "CREATE FUNCTION add_mine() RETURNS int LANGUAGE sql AS"
        " 'INSERT INTO mine VALUES (1) RETURNING a'"
    )
    with commits_wait(admin):
        _check(cancelled_by_a_dba(admin, lambda: db.client.execute("INSERT INTO mine VALUES (2)")))
        # A query is no transaction, and what it calls may change something.
        _check(cancelled_by_a_dba(admin, lambda: db.client.query("SELECT add_mine()")))
    assert db.client.query_value("SELECT count(*) FROM mine") == 2


def test_a_migration_whose_wait_for_a_standby_is_cancelled_isnt_reported_as_done(
    own_url: str, admin: psycopg.Connection[Any], tmp_path: Path
) -> None:
    (tmp_path / "0001_mine.sql").write_text("CREATE TABLE mine (a int);")
    (tmp_path / "0002_alone.sql").write_text(
        "-- forgedb: no-transaction\nCREATE INDEX CONCURRENTLY mine_a ON mine (a);"
    )
    with forgedb.connect(own_url) as db:
        runner = Runner(db, tmp_path, table="mine_history")
        with commits_wait(admin):
            _check(cancelled_by_a_dba(admin, lambda: runner.migrate(1)))
        assert [each.version for each in runner.applied()] == [1]


def test_who_asks_for_no_warnings_is_told_all_the_same(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("ALTER DATABASE forge SET client_min_messages TO error")
    db = open_db(own_url)
    with commits_wait(admin):
        _check(cancelled_by_a_dba(admin, lambda: db.projects.create("platform", "Platform")))


def test_a_wait_for_a_standby_that_lasts_is_given_up_and_told(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    db = open_db(own_url, call_timeout=1)
    with commits_wait(admin):
        began = time.monotonic()
        with pytest.raises(Unavailable) as raised:
            db.projects.create("platform", "Platform")
        assert time.monotonic() - began < 4
        _check(raised.value)
        assert len(db.projects.list().items) == 1


# Tasks that are cancelled


def _in_a_loop(
    own_url: str, work: Callable[[AsyncDatabase, str], Coroutine[Any, Any, None]]
) -> None:
    async def run() -> None:
        async with await forgedb.connect_async(own_url, actor="user:ada") as db:
            project = await db.projects.create("platform", "Platform")
            repository = await db.repositories.create(project.id, "api")
            await work(db, repository.id)

    asyncio.run(run())


async def _waits(admin: psycopg.Connection[Any], task: asyncio.Task[Any]) -> None:
    await asyncio.to_thread(until, lambda: task.done() or value(admin, WAITS))
    assert not task.done(), task.exception()


def test_a_task_that_is_cancelled_while_its_commit_waits_ends_cancelled_at_once(
    own_url: str, admin: psycopg.Connection[Any]
) -> None:
    async def work(db: AsyncDatabase, repository_id: str) -> None:
        for change in (
            lambda: db.leases.acquire(repository_id),
            lambda: _block(db),
            lambda: db.client.execute("INSERT INTO mine VALUES (1)"),
        ):
            task = asyncio.create_task(change())
            await _waits(admin, task)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < AT_ONCE_SECONDS

    async def _block(db: AsyncDatabase) -> None:
        async with db.transaction() as tx, tx.transaction() as inner:
            await inner.projects.create("other", "Other")

    async def waiting(db: AsyncDatabase, repository_id: str) -> None:
        admin.execute("CREATE TABLE mine (a int)")
        with commits_wait(admin):
            await work(db, repository_id)

    _in_a_loop(own_url, waiting)


def test_a_hold_that_is_cancelled_while_its_commit_waits_leaves_no_lease(
    own_url: str, admin: psycopg.Connection[Any]
) -> None:
    async def hold(db: AsyncDatabase, repository_id: str) -> None:
        async with db.leases.hold(repository_id):
            raise AssertionError("no standby has it")

    async def work(db: AsyncDatabase, repository_id: str) -> None:
        with commits_wait(admin):
            task = asyncio.create_task(hold(db, repository_id))
            await _waits(admin, task)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < AT_ONCE_SECONDS
            assert await db.leases.active(repository_id) is None

    _in_a_loop(own_url, work)


def test_a_hold_whose_wait_for_a_standby_is_cancelled_leaves_no_lease(
    open_db: Surface, own_url: str, admin: psycopg.Connection[Any]
) -> None:
    db: Database = open_db(own_url, call_timeout=1)
    repository = db.repositories.create(db.projects.create("p", "P").id, "api")
    with commits_wait(admin):
        error = cancelled_by_a_dba(admin, lambda: db.leases.hold(repository.id).__enter__())
        _check(error)
        # Nobody has it, as far as the primary knows; what is known of the release is told too.
        assert db.leases.active(repository.id) is None
        assert any("releasing lease" in note for note in error.__notes__)


def test_a_driver_that_ignores_the_warning_is_found_out(
    own_url: str, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Patient, "_noticed", lambda *_: None)
    with (
        forgedb.connect(own_url, actor="user:ada") as db,
        commits_wait(admin),
        pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"),
    ):
        cancelled_by_a_dba(admin, lambda: db.projects.create("platform", "Platform"))
