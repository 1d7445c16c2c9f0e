"""A history and a folder that disagree: what each disagreement is called, and refused for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import forgedb
from forgedb import AppliedMigration, MigrationDrift, MigrationError, UsageError
from forgedb.migrations import Progress, Runner
from forgedb.migrations.files import MigrationFile, load
from forgedb.sql.lexer import Dialect
from tests.conformance.conftest import START
from tests.migrations.folder import A, B, Folder


def test_an_edited_file_is_named_with_both_checksums(three: Folder) -> None:
    three.runner.migrate()
    edited = B.replace("(1)", "(9)")
    three.write(m0002_b=edited)
    for call in (three.runner.migrate, three.runner.pending):
        with pytest.raises(MigrationDrift, match=r"0002_b\.sql is not what was applied") as drift:
            call()
        assert drift.value.file == "0002_b.sql"
        assert drift.value.expected == hashlib.sha256(B.encode()).hexdigest()
        assert drift.value.found == hashlib.sha256(edited.encode()).hexdigest()


def test_line_ends_and_a_byte_order_mark_are_no_edit(three: Folder) -> None:
    three.runner.migrate()
    assert load(str(three.path))[1].text == B
    checksum = load(str(three.path))[1].checksum
    for raw in (
        B.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + B.encode(),
        b"\xef\xbb\xbf" + B.replace("\n", "\r\n").encode(),
    ):
        three.write(m0002_b=raw)
        assert load(str(three.path))[1].checksum == checksum
        assert three.runner.migrate() == []


def test_an_applied_file_that_is_missing_is_named(three: Folder) -> None:
    three.runner.migrate()
    (three.path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match="the file is missing: put it back") as refused:
        three.runner.migrate()
    assert refused.value.file == "0002_b.sql"


def test_a_lower_number_that_comes_late_is_refused(folder: Folder) -> None:
    folder.write(m0001_a=A, m0003_c="CREATE TABLE c (id INTEGER)").runner.migrate()
    folder.write(m0002_b=B, m0004_d="CREATE TABLE d (id INTEGER)")
    with pytest.raises(MigrationError, match="a higher number, 3, is applied") as refused:
        folder.runner.migrate()
    assert refused.value.file == "0002_b.sql"
    # In this run.
    assert refused.value.applied == ()
    assert refused.value.pending == ("0002_b", "0004_d")
    assert folder.tables() == {"a", "c"}


def test_a_lower_number_that_comes_late_is_applied_where_that_is_allowed(folder: Folder) -> None:
    folder.write(m0001_a=A, m0003_c="CREATE TABLE c (id INTEGER)").runner.migrate()
    folder.write(m0002_b=B, m0004_d="CREATE TABLE d (id INTEGER)")
    assert folder.states()["0002_b"] == "late"
    runner = folder.runner
    assert [each.label for each in runner.pending(allow_out_of_order=True)] == ["0002_b", "0004_d"]
    assert [each.version for each in runner.rehearse(allow_out_of_order=True)] == [2, 4]
    assert [each.version for each in runner.migrate(allow_out_of_order=True)] == [2, 4]
    assert folder.labels() == ["0001_a", "0002_b", "0003_c", "0004_d"]
    assert runner.migrate() == []


def test_out_of_order_allows_nothing_else(three: Folder) -> None:
    three.runner.migrate()
    three.write(m0002_b=f"{B} SELECT 1")
    with pytest.raises(MigrationDrift):
        three.runner.migrate(allow_out_of_order=True)
    three.remove("0002_b")
    with pytest.raises(MigrationError, match="the file is missing"):
        three.runner.migrate(allow_out_of_order=True)


def test_a_database_newer_than_the_files_is_not_migrated(three: Folder) -> None:
    three.runner.migrate()
    three.remove("0003_c")
    assert three.states() == {"0001_a": "applied", "0002_b": "applied", "0003_c": "newer"}
    with pytest.raises(MigrationError, match="newer than this program") as refused:
        three.runner.migrate()
    assert refused.value.file == "0003_c.sql"


def test_each_migration_has_a_state(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="SELECT 1", m0003_c="SELECT 1", m0005_e="SELECT 1")
    folder.runner.migrate()
    folder.write(m0002_b="SELECT 2", m0004_d="SELECT 1").remove("0003_c").remove("0005_e")
    assert folder.states() == {
        "0001_a": "applied",
        "0002_b": "edited",
        "0003_c": "missing",
        "0004_d": "late",
        "0005_e": "newer",
    }
    folder.write(m0006_f="SELECT 1")
    assert folder.states()["0005_e"] == "missing"
    assert folder.states()["0006_f"] == "pending"
    first = folder.runner.states()[0]
    assert (first.version, first.name, first.applied_at) == (1, "a", START)
    assert folder.runner.states()[-1].applied_at is None


# Databases that had their schema before they had a history.


def test_a_baseline_records_what_was_there_before_without_running_it(three: Folder) -> None:
    three.db.client.execute("CREATE TABLE b (id INTEGER PRIMARY KEY)")
    recorded = three.runner.baseline(2)
    assert [(each.label, each.duration_ms) for each in recorded] == [("0001_a", 0), ("0002_b", 0)]
    assert three.runner.applied() == recorded
    assert three.tables() == {"b"}
    assert [each.label for each in three.runner.migrate()] == ["0003_c"]
    assert three.db.client.query("SELECT id FROM b") == [(2,)]


def test_a_baseline_is_checked_like_any_history(three: Folder) -> None:
    three.runner.baseline(2)
    three.write(m0001_a=f"{A} SELECT 1")
    with pytest.raises(MigrationDrift, match="0001_a"):
        three.runner.migrate()


def test_a_baseline_of_a_database_with_a_history_is_refused(three: Folder) -> None:
    three.runner.migrate(1)
    with pytest.raises(UsageError, match="has a history already, up to 0001_a"):
        three.runner.baseline(3)
    assert three.labels() == ["0001_a"]


def test_a_baseline_of_a_number_that_no_file_has_is_refused(three: Folder) -> None:
    with pytest.raises(UsageError, match="there is no migration 7"):
        three.runner.baseline(7)
    assert three.labels() == []


# Several histories, and several databases' files.


def test_two_histories_in_one_database_know_nothing_of_each_other(three: Folder) -> None:
    three.runner.migrate(2)
    others = three.path / "others"
    others.mkdir()
    (others / "0001_x.sql").write_text("CREATE TABLE x (id INTEGER)")
    (others / "0002_y.sql").write_text("-- forgedb: no-transaction\nCREATE TABLE y (id INTEGER)")
    other = Runner(three.db, others, table="other_history")
    assert [each.label for each in other.migrate()] == ["0001_x", "0002_y"]
    assert [each.label for each in other.applied()] == ["0001_x", "0002_y"]
    assert three.labels() == ["0001_a", "0002_b"]
    assert three.tables() == {"a", "b", "x", "y", "other_history", "other_history_begun"}
    assert [each.version for each in three.runner.migrate()] == [3]
    assert other.migrate() == []


def test_what_failed_in_one_history_holds_up_no_other(three: Folder) -> None:
    others = three.path / "others"
    others.mkdir()
    (others / "0001_x.sql").write_text("-- forgedb: no-transaction\nSELECT nope")
    other = Runner(three.db, others, table="other_history")
    with pytest.raises(MigrationError, match="resolve 1"):
        other.migrate()
    assert [each.state for each in other.unfinished()] == ["failed"]
    assert three.runner.unfinished() == []
    assert len(three.runner.migrate()) == 3


@pytest.mark.parametrize("table", ["", "a b", "A", 'a"; DROP TABLE b; --', "1a", "x" * 51])
def test_a_table_with_a_name_that_is_not_plain_is_refused(three: Folder, table: str) -> None:
    with pytest.raises(UsageError, match="can't be the history's table"):
        three.runner_with(table=table)


def test_a_folder_of_folders_has_one_for_each_database(three: Folder, dialect: Dialect) -> None:
    for name, other in (("sqlite", "lite"), ("postgres", "pg")):
        (three.path / name).mkdir()
        (three.path / name / f"0001_{other}.sql").write_text(f"CREATE TABLE {other} (id INTEGER)")
    for path in three.path.glob("*.sql"):
        path.unlink()
    applied = three.runner.migrate()
    own = {"sqlite": "lite", "postgres": "pg"}[dialect]
    assert [each.name for each in applied] == [own]
    assert three.tables() == {own}


class _Overtaken(Progress):
    """Has another process apply a higher number meanwhile."""

    def __init__(self, other: Callable[[], object], *, after_the_first: bool) -> None:
        self._other = other
        self._after_the_first = after_the_first

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        if not self._after_the_first:
            self._other()

    def waiting(self, why: str) -> None:
        pass

    def applied(self, entry: AppliedMigration) -> None:
        if self._after_the_first:
            self._other()


@pytest.mark.parametrize("after_the_first", [True, False])
def test_a_number_that_comes_late_since_another_process_was_quicker_is_refused(
    folder: Folder, url: str, tmp_path: Path, after_the_first: bool
) -> None:
    folder.write(m0001_a=A, m0002_b=B)
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "0001_a.sql").write_text(A)
    (tmp_path / "newer" / "0003_c.sql").write_text("CREATE TABLE c (id INTEGER)")

    def other() -> None:
        with forgedb.connect(url) as db:
            Runner(db, tmp_path / "newer").migrate()

    overtaken = _Overtaken(other, after_the_first=after_the_first)
    with pytest.raises(MigrationError, match=r"^0002_b\.sql: a higher number, 3, .*process"):
        folder.runner_with(progress=overtaken).migrate()
    assert folder.tables() == {"a", "c"}
    folder.write(m0003_c="CREATE TABLE c (id INTEGER)")
    assert [each.version for each in folder.runner.migrate(allow_out_of_order=True)] == [2]
