"""``forgedb migrate`` and its kin, on a folder of a user's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forgedb as library
from tests.cli.running import Forgedb, on_sqlite

STARS = "CREATE TABLE stars (id INTEGER PRIMARY KEY);\n"
FANS = "CREATE TABLE fans (id INTEGER PRIMARY KEY);\nINSERT INTO fans VALUES (1);\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "migrations"
    path.mkdir()
    _write(path, m0001_stars=STARS, m0002_fans=FANS)
    return path


@pytest.fixture
def own(folder: Path) -> list[str]:
    """The folder, and a history beside forgedb's."""
    return ["--dir", str(folder), "--table", "own_history"]


def _write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(text)


def _has(forgedb: Forgedb, table: str) -> bool:
    with library.connect(forgedb.url) as db:
        try:
            db.client.query(f"SELECT 1 FROM {table}")
        except library.UsageError:
            return False
        return True


def _states(forgedb: Forgedb, own: list[str]) -> tuple[int, list[str]]:
    result = forgedb("migrate", "status", *own, "--json")
    return result.code, [each["state"] for each in result.json["migrations"]]


def test_each_file_is_a_line_with_its_time(forgedb: Forgedb, own: list[str]) -> None:
    first, second = forgedb.ok("migrate", *own).splitlines()
    assert first.startswith("applied 0001_stars in ")
    assert second.startswith("applied 0002_fans in ")
    assert forgedb.ok("migrate", *own) == "nothing to apply\n"


def test_quiet_prints_nothing(forgedb: Forgedb, own: list[str]) -> None:
    assert forgedb.ok("migrate", "--quiet", *own) == ""
    assert forgedb.ok("migrate", "--quiet", *own) == ""
    assert _has(forgedb, "fans")


def test_the_folder_may_be_given_before_a_command_and_after_it(
    forgedb: Forgedb, own: list[str]
) -> None:
    before = forgedb("migrate", *own, "status", "--json")
    assert (before.code, before.json) == (3, forgedb("migrate", "status", *own, "--json").json)


def test_a_dry_run_applies_nothing_and_exits_with_3(forgedb: Forgedb, own: list[str]) -> None:
    looked = forgedb("migrate", "--dry-run", *own)
    assert (looked.code, looked.out) == (3, "would apply 0001_stars\nwould apply 0002_fans\n")
    assert not _has(forgedb, "own_history")
    forgedb.ok("migrate", *own)
    looked = forgedb("migrate", "--dry-run", *own)
    assert (looked.code, looked.out) == (0, "nothing to apply\n")


def test_a_dry_run_that_executes_rolls_everything_back(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    tried = forgedb("migrate", "--dry-run=execute", *own)
    assert tried.code == 3
    assert tried.out.startswith("would apply 0001_stars in ")
    assert not _has(forgedb, "stars")
    assert not _has(forgedb, "own_history")
    _write(folder, m0003_bad="SELECT 1;\nSELECT nothing;\n")
    failed = forgedb("migrate", "--dry-run=execute", *own)
    assert failed.code == 1
    assert "0003_bad.sql:2:8: " in failed.error
    assert not _has(forgedb, "stars")


def test_a_target_goes_no_further(forgedb: Forgedb, own: list[str]) -> None:
    forgedb.ok("migrate", "--target", "1", *own)
    assert _states(forgedb, own) == (3, ["applied", "pending"])
    refused = forgedb("migrate", "--target", "7", *own)
    assert (refused.code, "there is no migration 7" in refused.error) == (2, True)


def test_a_number_that_comes_late_is_applied_if_that_is_allowed(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    (folder / "0001_stars.sql").unlink()
    forgedb.ok("migrate", *own)
    _write(folder, m0001_stars=STARS)
    refused = forgedb("migrate", *own)
    assert refused.code == 1
    assert "0001_stars.sql: a higher number, 2, is applied already" in refused.error
    assert "--allow-out-of-order" in refused.error
    assert _states(forgedb, own) == (1, ["late", "applied"])
    assert forgedb.ok("migrate", "--allow-out-of-order", *own).startswith("applied 0001_stars")
    assert _states(forgedb, own) == (0, ["applied", "applied"])


def test_status_shows_each_migration(forgedb: Forgedb, own: list[str]) -> None:
    forgedb.ok("migrate", "--target", "1", *own)
    result = forgedb("migrate", "status", *own)
    heading, first, second = (line.split("\t") for line in result.out.splitlines())
    assert result.code == 3
    assert heading == ["MIGRATION", "STATE", "APPLIED AT", "MS"]
    assert first[:2] == ["0001_stars", "applied"]
    assert second == ["0002_fans", "pending", "-", "-"]


def test_an_edited_file_is_drift(forgedb: Forgedb, folder: Path, own: list[str]) -> None:
    forgedb.ok("migrate", *own)
    assert forgedb.ok("migrate", "verify", *own) == "2 migrations, each as it was applied\n"
    _write(folder, m0001_stars=STARS + "-- and more")
    assert forgedb("migrate", *own).code == 4
    assert _states(forgedb, own) == (4, ["edited", "applied"])
    verified = forgedb("migrate", "verify", *own)
    assert (verified.code, verified.out.count("\n")) == (4, 1)
    assert verified.out.startswith("0001_stars.sql is not what was applied (expected ")


def test_verify_tells_of_what_is_pending_and_what_is_missing(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    _write(folder, m0003_more="SELECT 1")
    pending = forgedb("migrate", "verify", *own)
    assert (pending.code, pending.out) == (3, "0003_more is pending\n")
    (folder / "0001_stars.sql").unlink()
    missing = forgedb("migrate", "verify", *own, "--json")
    assert missing.code == 1
    assert missing.json["pending"] == ["0003_more"]
    (problem,) = missing.json["problems"]
    assert problem == "0001_stars.sql: the database has it, but the file is missing: put it back"
    (folder / "0003_more.sql").unlink()
    (folder / "0002_fans.sql").unlink()
    assert _states(forgedb, own) == (1, ["newer", "newer"])


def test_a_baseline_records_without_running(forgedb: Forgedb, own: list[str]) -> None:
    assert forgedb.ok("migrate", "baseline", "1", *own) == "recorded 0001_stars\n"
    assert not _has(forgedb, "stars")
    assert forgedb.ok("migrate", *own).startswith("applied 0002_fans")
    again = forgedb("migrate", "baseline", "2", *own)
    assert (again.code, "has a history already, up to 0002_fans" in again.error) == (2, True)
    assert forgedb("migrate", "baseline", "9", *own).code == 2


@on_sqlite
def test_new_files_get_the_next_number_for_both_databases(forgedb: Forgedb, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = forgedb.ok("migrate", "new", "Add stars, for Ada!", "--dir", str(folder))
    name = "0001_add_stars_for_ada.sql"
    assert made == f"{folder}/sqlite/{name}\n{folder}/postgres/{name}\n"
    refused = forgedb("migrate", "--dir", str(folder), "--table", "own_history")
    assert (refused.code, "holds no statement" in refused.error) == (1, True)
    (folder / "sqlite" / "0001_add_stars_for_ada.sql").write_text(STARS)
    (folder / "postgres" / "0007_later.sql").write_text(STARS)
    assert "0008_more.sql" in forgedb.ok("migrate", "new", "more", "--dir", str(folder))
    assert forgedb("migrate", "new", "...", "--dir", str(folder)).code == 2


@on_sqlite
def test_new_adds_one_file_to_a_folder_of_files(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    assert forgedb.ok("migrate", "new", "more", *own) == f"{folder}/0003_more.sql\n"


def test_there_is_nothing_to_resolve(forgedb: Forgedb, own: list[str]) -> None:
    assert forgedb.ok("migrate", "resolve", *own) == "nothing to resolve\n"
    assert forgedb("migrate", "resolve", "1", "--retry", *own).code == 2
    assert forgedb("migrate", "resolve", "1", *own).code == 2


def test_what_failed_outside_a_transaction_is_resolved(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    alone = "-- forgedb: no-transaction\nINSERT INTO fans VALUES (2);\nSELECT nothing;\n"
    _write(folder, m0003_alone=alone)
    failed = forgedb("migrate", *own)
    assert failed.code == 1
    assert "0003_alone.sql:3:8: " in failed.error
    assert "see `forgedb migrate resolve 3`" in failed.error
    assert _states(forgedb, own) == (1, ["applied", "applied", "failed"])
    assert forgedb("migrate", *own).code == 1
    shown = forgedb("migrate", "resolve", *own)
    assert shown.code == 1
    assert "0003_alone is failed after 1 of its statements" in shown.out
    assert "forgedb migrate resolve 3 --retry" in shown.out
    _write(folder, m0003_alone=alone.replace("nothing", "1"))
    assert "goes on with statement 2" in forgedb.ok("migrate", "resolve", "3", "--retry", *own)
    assert forgedb.ok("migrate", *own).startswith("applied 0003_alone")
    with library.connect(forgedb.url) as db:
        assert db.client.query("SELECT id FROM fans ORDER BY id") == [(1,), (2,)]
    assert _states(forgedb, own) == (0, ["applied"] * 3)


def test_what_was_finished_by_hand_is_recorded(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    _write(folder, m0003_alone="-- forgedb: no-transaction\nSELECT nothing;\n")
    assert forgedb("migrate", *own).code == 1
    assert forgedb.ok("migrate", "resolve", "3", "--applied", *own) == (
        "0003_alone is recorded as applied\n"
    )
    assert forgedb.ok("migrate", "verify", *own) == "3 migrations, each as it was applied\n"


HOLD = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held(url: str) -> Iterator[str]:
    """Another process keeps everyone from migrating; who it is, as a waiter is told."""
    if url.startswith("postgresql"):
        with psycopg.connect(url, application_name="deploy 7") as holder:
            holder.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('forgedb.migrations', 0))"
            )
            yield f"server process {holder.info.backend_pid} of role postgres (deploy 7)"
            return
    command = [sys.executable, "-c", HOLD, url.removeprefix("sqlite:///")]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield f"process {process.pid} ("
        process.communicate("")


def test_a_waiter_says_for_whom_and_gives_up_with_an_exit_code_of_its_own(
    forgedb: Forgedb, own: list[str]
) -> None:
    with _held(forgedb.url) as holder:
        waited = forgedb("migrate", "--lock-timeout", "1.5", *own)
        assert waited.code == 5
        waiting, refused = waited.error.splitlines()
        assert waiting.startswith("waiting: ")
        assert holder in waiting
        assert refused.startswith("forgedb: error: gave up after ")
        assert holder in refused
    forgedb.ok("migrate", *own)


@on_sqlite
def test_a_mistake_makes_no_database(forgedb: Forgedb, tmp_path: Path, folder: Path) -> None:
    url = f"sqlite:///{tmp_path}/not_yet.db"
    for arguments in (
        ["--dir", str(tmp_path / "nowhere")],
        ["--dir", str(folder), "--target", "9"],
        ["--dir", str(folder), "--table", "No Table"],
        ["--dir", str(folder), "--dry-run"],
        ["--dir", str(folder), "baseline", "9"],
        ["--dir", str(folder), "status"],
        ["--dir", str(folder), "verify"],
    ):
        assert forgedb("migrate", "--url", url, *arguments).code != 0
        assert not (tmp_path / "not_yet.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dry-run=perhaps"],
        ["--lock-timeout", "-1"],
        ["--lock-wait", "0"],
        ["--table", "x; DROP TABLE projects"],
        ["baseline"],
        ["baseline", "one"],
        ["new"],
        ["resolve", "--retry"],
        ["frobnicate"],
    ],
)
def test_wrong_usage_is_refused(forgedb: Forgedb, arguments: list[str]) -> None:
    result = forgedb("migrate", *arguments)
    assert (result.code, result.error.count("\n")) == (2, 1), result
