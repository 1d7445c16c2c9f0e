"""The import of a lease log beside others at work, and cut short: all of it is there, or nothing.

The import is a real process that reads its log from a pipe: so a test decides how far it gets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, LeaseHeld, LockTimeout, Repository
from forgedb.dao.leases.log_import import CHUNK_LINES
from tests.conformance.logs import acquired, as_bytes, released

WAIT_SECONDS = 30
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=300)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/forge.db"
        return
    with request.getfixturevalue("postgres").new(migrated=True) as url:
        yield url


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with forgedb.connect(url, actor="user:ada") as db:
        db.migrate()
        yield db
        assert db.audit.verify().problems == []


@pytest.fixture
def repository(db: Database) -> Repository:
    return db.repositories.create(db.projects.create("p", "P").id, "a")


def past(repository_id: str, leases: int, first: int = 0) -> bytes:
    """So many leases that were acquired and released, one after the other."""
    lines: list[bytes] = []
    for number in range(first, first + leases):
        at = LONG_AGO + number * timedelta(seconds=2)
        lines.append(as_bytes(acquired(f"l-{number}", repository_id, at)))
        lines.append(as_bytes(released(f"l-{number}", at + timedelta(seconds=1))))
    return b"".join(line + b"\n" for line in lines)


class Import:
    """``forgedb lease import-jsonl -`` at work."""

    def __init__(self, url: str) -> None:
        environment = os.environ | {"FORGEDB_URL": url, "FORGEDB_ACTOR": "service:importer"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "forgedb", "lease", "import-jsonl", "-", "--json"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def feed(self, lines: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(lines)
        self.process.stdin.flush()

    def finish(self, lines: bytes = b"") -> tuple[int, Any, str]:
        """Feed the rest; returns the exit code, what was printed, and what was complained of."""
        out, error = self.process.communicate(lines, timeout=WAIT_SECONDS)
        code = self.process.returncode
        return code, json.loads(out) if out else None, error.decode()


@contextmanager
def importing(url: str) -> Iterator[Import]:
    running = Import(url)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def wait_until_locked(url: str, repository_id: str) -> None:
    """Return once someone else has the repository's row, or SQLite's writer."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    options = {"busy_timeout": 0.01} if url.startswith("sqlite") else {}
    with forgedb.connect(url, actor="user:eve", **options) as db:
        nowait = " FOR NO KEY UPDATE NOWAIT" if db.client.dialect == "postgres" else ""
        asked = f"SELECT id FROM repositories WHERE id = :id{nowait}"
        while time.monotonic() < give_up_at:
            try:
                with db.transaction() as tx:
                    tx.client.query(asked, {"id": repository_id})
            except LockTimeout:
                return
            time.sleep(0.01)
    raise AssertionError("the import locked nothing")


def everything(db: Database) -> tuple[Any, ...]:
    tables = ("leases", "audit_entries", "lease_import_lines")
    counts = [db.client.query_value(f"SELECT count(*) FROM {table}") for table in tables]
    heads = db.client.query("SELECT id, lease_epoch, audit_seq, audit_head FROM repositories")
    return counts, heads


def test_killed_in_the_middle_it_leaves_nothing_and_the_next_run_does_it_all(
    url: str, db: Database, repository: Repository
) -> None:
    before = everything(db)
    lines = past(repository.id, 2 * CHUNK_LINES)
    with importing(url) as running:
        running.feed(lines[: 2 * len(lines) // 3])
        wait_until_locked(url, repository.id)
        time.sleep(0.5)
        assert everything(db) == before
        running.process.kill()
        running.process.wait()
    assert everything(db) == before
    with importing(url) as running:
        code, done, error = running.finish(lines)
    assert (code, error) == (0, "")
    assert (done["imported"], done["leases"]) == (4 * CHUNK_LINES, 2 * CHUNK_LINES)
    assert db.repositories.get(repository.id).lease_epoch == 2 * CHUNK_LINES


def test_who_acquires_meanwhile_waits_and_then_sees_the_whole_log(
    url: str, db: Database, repository: Repository
) -> None:
    outcome: list[Any] = []

    def acquire() -> None:
        # SQLite's writers wait for as long as they are told to.
        options = {"busy_timeout": WAIT_SECONDS} if url.startswith("sqlite") else {}
        with forgedb.connect(url, actor="user:eve", **options) as other:
            try:
                outcome.append(other.leases.acquire(repository.id))
            except LeaseHeld as held:
                outcome.append(held)

    live = as_bytes(acquired("live", repository.id, NOW - HOUR, hours=72)) + b"\n"
    with importing(url) as running:
        running.feed(past(repository.id, CHUNK_LINES))
        wait_until_locked(url, repository.id)
        thread = threading.Thread(target=acquire)
        thread.start()
        time.sleep(0.5)
        assert outcome == []
        code, _, error = running.finish(live)
        assert (code, error) == (0, "")
    thread.join(WAIT_SECONDS)
    (held,) = outcome
    assert isinstance(held, LeaseHeld)
    assert held.lease == db.leases.active(repository.id)
    assert (held.lease.holder, held.lease.fencing_token) == ("user:bob", CHUNK_LINES + 1)


def test_a_lease_that_was_acquired_while_it_waited_stops_it(
    url: str, db: Database, repository: Repository
) -> None:
    with importing(url) as running, ThreadPoolExecutor(1) as thread:
        with db.transaction() as tx:
            lease = tx.leases.acquire(repository.id)
            finishing = thread.submit(running.finish, past(repository.id, CHUNK_LINES))
            time.sleep(1.0)
            assert not finishing.done()
        code, _, error = finishing.result()
    assert code == 2
    assert error.startswith("forgedb: error: stdin:1: lease_id 'l-0' is refused: it overlaps")
    assert db.leases.active(repository.id) == lease
    assert db.client.query_value("SELECT count(*) FROM lease_import_lines") == 0


def test_two_imports_of_one_log_at_once_bring_each_event_once(
    url: str, db: Database, repository: Repository
) -> None:
    # Lines of unknown repositories lock no row that would keep the two apart.
    lines = past("unknown", CHUNK_LINES) + past(repository.id, 500, first=CHUNK_LINES)
    with importing(url) as first, importing(url) as second, ThreadPoolExecutor(2) as threads:
        done = [*threads.map(lambda running: running.finish(lines), (first, second))]
    assert [code for code, _, _ in done] == [6, 6], done
    assert sorted(summary["imported"] for _, summary, _ in done) == [0, 1000]
    assert db.repositories.get(repository.id).lease_epoch == 500


def test_memory_stays_the_same_however_long_the_log_is() -> None:
    def peak(leases: int) -> int:
        # In memory: what SQLite itself takes is not counted, only what the import holds.
        with forgedb.connect("sqlite://", actor="user:ada") as db:
            db.migrate()
            project = db.projects.create("p", "P")
            file = BytesIO(past("r", leases))
            tracemalloc.start()
            try:
                done = db.leases.import_jsonl(file, "log", project.id)
                db.leases.export(Discarded())
                assert done.leases == leases
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(10)
    assert peak(2 * CHUNK_LINES) < 1.2 * peak(CHUNK_LINES)


class Discarded:
    """A file that keeps nothing."""

    def write(self, line: bytes) -> None:
        assert line.endswith(b"\n")
