"""An SQLite file that another process writes to: what waits, and what gives up."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

import forgedb
from forgedb import (
    Database,
    LockTimeout,
    Unavailable,
)
from forgedb.migrations import Runner, lock_retry
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import A, Folder
from tests.migrations.watching import Heard, until


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


HOLD_LOCK = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def wal(db: Database) -> None:
    """The file is in WAL mode, as every file is that was written to once."""
    db.client.execute("CREATE TABLE t (x)")
    db.client.execute("DROP TABLE t")


@pytest.fixture
def locked_by_another(url: str) -> Iterator[Callable[[], None]]:
    """Another process holds the write lock; calling this ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, url.removeprefix("sqlite:///")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"

    def let_go() -> None:
        process.communicate("", timeout=60)

    yield let_go
    let_go()
    process.stdout.close()


@pytest.mark.usefixtures("migrated")
def test_a_write_lock_held_by_another_process_past_the_timeout_is_told_as_such(
    url: str, locked_by_another: Callable[[], None], folder: Folder
) -> None:
    folder.write(m0001_a=A)
    with forgedb.connect(url, actor="user:ada", busy_timeout=0.05) as impatient:
        assert impatient.projects.list().items == []
        for write in (
            lambda: impatient.projects.create("p", "P"),
            lambda: impatient.client.execute("CREATE TABLE x (id INTEGER)"),
            lambda: impatient.transaction().__enter__(),
        ):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="locked by another process") as refused:
                write()
            assert time.monotonic() - began >= 0.05
            assert refused.value.retryable
            assert refused.value.outcome == "not_committed"
            assert refused.value.__cause__ is not None
        locked_by_another()
        assert impatient.projects.create("p", "P").slug == "p"


def test_migrating_a_database_locked_by_another_process_changes_nothing(
    url: str, three: Folder, locked_by_another: Callable[[], None]
) -> None:
    with forgedb.connect(url, busy_timeout=0.05) as impatient:
        runner = Runner(impatient, three.path, lock_timeout_seconds=0.5)
        with pytest.raises(LockTimeout, match="locked by another process") as refused:
            runner.migrate()
        assert refused.value.retryable
        assert three.tables() == set()
        locked_by_another()
        assert len(runner.migrate()) == 3


def test_a_patient_writer_gets_its_turn(
    migrated: Database, locked_by_another: Callable[[], None]
) -> None:
    timer = threading.Timer(0.2, locked_by_another)
    timer.start()
    assert migrated.projects.create("p", "P").slug == "p"
    timer.join()


def test_the_first_write_to_a_new_database_waits_for_the_other_that_makes_it(
    url: str, tmp_path: Path
) -> None:
    # Until a file is in WAL mode its lock is another one, for which SQLite itself doesn't wait.
    other = apsw.Connection(str(tmp_path / "forge.db"))
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    timer.start()
    try:
        with forgedb.connect(url, busy_timeout=20) as db:
            assert db.client.execute("INSERT INTO t VALUES (1)") == 1
            assert db.client.query_value("SELECT count(*) FROM t") == 1
            assert db.client.query_value("PRAGMA journal_mode") == "wal"
    finally:
        timer.join()
        other.close()


@pytest.mark.usefixtures("wal")
def test_who_waits_to_migrate_says_so_and_for_whom_and_then_goes_on(
    three: Folder, locked_by_another: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_retry, "SILENT_SECONDS", 0.0)
    heard = Heard()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(three.runner_with(progress=heard).migrate)
        assert until(lambda: heard.reasons)
        locked_by_another()
        assert len(waiting.result()) == 3
    assert len(heard.reasons) == 1
    assert re.match(r"process \d+ \(.+\) is writing to the database: /", heard.reasons[0])


@pytest.mark.usefixtures("wal")
def test_who_gives_up_names_the_process_that_writes(
    three: Folder, locked_by_another: Callable[[], None]
) -> None:
    runner = three.runner_with(lock_timeout_seconds=0.3)
    for give_up in (runner.migrate, runner.rehearse, lambda: runner.baseline(1)):
        with pytest.raises(LockTimeout, match=r"gave up after .*: process \d+ .* is writing"):
            give_up()
    assert three.tables() == set()
    assert len(runner.pending()) == 3
    locked_by_another()
    assert len(runner.migrate()) == 3
