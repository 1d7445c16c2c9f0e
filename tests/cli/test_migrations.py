"""``forgedb migrate`` and its kin, on a folder of a user's own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forgedb as library
from forgedb.cli.progress import MANY, Shown
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import MigrationFile
from tests.cli.running import Forgedb, on_sqlite
from tests.cli.test_tables import on_terminal

STARS = "CREATE TABLE stars (id INTEGER PRIMARY KEY);\n"
FANS = "CREATE TABLE fans (id INTEGER PRIMARY KEY);\nINSERT INTO fans VALUES (1);\n"

on_postgres = pytest.mark.parametrize("forgedb", ["postgres"], indirect=True)
"""For what SQLite has no like of."""


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


@pytest.mark.parametrize(
    "command", [[], ["--quiet"], ["--dry-run"], ["--dry-run=execute"], ["status"], ["verify"]]
)
def test_a_folder_without_a_migration_fails_a_deploy(
    forgedb: Forgedb, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    own = ["--dir", str(tmp_path / "nothing"), "--table", "own_history"]
    result = forgedb("migrate", *command, *own)
    assert result.code == 1
    assert "nothing: it holds no migration: give the folder that does" in result.error
    assert not _has(forgedb, "own_history")


@on_postgres
def test_what_can_not_be_rehearsed_is_named(forgedb: Forgedb, folder: Path, own: list[str]) -> None:
    _write(folder, m0002_fans="-- forgedb: no-transaction\nCREATE TABLE fans (id int)")
    tried = forgedb("migrate", "--dry-run=execute", *own)
    assert (tried.code, tried.error) == (3, "")
    first, second = tried.out.splitlines()
    assert first.startswith("would apply 0001_stars in ")
    assert second == "can't rehearse 0002_fans: it runs in no transaction, and couldn't be undone"
    as_json = forgedb("migrate", "--dry-run=execute", "--json", *own)
    assert (as_json.code, [each["name"] for each in as_json.json["rehearsed"]]) == (3, ["stars"])
    assert [each["label"] for each in as_json.json["unrehearsed"]] == ["0002_fans"]
    assert forgedb("migrate", "--dry-run=execute", "--quiet", *own).out == ""
    forgedb.ok("migrate", "--target", "1", *own)
    alone = forgedb("migrate", "--dry-run=execute", *own)
    assert (alone.code, alone.out.count("\n")) == (3, 1)
    forgedb.ok("migrate", *own)
    assert forgedb.ok("migrate", "--dry-run=execute", *own) == "nothing to apply\n"


def test_quiet_prints_nothing(forgedb: Forgedb, own: list[str]) -> None:
    assert forgedb.ok("migrate", "--quiet", *own) == ""
    assert forgedb.ok("migrate", "--quiet", *own) == ""
    assert _has(forgedb, "fans")


def test_the_folder_may_be_given_before_a_command_and_after_it(
    forgedb: Forgedb, own: list[str]
) -> None:
    before = forgedb("migrate", *own, "status", "--json")
    assert (before.code, before.json) == (3, forgedb("migrate", "status", *own, "--json").json)


@on_sqlite
def test_options_that_a_command_would_not_heed_are_refused_before_it(
    forgedb: Forgedb, own: list[str]
) -> None:
    for option in (["--json"], ["--quiet"], ["--target", "1"], ["--lock-timeout", "5"]):
        refused = forgedb("migrate", *own, *option, "status")
        assert (refused.code, refused.out) == (2, "")
        assert f"{option[0]} isn't heeded before status" in refused.error


def test_each_database_takes_its_own_folder(forgedb: Forgedb, tmp_path: Path) -> None:
    folder, table = tmp_path / "both", ["--table", "own_history"]
    dialect = "sqlite" if forgedb.url.startswith("sqlite") else "postgres"
    other = "postgres" if dialect == "sqlite" else "sqlite"
    (folder / other).mkdir(parents=True)
    _write(folder, m0001_flat=STARS)
    _write(folder / other, m0001_other=STARS)
    refused = forgedb("migrate", "--dir", str(folder), *table)
    assert refused.code == 1
    assert f"{folder}/{dialect}: the folder can't be read" in refused.error
    (folder / dialect).mkdir()
    _write(folder / dialect, m0001_mine=STARS)
    assert forgedb.ok("migrate", "--dir", str(folder), *table).startswith("applied 0001_mine in ")
    made = forgedb.ok("migrate", "new", "more", "--dir", str(folder))
    assert made == f"{folder}/sqlite/0002_more.sql\n{folder}/postgres/0002_more.sql\n"


def test_a_number_is_shown_as_the_file_has_it(forgedb: Forgedb, tmp_path: Path) -> None:
    folder = tmp_path / "short"
    folder.mkdir()
    _write(folder, m01_stars=STARS)
    options = ["--dir", str(folder), "--table", "own_history"]
    assert forgedb("migrate", "--dry-run", *options).out == "would apply 01_stars\n"
    assert forgedb.ok("migrate", *options).startswith("applied 01_stars in ")
    assert "\n01_stars\tapplied\t" in forgedb.ok("migrate", "status", *options)


def test_two_histories_live_side_by_side(forgedb: Forgedb, own: list[str]) -> None:
    forgedb.ok("migrate", *own)
    assert re.fullmatch(
        r"\d+ migrations, each as it was applied\n", forgedb.ok("migrate", "verify")
    )
    assert forgedb.ok("migrate", "verify", *own) == "2 migrations, each as it was applied\n"
    mixed_up = forgedb("migrate", *own[:2], "--table", "schema_migrations")
    assert (mixed_up.code, "schema_migrations is of other files" in mixed_up.error) == (1, True)


def test_what_was_done_is_told_as_json(forgedb: Forgedb, folder: Path, own: list[str]) -> None:
    rehearsal = forgedb("migrate", "--dry-run=execute", *own, "--json").json
    assert (len(rehearsal["rehearsed"]), rehearsal["unrehearsed"]) == (2, [])
    (recorded,) = forgedb.data("migrate", "baseline", "1", *own)["recorded"]
    assert (recorded["version"], recorded["name"], recorded["duration_ms"]) == (1, "stars", 0)
    (applied,) = forgedb.data("migrate", *own)["applied"]
    assert (applied["name"], len(applied["checksum"])) == ("fans", 64)
    shown = forgedb.data("migrate", "status", *own)
    assert shown["migrations"][1]["applied_at"] == applied["applied_at"]
    assert shown["invalid_indexes"] == []
    assert forgedb.data("migrate", "verify", *own) == {
        "checked": 2,
        "problems": [],
        "pending": [],
        "differences": [],
    }
    assert forgedb.data("migrate", "resolve", *own) == {"unfinished": [], "invalid_indexes": []}
    made = forgedb.data("migrate", "new", "more", *own)
    assert made == {"files": [f"{folder}/0003_more.sql"]}


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


def test_a_target_holds_for_a_dry_run_too(forgedb: Forgedb, own: list[str]) -> None:
    listed = forgedb("migrate", "--dry-run", "--target", "1", *own)
    assert (listed.code, listed.out) == (3, "would apply 0001_stars\n")
    tried = forgedb("migrate", "--dry-run=execute", "--target", "1", *own)
    assert (tried.code, tried.out.count("\n")) == (3, 1)
    quiet = forgedb("migrate", "--dry-run", "--quiet", *own)
    assert (quiet.code, quiet.out) == (3, "")


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
    _write(folder, m0001_stars=STARS)
    assert _states(forgedb, own) == (1, ["applied", "newer"])
    refused = forgedb("migrate", *own)
    assert refused.code == 1
    assert "0002_fans.sql: the database has it, and is newer than this" in refused.error


def test_drift_decides_the_exit_code_and_a_failure_before_what_is_pending(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    _write(folder, m0003_more="SELECT 1")
    (folder / "0001_stars.sql").unlink()
    assert _states(forgedb, own) == (1, ["missing", "applied", "pending"])
    _write(folder, m0002_fans=FANS + "-- and more")
    assert _states(forgedb, own) == (4, ["missing", "edited", "pending"])
    assert forgedb("migrate", "verify", *own).code == 4


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
    assert forgedb.ok("migrate", "resolve", "1", *own) == "nothing to resolve\n"
    assert forgedb("migrate", "resolve", "1", "--retry", *own).code == 2


def test_what_failed_outside_a_transaction_is_resolved(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    alone = "-- forgedb: no-transaction\nINSERT INTO fans VALUES (2);\nSELECT nothing;\n"
    _write(folder, m0003_alone=alone)
    failed = forgedb("migrate", *own)
    assert failed.code == 1
    assert "0003_alone.sql:3:8: " in failed.error
    assert f"see `forgedb migrate resolve 3 {' '.join(own)}`" in failed.error
    assert _states(forgedb, own) == (1, ["applied", "applied", "failed"])
    assert forgedb("migrate", *own).code == 1
    shown = forgedb("migrate", "resolve", *own)
    assert shown.code == 1
    assert "0003_alone is failed, with 1 of its statements done\n" in shown.out
    assert f"forgedb migrate resolve 3 --retry {' '.join(own)}\n" in shown.out
    assert forgedb("migrate", "resolve", "3", *own) == shown
    both = forgedb("migrate", "resolve", "3", "--retry", "--applied", *own)
    assert (both.code, "exclude each other" in both.error) == (2, True)
    _write(folder, m0003_alone=alone.replace("nothing", "1"))
    goes_on = "the next `forgedb migrate` goes on with statement 2 of 0003_alone\n"
    assert forgedb.ok("migrate", "resolve", "3", "--retry", *own) == goes_on
    assert forgedb.ok("migrate", "resolve", *own) == goes_on
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


@on_postgres
def test_a_warning_goes_to_standard_error_with_its_files_name(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    _write(folder, m0002_fans="DO $$ BEGIN RAISE WARNING 'careful'; END $$")
    tried = forgedb("migrate", "--dry-run=execute", *own)
    assert (tried.code, tried.error) == (3, "warning: 0002_fans.sql: careful\n")
    told = forgedb("migrate", "--json", *own)
    assert (len(told.json["applied"]), told.error) == (2, "warning: 0002_fans.sql: careful\n")
    _write(folder, m0003_more="DO $$ BEGIN RAISE WARNING 'careful'; END $$")
    assert forgedb("migrate", "--quiet", *own).error == ""


@on_postgres
def test_an_invalid_index_is_found_and_made_anew(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    head = "-- forgedb: no-transaction\n"
    unique = "CREATE UNIQUE INDEX CONCURRENTLY fans_name ON fans (name);\n"
    _write(
        folder,
        m0002_fans="CREATE TABLE fans (name text); INSERT INTO fans VALUES ('ada'), ('ada');",
        m0003_once=head + unique,
    )
    failed = forgedb("migrate", *own)
    assert failed.code == 1
    assert "0003_once.sql:2:1: " in failed.error
    assert "the index public.fans_name is INVALID" in failed.error
    status = forgedb("migrate", "status", *own)
    assert (status.code, "public.fans_name is INVALID" in status.error) == (1, True)
    verified = forgedb("migrate", "verify", *own)
    assert verified.code == 1
    assert "\nthe index public.fans_name is INVALID, and isn't used\n" in verified.out
    looked = forgedb("migrate", "resolve", *own, "--json")
    assert looked.code == 1
    assert looked.json["invalid_indexes"] == ["public.fans_name"]
    assert [each["name"] for each in looked.json["unfinished"]] == ["once"]
    assert "DROP INDEX CONCURRENTLY public.fans_name" in forgedb("migrate", "resolve", *own).out
    by_hand = forgedb("migrate", "resolve", "3", "--applied", *own)
    assert (by_hand.code, "public.fans_name is INVALID" in by_hand.error) == (7, True)
    # What is put before the statement that failed takes nothing from what it left behind.
    _write(folder, m0003_once=f"{head}DELETE FROM fans;\n{unique}")
    assert forgedb.ok("migrate", "resolve", "3", "--retry", *own).splitlines() == [
        "dropped the INVALID index public.fans_name",
        "the next `forgedb migrate` goes on with statement 1 of 0003_once",
    ]
    assert _states(forgedb, own) == (3, ["applied", "applied", "pending"])
    forgedb.ok("migrate", *own)
    assert _states(forgedb, own) == (0, ["applied"] * 3)


@on_postgres
def test_an_invalid_index_of_a_shorter_name_is_not_taken_for_the_files(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    with psycopg.connect(forgedb.url, autocommit=True) as another:
        another.execute("INSERT INTO fans VALUES (2)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            another.execute("CREATE UNIQUE INDEX CONCURRENTLY one ON fans ((1))")
    alone = "-- forgedb: no-transaction\nCREATE INDEX CONCURRENTLY one_fan ON fans (id);\n"
    _write(folder, m0003_alone=alone)
    forgedb.ok("migrate", *own)
    status = forgedb("migrate", "status", *own, "--json")
    assert (status.code, status.json["invalid_indexes"]) == (1, ["public.one"])


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


@on_postgres
def test_a_table_in_use_is_waited_for_in_short_turns(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    _write(folder, m0003_older="ALTER TABLE fans ADD COLUMN age integer")
    times = ["--lock-wait", "0.05", "--lock-timeout", "2.5"]
    with psycopg.connect(forgedb.url) as report:
        report.execute("SELECT FROM fans")
        waited = forgedb("migrate", *times, *own)
        assert waited.code == 5
        waiting, refused = waited.error.splitlines()
        assert waiting.startswith("waiting: 0003_older.sql:1:1: a lock was held by someone else")
        assert refused.startswith("forgedb: error: gave up after ")
    assert forgedb.ok("migrate", *times, *own).startswith("applied 0003_older in ")


def test_who_only_looks_waits_for_nobody(forgedb: Forgedb, own: list[str]) -> None:
    with _held(forgedb.url):
        for looking in (["--dry-run"], ["status"], ["verify"]):
            assert forgedb("migrate", *own, *looking).code == 3
        assert forgedb.ok("migrate", "resolve", *own) == "nothing to resolve\n"


def test_everything_that_writes_gives_up_alike_and_says_nothing_of_a_short_wait(
    forgedb: Forgedb, own: list[str]
) -> None:
    with _held(forgedb.url) as holder:
        for writing in (
            ["migrate"],
            ["migrate", "--dry-run=execute"],
            ["migrate", "baseline", "1"],
        ):
            gave_up = forgedb(*writing, "--lock-timeout", "0", *own)
            assert (gave_up.code, gave_up.out) == (5, "")
            assert gave_up.error.startswith("forgedb: error: gave up after 0.")
            assert holder in gave_up.error
    assert not _has(forgedb, "own_history")


def test_who_waited_goes_on_when_the_other_has_ended(forgedb: Forgedb, own: list[str]) -> None:
    command = [sys.executable, "-m", "forgedb", "--url", forgedb.url, "migrate", *own]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with _held(forgedb.url) as holder:
        waiting = subprocess.Popen(command, **pipes, text=True)
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
    assert said.startswith("waiting: ")
    assert holder in said
    printed, errors = waiting.communicate(timeout=30)
    assert [line[:18] for line in printed.splitlines()] == [
        "applied 0001_stars",
        "applied 0002_fans ",
    ]
    assert (waiting.returncode, errors) == (0, "")


@on_sqlite
def test_a_mistake_makes_no_database(forgedb: Forgedb, tmp_path: Path, folder: Path) -> None:
    url = f"sqlite:///{tmp_path}/not_yet.db"
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "0001_a.sql").write_text("CREATE TABLE a (id INTEGER); SELECT 'never closed")
    for arguments in (
        ["--dir", str(bad)],
        ["--dir", str(tmp_path / "nowhere")],
        ["--dir", str(folder), "--target", "9"],
        ["--dir", str(folder), "--table", "No Table"],
        ["--dir", str(folder), "--dry-run"],
        ["--dir", str(folder), "--dry-run=execute"],
        ["--dir", str(folder), "baseline", "9"],
        ["--dir", str(folder), "status"],
        ["--dir", str(folder), "verify"],
        ["--dir", str(folder), "resolve", "1", "--retry"],
    ):
        assert forgedb("migrate", "--url", url, *arguments).code != 0
        assert not (tmp_path / "not_yet.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dry-run=perhaps"],
        ["--lock-timeout", "-1"],
        ["--lock-timeout", "nan"],
        ["--lock-timeout", "soon"],
        ["--lock-wait", "0"],
        ["--lock-wait", "inf"],
        ["--target", "one"],
        ["baseline", "1", "--lock-wait", "1e9"],
        ["resolve", "1", "--retry", "--lock-timeout", "nan"],
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


@on_sqlite
def test_on_a_terminal_a_bar_stands_under_many(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    for number in range(3, MANY + 1):
        _write(folder, **{f"m{number:04}_more": "SELECT 1"})
    shown = on_terminal("migrate", *own, "--url", forgedb.url)
    lines = shown.split("\r\x1b[K")
    assert lines[0].endswith(f"─ 0 of {MANY}")
    first, _, bar = lines[1].partition("\n")
    assert first.startswith("applied 0001_stars in ")
    assert bar.endswith(f" 1 of {MANY}")
    assert lines[-1] == ""
    assert max(len(line) for text in lines for line in text.splitlines()) <= 80


def test_the_bar_counts_what_another_process_applied_meanwhile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = Shown("applied")
    shown.planned([MigrationFile(n, "x", f"{n:02}_x.sql", "", "") for n in range(1, MANY + 1)])
    shown.applied(AppliedMigration(15, "x", "", datetime.now(UTC), 7))
    printed = capsys.readouterr()
    assert printed.out == "applied 15_x in 7 ms\n"
    assert printed.err.endswith(f" 15 of {MANY}")


@on_sqlite
def test_a_few_files_need_no_bar(forgedb: Forgedb, own: list[str]) -> None:
    shown = on_terminal("migrate", *own, "--url", forgedb.url).splitlines()
    assert [line.rpartition(" in ")[0] for line in shown] == [
        "applied 0001_stars",
        "applied 0002_fans",
    ]


@on_sqlite
def test_an_error_has_the_bars_line_for_itself(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    for number in range(3, MANY + 2):
        _write(folder, **{f"m{number:04}_more": "SELECT nothing_there"})
    shown = on_terminal("migrate", *own, "--url", forgedb.url)
    assert shown.count("applied 000") >= 2
    assert "\r\x1b[Kforgedb: error: 0003_more.sql:1:" in shown


@on_sqlite
def test_status_is_a_table_on_a_terminal(forgedb: Forgedb, folder: Path, own: list[str]) -> None:
    _write(folder, **{f"m0003_{'long_' * 15}name": "SELECT 1"})
    forgedb.ok("migrate", *own)
    shown = on_terminal("migrate", "status", *own, "--url", forgedb.url).splitlines()
    assert shown[0].split() == ["MIGRATION", "STATE", "APPLIED", "AT", "MS"]
    assert shown[1].startswith("0001_stars ")
    assert max(map(len, shown)) <= 80


def test_a_migration_is_marked_by_hand_and_status_tells_by_whom_and_why(
    forgedb: Forgedb, own: list[str]
) -> None:
    forgedb.ok("migrate", "--target", "1", *own)
    by_hand = ["--reason", "made by hand", *own]
    marked = forgedb.ok("migrate", "mark", "2", "--applied", *by_hand)
    assert re.fullmatch(r"0002_fans was marked applied by user:ada at .* UTC: .* hand\n", marked)
    status = forgedb("migrate", "status", *own)
    assert (status.code, status.error.splitlines(keepends=True)[1:]) == (0, [marked])
    assert not _has(forgedb, "fans")
    told = forgedb.data("migrate", "mark", "2", "--pending", *by_hand)["marked"]
    assert (told["state"], told["checksum"], told["reason"]) == ("pending", None, "made by hand")
    assert len(told["checksum_before"]) == 64
    assert forgedb.ok("migrate", *own).startswith("applied 0002_fans in ")
    marks = forgedb.data("migrate", "status", *own)["marked"]
    assert [each["state"] for each in marks] == ["applied", "pending"]
    undecided = forgedb("migrate", "mark", "2", *by_hand)
    assert (undecided.code, "--applied or --pending" in undecided.error) == (2, True)


def test_the_live_schema_is_compared_with_what_the_files_make(
    forgedb: Forgedb, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    told = forgedb.ok("migrate", "verify", "--schema", *own)
    assert told == "2 migrations, each as it was applied, and the schema as they make it\n"
    with library.connect(forgedb.url) as db:
        db.client.execute("ALTER TABLE stars ADD COLUMN shine integer")
    different = forgedb("migrate", "verify", "--schema", *own)
    assert (different.code, " stars " in different.out) == (4, True)
    (one,) = forgedb("migrate", "verify", "--schema", *own, "--json").json["differences"]
    assert one["harmless"] is False
    alone = forgedb("migrate", "verify", "--scratch", "sqlite://", *own)
    assert (alone.code, "give both" in alone.error) == (2, True)


def test_a_schema_is_not_compared_while_the_history_is_not_the_files(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    _write(folder, m0002_fans="SELECT 1;")
    told = forgedb("migrate", "verify", "--schema", *own)
    assert (told.code, "the schema wasn't compared" in told.out) == (4, True)


def test_many_files_are_made_into_one_and_the_database_passes_over_it(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    forgedb.ok("migrate", *own)
    squash = ["migrate", "squash", "--to", "2", "--name", "base"]
    assert forgedb.ok(*squash, *own) == f"{folder}/0002_base.sql\n"
    assert forgedb.ok("migrate", *own) == "nothing to apply\n"
    assert _states(forgedb, own) == (0, ["applied"])


def test_repeatable_files_are_listed_last_and_one_that_is_gone_is_no_fault(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    view = folder / "R__named.sql"
    view.write_text("DROP VIEW IF EXISTS named; CREATE VIEW named AS SELECT 1 AS n;")
    assert forgedb("migrate", "--dry-run", *own).out.splitlines()[-1] == "would apply R__named"
    assert forgedb.ok("migrate", *own).splitlines()[-1].startswith("applied R__named in ")
    assert _states(forgedb, own) == (0, ["applied", "applied", "applied"])
    view.write_text(view.read_text() + "-- more")
    assert _states(forgedb, own) == (3, ["applied", "applied", "pending"])
    assert forgedb("migrate", "verify", *own).out == "R__named is pending\n"
    view.unlink()
    assert _states(forgedb, own) == (0, ["applied", "applied", "gone"])
    shown = forgedb("migrate", "status", *own, "--json").json["migrations"][-1]
    assert (shown["version"], shown["name"], shown["state"]) == (-1, "named", "gone")
    assert forgedb.ok("migrate", "verify", *own).splitlines() == [
        "2 migrations, each as it was applied",
        "R__named was applied, and its file is gone: drop what it made",
    ]


def test_another_tools_files_and_history_are_taken_over(forgedb: Forgedb, tmp_path: Path) -> None:
    theirs = tmp_path / "db"
    theirs.mkdir()
    (theirs / "1_stars.up.sql").write_text(f"BEGIN;\n{STARS}COMMIT;\n")
    (theirs / "1_stars.down.sql").write_text("DROP TABLE stars;\n")
    (theirs / "2_fans.up.sql").write_text(FANS)
    with library.connect(forgedb.url) as db:
        db.client.execute("CREATE TABLE versions (version bigint, dirty boolean)")
        db.client.execute("INSERT INTO versions VALUES (1, false)")
    own = ["--dir", str(tmp_path / "ours"), "--table", "own_history"]
    adopt = ["migrate", "adopt", "--from", "golang-migrate", str(theirs), "--history", "versions"]
    assert forgedb.ok(*adopt, *own).splitlines() == [
        f"2 files in {tmp_path}/ours",
        "recorded 0001_stars",
        "0002_fans is pending",
        f"the way down of 1 file stays in {theirs}: here is none",
    ]
    assert forgedb.ok("migrate", *own).startswith("applied 0002_fans in ")


@on_sqlite
def test_a_history_that_is_not_there_is_not_changed_by_hand(
    forgedb: Forgedb, own: list[str], tmp_path: Path
) -> None:
    elsewhere = ["--url", f"sqlite:///{tmp_path}/gone.db", *own]
    for command in (["mark", "1", "--applied", "--reason", "x"], ["adopt", "--from", "sqlx", "."]):
        refused = forgedb("migrate", *command, *elsewhere)
        assert refused.code != 0, refused
    assert not (tmp_path / "gone.db").exists()


def test_where_the_history_is_is_told(forgedb: Forgedb, own: list[str]) -> None:
    forgedb.ok("migrate", *own)
    schema = "" if forgedb.url.startswith("sqlite") else "public."
    told = forgedb("migrate", "status", *own)
    assert told.error == f"the history is in {schema}own_history\n"
    assert forgedb.data("migrate", "status", *own)["history"] == f"{schema}own_history"
    assert f"\nhistory         {schema}schema_migrations\n" in forgedb.ok("status")
    assert forgedb.data("status")["history"] == f"{schema}schema_migrations"


def test_a_history_is_moved_to_a_table_of_its_own(forgedb: Forgedb, own: list[str]) -> None:
    folder = own[:2]
    forgedb.ok("migrate", *folder, "--table", "before")
    moved = forgedb.ok("migrate", "move", *folder, "--from", "before")
    assert re.fullmatch(r"2 migrations moved to (public\.)?app_schema_migrations\n", moved)
    assert forgedb.ok("migrate", *folder) == "nothing to apply\n"
    again = forgedb.data("migrate", "move", *own, "--from", "app_schema_migrations")
    assert [each["name"] for each in again["moved"]] == ["stars", "fans"]
    refused = forgedb("migrate", "move", *folder)
    assert (refused.code, "forgedb's own, which stays" in refused.error) == (2, True)


@on_postgres
def test_a_tenant_has_its_files_and_history_in_its_schema(
    forgedb: Forgedb, folder: Path, own: list[str]
) -> None:
    tenant = ["--dir", str(folder), "--schema", "tenant1"]
    missing = forgedb("migrate", *tenant)
    assert (missing.code, 'CREATE SCHEMA "tenant1"' in missing.error) == (2, True)
    with library.connect(forgedb.url) as db:
        db.client.execute("CREATE SCHEMA tenant1")
    assert forgedb("migrate", "--dry-run", *tenant).out.splitlines()[0] == "would apply 0001_stars"
    assert forgedb.ok("migrate", *tenant).startswith("applied 0001_stars in ")
    assert _has(forgedb, "tenant1.stars")
    assert _has(forgedb, "tenant1.app_schema_migrations")
    assert forgedb("migrate", "--dir", str(folder), "status").error.startswith("forgedb: error")
    told = forgedb("migrate", *tenant[:2], "status", *tenant[2:])
    assert (told.code, told.error) == (0, "the history is in tenant1.app_schema_migrations\n")
    assert forgedb("migrate", "resolve", *tenant).code == 0
    as_made = "2 migrations, each as it was applied, and the schema as they make it\n"
    with library.connect(forgedb.url) as db:
        db.client.execute("CREATE TABLE public.others (id integer)")
    assert forgedb.ok("migrate", "verify", *tenant) == as_made
    assert forgedb.ok("migrate", *tenant, "verify", "--schema") == as_made
    assert forgedb.ok("migrate", *tenant, "verify") == "2 migrations, each as it was applied\n"
    with library.connect(forgedb.url) as db:
        db.client.execute("ALTER TABLE tenant1.stars ADD COLUMN shine integer")
    different = forgedb("migrate", "verify", *tenant)
    assert (different.code, "tenant1.stars" in different.out) == (4, True)
    here = forgedb.ok("migrate", "--dir", str(folder), "--history-schema", "public")
    assert here.startswith("applied 0001_stars in ")
    forgedb.ok("migrate", "mark", "2", "--pending", "--reason", "to see where", *tenant)
    assert _states(forgedb, tenant) == (3, ["applied", "pending"])
    assert _states(forgedb, [*tenant[:2]]) == (0, ["applied", "applied"])


@on_sqlite
def test_sqlite_has_no_schemas_to_choose(forgedb: Forgedb, own: list[str]) -> None:
    for option in ("--schema", "--history-schema"):
        refused = forgedb("migrate", *own, option, "main")
        assert (refused.code, f"{option} is for PostgreSQL" in refused.error) == (2, True)


@on_postgres
def test_a_tenants_history_is_marked_and_no_other(forgedb: Forgedb, own: list[str]) -> None:
    with library.connect(forgedb.url) as db:
        db.client.execute("CREATE SCHEMA acme")
    tenant = [*own, "--schema", "acme"]
    forgedb.ok("migrate", *own)
    forgedb.ok("migrate", *tenant)
    forgedb.ok("migrate", "mark", "2", "--pending", "--reason", "again", *tenant)
    assert _states(forgedb, own) == (0, ["applied", "applied"])
    assert _states(forgedb, tenant) == (3, ["applied", "pending"])
