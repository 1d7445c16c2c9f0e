"""What is written of the schema: it makes the schema again, and is what the migrations make."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

import forgedb
from forgedb.ddl import schema_sql
from forgedb.schema import read_schema
from forgedb.sql.split import split
from tests.schema.writing import DATA_MODEL, data_model, path_of
from tests.servers.postgres import Databases

REMEDY = "the migrations make another schema than is written there: run `make schema`"

OTHERS = """
CREATE TYPE mood AS ENUM ('calm', 'it''s');
CREATE DOMAIN short AS varchar(9) NOT NULL DEFAULT 'x' CHECK (VALUE <> 'y');
CREATE SEQUENCE counter START 5 INCREMENT 2 CYCLE;
CREATE TABLE "Parent" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number integer DEFAULT nextval('counter') UNIQUE,
    twice integer GENERATED ALWAYS AS (number * 2) STORED,
    mood mood NOT NULL DEFAULT 'calm',
    word short,
    tags text[] DEFAULT '{}',
    price numeric(10, 2) CHECK (price > 0)
);
CREATE TABLE child (parent_id bigint NOT NULL REFERENCES "Parent" ON DELETE CASCADE, at date)
    PARTITION BY RANGE (at);
CREATE TABLE child_old PARTITION OF child FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE child_rest PARTITION OF child DEFAULT;
CREATE INDEX child_by_parent ON child (parent_id) WHERE at IS NOT NULL;
CREATE FUNCTION parents() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM "Parent" $$;
CREATE FUNCTION moods(m mood) RETURNS bigint
    BEGIN ATOMIC SELECT count(*) FROM "Parent" WHERE mood = m; END;
CREATE VIEW calm AS SELECT id FROM "Parent" WHERE mood = 'calm';
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM calm;
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION g();
"""


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


def test_any_schema_of_postgres_is_written_whole(postgres: Databases) -> None:
    with postgres.new() as url, postgres.new() as other:
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute(OTHERS.encode())
        with forgedb.connect(url) as db:
            written = schema_sql(db)
        with psycopg.connect(other, autocommit=True) as raw:
            raw.execute(written.encode())
            assert raw.execute("SELECT count(*) FROM pg_indexes").fetchone() is not None
        with forgedb.connect(other) as db:
            assert schema_sql(db) == written
    for name in ("mood", "short", "counter", '"Parent"', "child_rest", "child_by_parent", "moods"):
        assert name in written
    assert "GENERATED ALWAYS AS IDENTITY" in written
    assert "CREATE MATERIALIZED VIEW counted" in written


def test_an_empty_database_has_no_schema_to_write(postgres: Databases) -> None:
    with forgedb.connect("sqlite://") as db:
        assert schema_sql(db) == ""
    with postgres.new() as url, forgedb.connect(url) as db:
        assert schema_sql(db) == ""


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
