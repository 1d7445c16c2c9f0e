"""What another role left in the schema before the owner's migration: none of it runs, or is read.

Everyone may create in ``public`` here, as on servers that were upgraded from before PostgreSQL 15.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import apsw
import psycopg
import pytest
from psycopg import sql

import forgedb
from forgedb import MigrationDrift
from forgedb.migrations import Runner
from tests.migrations.folder import A, Folder
from tests.servers.postgres import Databases

TABLE = """
CREATE TABLE schema_migrations (
    version bigint PRIMARY KEY, name text, checksum text, applied_at timestamptz, duration_ms bigint
)
"""

BEGUN = """
CREATE TABLE schema_migrations_begun (
    version bigint, name text, state text, done bigint, done_checksum text, begun_at timestamptz,
    begun_by text, error text
)
"""

MALLORY = f"mallory_{os.getpid()}"

RAN = "her function ran as"

FUNCTIONS = f"""
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RAISE EXCEPTION ''{RAN} %'', current_user; END';
CREATE FUNCTION told(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    AS 'BEGIN IF current_user <> ''{MALLORY}'' THEN RAISE EXCEPTION ''{RAN} %'', current_user;
        END IF; RETURN $1; END';
"""

GIVEN = "GRANT ALL ON schema_migrations TO PUBLIC"

MADE_BEFORE: dict[str, tuple[str, str]] = {
    "a trigger": (
        (
            f"{TABLE}; CREATE TRIGGER t BEFORE INSERT ON schema_migrations"
            " FOR EACH ROW EXECUTE FUNCTION spy()"
        ),
        f"role {MALLORY}|trigger t",
    ),
    "a trigger of a statement": (
        f"{TABLE}; CREATE TRIGGER t AFTER INSERT ON schema_migrations EXECUTE FUNCTION spy()",
        f"role {MALLORY}|trigger t",
    ),
    "a rule": (
        (f"{TABLE}; CREATE RULE r AS ON INSERT TO schema_migrations DO ALSO SELECT told(NEW.name)"),
        f"role {MALLORY}|rule r",
    ),
    "a default": (
        f"{TABLE}; ALTER TABLE schema_migrations ADD extra text DEFAULT told('x')",
        f"role {MALLORY}|default of extra",
    ),
    "a check": (
        f"{TABLE}; ALTER TABLE schema_migrations ADD CHECK (told(name) IS NOT NULL)",
        f"role {MALLORY}|rule schema_migrations_name_check",
    ),
    "an index": (
        f"{TABLE}; CREATE INDEX i ON schema_migrations (told(name))",
        f"role {MALLORY}|index i",
    ),
    "row security": (
        (
            f"{TABLE}; ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY p ON schema_migrations USING (told(name) IS NOT NULL);"
            "INSERT INTO schema_migrations VALUES (1, 'x', 'y', now(), 0)"
        ),
        "row security",
    ),
    "a type of her own": (
        (
            "CREATE DOMAIN word AS text CHECK (told(VALUE) IS NOT NULL);"
            f"{TABLE}; ALTER TABLE schema_migrations ALTER COLUMN name TYPE word"
        ),
        "column name is of the type word",
    ),
    "a view": (
        (
            "CREATE VIEW schema_migrations AS SELECT 1::bigint AS version, told('x') AS name,"
            " 'y' AS checksum, now() AS applied_at, 0::bigint AS duration_ms"
        ),
        "a view",
    ),
    "a table with children": (
        f"{TABLE}; CREATE TABLE more (PRIMARY KEY (version)) INHERITS (schema_migrations)",
        "rows of more",
    ),
    "a table with partitions": (
        f"{TABLE} PARTITION BY LIST (version)",
        "no plain table",
    ),
    "nothing but that it is hers": (TABLE, f"role {MALLORY}"),
}

BESIDE: dict[str, tuple[str, str]] = {
    "what the lock calls": (
        (
            "CREATE FUNCTION hashtextextended(text, integer) RETURNS bigint LANGUAGE sql"
            " AS $$SELECT length(told($1))::bigint$$"
        ),
        "hashtextextended",
    ),
    "an operator": (
        (
            "CREATE FUNCTION same(text, varchar) RETURNS boolean LANGUAGE sql"
            " AS $$SELECT told($1) = $2$$;"
            "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = varchar, FUNCTION = same)"
        ),
        "operator public.=",
    ),
    "a function of another number of arguments": (
        (
            "CREATE FUNCTION strpos(varchar, varchar) RETURNS integer LANGUAGE sql"
            " AS $$SELECT length(told($1))$$"
        ),
        "function public.strpos",
    ),
}


@pytest.fixture(scope="module")
def roles(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The owner of the schema, who is no superuser, and somebody else."""
    names = (f"owner_{os.getpid()}", MALLORY)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        yield names
        for name in names:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def place(postgres: Databases, roles: tuple[str, str]) -> Iterator[tuple[str, str, str]]:
    """A database's URL as the owner, as the other, and as a superuser."""
    with postgres.new() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
        yield (*(_as(url, role) for role in roles), url)
        with psycopg.connect(url, autocommit=True) as admin:
            for role in roles:
                admin.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))


def _as(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute(script.encode())


def _refused(url: str) -> MigrationDrift:
    with forgedb.connect(url) as db:
        for migrate in (db.migrate, Runner(db).rehearse, lambda: Runner(db).baseline(1)):
            with pytest.raises(MigrationDrift) as refused:
                migrate()
            assert RAN not in str(refused.value)
    return refused.value


@pytest.mark.parametrize(
    ("script", "found"), MADE_BEFORE.values(), ids=[name.replace(" ", "-") for name in MADE_BEFORE]
)
@pytest.mark.parametrize("who", ["owner", "superuser"])
def test_a_history_that_somebody_else_made_is_refused_before_it_is_used(
    place: tuple[str, str, str], script: str, found: str, who: str
) -> None:
    owner, mallory, superuser = place
    run(mallory, f"{FUNCTIONS}; {script}; {GIVEN}")
    refused = _refused(owner if who == "owner" else superuser)
    assert refused.file == "schema_migrations"
    assert any(words in refused.found for words in found.split("|")), refused
    assert "drop it" in str(refused)
    with psycopg.connect(superuser) as admin:
        assert admin.execute("SELECT to_regclass('projects')").fetchone() == (None,)


def test_what_she_hung_onto_the_owners_own_history_is_refused(
    place: tuple[str, str, str],
) -> None:
    owner, mallory, _ = place
    with forgedb.connect(owner) as db:
        db.migrate()
    run(owner, "GRANT TRIGGER ON schema_migrations TO PUBLIC")
    run(
        mallory,
        f"{FUNCTIONS}; CREATE TRIGGER t BEFORE INSERT ON schema_migrations"
        " FOR EACH ROW EXECUTE FUNCTION spy()",
    )
    with forgedb.connect(owner) as db, pytest.raises(MigrationDrift, match="the trigger t"):
        db.migrate()


def test_the_other_table_of_the_history_is_looked_at_too(place: tuple[str, str, str]) -> None:
    owner, mallory, _ = place
    run(mallory, f"{BEGUN}; GRANT ALL ON schema_migrations_begun TO PUBLIC")
    refused = _refused(owner)
    assert (refused.file, refused.found) == (
        "schema_migrations_begun",
        f"a table of the role {MALLORY}",
    )


@pytest.mark.parametrize(
    ("script", "named"), BESIDE.values(), ids=[name.replace(" ", "-") for name in BESIDE]
)
def test_what_may_be_called_in_the_place_of_the_servers_own_is_refused(
    place: tuple[str, str, str], script: str, named: str
) -> None:
    owner, mallory, superuser = place
    run(mallory, f"{FUNCTIONS}; {script}")
    for url in (owner, superuser):
        refused = _refused(url)
        assert named in refused.file
        assert f"one of the role {MALLORY}" in str(refused)


def test_what_may_be_called_in_the_place_of_the_servers_own_is_named_later_too(
    place: tuple[str, str, str],
) -> None:
    owner, mallory, _ = place
    with forgedb.connect(owner) as db:
        db.migrate()
        run(
            mallory,
            "CREATE FUNCTION same(ulid, ulid) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
            "CREATE OPERATOR = (LEFTARG = ulid, RIGHTARG = ulid, FUNCTION = same)",
        )
        (difference,) = Runner(db).differences()
        assert (difference.kind, difference.name, difference.what) == (
            "operator",
            "public.=",
            "added",
        )


def test_her_own_tables_and_functions_of_other_names_are_no_fault(
    place: tuple[str, str, str],
) -> None:
    owner, mallory, _ = place
    run(mallory, f"{FUNCTIONS}; CREATE TABLE hers (id bigint)")
    with forgedb.connect(owner) as db:
        db.migrate()
        assert Runner(db).differences() == []


def test_a_table_of_hers_in_the_place_of_one_of_the_schemas_is_an_error(
    place: tuple[str, str, str],
) -> None:
    owner, mallory, _ = place
    run(mallory, "CREATE TABLE projects (id text); GRANT ALL ON projects TO PUBLIC")
    with (
        forgedb.connect(owner) as db,
        pytest.raises(forgedb.MigrationError, match="already exists"),
    ):
        db.migrate()


def test_a_member_of_the_owning_role_and_the_owner_of_the_database_may_migrate(
    place: tuple[str, str, str], roles: tuple[str, str]
) -> None:
    owner, mallory, superuser = place
    with forgedb.connect(owner) as db:
        db.migrate()
    with forgedb.connect(mallory) as db, pytest.raises(MigrationDrift, match=f"role {roles[0]}"):
        db.migrate()
    run(superuser, f"GRANT {roles[0]} TO {MALLORY}")
    try:
        with forgedb.connect(mallory) as db:
            assert db.migrate() == []
    finally:
        run(superuser, f"REVOKE {roles[0]} FROM {MALLORY}")


def test_who_only_reads_needs_no_history_of_its_own(place: tuple[str, str, str]) -> None:
    owner, mallory, _ = place
    with forgedb.connect(owner) as db:
        db.migrate()
    run(owner, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {MALLORY}")
    with forgedb.connect(mallory) as db:
        assert db.pending_migrations() == []
        assert db.projects.list().items == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (
            (
                "CREATE TABLE schema_migrations (version INTEGER, name, checksum, applied_at,"
                " duration_ms); CREATE TRIGGER t AFTER INSERT ON Schema_Migrations"
                " BEGIN SELECT RAISE(ABORT, 'it ran'); END"
            ),
            "a table with the trigger t",
        ),
        (
            (
                "CREATE VIEW Schema_Migrations AS WITH RECURSIVE e (version) AS"
                " (SELECT 1 UNION ALL SELECT version + 1 FROM e) SELECT version, '' AS name,"
                " '' AS checksum, '' AS applied_at, 0 AS duration_ms FROM e"
            ),
            "a view",
        ),
        ("CREATE VIEW schema_migrations_begun AS SELECT 1 AS version", "a view"),
    ],
    ids=["a trigger", "an endless view", "the other table"],
)
def test_a_history_on_sqlite_that_is_a_view_or_has_a_trigger_is_refused(
    tmp_path: Path, script: str, found: str
) -> None:
    path = tmp_path / "forge.db"
    connection = apsw.Connection(str(path))
    connection.execute(script)
    connection.close()
    with (
        forgedb.connect(f"sqlite:///{path}") as db,
        pytest.raises(MigrationDrift) as refused,
    ):
        db.migrate()
    assert refused.value.found == found


def test_a_history_of_another_name_is_looked_at_in_the_same_way(
    place: tuple[str, str, str], tmp_path: Path
) -> None:
    owner, mallory, _ = place
    run(
        mallory,
        f"{FUNCTIONS}; {TABLE.replace('schema_migrations', 'stars')};"
        "CREATE TRIGGER t BEFORE INSERT ON stars FOR EACH ROW EXECUTE FUNCTION spy();"
        "GRANT ALL ON stars TO PUBLIC",
    )
    with forgedb.connect(owner) as db:
        folder = Folder(tmp_path / "migrations", db).write(m0001_a=A)
        with pytest.raises(MigrationDrift) as refused:
            Runner(db, folder.path, table="stars").migrate()
        assert refused.value.file == "stars"
