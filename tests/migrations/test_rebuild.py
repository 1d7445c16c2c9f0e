"""Tables of SQLite's that are made anew with their rows, since it alters little in place."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from forgedb import Database, MigrationError
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import Folder

BEFORE = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (
    id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE
);
INSERT INTO parent VALUES (1, 'one'), (2, 'two'), (3, NULL);
INSERT INTO child VALUES (10, 1), (11, 1), (20, 2);
"""

REBUILD = """
CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO parent_new SELECT id, coalesce(name, '') FROM parent {where};
DROP TABLE parent;
ALTER TABLE parent_new RENAME TO parent;
"""

WHOLE = REBUILD.format(where="")
LOSING = REBUILD.format(where="WHERE id <> 2")
HEADER = "-- forgedb: rebuild\n"

CHILDREN = [(10, 1), (11, 1), (20, 2)]


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


@pytest.fixture
def filled(folder: Folder) -> Folder:
    folder.write(m0001_a=BEFORE).runner.migrate()
    return folder


def _children(folder: Folder) -> list[tuple[int, int]]:
    return folder.db.client.query("SELECT id, parent_id FROM child ORDER BY id")


def _break(url: str) -> None:
    """Add a child that has no parent, as a program would that doesn't check foreign keys."""
    other = apsw.Connection(url.removeprefix("sqlite:///"))
    other.execute("INSERT INTO child VALUES (99, 9)")
    other.close()


def _checks_foreign_keys(db: Database) -> bool:
    """Asked of the connection that writes."""
    with db.transaction() as tx:
        return bool(tx.client.query_value("PRAGMA foreign_keys"))


def test_a_parent_is_rebuilt_and_no_child_lost(filled: Folder) -> None:
    filled.write(m0002_b=HEADER + WHOLE).runner.migrate()
    assert filled.db.client.query("SELECT * FROM parent") == [(1, "one"), (2, "two"), (3, "")]
    assert _children(filled) == CHILDREN
    assert filled.db.client.query("PRAGMA foreign_key_list(child)")[0][2] == "parent"
    assert _checks_foreign_keys(filled.db)
    filled.db.client.execute("DELETE FROM parent WHERE id = 1")
    assert _children(filled) == [(20, 2)]


SPELLINGS = [
    "DROP TABLE parent",
    'drop table IF EXISTS main . "Parent"',
    'DROP TABLE "main"."parent"',
    "DROP TABLE [main].[parent]",
    "DROP TABLE `main` . `parent`",
    "DROP TABLE 'main'.'parent'",
    "DROP /* not */ TABLE -- so\n parent",
    "DROP TABLE /**/ IF /**/ EXISTS /**/ main /**/ . /**/ parent",
    "\N{ZERO WIDTH NO-BREAK SPACE}DROP TABLE parent",
    "ALTER TABLE parent RENAME TO away; DROP TABLE away",
]


@pytest.mark.parametrize("header", ["", "-- forgedb: no-transaction\n"])
@pytest.mark.parametrize("drop", SPELLINGS)
def test_the_same_file_without_the_header_would_lose_the_children_and_is_refused(
    filled: Folder, drop: str, header: str
) -> None:
    filled.write(m0002_b=header + WHOLE.replace("DROP TABLE parent", drop))
    with pytest.raises(
        MigrationError,
        match=r"^0002_b\.sql:\d+:\d+: .*with (parent|Parent|away) .* of child .*forgedb: rebuild",
    ):
        filled.runner.migrate()
    assert _children(filled) == CHILDREN
    assert filled.labels() == ["0001_a"]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT"])
@pytest.mark.parametrize("key", ["parent", "parent (id)", 'PARENT ("ID")'])
def test_whatever_would_become_of_the_children_is_refused(
    folder: Folder, action: str, key: str
) -> None:
    before = BEFORE.replace("parent (id) ON DELETE CASCADE", f"{key} ON DELETE {action}")
    folder.write(m0001_a=before.replace("parent_id INTEGER NOT NULL", "parent_id INTEGER"))
    folder.write(m0002_b=WHOLE)
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:4:1: .* of child "):
        folder.runner.migrate()
    assert _children(folder) == CHILDREN


def test_a_key_of_two_columns_and_odd_names_are_looked_at_as_well(folder: Folder) -> None:
    folder.write(
        m0001_a='''
        CREATE TABLE "a ""b" (x TEXT, "y z" INTEGER, PRIMARY KEY (x, "y z")) WITHOUT ROWID;
        CREATE TABLE "select" (
            p TEXT, "q""" INTEGER, FOREIGN KEY (p, "q""") REFERENCES "a ""b" ON DELETE CASCADE
        );
        INSERT INTO "a ""b" VALUES ('k', 1);
        INSERT INTO "select" VALUES ('k', NULL), ('k', 1);
        ''',
        m0002_b='DROP TABLE "a ""b"',
    )
    with pytest.raises(MigrationError, match='with a "b the rows of select would go'):
        folder.runner.migrate()
    assert folder.db.client.query_value('SELECT count(*) FROM "select"') == 2


def test_a_parent_to_which_no_row_refers_may_be_dropped(filled: Folder) -> None:
    filled.write(
        m0002_b=BEFORE.replace("parent", "other").replace("child", "ward").replace("NOT NULL ", ""),
        m0003_c="UPDATE ward SET other_id = NULL; DROP TABLE other; DROP TABLE ward;",
    )
    assert [each.label for each in filled.runner.migrate()] == ["0002_b", "0003_c"]


def test_temporary_and_attached_tables_have_children_of_their_own(
    filled: Folder, tmp_path: Path
) -> None:
    apsw.Connection(str(tmp_path / "other.db")).execute("PRAGMA user_version = 1")
    for schema in ("temp", "other"):
        file = f"""
        ATTACH '{tmp_path / "other.db"}' AS other;
        CREATE TABLE {schema}.parent (id INTEGER PRIMARY KEY);
        CREATE TABLE {schema}.ward (
            id INTEGER, parent INTEGER REFERENCES parent ON DELETE CASCADE
        );
        INSERT INTO {schema}.parent VALUES (1);
        {{ward}}
        DROP TABLE {schema}.parent;
        DROP TABLE {schema}.ward;
        """
        filled.write(m0002_b=file.format(ward=f"INSERT INTO {schema}.ward VALUES (1, 1);"))
        with pytest.raises(MigrationError, match="with parent the rows of ward would go"):
            filled.runner.migrate()
        filled.write(m0002_b=file.format(ward="")).runner.rehearse()
    assert _children(filled) == CHILDREN


def test_a_table_of_the_same_name_elsewhere_is_not_mistaken_for_the_parent(filled: Folder) -> None:
    filled.write(m0002_b="CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY); DROP TABLE parent;")
    filled.runner.migrate()
    assert _children(filled) == CHILDREN


def test_tables_are_dropped_outside_a_transaction_the_children_first(
    filled: Folder, url: str
) -> None:
    filled.write(m0002_b="DELETE FROM child").runner.migrate()
    filled.write(m0003_c="-- forgedb: no-transaction\nDROP TABLE child;\nDROP TABLE parent;")
    filled.runner.migrate()
    assert filled.tables() == set()


def test_a_parent_whose_children_are_gone_may_be_dropped(filled: Folder) -> None:
    filled.write(m0002_b="DELETE FROM child; DROP TABLE parent; DROP TABLE child;")
    filled.runner.migrate()
    assert filled.tables() == set()


@pytest.mark.parametrize("header", ["", HEADER, "-- forgedb: no-transaction\n"])
@pytest.mark.parametrize(
    "pragma", ["PRAGMA foreign_keys=OFF", "pragma main.foreign_keys (0)", "PRAGMA FOREIGN_KEYS = 1"]
)
def test_foreign_keys_are_the_runners_to_turn_off(filled: Folder, header: str, pragma: str) -> None:
    filled.write(m0002_b=f"{header}{pragma};\n{WHOLE}")
    with pytest.raises(MigrationError, match=r"foreign keys can't be .*`-- forgedb: rebuild`"):
        filled.runner.migrate()
    assert _children(filled) == CHILDREN
    assert filled.runner.unfinished() == []
    filled.write(m0002_b=f"{HEADER}{WHOLE}PRAGMA foreign_key_check;").runner.migrate()


def test_a_rebuild_that_loses_a_parent_is_refused_and_undone(filled: Folder) -> None:
    filled.write(m0002_b=HEADER + LOSING)
    with pytest.raises(
        MigrationError,
        match=r"^0002_b\.sql: 1 more row\(s\) of child would refer to",
    ) as refused:
        filled.runner.migrate()
    assert refused.value.pending == ("0002_b",)
    assert filled.tables() == {"parent", "child"}
    assert filled.db.client.query_value("SELECT count(*) FROM parent") == 3
    assert _children(filled) == CHILDREN
    assert filled.labels() == ["0001_a"]
    assert _checks_foreign_keys(filled.db)
    filled.write(m0002_b=HEADER + WHOLE).runner.migrate()
    assert _children(filled) == CHILDREN


def test_foreign_keys_are_checked_again_after_a_rebuild_that_failed(filled: Folder) -> None:
    filled.write(m0002_b=f"{HEADER}{WHOLE}INSERT INTO nowhere VALUES (1);")
    with pytest.raises(MigrationError, match="no such table: nowhere"):
        filled.runner.migrate()
    assert _checks_foreign_keys(filled.db)
    assert _children(filled) == CHILDREN


def test_foreign_keys_are_checked_in_the_files_before_and_after_a_rebuild(filled: Folder) -> None:
    filled.write(
        m0002_b="DELETE FROM parent WHERE id = 1",
        m0003_c=HEADER + WHOLE,
        m0004_d="DELETE FROM parent WHERE id = 2",
    ).runner.migrate()
    assert _children(filled) == []


def test_rows_that_had_no_parent_before_are_not_blamed_on_the_rebuild(
    filled: Folder, url: str
) -> None:
    _break(url)
    filled.write(m0002_b=HEADER + WHOLE).runner.migrate()
    assert _children(filled) == [*CHILDREN, (99, 9)]
    filled.write(m0003_c=HEADER + LOSING)
    with pytest.raises(MigrationError, match=r"1 more row\(s\) of child"):
        filled.runner.migrate()


def test_an_orphan_that_finds_a_parent_makes_up_for_no_other(filled: Folder, url: str) -> None:
    _break(url)
    adopted = "INSERT INTO parent VALUES (9, 'nine');"
    filled.write(m0002_b=HEADER + REBUILD.format(where="WHERE id <> 2") + adopted)
    with pytest.raises(MigrationError, match=r"1 more row\(s\) of child would refer to"):
        filled.runner.migrate()
    assert _children(filled) == [*CHILDREN, (99, 9)]


def test_a_rehearsal_of_a_rebuild_checks_foreign_keys_in_all_other_files(filled: Folder) -> None:
    filled.write(m0002_b=HEADER + WHOLE, m0003_c="DELETE FROM parent WHERE id = 2")
    assert [each.label for each in filled.runner.rehearse()] == ["0002_b", "0003_c"]
    filled.write(m0004_d="INSERT INTO child VALUES (30, 2)")
    with pytest.raises(MigrationError, match=r"^0004_d\.sql:1:1: "):
        filled.runner.rehearse()
    assert _children(filled) == CHILDREN
    assert filled.labels() == ["0001_a"]
    assert _checks_foreign_keys(filled.db)


def test_a_rebuild_that_mends_what_was_broken_is_no_fault(filled: Folder, url: str) -> None:
    _break(url)
    mend = "INSERT INTO parent VALUES (9, 'nine');"
    filled.write(m0002_b=HEADER + WHOLE + mend).runner.migrate()
    assert filled.db.client.query("PRAGMA foreign_key_check") == []
