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
