"""``forgedb migrate`` asked to stop in the midst of a statement."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import Databases

LONG = {
    "sqlite": (
        "CREATE TABLE n AS WITH RECURSIVE n (i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000000) SELECT count(*) FROM n"
    ),
    "postgres": "SELECT pg_sleep(600)",
}
STOPPED_WITHIN_SECONDS = 10.0
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid <> %s"

# A shell that was told to run the tests in the background has it ignored.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from forgedb.cli import main
main()
"""


@pytest.mark.parametrize("header", ["", "-- forgedb: no-transaction\n"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_statement_ends_when_its_process_is_asked_to(
    tmp_path: Path, number: int, code: int, header: str
) -> None:
    url = f"sqlite:///{tmp_path}/forge.db"
    process = _migrating(tmp_path, url, header + LONG["sqlite"])
    _wait_for(tmp_path / "forge.db-wal")
    time.sleep(0.2)
    _stop(process, number, code)
    _is_told(tmp_path, url, header)


@pytest.mark.parametrize("header", ["", "-- forgedb: no-transaction\n"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_servers_statement_ends_with_it(
    tmp_path: Path, postgres: Databases, number: int, code: int, header: str
) -> None:
    with postgres.new() as url, psycopg.connect(url, autocommit=True) as admin:
        process = _migrating(tmp_path, url, header + LONG["postgres"])
        me = [admin.info.backend_pid]
        busy = (1,)
        while admin.execute(BUSY, me).fetchone() != busy:
            time.sleep(0.01)
        _stop(process, number, code)
        assert admin.execute(BUSY, me).fetchone() == (0,)
        _is_told(tmp_path, url, header)


def _forgedb(tmp_path: Path, url: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, "--url", url, "migrate", *arguments]
    return [*command, "--dir", str(tmp_path / "migrations")]


def _migrating(tmp_path: Path, url: str, text: str) -> subprocess.Popen[str]:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_long.sql").write_text(text)
    return subprocess.Popen(_forgedb(tmp_path, url), stderr=subprocess.PIPE, text=True)


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def _stop(process: subprocess.Popen[str], number: int, code: int) -> None:
    process.send_signal(number)
    began = time.monotonic()
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - began < STOPPED_WITHIN_SECONDS
    assert "Traceback" not in error
    assert process.returncode == code


def _is_told(tmp_path: Path, url: str, header: str) -> None:
    """The file is pending as before, or on record as interrupted."""
    command = _forgedb(tmp_path, url, "status", "--json")
    status = subprocess.run(command, capture_output=True, text=True)
    expected = ("failed", 1) if header else ("pending", 3)
    assert [each["state"] for each in json.loads(status.stdout)["migrations"]] == [expected[0]]
    assert status.returncode == expected[1]
