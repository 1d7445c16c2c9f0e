"""What is written of the schema: it makes the schema again, and is what the migrations make."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

import forgedb
from forgedb.admin.ddl import schema_sql
from forgedb.admin.schema import read_schema
from forgedb.sql.split import split
from tests.schema.writing import DATA_MODEL, data_model, path_of
from tests.servers.postgres import Databases

REMEDY = "the migrations make another schema than is written there: run `make schema`"


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest) -> Iterator[forgedb.Database]:
    """A migrated database."""
    if request.param == "sqlite":
        with forgedb.connect("sqlite://") as db:
            db.migrate()
            yield db
        return
    databases: Databases = request.getfixturevalue("postgres")
    with databases.new(migrated=True) as url, forgedb.connect(url) as db:
        yield db


def test_the_schema_that_is_written_is_what_the_migrations_make(db: forgedb.Database) -> None:
    assert path_of(db.client.dialect).read_text() == schema_sql(db), REMEDY


def test_what_is_written_makes_the_same_schema_in_an_empty_database(
    db: forgedb.Database, request: pytest.FixtureRequest
) -> None:
    written = schema_sql(db)
    if db.client.dialect == "sqlite":
        with forgedb.connect("sqlite://") as again:
            for statement in split(written, "sqlite"):
                again.client.execute(statement.text)
            assert schema_sql(again) == written
        return
    databases: Databases = request.getfixturevalue("postgres")
    with databases.new() as url:
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(written.encode())
        with forgedb.connect(url) as again:
            assert schema_sql(again) == written


def test_the_data_model_is_what_the_schema_says(postgres: Databases) -> None:
    with (
        postgres.new(migrated=True) as url,
        forgedb.connect(url) as on_postgres,
        forgedb.connect("sqlite://") as on_sqlite,
    ):
        on_sqlite.migrate()
        page = DATA_MODEL.read_text()
        assert data_model(page, read_schema(on_sqlite), read_schema(on_postgres)) == page, REMEDY
    assert "|  |" not in page, "say what the new column is"
