"""SQLite: statements that run for long, and locks that other processes hold, past call_timeout."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

import forgedb
from forgedb import InvalidValue, LockTimeout, Unavailable
from forgedb.migrations import Runner
from tests.faults.surfaces import Surface

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

LONG = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000)"
    " SELECT max(i) FROM n"
)
"""It takes longer than BRIEF_SECONDS, on any machine."""

SHORT = LONG.replace("3000000", "200000")

BRIEF_SECONDS = 0.2

AT_ONCE_SECONDS = 2.5


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/forge.db"
    with forgedb.connect(url) as db:
        db.migrate()
    return url


@contextmanager
def locked_by_another(url: str) -> Iterator[None]:
    """In the block another connection, as a process would, is the writer."""
    with closing(apsw.Connection(url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} s"


def test_a_query_that_runs_too_long_is_interrupted_and_told(open_db: Surface, url: str) -> None:
    db = open_db(url, call_timeout=BRIEF_SECONDS)
    with within(AT_ONCE_SECONDS), pytest.raises(Unavailable) as raised:
        db.client.query(ENDLESS)
    assert raised.value.retryable
    assert raised.value.outcome == "not_committed"
    assert "wasn't done within 0.2 s" in str(raised.value)
    assert "forge.db" in str(raised.value)
    assert db.client.query_value("SELECT 1") == 1


@pytest.mark.parametrize("in_a_block", [True, False])
def test_a_change_that_runs_too_long_leaves_nothing(
    open_db: Surface, url: str, in_a_block: bool
) -> None:
    db = open_db(url, call_timeout=timedelta(seconds=BRIEF_SECONDS))
    project = db.projects.create("platform", "Platform")
    change = f"UPDATE projects SET description = ({ENDLESS})"
    with within(AT_ONCE_SECONDS), pytest.raises(Unavailable, match="wasn't done within"):
        if in_a_block:
            with db.transaction() as tx:
                tx.projects.update(project.id, name="New")
                tx.client.execute(change)
        else:
            db.client.execute(change)
    assert db.projects.get(project.id) == project
    assert db.audit.verify().ok


def test_each_statement_has_its_time_and_so_has_its_user_between_them(
    open_db: Surface, url: str
) -> None:
    db = open_db(url, call_timeout=2.0)
    began = time.monotonic()
    with db.transaction() as tx:
        while time.monotonic() - began < 2.5:
            tx.client.query(SHORT)
        time.sleep(2.5)
        tx.client.query(SHORT)


def test_a_call_that_may_last_for_ever_isnt_interrupted(open_db: Surface, url: str) -> None:
    db = open_db(f"{url}?call_timeout=never")
    assert db.client.query_value(LONG) == 3_000_000


def test_a_migration_takes_as_long_as_it_must(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_long.sql").write_text(f"CREATE TABLE long AS {LONG};")
    with forgedb.connect(url, call_timeout=BRIEF_SECONDS) as db:
        assert len(Runner(db, folder, table="long_history").migrate()) == 1
        with pytest.raises(Unavailable, match="wasn't done within"):
            db.client.query(ENDLESS)


def test_a_lock_of_another_process_is_waited_for_no_longer_than_a_call_may_take(
    open_db: Surface, url: str
) -> None:
    db = open_db(url, call_timeout=0.5)
    with locked_by_another(url), within(AT_ONCE_SECONDS), pytest.raises(LockTimeout) as raised:
        db.projects.create("platform", "Platform")
    assert raised.value.retryable
    assert db.projects.create("platform", "Platform").slug == "platform"


def test_a_lock_that_is_let_go_is_had_soon(open_db: Surface, url: str) -> None:
    db = open_db(url)
    with locked_by_another(url):
        waiting = threading.Thread(target=db.projects.create, args=("platform", "Platform"))
        waiting.start()
        time.sleep(0.5)
    with within(AT_ONCE_SECONDS):
        waiting.join()
    assert len(db.projects.list().items) == 1


@pytest.mark.parametrize("call_timeout", [0, -1, "soon", 86_401, float("nan"), "", timedelta(0)])
def test_a_time_that_makes_no_sense_is_refused(url: str, call_timeout: Any) -> None:
    with pytest.raises(InvalidValue, match="call_timeout"):
        forgedb.connect(url, call_timeout=call_timeout)


# Who is interrupted


def test_a_task_that_waits_for_another_process_ends_at_once_when_it_is_cancelled(url: str) -> None:
    async def run() -> None:
        async with await forgedb.connect_async(url, actor="user:ada") as db:
            project = await db.projects.create("platform", "Platform")
            repository = await db.repositories.create(project.id, "api")
            with locked_by_another(url):
                for call in (
                    lambda: db.projects.update(project.id, name="New"),
                    lambda: db.leases.hold(repository.id, wait=60).__aenter__(),
                ):
                    with within(AT_ONCE_SECONDS), pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.3):
                            await call()
            assert await db.projects.get(project.id) == project
            assert await db.leases.active(repository.id) is None

    asyncio.run(run())


def test_a_hold_that_is_cancelled_while_another_process_writes_is_left_at_once(url: str) -> None:
    async def run() -> None:
        async with await forgedb.connect_async(url, actor="user:ada") as db:
            project = await db.projects.create("platform", "Platform")
            repository = await db.repositories.create(project.id, "api")
            locking = locked_by_another(url)
            with within(AT_ONCE_SECONDS), pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), db.leases.hold(repository.id):
                    locking.__enter__()
                    await asyncio.sleep(600)
            locking.__exit__(None, None, None)
            # Nobody could release it.
            assert await db.leases.active(repository.id) is not None

    asyncio.run(run())


@pytest.mark.parametrize("waits_for_a_lock", [True, False])
def test_a_thread_is_back_at_once_from_ctrl_c(url: str, waits_for_a_lock: bool) -> None:
    with forgedb.connect(url, actor="user:ada") as db, locked_by_another(url):
        main = threading.get_ident()
        pressing = threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT])
        pressing.start()
        with within(AT_ONCE_SECONDS), pytest.raises(KeyboardInterrupt):
            if waits_for_a_lock:
                db.projects.create("platform", "Platform")
            else:
                db.client.query(ENDLESS)
        pressing.join()
    with forgedb.connect(url) as db:
        assert db.projects.list().items == []
