"""A database whose encoding isn't UTF-8 is refused as that, before anything is written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import psycopg
import pytest
from psycopg import sql

import forgedb
from forgedb import MigrationError, UsageError
from forgedb.migrations import Runner
from tests.migrations.folder import A, Folder
from tests.servers.postgres import Databases

MIGRATING: tuple[Callable[[forgedb.Database], object], ...] = (
    lambda db: db.migrate(),
    lambda db: Runner(db).rehearse(),
    lambda db: Runner(db).baseline(1),
)


@contextmanager
def in_encoding(postgres: Databases, encoding: str) -> Iterator[str]:
    """The URL of a database that keeps its text in this encoding."""
    with postgres.new() as url:
        name = f"{url.rpartition('/')[2]}_{encoding.lower()}"
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                sql.SQL(
                    "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'"
                ).format(sql.Identifier(name), encoding)
            )
        try:
            yield postgres.url_of(name)
        finally:
            with psycopg.connect(url, autocommit=True) as admin:
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                admin.execute(drop.format(sql.Identifier(name)))


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgres_database_of_another_encoding_is_refused(
    postgres: Databases, encoding: str, tmp_path: Path
) -> None:
    with in_encoding(postgres, encoding) as url, forgedb.connect(url) as db:
        for migrate in MIGRATING:
            with pytest.raises(UsageError) as refused:
                migrate(db)
            assert f"encoding is {encoding}" in str(refused.value)
            assert "ENCODING 'UTF8'" in str(refused.value)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert db.client.query_value(tables) == 0
        # What a folder of one's own needs is for its author to know.
        folder = Folder(tmp_path / "migrations", db).write(m0001_a=A)
        assert [each.label for each in folder.runner.migrate()] == ["0001_a"]


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_file_of_sqlites_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "forge.db"
    connection = apsw.Connection(str(path))
    connection.pragma("encoding", encoding)
    connection.execute("CREATE TABLE mine (id INTEGER)")
    connection.close()
    with forgedb.connect(f"sqlite:///{path}") as db:
        for migrate in MIGRATING:
            with pytest.raises(UsageError, match=f"encoding is {encoding}"):
                migrate(db)
        assert db.client.query("SELECT name FROM sqlite_schema") == [("mine",)]


@pytest.mark.parametrize(
    ("encoding", "text", "place", "statement"),
    [
        # Nothing of a text is run, and no place is told, where a part of it can't be converted.
        ("LATIN1", "SELECT 1;\nSELECT 2;\nSELECT '日';\nSELECT 4", (3, 1), "SELECT '日'"),
        (
            "LATIN1",
            "INSERT INTO a VALUES (1), (1);\nSELECT 2",
            (1, 1),
            "INSERT INTO a VALUES (1), (1)",
        ),
        ("LATIN1", "SELECT 1;\nSELECT 'é', nope", (2, 13), "SELECT 'é', nope"),
        # It counts bytes.
        ("SQL_ASCII", "SELECT '日';\nSELECT 'é日', nope", (2, 14), "SELECT 'é日', nope"),
        ("SQL_ASCII", "SELECT '日';\nSELECT 'é日', 1 1", (2, 16), "SELECT 'é日', 1 1"),
    ],
)
def test_the_statement_that_fails_is_named_in_any_encoding(
    postgres: Databases,
    tmp_path: Path,
    encoding: str,
    text: str,
    place: tuple[int, int],
    statement: str,
) -> None:
    with in_encoding(postgres, encoding) as url, forgedb.connect(url) as db:
        folder = Folder(tmp_path / "migrations", db).write(m0001_a=A, m0002_b=text)
        with pytest.raises(MigrationError) as failed:
            folder.runner.migrate()
        error = failed.value
        assert ((error.line, error.column), error.statement) == (place, statement)
