"""What a file does to SQLite's connection: it holds in the file, and nowhere else.

On PostgreSQL: test_settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

import forgedb
from forgedb import Database, MigrationError
from forgedb.drivers.sqlite.guard import Guard
from forgedb.migrations import Progress
from forgedb.migrations.applied import AppliedMigration
from forgedb.operations.steps import run
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import Folder

ALONE = "-- forgedb: no-transaction\n"

CHANGES = {
    "a temporary table": "CREATE TEMP TABLE seen AS SELECT 1",
    "another way to say so": "CREATE TABLE temp.seen (seen INTEGER)",
    "a temporary view": "CREATE TEMPORARY VIEW seen AS SELECT 1",
    "a temporary trigger": (
        "CREATE TEMP TRIGGER seen AFTER INSERT ON t BEGIN DELETE FROM t WHERE id = 2; END"
    ),
    "another of its ways": (
        "CREATE TRIGGER temp.seen AFTER INSERT ON main.t BEGIN DELETE FROM t WHERE id = 2; END"
    ),
    "an attached database": "ATTACH ':memory:' AS seen",
    "a setting": "PRAGMA legacy_alter_table = ON",
    "a setting of a schema": "/* so */ PRAGMA main . secure_delete (1)",
    "a setting that stays unsaid": "EXPLAIN PRAGMA legacy_alter_table = ON",
    "no nested triggers": "PRAGMA recursive_triggers = OFF",
    "no checks": "PRAGMA ignore_check_constraints = ON",
    "the case of letters": "PRAGMA case_sensitive_like = ON",
    "no waiting": "PRAGMA busy_timeout = 0",
    "a row's number": "INSERT INTO t (id) VALUES (77)",
}

LOOK = """
CREATE TABLE found AS
SELECT
    (SELECT count(*) FROM sqlite_temp_schema) AS temporary,
    (SELECT count(*) FROM pragma_database_list WHERE name = 'seen') AS attached,
    (SELECT legacy_alter_table FROM pragma_legacy_alter_table) AS legacy,
    (SELECT secure_delete FROM pragma_secure_delete) AS secure,
    (SELECT recursive_triggers FROM pragma_recursive_triggers) AS recursive,
    (SELECT ignore_check_constraints FROM pragma_ignore_check_constraints) AS unchecked,
    'a' LIKE 'A' AS folded,
    last_insert_rowid() AS last
"""

FRESH = [(0, 0, 0, 0, 1, 0, 1, 0)]


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


@pytest.fixture(params=["a file", "in memory"])
def db(request: pytest.FixtureRequest, url: str) -> Iterator[Database]:
    with forgedb.connect(url if request.param == "a file" else "sqlite://") as db:
        yield db


@pytest.fixture
def begun(folder: Folder) -> Folder:
    folder.write(m0001_a="CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id < 100))")
    folder.runner.migrate()
    return folder


def _legacy(db: Database) -> int:
    """Asked of the connection that writes."""
    with db.transaction() as tx:
        legacy: int = tx.client.query_value("PRAGMA legacy_alter_table")
    return legacy


def _write(folder: Folder, change: str = "{}", look: str = "{}") -> None:
    """Each of the changes in a file of its own, and behind it one that looks at the connection."""
    for number, text in enumerate(CHANGES.values()):
        folder.write(**{f"m{2 * number + 10:04}_change": change.format(text)})
        table = f"{LOOK};".replace("found", f"found_{number}")
        folder.write(**{f"m{2 * number + 11:04}_look": look.format(table)})


def _seen(db: Database) -> dict[str, list[tuple[int, ...]]]:
    return {
        change: db.client.query(f"SELECT * FROM found_{number}")
        for number, change in enumerate(CHANGES)
    }


@pytest.mark.parametrize("header", ["", ALONE, "-- forgedb: rebuild\n"])
def test_the_next_file_sees_nothing_of_it(begun: Folder, header: str) -> None:
    _write(begun, change=f"{header}{{}}")
    begun.runner.migrate()
    assert _seen(begun.db) == dict.fromkeys(CHANGES, FRESH)


def test_nor_does_a_file_that_runs_in_no_transaction(begun: Folder) -> None:
    _write(begun, look=f"{ALONE}{{}}")
    begun.runner.migrate()
    assert _seen(begun.db) == dict.fromkeys(CHANGES, FRESH)


@pytest.mark.parametrize("change", ["a temporary table", "a setting", "a row's number"])
def test_a_rehearsal_sees_what_a_run_sees(begun: Folder, change: str) -> None:
    begun.write(
        m0002_b=CHANGES[change],
        m0003_c=f"{LOOK};\nCREATE TABLE fresh (is_so CHECK (is_so));\nINSERT INTO fresh"
        " SELECT temporary + legacy + last = 0 FROM found;",
    )
    assert [each.label for each in begun.runner.rehearse()] == ["0002_b", "0003_c"]
    assert begun.tables() == {"t"}
    assert begun.labels() == ["0001_a"]
    assert len(begun.runner.migrate()) == 2


def test_each_file_is_told_of_once_in_a_rehearsal_that_goes_on_with_a_copy(begun: Folder) -> None:
    labels: list[str] = []

    class Heard(Progress):
        def applied(self, entry: AppliedMigration) -> None:
            labels.append(entry.label)

    begun.write(m0002_b="CREATE TABLE b (id)", m0003_c="PRAGMA legacy_alter_table = 1")
    begun.write(m0004_d="CREATE TABLE d (id)")
    begun.runner_with(progress=Heard()).rehearse()
    assert labels == ["0002_b", "0003_c", "0004_d"]
    assert _legacy(begun.db) == 0


NEEDING = ['CREATE TABLE "TemP".b (id)', "SELECT /* DROP */ 1", "SELECT 'pragma'"]


@pytest.mark.parametrize("text", ["CREATE TABLE b (id); INSERT INTO b VALUES (1)", *NEEDING])
def test_sqlite_is_asked_only_of_files_that_have_a_word_for_it(
    begun: Folder, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    asked: list[int] = []

    class Asked(Guard):
        def authorize(self, action: int, *words: str | None) -> int:
            asked.append(action)
            return apsw.SQLITE_OK

    monkeypatch.setattr("forgedb.drivers.sqlite.guard.Guard", Asked)
    begun.write(m0002_b=text).runner.migrate()
    assert bool(asked) is (text in NEEDING)


@pytest.mark.parametrize("header", ["", ALONE])
def test_what_a_file_sets_holds_to_its_end(begun: Folder, header: str) -> None:
    begun.write(
        m0002_b=f"{header}PRAGMA case_sensitive_like = ON;\nCREATE TEMP TABLE mine (id);\n"
        "INSERT INTO mine VALUES (3);\nCREATE TABLE held AS SELECT 'a' LIKE 'A' AS so, id FROM mine"
    ).runner.migrate()
    assert begun.db.client.query("SELECT * FROM held") == [(0, 3)]


@pytest.mark.parametrize("header", ["", ALONE])
def test_nothing_is_left_by_a_file_that_failed(begun: Folder, header: str) -> None:
    begun.write(m0002_b=f"{header}PRAGMA legacy_alter_table = ON;\nSELECT nothing;")
    with pytest.raises(MigrationError):
        begun.runner.migrate()
    assert _legacy(begun.db) == 0


def test_nothing_is_left_to_the_handle_that_migrated(begun: Folder) -> None:
    begun.write(m0002_b="PRAGMA legacy_alter_table = ON; INSERT INTO t (id) VALUES (5)")
    begun.runner.migrate()
    assert _legacy(begun.db) == 0
    with pytest.raises(forgedb.UsageError):
        begun.db.client.execute("INSERT INTO nowhere VALUES (1)")
    begun.db.client.execute("INSERT INTO t VALUES (6)")
    assert begun.db.client.query("SELECT id FROM t") == [(5,), (6,)]


def test_a_setting_holds_again_where_its_file_is_taken_up(
    begun: Folder, url: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    apsw.Connection(str(other)).execute("CREATE TABLE kept (id)")
    text = f"{ALONE}PRAGMA case_sensitive_like = ON;\nATTACH '{other}' AS other;\n"
    begun.write(m0002_b=f"{text}SELECT nothing;")
    with pytest.raises(MigrationError):
        begun.runner.migrate()
    begun.runner.resolve(2, "retry")
    begun.write(m0002_b=f"{text}INSERT INTO other.kept SELECT 'a' LIKE 'A';").runner.migrate()
    assert apsw.Connection(str(other)).execute("SELECT id FROM kept").fetchall() == [(0,)]


@pytest.mark.parametrize("header", ["", ALONE])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("table", "CREATE TEMP TABLE App_Schema_Migrations (version, name)"),
        ("view", "CREATE TEMP VIEW app_schema_migrations_begun AS SELECT 1"),
        (
            "trigger",
            (
                "CREATE TEMP TRIGGER spy AFTER INSERT ON main.app_schema_migrations"
                " BEGIN DELETE FROM app_schema_migrations; END"
            ),
        ),
    ],
)
def test_nothing_temporary_takes_the_place_of_the_history(
    begun: Folder, kind: str, text: str, header: str
) -> None:
    begun.write(m0002_b=f"{header}{text}")
    with pytest.raises(MigrationError, match=rf"^0002_b\.sql.* temporary {kind} .*another name"):
        begun.runner.migrate()
    assert begun.labels() == ["0001_a"]
    assert begun.states()["0002_b"] == ("failed" if header else "pending")


def test_a_rehearsal_on_a_copy_writes_to_no_other_file(begun: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    apsw.Connection(str(other)).execute("CREATE TABLE kept (id)")
    begun.write(m0002_b=f"ATTACH '{other}' AS other; INSERT INTO other.kept VALUES (1);")
    assert len(begun.runner.rehearse()) == 1
    begun.write(m0003_c="CREATE TABLE c (id)")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:1: .* that file would be written to"):
        begun.runner.rehearse()
    assert apsw.Connection(str(other)).execute("SELECT id FROM kept").fetchall() == []


def test_nor_does_it_write_a_copy_of_its_own(begun: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    begun.write(m0002_b=f"{ALONE}VACUUM INTO '{other}'")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:2:1: .* that file would be written to"):
        begun.runner.rehearse()
    assert not other.exists()


def test_a_database_in_memory_keeps_its_rows_when_its_connection_is_made_anew() -> None:
    with forgedb.connect("sqlite://", actor="user:ada") as db:
        db.migrate()
        made = db.projects.create("a", "A")
        db._runner.attempt(run("PRAGMA legacy_alter_table = ON"), 1.0)
        assert _legacy(db) == 0
        assert db.projects.get(made.id) == made
        assert db.projects.create("b", "B").slug == "b"
