"""A folder's history in a table of its own, and how it comes there from where 0.1 kept it."""

from __future__ import annotations

from pathlib import Path

import pytest

import forgedb
from forgedb import Database, MigrationDrift, MigrationError, UsageError
from forgedb.migrations import Migrator
from forgedb.migrations.files import load, packaged
from forgedb.migrations.history import TABLE
from tests.migrations.folder import A, B, Folder

BEGUN = "-- forgedb: no-transaction\nCREATE TABLE c (id integer);\nSELECT nope;"

RULES = """
SELECT conname FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = conrelid
WHERE relname LIKE 'app_schema_migrations%' ORDER BY conname
"""


@pytest.fixture
def old(folder: Folder) -> Folder:
    """Two files that are applied, and one that was begun, in the history that 0.1 had for them."""
    folder.write(m0001_initial=A, m0002_b=B, m0003_c=BEGUN)
    with pytest.raises(MigrationError, match="nope"):
        folder.runner_with(table=TABLE).migrate()
    return folder


def test_a_folder_and_forgedb_have_tables_of_their_own(folder: Folder) -> None:
    folder.write(m0001_initial=A, m0002_b=B).runner.migrate()
    folder.db.migrate()
    assert folder.runner.migrate() == folder.db.migrate() == []
    assert folder.runner.place().endswith("app_schema_migrations")
    assert Migrator(folder.db).place().endswith("schema_migrations")
    assert folder.labels() == ["0001_initial", "0002_b"]
    assert {each.state for each in Migrator(folder.db).states()} == {"applied"}


def test_files_that_0_1_applied_are_known_and_not_run_again(old: Folder) -> None:
    runner = old.runner
    for call in (
        runner.migrate,
        runner.rehearse,
        runner.pending,
        runner.states,
        lambda: runner.baseline(1),
        lambda: runner.mark(3, "pending", reason="why not"),
    ):
        with pytest.raises(
            MigrationError,
            match=r"history of these files is in (public\.)?schema_migrations, and none in"
            r" (public\.)?app_schema_migrations: move it with `forgedb migrate move --dir ",
        ):
            call()
    assert old.tables() == {"a", "b", "c"}
    assert old.runner_with(table=TABLE).states()[0].state == "applied"


def test_files_that_were_edited_since_are_known_too(old: Folder) -> None:
    old.write(m0001_initial=f"{A} -- edited", m0002_b=f"{B} -- edited", m0003_c="SELECT 1")
    with pytest.raises(MigrationError, match="move it with"):
        old.runner.migrate()
    old.runner.move()
    with pytest.raises(MigrationDrift):
        old.runner.migrate()


def test_a_first_file_that_was_only_begun_is_known(folder: Folder) -> None:
    folder.write(m0001_c=BEGUN)
    with pytest.raises(MigrationError, match="nope"):
        folder.runner_with(table=TABLE).migrate()
    with pytest.raises(MigrationError, match="move it with"):
        folder.runner.migrate()
    assert folder.runner.move() == []
    assert [each.state for each in folder.runner.unfinished()] == ["failed"]


def test_forgedbs_own_history_is_not_taken_for_a_folders(folder: Folder) -> None:
    folder.db.migrate()
    folder.write(m0001_initial=A)
    assert [each.label for each in folder.runner.migrate()] == ["0001_initial"]


def test_all_is_run_anew_where_the_table_is_named(folder: Folder) -> None:
    folder.write(m0001_a="SELECT 1").runner_with(table=TABLE).migrate()
    assert len(folder.runner_with(table="app_schema_migrations").migrate()) == 1


@pytest.mark.parametrize("table", ["app_schema_migrations", "a"])
def test_a_history_is_moved_with_what_was_begun(old: Folder, table: str) -> None:
    before = old.runner_with(table=TABLE)
    applied, unfinished = before.applied(), before.unfinished()
    if table == "a":
        old.db.client.execute("DROP TABLE a")
    runner = old.runner_with(table=table)
    assert runner.move() == applied
    assert (runner.applied(), runner.unfinished()) == (applied, unfinished)
    assert Migrator(old.db).applied() == []
    old.write(m0003_c=BEGUN.replace("nope", "1"))
    runner.resolve(3, "retry")
    assert [each.label for each in runner.migrate()] == ["0003_c"]
    # Nothing of the old names is in the way of forgedb's own.
    old.db.migrate()
    assert Migrator(old.db).differences() == []


@pytest.mark.parametrize("dialect", ["postgres"])
def test_what_was_moved_is_as_what_is_made(old: Folder, tmp_path: Path, url: str) -> None:
    old.runner.move()
    moved = old.db.client.query(RULES)
    old.db.client.execute("DROP TABLE app_schema_migrations, app_schema_migrations_begun")
    old.write(m0001_initial="SELECT 1", m0002_b="SELECT 1", m0003_c=BEGUN.partition("\n")[0])
    old.write(m0003_c="-- forgedb: no-transaction\nSELECT nope")
    with pytest.raises(MigrationError, match="nope"):
        old.runner.migrate()
    assert old.db.client.query(RULES) == moved


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_was_moved_is_as_what_is_made_on_sqlite(old: Folder) -> None:
    text = "SELECT sql FROM sqlite_schema WHERE name LIKE 'app_schema_migrations%' ORDER BY name"
    old.db.client.execute("CREATE VIEW broken AS SELECT * FROM gone")
    old.runner.move()
    moved = old.db.client.query(text)
    assert len(moved) == 2
    for end in ("", "_begun"):
        old.db.client.execute(f"DROP TABLE app_schema_migrations{end}")
    old.write(m0001_initial="SELECT 1", m0002_b="SELECT 1")
    old.write(m0003_c="-- forgedb: no-transaction\nSELECT nope")
    with pytest.raises(MigrationError, match="nope"):
        old.runner.migrate()
    assert old.db.client.query(text) == moved


def test_a_history_moves_to_a_table_that_holds_nothing(old: Folder) -> None:
    old.runner_with(table="app_schema_migrations").baseline(1)
    old.db.client.execute("DELETE FROM app_schema_migrations")
    moved = old.runner.move()
    assert [each.label for each in moved] == ["0001_initial", "0002_b"]


def test_what_is_not_these_files_history_is_not_moved(old: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "0001_x.sql").write_text("SELECT 1")
    with pytest.raises(UsageError, match="is of other files, up to 0002_b: give their folder"):
        Migrator(old.db, other).move()
    with pytest.raises(UsageError, match="can't be moved to itself"):
        old.runner_with(table=TABLE).move()
    with pytest.raises(UsageError, match=r"no history in .*nowhere: say where it is with --from"):
        old.runner.move("nowhere")
    Migrator(old.db, other, table="taken").migrate()
    with pytest.raises(UsageError, match="taken holds a history already"):
        old.runner_with(table="taken").move()
    assert len(old.runner_with(table=TABLE).applied()) == 2


def test_forgedbs_own_history_stays_where_it_is(folder: Folder) -> None:
    folder.write(m0001_initial=A).db.migrate()
    with pytest.raises(UsageError, match="is forgedb's own, which stays where it is"):
        folder.runner.move()
    with pytest.raises(UsageError, match="is forgedb's own, which stays where it is"):
        Migrator(folder.db, table="other").move()


def test_forgedb_tells_a_folders_history_in_its_place_and_the_way_out(
    old: Folder, db: Database, url: str
) -> None:
    own = Migrator(db)
    for call in (
        own.migrate,
        own.pending,
        own.states,
        own.check,
        lambda: db.projects.list(limit=1),
        lambda: db.projects.create("p", "P"),
    ):
        with pytest.raises(
            MigrationError, match=r"of other files, up to 0002_b, .* `forgedb migrate move --dir"
        ):
            call()
    with pytest.raises(UsageError, match="has a history already"):
        own.baseline(1)
    old.runner.move()
    db.migrate()
    assert {each.state for each in own.states()} == {"applied"}
    with forgedb.connect(url, actor="user:ada") as again:
        again.projects.create("p", "P")


def test_a_folder_of_forgedbs_own_files_is_its_own(db: Database) -> None:
    folder = packaged(db.client.dialect)
    assert len(Migrator(db, folder, table=TABLE).migrate()) == len(load(folder))
    assert db.migrate() == []
