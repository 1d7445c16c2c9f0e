"""Statements that fail: what is undone, and where the error says that it was."""

from __future__ import annotations

import pytest

import forgedb
from forgedb import (
    MigrationError,
)
from tests.migrations.folder import A, B, Folder


def test_a_failing_statement_is_named_and_its_file_rolled_back(folder: Folder) -> None:
    folder.write(
        m0001_a=A,
        m0002_b="CREATE TABLE b (id INTEGER);\n\nINSERT INTO b\nVALUES (1);\n\n"
        "INSERT INTO nowhere\nVALUES (1);\nCREATE TABLE c (id INTEGER);",
        m0003_d="CREATE TABLE d (id INTEGER)",
    )
    where, why = {
        "sqlite": (1, "no such table: nowhere"),
        "postgres": (13, 'relation "nowhere" does not exist'),
    }[folder.db.client.dialect]
    with pytest.raises(MigrationError, match=rf"0002_b\.sql:6:{where}: .*{why}") as failed:
        folder.runner.migrate()
    error = failed.value
    assert (error.file, error.line, error.column) == ("0002_b.sql", 6, where)
    assert error.statement == "INSERT INTO nowhere\nVALUES (1)"
    assert (error.applied, error.pending) == (("0001_a",), ("0002_b", "0003_d"))
    assert "applied before: 0001_a; still pending: 0002_b, 0003_d" in str(error)
    assert isinstance(error.__cause__, forgedb.ForgeDbError)
    assert folder.tables() == {"a"}
    assert folder.labels() == ["0001_a"]


def test_a_repaired_file_goes_on_where_it_failed(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="SELECT nothing").write(m0003_c="CREATE TABLE c (id INTEGER)")
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    folder.write(m0002_b=B)
    assert [each.label for each in folder.runner.migrate()] == ["0002_b", "0003_c"]


def test_a_constraint_that_stored_rows_break_rolls_the_file_back(folder: Folder) -> None:
    folder.write(m0001_a=f"{A} INSERT INTO a VALUES (1), (2);").runner.migrate()
    folder.write(
        m0002_b="ALTER TABLE a ADD COLUMN kind TEXT DEFAULT 'x' NOT NULL;\n"
        "CREATE UNIQUE INDEX one ON a (kind);"
    )
    with pytest.raises(MigrationError) as failed:
        folder.runner.migrate()
    assert failed.value.line == 2
    assert folder.db.client.query("SELECT * FROM a") == [(1,), (2,)]


# Where the database saw the fault.


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SELECT nope", (1, 8)),
        ("  SELECT nope", (1, 10)),
        ("SELECT 1;  SELECT nope", (1, 19)),
        ("SELECT 1;\n\n  SELECT\n    1,\n   nope\nFROM a;", (5, 4)),
        ("-- é\n/* ü */ SELECT 'é', '日本', nope", (2, 27)),
        ("SELECT '日本語\nは', nope", (2, 5)),
        ("SELECT 'é' AS \"ü\", /* 🌍 */\n\t'🌍', nope FROM a", (2, 7)),
    ],
)
def test_an_error_is_at_the_very_column_in_characters_not_in_bytes(
    folder: Folder, text: str, place: tuple[int, int]
) -> None:
    folder.write(m0001_a=A, m0002_b=text)
    with pytest.raises(MigrationError, match="nope") as failed:
        folder.runner.migrate()
    assert (failed.value.line, failed.value.column) == place
    assert text.split("\n")[place[0] - 1][place[1] - 1 :].startswith("nope")
    assert str(failed.value).startswith(f"0002_b.sql:{place[0]}:{place[1]}: ")


def test_a_byte_order_mark_and_carriage_returns_move_no_place(folder: Folder) -> None:
    folder.write(m0001_a=b"\xef\xbb\xbfSELECT 1;\r\nSELECT\r\n  nope")
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:3:3: "):
        folder.runner.migrate()


def test_an_error_that_the_database_does_not_place_is_at_the_statement(folder: Folder) -> None:
    folder.write(
        m0001_a="CREATE TABLE a (id INTEGER PRIMARY KEY);\n  INSERT INTO a VALUES (1), (1)"
    )
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:2:3: "):
        folder.runner.migrate()


@pytest.mark.parametrize("dialect", ["postgres"])
def test_an_error_inside_a_function_is_at_the_statement_that_called_it(folder: Folder) -> None:
    folder.write(
        m0001_a="CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT nope); END $$;\n\n SELECT f()"
    )
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:3:2: .*nope"):
        folder.runner.migrate()


def test_a_constraint_that_the_commit_checks_rolls_the_file_back(folder: Folder) -> None:
    folder.write(
        m0001_a=A,
        m0002_b="CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO b VALUES (7);",
        m0003_c="CREATE TABLE c (id INTEGER)",
    )
    with pytest.raises(
        MigrationError, match=r"^0002_b\.sql: a row that this one refers to is missing.*COMMIT"
    ) as failed:
        folder.runner.migrate()
    assert (failed.value.applied, failed.value.pending) == (("0001_a",), ("0002_b", "0003_c"))
    assert folder.tables() == {"a"}
    assert folder.labels() == ["0001_a"]


# PostgreSQL reads all statements that come together before it runs the first.

TWO = "CREATE TABLE t1 (id integer);\n/* ü */ CREATE TABLE t2 (id integer);\n"


@pytest.mark.parametrize(
    ("third", "place", "statement"),
    [
        ("CREATE TABEL t3 (id integer)", (3, 8), "CREATE TABEL t3 (id integer)"),
        ("SELECT 'é',\n  1 1;\nSELECT 4", (4, 5), "SELECT 'é',\n  1 1"),
        ("SELECT 1 +;\nSELECT 4", (3, 11), "SELECT 1 +"),
        ("SELECT 1 + -- and\n;\nSELECT 4", (3, 11), "SELECT 1 +"),
        ("SELECT 1 +", (3, 11), "SELECT 1 +"),
        ("SELECT U&'\\00zz';SELECT 4", (3, 11), "SELECT U&'\\00zz'"),
        ("SELECT nope; CREATE TABEL t4 ()", (3, 21), "CREATE TABEL t4 ()"),
    ],
)
@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_syntax_error_is_at_its_own_statement_though_none_was_run_before_it(
    folder: Folder, third: str, place: tuple[int, int], statement: str
) -> None:
    folder.write(m0001_a=TWO + third)
    with pytest.raises(MigrationError) as failed:
        folder.runner.migrate()
    error = failed.value
    assert ((error.line, error.column), error.statement) == (place, statement)
    assert folder.tables() == set()


# What to do about it.

COMMITS = "DO $$ BEGIN CREATE TABLE t (id integer); COMMIT; END $$"
CALLS = "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p()"


ADVICE = [
    (COMMITS, "need a file that begins with `-- forgedb: no-transaction`; in"),
    (CALLS, "or in a procedure that is called, need a file that begins with `-- forgedb: no-trans"),
    ("VACUUM", "begin the file with `-- forgedb: no-transaction`; in"),
    ("SET TRANSACTION READ ONLY", "is written in its transaction: leave out READ ONLY"),
    (
        "SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "must be called before any query; put it above all other statements of the file; in",
    ),
    (
        "ALTER TYPE mood ADD VALUE 'ok'; SELECT CAST('ok' AS mood)",
        "put what uses it into the next file; in",
    ),
]


@pytest.mark.parametrize("dialect", ["postgres"])
def test_what_a_transaction_does_not_allow_is_told_with_the_way_out(folder: Folder) -> None:
    folder.write(m0001_a="CREATE TYPE mood AS ENUM ('sad')").runner.migrate()
    for text, advice in ADVICE:
        folder.write(m0002_b=text)
        for run in (folder.runner.migrate, folder.runner.rehearse):
            with pytest.raises(MigrationError) as failed:
                run()
            assert advice in str(failed.value)
    alone = "-- forgedb: no-transaction\n"
    folder.write(m0002_b=alone + COMMITS, m0003_c=alone + CALLS)
    assert [each.version for each in folder.runner.migrate()] == [2, 3]
    # There the same words would lead nowhere.
    folder.write(m0004_d=f"{alone}DO $$ BEGIN EXECUTE 'VACUUM'; END $$")
    with pytest.raises(MigrationError, match="from a function") as failed:
        folder.runner.migrate()
    assert "begin the file" not in str(failed.value)


def test_a_file_after_which_the_history_can_not_be_written_is_named(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="DROP TABLE app_schema_migrations")
    for run in (folder.runner.migrate, folder.runner.rehearse):
        with pytest.raises(MigrationError, match=r"^0002_b\.sql: its line of the history can't be"):
            run()
    assert folder.labels() == ["0001_a"]
