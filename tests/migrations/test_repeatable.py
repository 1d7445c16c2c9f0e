"""Repeatable files: run after the numbered ones when their text has changed, each in its turn."""

from __future__ import annotations

import re

import pytest

from forgedb import MigrationDrift, MigrationError, UsageError
from forgedb.migrations import Migrator
from forgedb.migrations.checksum import digest
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.history import HistoryTable
from forgedb.migrations.repeatable import in_order
from tests.migrations.folder import A, B, Folder
from tests.migrations.watching import Heard


def _view(name: str, select: str) -> str:
    return f"DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS {select};\n"


@pytest.fixture
def viewed(folder: Folder) -> Folder:
    """Two numbered files and a view, applied."""
    folder.write(m0001_a=A, m0002_b=B, R__seen=_view("seen", "SELECT id FROM b"))
    folder.runner.migrate()
    return folder


def test_they_run_after_all_numbered_files_and_are_entries_of_the_history(folder: Folder) -> None:
    folder.write(m0001_a=A, R__seen=_view("seen", "SELECT id FROM b"), m0002_b=B)
    heard = Heard()
    applied = folder.runner_with(progress=heard).migrate()
    assert [entry.label for entry in applied] == ["0001_a", "0002_b", "R__seen"]
    assert heard.planned_labels == heard.applied_labels == ["0001_a", "0002_b", "R__seen"]
    assert folder.labels() == ["0001_a", "0002_b", "R__seen"]
    assert applied[-1].version == -1
    assert folder.states() == {"0001_a": "applied", "0002_b": "applied", "R__seen": "applied"}
    assert folder.db.client.query("SELECT id FROM seen") == [(1,)]
    assert folder.runner.migrate() == []


def test_one_runs_again_when_its_text_has_changed_and_not_else(viewed: Folder) -> None:
    assert viewed.runner.pending() == []
    viewed.write(R__seen=_view("seen", "SELECT id + 1 FROM b"))
    assert viewed.states()["R__seen"] == "pending"
    assert [each.label for each in viewed.runner.pending()] == ["R__seen"]
    assert [entry.label for entry in viewed.runner.migrate()] == ["R__seen"]
    assert viewed.db.client.query("SELECT * FROM seen") == [(2,)]
    assert viewed.states()["R__seen"] == "applied"
    assert viewed.labels() == ["0001_a", "0002_b", "R__seen"]


def test_a_new_number_runs_before_the_one_that_has_changed(viewed: Folder) -> None:
    viewed.write(m0003_c="CREATE TABLE c (id INTEGER)", R__seen=_view("seen", "SELECT id FROM c"))
    assert [entry.label for entry in viewed.runner.migrate()] == ["0003_c", "R__seen"]


def test_they_run_by_name_and_after_what_they_name(folder: Folder) -> None:
    folder.write(
        m0001_a=A,
        R__a="-- forgedb: after R__b, R__c\n" + _view("va", "SELECT * FROM vb"),
        R__b="-- forgedb: after R__c\n" + _view("vb", "SELECT * FROM vc"),
        R__c=_view("vc", "SELECT * FROM a"),
        R__d=_view("vd", "SELECT * FROM va"),
    )
    ran = [entry.label for entry in folder.runner.migrate()]
    assert ran == ["0001_a", "R__c", "R__b", "R__a", "R__d"]


def test_what_comes_after_one_that_has_changed_runs_again_too(folder: Folder) -> None:
    folder.write(
        m0001_a=A,
        R__a=_view("va", "SELECT id FROM a"),
        R__b="-- forgedb: after R__a\n" + _view("vb", "SELECT id FROM va"),
        R__c="-- forgedb: after R__b\n" + _view("vc", "SELECT id FROM vb"),
        R__d=_view("vd", "SELECT id FROM a"),
    ).runner.migrate()
    cascade = "CASCADE" if folder.db.client.dialect == "postgres" else ""
    folder.write(R__a=f"DROP VIEW va {cascade}; CREATE VIEW va AS SELECT 7 AS id")
    assert [each.label for each in folder.runner.pending()] == ["R__a", "R__b", "R__c"]
    # A run that ends after the first of them leaves the others to do.
    folder.write(R__b="-- forgedb: after R__a\nSELECT nothing;")
    with pytest.raises(MigrationError, match=r"^R__b\.sql:2:8: .*applied before: R__a"):
        folder.runner.migrate()
    folder.write(R__b="-- forgedb: after R__a\n" + _view("vb", "SELECT id FROM va"))
    assert [entry.label for entry in folder.runner.migrate()] == ["R__b", "R__c"]
    assert folder.db.client.query("SELECT id FROM vc") == [(7,)]


def _files(**headers: str) -> list[MigrationFile]:
    return [
        MigrationFile(-1, name, f"R__{name}.sql", f"-- forgedb: {header}\nSELECT 1", digest(name))
        for name, header in headers.items()
    ]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a": "after R__z"}, r"^R__a\.sql: it is to run after R__z, and there is no R__z\.sql"),
        ({"a": "after R__a"}, r"^R__a\.sql: it would run after itself: R__a after R__a; "),
        (
            {"a": "after R__b", "b": "after R__c", "c": "after R__b"},
            r"^R__b\.sql: it would run after itself: R__b after R__c after R__b; ",
        ),
        ({"a": "after 0001"}, r"'after 0001' is nothing that it can ask for: .*after R__name"),
        ({"a": "after"}, "'after' is nothing that it can ask for"),
    ],
)
def test_an_order_that_can_not_be_is_refused(files: dict[str, str], why: str) -> None:
    with pytest.raises(MigrationError, match=why):
        in_order(_files(**files), "sqlite")


def test_a_circle_is_refused_before_anything_runs(folder: Folder) -> None:
    folder.write(m0001_a=A, R__a="-- forgedb: after R__a\nSELECT 1")
    for call in (folder.runner.migrate, folder.runner.pending, folder.runner.states):
        with pytest.raises(MigrationError, match="after itself"):
            call()
    assert folder.tables() == set()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("R__x", "-- forgedb: no-transaction\nSELECT 1", "runs in a transaction like any other"),
        ("R__x", "COMMIT", r"^R__x\.sql:1:1: COMMIT is refused"),
        ("R__x", " ", "it is empty"),
        ("0002_x", "-- forgedb: after R__x\nSELECT 1", "its number says what it comes after"),
        ("r__x", "SELECT 1", r"NNNN_name\.sql, or R__name\.sql"),
        ("R__X", "SELECT 1", r"NNNN_name\.sql, or R__name\.sql"),
        ("R_x", "SELECT 1", r"NNNN_name\.sql, or R__name\.sql"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_before_anything_runs(
    folder: Folder, name: str, text: str, why: str
) -> None:
    folder.write(m0001_a=A, **{name: text})
    with pytest.raises(MigrationError, match=why):
        folder.runner.migrate()
    assert folder.tables() == set()


def test_one_that_fails_is_rolled_back_with_its_line(viewed: Folder) -> None:
    viewed.write(R__seen="DROP VIEW seen;\nSELECT nothing;")
    with pytest.raises(MigrationError, match=r"^R__seen\.sql:2:8: ") as failed:
        viewed.runner.migrate()
    assert failed.value.pending == ("R__seen",)
    assert viewed.db.client.query("SELECT id FROM seen") == [(1,)]
    assert viewed.states()["R__seen"] == "pending"


def test_a_target_below_the_last_number_leaves_them_alone(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b=B, R__seen=_view("seen", "SELECT id FROM b"))
    assert [entry.label for entry in folder.runner.migrate(1)] == ["0001_a"]
    assert [each.label for each in folder.runner.pending(2)] == ["0002_b", "R__seen"]
    with pytest.raises(UsageError, match=r"no migration -1 in .*: they go from 1 to 2"):
        folder.runner.migrate(-1)


def test_a_rehearsal_runs_them_too_and_leaves_nothing(viewed: Folder) -> None:
    viewed.write(m0003_c="CREATE TABLE c (id INTEGER)", R__seen=_view("seen", "SELECT id FROM c"))
    assert [entry.label for entry in viewed.runner.rehearse()] == ["0003_c", "R__seen"]
    assert viewed.states()["R__seen"] == "pending"
    assert viewed.db.client.query("SELECT id FROM seen") == [(1,)]


def test_a_baseline_leaves_them_to_the_next_run(folder: Folder) -> None:
    folder.write(m0001_a=A, R__seen=_view("seen", "SELECT id FROM a"))
    folder.db.client.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
    assert [entry.label for entry in folder.runner.baseline(1)] == ["0001_a"]
    assert [entry.label for entry in folder.runner.migrate()] == ["R__seen"]


def test_a_file_that_is_gone_is_told_and_stops_nothing(viewed: Folder) -> None:
    viewed.remove("R__seen").write(m0003_c="CREATE TABLE c (id INTEGER)")
    assert viewed.states()["R__seen"] == "gone"
    assert [entry.label for entry in viewed.runner.migrate()] == ["0003_c"]
    assert viewed.db.client.query("SELECT id FROM seen") == [(1,)]


def test_they_may_be_all_that_a_folder_holds(folder: Folder) -> None:
    folder.write(R__one=_view("one", "SELECT 1 AS id"))
    assert [entry.label for entry in folder.runner.migrate()] == ["R__one"]
    assert folder.runner.migrate() == []


def test_each_history_has_its_own(viewed: Folder) -> None:
    other = viewed.runner_with(table="other")
    assert [each.label for each in other.pending()] == ["0001_a", "0002_b", "R__seen"]
    with pytest.raises(UsageError, match="with _repeatable ends the name"):
        HistoryTable("other_repeatable")


def test_each_database_has_its_own_folder_of_them(folder: Folder) -> None:
    for dialect in ("sqlite", "postgres"):
        (folder.path / dialect).mkdir()
        (folder.path / dialect / "R__of.sql").write_text(_view("of", f"SELECT '{dialect}' AS of"))
    folder.runner.migrate()
    assert folder.db.client.query_value("SELECT * FROM of") == folder.db.client.dialect


def test_another_process_that_has_run_it_meanwhile_is_not_followed(viewed: Folder) -> None:
    viewed.write(R__seen="INSERT INTO b VALUES (7);")

    class Overtaken(Heard):
        def planned(self, pending: object) -> None:
            viewed.runner.migrate()

    assert viewed.runner_with(progress=Overtaken()).migrate() == []
    assert viewed.db.client.query("SELECT id FROM b ORDER BY id") == [(1,), (7,)]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_table_of_them_that_is_a_view_is_not_read(viewed: Folder) -> None:
    viewed.db.client.execute("DROP TABLE app_schema_migrations_repeatable")
    viewed.db.client.execute(
        "CREATE VIEW app_schema_migrations_repeatable AS"
        " SELECT 'seen' AS name, '' AS checksum, '' AS applied_at, 0 AS duration_ms"
    )
    for call in (viewed.runner.states, viewed.runner.applied, viewed.runner.migrate):
        with pytest.raises(MigrationDrift, match="app_schema_migrations_repeatable"):
            call()


def test_forgedbs_own_history_has_none(folder: Folder) -> None:
    folder.db.migrate()
    assert all(not each.is_repeatable for each in Migrator(folder.db).states())
    assert re.fullmatch(r"\d{4}_\w+", Migrator(folder.db).applied()[-1].label)


def test_they_are_part_of_what_the_live_schema_is_compared_with(viewed: Folder) -> None:
    assert viewed.runner.schema_differences() == []
    viewed.write(R__seen=_view("seen", "SELECT id + 1 AS id FROM b"))
    assert "seen" in str(viewed.runner.schema_differences())
