"""Waiting for another process that migrates, and for a table that others use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import forgedb
from forgedb import LockTimeout
from forgedb.migrations import Runner, lock_retry
from forgedb.migrations.locking import TRY_LOCK
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import A, B, Folder
from tests.migrations.watching import Heard, until

LOCK_WAIT_SECONDS = 0.2


@pytest.fixture
def dialect() -> Dialect:
    return "postgres"


@pytest.fixture
def other(url: str) -> Iterator[psycopg.Connection]:
    """A session of another program's."""
    with psycopg.connect(url, application_name="the other") as other:
        yield other


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def _lock(other: psycopg.Connection) -> None:
    """Hold what a runner holds while it applies a file."""
    (had, _), *_rest = other.execute(
        TRY_LOCK.postgres.replace(":lock_wait", "%s").encode(), ["1s"]
    ).fetchall()
    assert had


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Every wait is told at once."""
    monkeypatch.setattr(lock_retry, "SILENT_SECONDS", 0.0)
    return Heard()


def test_who_waits_says_so_and_for_whom_and_then_goes_on(
    folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor, heard: Heard
) -> None:
    folder.write(m0001_a=A, m0002_b=B)
    _lock(other)
    waiting = threads.submit(folder.runner_with(progress=heard).migrate)
    assert until(lambda: heard.reasons)
    assert folder.tables() == set()
    other.commit()
    assert [entry.version for entry in waiting.result()] == [1, 2]
    process = f"server process {other.info.backend_pid} of role postgres (the other)"
    assert heard.reasons == [f"another process is migrating this database: {process}"]


def test_who_waits_finds_what_the_other_has_applied_meanwhile(
    folder: Folder, url: str, threads: ThreadPoolExecutor, heard: Heard
) -> None:
    folder.write(m0001_a=f"{A} SELECT pg_sleep(0.5)", m0002_b=B)
    first = threads.submit(folder.runner.migrate, 1)
    with forgedb.connect(url) as db:
        assert until(lambda: db.client.query_value(HELD))
        second = Runner(db, folder.path, progress=heard).migrate()
    assert [entry.version for entry in first.result()] == [1]
    assert [entry.version for entry in second] == [2]
    assert heard.reasons
    assert "is migrating this database: server process" in heard.reasons[0]


HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def test_a_short_wait_is_not_worth_a_word(
    folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    folder.write(m0001_a=A)
    heard = Heard()
    _lock(other)
    waiting = threads.submit(folder.runner_with(progress=heard).migrate)
    time.sleep(0.1)
    other.commit()
    assert len(waiting.result()) == 1
    assert heard.reasons == []


def test_who_has_waited_for_long_enough_gives_up_and_has_changed_nothing(
    folder: Folder, other: psycopg.Connection
) -> None:
    folder.write(m0001_a=A)
    _lock(other)
    runner = folder.runner_with(lock_timeout_seconds=0.3)
    began = time.monotonic()
    for give_up in (runner.migrate, runner.rehearse, lambda: runner.baseline(1)):
        with pytest.raises(
            LockTimeout, match=r"another process is migrating.*the other"
        ) as gave_up:
            give_up()
        assert gave_up.value.retryable
        assert gave_up.value.outcome == "not_committed"
    assert 0.9 <= time.monotonic() - began < 6
    assert folder.tables() == set()
    assert folder.runner.applied() == []


def test_looking_waits_for_nobody(folder: Folder, other: psycopg.Connection) -> None:
    folder.write(m0001_a=A)
    _lock(other)
    runner = folder.runner_with(lock_timeout_seconds=0.0)
    assert len(runner.pending()) == 1
    assert [each.state for each in runner.states()] == ["pending"]


def test_a_crash_leaves_no_lock(folder: Folder, other: psycopg.Connection, url: str) -> None:
    folder.write(m0001_a=A)
    _lock(other)
    folder.db.client.query(f"SELECT pg_terminate_backend({other.info.backend_pid})")
    assert len(folder.runner.migrate()) == 1
    with pytest.raises(psycopg.OperationalError):
        other.execute("SELECT 1")


# A table that others use.


class Traffic:
    """Programs that read a table again and again, and how long each of their queries took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.seconds: list[float] = []

    def read(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as reader:
            while not self._over.is_set():
                began = time.monotonic()
                reader.execute("SELECT count(*) FROM a")
                self.seconds.append(time.monotonic() - began)

    def end(self) -> None:
        self._over.set()


QUEUED = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
"""


def test_traffic_goes_on_while_an_alter_waits_for_a_long_transaction(
    folder: Folder, url: str, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    folder.write(m0001_a=A).runner.migrate()
    folder.write(m0002_b="CREATE TABLE b (id INTEGER);\nALTER TABLE a ADD COLUMN note text")
    other.execute("SELECT * FROM a")
    traffic = Traffic(url)
    reading = [threads.submit(traffic.read) for _ in range(2)]
    runner = folder.runner_with(lock_wait_seconds=LOCK_WAIT_SECONDS)
    try:
        with forgedb.connect(url) as looking:

            def queued() -> bool:
                return bool(looking.client.query_value(QUEUED))

            migrating = threads.submit(runner.migrate)
            for _ in range(2):
                assert until(queued), "the ALTER never waited"
                assert until(lambda: not queued()), "the ALTER never gave way"
                before = len(traffic.seconds)
                assert until(lambda at=before: len(traffic.seconds) > at + 10), "traffic stalled"
            assert looking.client.query_value("SELECT to_regclass('b') IS NULL")
    finally:
        other.commit()
        traffic.end()
    assert [entry.version for entry in migrating.result()] == [2]
    assert [each.result() for each in reading] == [None, None]
    assert folder.db.client.query("SELECT note FROM a") == []
    # A query that stood behind the ALTER waited as long as that one; the rest is the machine's.
    assert max(traffic.seconds) < 10 * LOCK_WAIT_SECONDS


def test_an_alter_gives_up_on_a_table_in_use_and_leaves_nothing_half_done(
    folder: Folder, other: psycopg.Connection, heard: Heard
) -> None:
    folder.write(m0001_a=A).runner.migrate()
    folder.write(m0002_b=B, m0003_c="CREATE TABLE c (id INTEGER);\nALTER TABLE a ADD note text")
    other.execute("SELECT * FROM a")
    runner = folder.runner_with(lock_wait_seconds=0.05, lock_timeout_seconds=0.4, progress=heard)
    with pytest.raises(LockTimeout, match=r"gave up after .*lock_timeout") as gave_up:
        runner.migrate()
    assert gave_up.value.retryable
    assert folder.tables() == {"a", "b"}
    assert folder.labels() == ["0001_a", "0002_b"]
    (why,) = heard.reasons
    assert "lock_timeout" in why
    other.commit()
    assert [entry.version for entry in runner.migrate()] == [3]


def test_how_long_a_statement_queues_ends_with_its_transaction(folder: Folder, url: str) -> None:
    folder.write(m0001_a="CREATE TABLE a AS SELECT current_setting('lock_timeout') AS had")
    # One connection, which is asked afterwards what it was left with.
    with forgedb.connect(f"{url}?pool_max_size=1") as db:
        Runner(db, folder.path, lock_wait_seconds=1.5).migrate()
        assert db.client.query_value("SELECT had FROM a") == "1500ms"
        assert db.client.query_value("SELECT current_setting('lock_timeout')") == "0"
