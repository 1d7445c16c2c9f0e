"""An import as a real process, interrupted at any moment: the next run finishes the job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import forgedb
from forgedb import Database
from tests.git.making import make_large_repository

OBJECTS = 60_000
PEAK_MEMORY_KIB_MAX = 150_000_000 // 1024

# Small batches, so that there are many moments to be interrupted at; then, what it needed.
PROGRAM = """
import pathlib, re, signal, sys
import forgedb.importing
# A shell that was told to run the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
forgedb.importing.BATCH_OBJECTS = {batch}
from forgedb.cli import main
try:
    main(sys.argv[1:])
finally:
    # Not what getrusage() says: that begins with the memory of the process it was forked from.
    status = pathlib.Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("large") / "large.git"
    make_large_repository(path, OBJECTS)
    return path


@pytest.fixture
def db(tmp_path: Path) -> Database:
    database = forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="service:importer")
    database.migrate()
    return database


def start(tmp_path: Path, large: Path, *, batch: int = 2000) -> subprocess.Popen[str]:
    environment = os.environ | {
        "FORGEDB_URL": f"sqlite:///{tmp_path}/forge.db",
        "FORGEDB_ACTOR": "service:importer",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(batch=batch), "import", "--json", str(large)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_objects(db: Database, process: subprocess.Popen[str], at_least: int) -> None:
    """Return when the import has committed so many objects, and is still at work."""
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        assert process.poll() is None, process.communicate()
        if db.client.query_value("SELECT count(*) FROM object_metadata") >= at_least:
            return
        time.sleep(0.005)
    raise AssertionError("the import made no progress")


def finish(tmp_path: Path, large: Path) -> dict[str, object]:
    process = start(tmp_path, large)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    summary: dict[str, object] = json.loads(out)
    return summary


@pytest.mark.parametrize("at_least", [1, 10_000, 40_000])
def test_after_kill_9_the_database_is_intact_and_the_next_run_finishes(
    db: Database, tmp_path: Path, large: Path, at_least: int
) -> None:
    process = start(tmp_path, large)
    wait_for_objects(db, process, at_least)
    process.kill()
    process.communicate()
    repository = db.repositories.get_by_path("imported/large")
    recorded = sum(each.count for each in db.objects.stats(repository.id))
    assert db.client.query_value("PRAGMA integrity_check") == "ok"
    assert db.audit.verify().ok
    left = db.leases.active(repository.id)
    assert left is not None

    summary = finish(tmp_path, large)
    assert summary["lease_resumed"] is True
    assert summary["fencing_token"] == left.fencing_token
    assert summary["objects"] == {"added": OBJECTS - recorded, "already_there": recorded}
    assert db.leases.active(repository.id) is None
    assert db.audit.verify().ok


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_releases_its_lease(
    db: Database, tmp_path: Path, large: Path, number: int, exit_code: int
) -> None:
    process = start(tmp_path, large)
    wait_for_objects(db, process, 2000)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == exit_code
    assert "Traceback" not in error
    repository = db.repositories.get_by_path("imported/large")
    assert db.leases.active(repository.id) is None
    assert db.audit.verify().ok
    assert finish(tmp_path, large)["lease_resumed"] is False


def test_memory_stays_bounded(db: Database, tmp_path: Path, large: Path) -> None:
    process = start(tmp_path, large, batch=20_000)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert int(error.split()[-1]) < PEAK_MEMORY_KIB_MAX
