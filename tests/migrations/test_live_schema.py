"""The live schema beside what the files make in a scratch database: each difference is named."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

import forgedb
from forgedb import Database, MigrationDrift, MigrationError, UsageError
from forgedb.drivers.postgres.scratch import PREFIX, _as_in
from forgedb.migrations import Migrator, Runner
from forgedb.sql.lexer import Dialect
from forgedb.sql.split import split
from tests.migrations.folder import Folder
from tests.servers.postgres import Databases

on_postgres = pytest.mark.parametrize("dialect", ["postgres"])
"""For what SQLite has no like of."""

SQLITE = """
CREATE TABLE stars (id INTEGER PRIMARY KEY, repo TEXT NOT NULL);
CREATE INDEX stars_repo ON stars (repo);
CREATE VIEW starred AS SELECT repo FROM stars;
CREATE TRIGGER stars_stay BEFORE DELETE ON stars BEGIN SELECT raise(ABORT, 'no'); END;
"""

POSTGRES = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE place AS (x integer, y integer);
CREATE DOMAIN slug AS text CHECK (VALUE ~ '^[a-z]+$');
CREATE TABLE stars (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, repo slug NOT NULL);
CREATE INDEX stars_repo ON stars (repo);
CREATE VIEW starred AS SELECT repo FROM stars;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM stars;
CREATE SEQUENCE tickets INCREMENT BY 2;
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
CREATE AGGREGATE total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE TRIGGER stars_stay BEFORE DELETE ON stars FOR EACH ROW EXECUTE FUNCTION stay();
ALTER TABLE stars ENABLE ROW LEVEL SECURITY;
CREATE POLICY readers ON stars FOR SELECT USING (id > 0);
CREATE SCHEMA shop;
CREATE SCHEMA left_over;
CREATE TABLE shop.orders (id integer, at_day date NOT NULL) PARTITION BY RANGE (at_day);
CREATE TABLE shop.orders_new PARTITION OF shop.orders DEFAULT;
"""

CHANGES: dict[Dialect, list[tuple[str, str]]] = {
    "sqlite": [
        ("ALTER TABLE stars ADD COLUMN at_night TEXT", "table stars is different"),
        ("DROP INDEX stars_repo", "index stars_repo on stars is missing"),
        (
            "DROP VIEW starred; CREATE VIEW starred AS SELECT id FROM stars",
            "view starred is different",
        ),
        ("DROP TRIGGER stars_stay", "trigger stars_stay on stars is missing"),
        (
            "CREATE TRIGGER spy AFTER INSERT ON stars BEGIN SELECT 1; END",
            "trigger spy on stars was added",
        ),
        ("CREATE UNIQUE INDEX once ON stars (repo)", "index once on stars was added: find"),
    ],
    "postgres": [
        ("ALTER TABLE stars ADD COLUMN at_night text", "column at_night on stars was added"),
        ("ALTER TYPE mood ADD VALUE 'calm'", "type mood is different"),
        ("ALTER TYPE place ADD ATTRIBUTE z integer", "column z on place was added"),
        ("ALTER DOMAIN slug DROP CONSTRAINT slug_check", "domain slug is different"),
        ("DROP INDEX stars_repo", "index stars_repo on stars is missing"),
        (
            "CREATE OR REPLACE VIEW starred AS SELECT repo FROM stars LIMIT 1",
            "view starred is different",
        ),
        ("DROP MATERIALIZED VIEW counted", "view counted is missing"),
        ("ALTER SEQUENCE tickets INCREMENT BY 3", "sequence tickets is different"),
        (
            "CREATE OR REPLACE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
            "function stay() is different",
        ),
        ("DROP AGGREGATE total (integer)", "function total(integer) is missing"),
        (
            "ALTER TABLE stars DISABLE TRIGGER stars_stay",
            "trigger stars_stay on stars is different",
        ),
        ("ALTER POLICY readers ON stars USING (true)", "policy readers on stars is different"),
        ("ALTER TABLE shop.orders_new ADD CHECK (id > 0)", "on shop.orders_new was added"),
        ("DROP SCHEMA left_over", "schema left_over is missing"),
    ],
}


def made(folder: Folder) -> Folder:
    folder.write(m0001_all=SQLITE if folder.db.client.dialect == "sqlite" else POSTGRES)
    folder.runner.migrate()
    return folder


def test_what_the_files_made_is_as_they_make_it(folder: Folder) -> None:
    assert made(folder).runner.schema_differences() == []


def test_each_change_past_the_files_is_named(folder: Folder) -> None:
    made(folder)
    changes = CHANGES[folder.db.client.dialect]
    for text, _ in changes:
        for statement in split(text, folder.db.client.dialect):
            folder.db.client.execute(statement.text)
    differences = folder.runner.schema_differences()
    found = [str(each) for each in differences if not each.harmless]
    assert [told for _, told in changes if not any(told in words for words in found)] == []


def test_only_what_was_applied_is_compared(folder: Folder) -> None:
    made(folder).write(m0002_more="CREATE TABLE more (id integer)")
    assert folder.runner.schema_differences() == []
    assert folder.states()["0002_more"] == "pending"


def test_a_repeatable_file_is_compared_as_the_database_has_it(folder: Folder) -> None:
    view = "DROP VIEW IF EXISTS named; CREATE VIEW named AS SELECT {} AS n"
    made(folder)
    (folder.path / "R__named.sql").write_text(view.format(1))
    folder.runner.migrate()
    assert folder.runner.schema_differences() == []
    folder.db.client.execute("DROP VIEW named")
    (gone,) = folder.runner.schema_differences()
    assert str(gone).startswith("view named is missing")
    (folder.path / "R__named.sql").write_text(view.format(2))
    assert folder.runner.schema_differences() == []


def test_other_tables_of_the_schema_are_mentioned_and_no_fault(
    migrated: Database, tmp_path
) -> None:
    folder = Folder(tmp_path / "own", migrated)
    folder.write(m0001_stars="CREATE TABLE stars (id integer)")
    runner = folder.runner_with(table="own_history")
    runner.migrate()
    folder.db.client.execute("CREATE TABLE others (id integer)")
    (other,) = runner.schema_differences()
    assert (str(other), other.harmless) == ("table others was added, which is no fault", True)


def test_of_forgedbs_own_migrations_the_kept_parts_are_compared(migrated: Database) -> None:
    assert Runner(migrated).schema_differences() == []
    migrated.client.execute("CREATE INDEX extra ON projects (name)")
    (extra,) = Runner(migrated).schema_differences()
    assert str(extra) == "index extra on projects was added, which is no fault"


def test_a_history_that_is_not_the_files_is_put_right_first(folder: Folder) -> None:
    made(folder).write(m0001_all="CREATE TABLE stars (id integer)")
    with pytest.raises(MigrationDrift, match="0001_all"):
        folder.runner.schema_differences()
    folder.remove("0001_all").write(m0002_more="CREATE TABLE more (id integer)")
    with pytest.raises(MigrationError, match="file is missing"):
        folder.runner.schema_differences()


def test_nothing_is_compared_where_nothing_was_applied(folder: Folder) -> None:
    folder.write(m0001_stars="CREATE TABLE stars (id integer)")
    assert folder.runner.schema_differences() == []


def scratch_databases(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'forgedb_s%'"
        )
        return [name for (name,) in found if name.startswith(PREFIX)]


@on_postgres
@pytest.mark.parametrize("error", [KeyboardInterrupt, MigrationError("f", 0, "", (), ())])
def test_the_scratch_database_is_dropped_whatever_happens(
    folder: Folder, url: str, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    made(folder)
    seen: list[str] = []

    def fail(*_: object) -> None:
        seen.extend(scratch_databases(url))
        raise error

    monkeypatch.setattr(Runner, "make", fail)
    with pytest.raises((KeyboardInterrupt, MigrationError)) as raised:
        folder.runner.schema_differences()
    assert isinstance(raised.value, error if isinstance(error, type) else type(error))
    assert len(seen) == 1
    assert scratch_databases(url) == []


@on_postgres
def test_the_scratch_database_has_the_encoding_and_the_locale_of_the_live_one(url: str) -> None:
    like = "SELECT encoding, datcollate, datctype FROM pg_database WHERE datname = {}"
    name = f"forgedb_test_latin_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'POSIX'"
            " LC_CTYPE 'POSIX'"
        )
        try:
            latin = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
            with forgedb.connect(latin) as db, db._runner.scratch():
                (made,) = scratch_databases(url)
                live = connection.execute(like.format(f"'{name}'")).fetchall()
                assert connection.execute(like.format(f"'{made}'")).fetchall() == live
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, ""),
        ({"datlocprovider": "c", "daticulocale": None}, ""),
        (
            {"datlocprovider": "i", "daticulocale": "sv-SE", "daticurules": "& a < b"},
            " LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE' ICU_RULES '& a < b'",
        ),
        (
            {"datlocprovider": "b", "datlocale": "C.UTF-8", "daticurules": None},
            " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
        ),
    ],
    ids=["before 15", "libc", "icu of 16", "builtin of 17"],
)
def test_a_locale_of_any_provider_is_told_to_the_scratch_database(
    row: dict[str, str | None], words: str
) -> None:
    plain = {"encoding": "UTF8", "datcollate": "C", "datctype": "it's"}
    told = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'it''s'"
    assert _as_in({**plain, **row}) == f"{told}{words}"


@on_postgres
def test_a_role_that_can_not_make_databases_names_an_empty_one(
    folder: Folder, url: str, postgres: Databases
) -> None:
    folder.write(m0001_stars="CREATE TABLE stars (id integer)")
    folder.runner.migrate()
    folder.db.client.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    with postgres.new(migrated=True) as other:
        user = urlsplit(postgres.as_application(other)).username
    with forgedb.connect(url.replace("postgres@", f"{user}@")) as db:
        runner = Runner(db, folder.path)
        with pytest.raises(UsageError, match=r"no scratch database can be made.*CREATEDB"):
            runner.schema_differences()
        with postgres.new() as empty, forgedb.connect(empty) as scratch:
            assert runner.schema_differences(scratch) == []
            with pytest.raises(UsageError, match="isn't empty, it has "):
                runner.schema_differences(scratch)
    with forgedb.connect("sqlite://") as other, pytest.raises(UsageError, match="of sqlite"):
        folder.runner.schema_differences(other)


@on_postgres
def test_an_extension_is_told_and_what_it_brings_along_is_not(folder: Folder) -> None:
    folder.write(m0001_words="CREATE EXTENSION pg_trgm; CREATE TABLE words (word text)")
    folder.runner.migrate()
    assert folder.runner.schema_differences() == []
    folder.db.client.execute("DROP EXTENSION pg_trgm")
    (gone,) = folder.runner.schema_differences()
    assert gone.named == "extension pg_trgm"


@on_postgres
def test_a_tenants_schema_is_compared_with_what_the_files_make_in_it(folder: Folder) -> None:
    folder.write(m0001_stars="CREATE TABLE stars (id integer)")
    for tenant in ("acme", "initech"):
        folder.db.client.execute(f"CREATE SCHEMA {tenant}")
        folder.runner_with(schema=tenant).migrate()
    folder.db.client.execute("CREATE TABLE public.others (id integer)")
    folder.db.client.execute("ALTER TABLE initech.stars ADD COLUMN shine integer")
    assert folder.runner_with(schema="acme").schema_differences() == []
    (shine,) = folder.runner_with(schema="initech").schema_differences()
    assert shine.named == "column shine on initech.stars"


@on_postgres
def test_what_the_search_path_leads_to_is_compared_where_it_is(folder: Folder, url: str) -> None:
    folder.write(m0001_stars="CREATE TABLE stars (id integer)")
    folder.db.client.execute("CREATE SCHEMA acme")
    with forgedb.connect(f"{url}?options=-csearch_path%3Dacme,public") as db:
        runner = Migrator(db, folder.path)
        runner.migrate()
        assert runner.schema_differences() == []
        db.client.execute("DROP TABLE acme.stars")
        (gone,) = runner.schema_differences()
    assert gone.named == "table acme.stars"
