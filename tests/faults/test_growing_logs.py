"""SQLite's write-ahead log beside long readers, and beside those who copy it themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import apsw
import pytest

import forgedb
from forgedb import Database, InvalidValue
from forgedb.drivers.sqlite import checkpoints
from tests.faults.surfaces import Surface, until

BOUND = 6 * 1024 * 1024

MEBIBYTE = "INSERT INTO bulk VALUES (randomblob(1024 * 1024))"

READER = """
import sys, apsw
reader = apsw.Connection(sys.argv[1])
reader.execute("BEGIN")
reader.execute("SELECT count(*) FROM bulk").fetchall()
print("reading", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LOG_BYTES_MAX", BOUND)
    monkeypatch.setattr("forgedb.drivers.sqlite.connection.LOG_BYTES_MAX", BOUND)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "forge.db"
    with forgedb.connect(f"sqlite:///{path}") as db:
        db.migrate()
        db.client.execute("CREATE TABLE bulk (content BLOB)")
    return path


@contextmanager
def long_reader(file: Path) -> Iterator[int]:
    """Another process that has a snapshot open; its id."""
    program = [sys.executable, "-c", READER, str(file)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        yield reader.pid


def log_size(file: Path) -> int:
    return os.path.getsize(f"{file}-wal")


def grow(db: Database, mebibytes: int) -> None:
    for _ in range(mebibytes):
        db.client.execute(MEBIBYTE)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "forgedb"]


def test_the_log_shrinks_when_a_long_reader_has_ended(open_db: Surface, file: Path) -> None:
    db = open_db(f"sqlite:///{file}")
    with long_reader(file):
        grow(db, 12)
        assert log_size(file) > 2 * BOUND
    grow(db, 1)
    assert log_size(file) == 0


def test_the_log_shrinks_although_somebody_always_reads(open_db: Surface, file: Path) -> None:
    db = open_db(f"sqlite:///{file}")
    done = Event()

    def read_again_and_again() -> None:
        with forgedb.connect(f"sqlite:///{file}") as reading:
            while not done.is_set():
                with reading.transaction(read_only=True) as tx:
                    tx.client.query("SELECT count(*) FROM bulk")
                    done.wait(0.005)

    with ThreadPoolExecutor(3) as threads:
        try:
            for _ in range(3):
                threads.submit(read_again_and_again)
            grow(db, 12)
            until(lambda: db.client.execute(MEBIBYTE) and log_size(file) < BOUND)
        finally:
            done.set()


def test_a_log_that_another_program_copied_shrinks_when_it_is_written_over(
    open_db: Surface, file: Path
) -> None:
    db = open_db(f"sqlite:///{file}")
    with long_reader(file):
        grow(db, 12)
    with closing(apsw.Connection(str(file))) as other:
        other.execute("SELECT count(*) FROM bulk").fetchall()
        in_log, copied = other.wal_checkpoint()
        assert in_log == copied > 0
    assert log_size(file) > 2 * BOUND
    db.client.execute("DELETE FROM bulk WHERE rowid = 1")
    assert log_size(file) <= BOUND


def test_who_holds_the_log_back_is_named_once_for_each_time(
    open_db: Surface, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = open_db(f"sqlite:///{file}")
    for episode in (1, 2):
        with long_reader(file) as process:
            grow(db, 5)
            assert len(warnings(caplog)) == episode - 1
            grow(db, 6)
            told = warnings(caplog)
            assert len(told) == episode
            assert f"{file}-wal has grown to 6 MiB: since 20" in told[-1]
            assert f"read by process {process} (python" in told[-1]
        grow(db, 1)


def test_a_snapshot_of_ones_own_is_named_too(
    open_db: Surface, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = open_db(f"sqlite:///{file}")
    with forgedb.connect(f"sqlite:///{file}") as reading, reading.transaction(read_only=True) as tx:
        tx.client.query("SELECT count(*) FROM bulk")
        grow(db, 7)
    (told,) = warnings(caplog)
    assert f"process {os.getpid()} (this one)" in told


def test_with_checkpoint_never_the_log_is_left_to_others(
    open_db: Surface, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = file.read_bytes()
    with open_db(f"sqlite:///{file}?checkpoint=never") as db:
        grow(db, 5)
        assert warnings(caplog) == []
        grow(db, 5)
        (told,) = warnings(caplog)
        assert "has grown to 6 MiB: checkpoint=never leaves it to another program" in told
    assert file.read_bytes() == before
    assert log_size(file) > 10 * 1024 * 1024
    with forgedb.connect(f"sqlite:///{file}") as db:
        assert db.client.query_value("SELECT count(*) FROM bulk") == 10


def test_a_reader_that_leaves_the_log_alone_does_so_when_it_is_the_last_to_close(
    open_db: Surface, file: Path
) -> None:
    url = f"sqlite:///{file}?checkpoint=never"
    with open_db(url) as db:
        grow(db, 1)
    with open_db(url) as db:
        assert db.client.query_value("SELECT count(*) FROM bulk") == 1
    assert log_size(file) > 1024 * 1024


def test_other_values_of_checkpoint_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"checkpoint .* must be one of auto, never"):
        forgedb.connect("sqlite://", checkpoint="sometimes")
