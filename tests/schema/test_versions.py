"""The live schema beside the one that the migrations make: whatever was changed is named.

Each tampering is what an administrator can do past forgedb, on a database with a history, and is
looked for by the three commands that say whether all is well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

import forgedb
from forgedb.admin.ddl import schema_sql
from forgedb.migrations.files import load, packaged
from forgedb.schema_check.versions import asked_for, parts_of, path_of, tables_of
from forgedb.sql.split import split
from tests.cli.running import Forgedb
from tests.schema.writing import live_parts
from tests.servers.postgres import Databases, embedded_programs

REMEDY = "the migrations make other parts than are kept: run `make schema`"

ENDLESS = "WITH RECURSIVE t (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM t) SELECT id FROM t"

EDIT = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, {}) WHERE name = "

SQLITE: dict[str, tuple[str, str]] = {
    "a guard dropped": (
        "DROP TRIGGER projects_never_deleted",
        "trigger projects_never_deleted on projects is missing",
    ),
    "a guard replaced": (
        (
            "DROP TRIGGER audit_entries_never_updated;"
            "CREATE TRIGGER audit_entries_never_updated BEFORE UPDATE ON audit_entries"
            " BEGIN SELECT 1; END"
        ),
        "trigger audit_entries_never_updated on audit_entries is different",
    ),
    "a guard edited where it is kept": (
        EDIT.format("'BEFORE DELETE', 'AFTER DELETE'") + "'leases_never_deleted'",
        "trigger leases_never_deleted on leases",
    ),
    "a trigger added": (
        "CREATE TRIGGER spy AFTER INSERT ON leases BEGIN SELECT 1; END",
        "trigger spy on leases was added",
    ),
    "a trigger added to a table whose name is written otherwise": (
        "CREATE TRIGGER spy AFTER INSERT ON LEASES BEGIN SELECT 1; END",
        "trigger spy on leases was added",
    ),
    "a trigger added under a name of SQLite's own": (
        (
            "CREATE TRIGGER spy AFTER INSERT ON leases BEGIN SELECT 1; END;"
            "PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET name = 'sqlite_spy', sql = replace(sql, 'spy', 'sqlite_spy')"
            " WHERE name = 'spy'"
        ),
        "trigger sqlite_spy on leases was added",
    ),
    "a rule edited away": (
        EDIT.format("'lease_epoch >= 0', 'lease_epoch >= -9'") + "'repositories'",
        "table repositories is different",
    ),
    "a foreign key edited away": (
        EDIT.format("'REFERENCES projects (id)', 'REFERENCES projects (slug)'") + "'repositories'",
        "table repositories is different",
    ),
    "a strict table made lax": (
        EDIT.format("') STRICT', ')'") + "'mirrors'",
        "table mirrors is different",
    ),
    "a column added": (
        "ALTER TABLE projects ADD COLUMN extra TEXT",
        "table projects is different",
    ),
    "an index dropped": (
        "DROP INDEX leases_one_open_per_repository",
        "index leases_one_open_per_repository on leases is missing",
    ),
    "a unique index made an ordinary one": (
        (
            "DROP INDEX leases_one_per_fencing_token;"
            "CREATE INDEX leases_one_per_fencing_token ON leases (repository_id, fencing_token)"
        ),
        "index leases_one_per_fencing_token on leases is different",
    ),
    "a unique index added": (
        "CREATE UNIQUE INDEX once ON leases (holder)",
        "index once on leases was added",
    ),
    "a trigger on the history": (
        "CREATE TRIGGER spy AFTER INSERT ON schema_migrations BEGIN SELECT 1; END",
        "schema_migrations",
    ),
    "a table gone": ("DROP TABLE mirrors", "mirrors"),
    "a view in the place of a table": (
        f"PRAGMA foreign_keys = OFF; DROP TABLE projects; CREATE VIEW projects AS {ENDLESS}",
        "projects",
    ),
    "a virtual table in the place of a table": (
        "DROP TABLE mirrors; CREATE VIRTUAL TABLE mirrors USING fts5(id)",
        "mirrors",
    ),
    "an endless view in the place of the history": (
        (
            f"DROP TABLE schema_migrations; CREATE VIEW schema_migrations AS SELECT id AS version,"
            f" '' AS name, '' AS checksum, '' AS applied_at, 0 AS duration_ms FROM ({ENDLESS})"
        ),
        "schema_migrations",
    ),
}
"""What was done, and what must be told of it."""

POSTGRES: dict[str, tuple[str, str]] = {
    "a guard disabled": (
        "ALTER TABLE projects DISABLE TRIGGER projects_never_deleted",
        "trigger projects_never_deleted on projects is different",
    ),
    "a guard left to replicas": (
        "ALTER TABLE leases ENABLE REPLICA TRIGGER leases_change_once",
        "trigger leases_change_once on leases is different",
    ),
    "a guard dropped": (
        "DROP TRIGGER audit_entries_never_truncated ON audit_entries",
        "trigger audit_entries_never_truncated on audit_entries is missing",
    ),
    "a guard replaced": (
        (
            "CREATE OR REPLACE TRIGGER projects_never_deleted BEFORE DELETE ON projects"
            " FOR EACH ROW WHEN (false) EXECUTE FUNCTION forgedb_refuse('x', 'y')"
        ),
        "trigger projects_never_deleted on projects is different",
    ),
    "a trigger added": (
        (
            "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER spy AFTER INSERT ON leases FOR EACH ROW EXECUTE FUNCTION spy()"
        ),
        "trigger spy on leases was added",
    ),
    "foreign keys disabled": (
        "ALTER TABLE leases DISABLE TRIGGER ALL",
        "constraint leases_repository_id_fkey on leases is different",
    ),
    "a foreign key disabled on a partition": (
        "ALTER TABLE object_metadata_07 DISABLE TRIGGER ALL",
        "constraint object_metadata_repository_id_fkey on object_metadata is different",
    ),
    "what a guard calls replaced": (
        (
            "CREATE OR REPLACE FUNCTION forgedb_refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN coalesce(NEW, OLD); END'"
        ),
        "function forgedb_refuse() is different",
    ),
    "what a guard calls given other settings": (
        "ALTER FUNCTION forgedb_touch_updated_at() SET search_path = pg_temp",
        "function forgedb_touch_updated_at() is different",
    ),
    "what a guard asks made stable": (
        "ALTER FUNCTION forgedb_has_live_repositories(ulid) STABLE",
        "function forgedb_has_live_repositories(project_id ulid) is different",
    ),
    "a function beside one of the schema's": (
        (
            "CREATE FUNCTION forgedb_digest(varchar) RETURNS bytea LANGUAGE sql"
            " AS 'SELECT NULL::bytea'"
        ),
        "function forgedb_digest(character varying) was added",
    ),
    "a rule added": (
        "CREATE RULE lost AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
        "audit_entries",
    ),
    "row security": ("ALTER TABLE leases ENABLE ROW LEVEL SECURITY", "leases"),
    "a policy": (
        "CREATE POLICY own ON leases USING (holder = current_user)",
        "policy own on leases was added",
    ),
    "a check dropped": (
        "ALTER TABLE repositories DROP CONSTRAINT repositories_lease_epoch_check",
        "constraint repositories_lease_epoch_check on repositories is missing",
    ),
    "a check made anew that was never checked": (
        (
            "ALTER TABLE leases DROP CONSTRAINT leases_72_hours_check;"
            "ALTER TABLE leases ADD CONSTRAINT leases_72_hours_check"
            " CHECK (expires_at > acquired_at AND expires_at <= acquired_at + INTERVAL '72 hours')"
            " NOT VALID"
        ),
        "constraint leases_72_hours_check on leases is different",
    ),
    "a check of a partition's own": (
        "ALTER TABLE object_metadata_03 ADD CONSTRAINT none CHECK (size < 9)",
        "constraint none on object_metadata_03 was added",
    ),
    "a foreign key dropped": (
        "ALTER TABLE mirrors DROP CONSTRAINT mirrors_repository_id_fkey",
        "constraint mirrors_repository_id_fkey on mirrors is missing",
    ),
    "a key dropped": (
        "ALTER TABLE mirrors DROP CONSTRAINT mirrors_one_per_id",
        "mirrors",
    ),
    "a column that may be NULL": (
        "ALTER TABLE leases ALTER COLUMN holder DROP NOT NULL",
        "column holder on leases is different",
    ),
    "a column with a default": (
        "ALTER TABLE leases ALTER COLUMN purpose SET DEFAULT 'none'",
        "column purpose on leases is different",
    ),
    "a default of a partition's own": (
        "ALTER TABLE object_metadata_03 ALTER COLUMN size SET DEFAULT 0",
        "column size on object_metadata_03 was added",
    ),
    "a column of another type": (
        "ALTER TABLE object_metadata ALTER COLUMN disk_size TYPE integer",
        "column disk_size on object_metadata is different",
    ),
    "a column of another collation": (
        'ALTER TABLE audit_entries ALTER COLUMN request_id TYPE text COLLATE "POSIX"',
        "column request_id on audit_entries is different",
    ),
    "a column added": (
        "ALTER TABLE leases ADD COLUMN extra text",
        "column extra on leases was added",
    ),
    "a column that is read dropped": (
        "ALTER TABLE projects DROP COLUMN deleted_at CASCADE",
        "column deleted_at on projects is",
    ),
    "an index dropped": (
        "DROP INDEX leases_one_open_per_repository",
        "index leases_one_open_per_repository on leases is missing",
    ),
    "an index that is not in use": (
        (
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'leases_one_per_fencing_token'::regclass"
        ),
        "leases_one_per_fencing_token",
    ),
    "a unique index added": (
        "CREATE UNIQUE INDEX once ON leases (holder)",
        "index once on leases was added",
    ),
    "a type without its rule": (
        "ALTER DOMAIN ulid DROP CONSTRAINT ulid_check",
        "domain ulid is different",
    ),
    "a table that a crash empties": (
        "ALTER TABLE audit_checkpoints SET UNLOGGED",
        "table audit_checkpoints is different",
    ),
    "a table whose rows are read with another's": (
        "CREATE TABLE more (PRIMARY KEY (id)) INHERITS (leases)",
        "table more was added",
    ),
    "a partition gone": (
        "ALTER TABLE object_metadata DETACH PARTITION object_metadata_05",
        "table object_metadata_05 is missing",
    ),
    "a foreign table in the place of a partition": (
        (
            "CREATE EXTENSION postgres_fdw;"
            "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;"
            "DROP TABLE object_metadata_05;"
            "ALTER TABLE object_metadata DROP CONSTRAINT object_metadata_one_per_oid,"
            " DROP CONSTRAINT object_metadata_repository_id_fkey;"
            "CREATE FOREIGN TABLE object_metadata_05 PARTITION OF object_metadata"
            " FOR VALUES WITH (MODULUS 16, REMAINDER 5) SERVER far"
        ),
        "object_metadata",
    ),
    "a table gone": ("DROP TABLE mirrors", "mirrors"),
    "a view in the place of a table": (
        f"DROP TABLE projects CASCADE; CREATE VIEW projects AS {ENDLESS}",
        "projects",
    ),
    "a materialized view in the place of a table": (
        "DROP TABLE mirrors CASCADE; CREATE MATERIALIZED VIEW mirrors AS SELECT 1 AS id",
        "mirrors",
    ),
    "a table of another schema, found first": (
        (
            "CREATE SCHEMA nearer; CREATE TABLE nearer.mirrors (LIKE public.mirrors INCLUDING ALL);"
            "DO $$ BEGIN EXECUTE format("
            "'ALTER DATABASE %I SET search_path = nearer, public', current_database()); END $$"
        ),
        "table mirrors is different",
    ),
    "an endless view in the place of the history": (
        (
            f"DROP TABLE schema_migrations; CREATE VIEW schema_migrations AS SELECT id AS version,"
            f" '' AS name, '' AS checksum, now() AS applied_at, 0 AS duration_ms"
            f" FROM ({ENDLESS}) AS e"
        ),
        "schema_migrations",
    ),
    "a trigger on the history": (
        (
            "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER spy AFTER INSERT ON schema_migrations"
            " FOR EACH ROW EXECUTE FUNCTION spy()"
        ),
        "schema_migrations",
    ),
}

POSTGRES_18: dict[str, tuple[str, str]] = {
    "a foreign key that is not enforced": (
        "ALTER TABLE mirrors ALTER CONSTRAINT mirrors_repository_id_fkey NOT ENFORCED",
        "constraint mirrors_repository_id_fkey on mirrors is different",
    ),
    "a column that was never checked for NULL": (
        (
            "ALTER TABLE leases ALTER COLUMN holder DROP NOT NULL;"
            "ALTER TABLE leases ADD CONSTRAINT h NOT NULL holder NOT VALID"
        ),
        "column holder on leases is different",
    ),
}

HARMLESS = {
    "an index added": ("CREATE INDEX of_purpose ON leases (purpose)", "index of_purpose on leases"),
    "a view added": ("CREATE VIEW open AS SELECT id FROM leases", "view open on leases"),
}

EXTRAS = (
    "CREATE TABLE stars (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE INDEX stars_by_name ON stars (name)",
    "CREATE VIEW named AS SELECT name FROM stars",
)
"""An application's own, in the same schema."""


def run(url: str, script: str) -> None:
    """Run the script past forgedb."""
    if url.startswith("sqlite"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.execute(script)
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as raw:
        raw.execute(script.encode())


@pytest.fixture(params=["sqlite", "postgres"])
def cli(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Forgedb]:
    """The command line on a migrated database with a history."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/forge.db"
        Forgedb(url, capsys).ok("migrate")
        yield _with_history(Forgedb(url, capsys))
        return
    with request.getfixturevalue("postgres").new(migrated=True) as url:
        yield _with_history(Forgedb(url, capsys))


def _with_history(cli: Forgedb) -> Forgedb:
    with forgedb.connect(cli.url, actor="user:ada") as db:
        repository = db.repositories.create(db.projects.create("p", "P").id, "r")
        db.leases.acquire(repository.id, "worker-1")
    return cli


def _assert_named(cli: Forgedb, words: str) -> None:
    """Each of the three commands names it, and fails."""
    for command, codes in (
        (("status",), (4,)),
        (("migrate", "verify"), (4,)),
        (("audit", "verify"), (8, 4)),
    ):
        result = cli(*command)
        assert words in result.out + result.error, (command, result)
        assert result.code in codes, (command, result)


def _tried(tamperings: dict[str, tuple[str, str]]) -> Any:
    return pytest.mark.parametrize(
        ("script", "words"),
        tamperings.values(),
        ids=[name.replace(" ", "-") for name in tamperings],
    )


@pytest.mark.parametrize("cli", ["sqlite"], indirect=True)
@_tried(SQLITE)
def test_what_was_changed_on_sqlite_is_named_by_each_command(
    cli: Forgedb, script: str, words: str
) -> None:
    run(cli.url, script)
    _assert_named(cli, words)


@pytest.mark.parametrize("cli", ["postgres"], indirect=True)
@_tried(POSTGRES)
def test_what_was_changed_on_postgres_is_named_by_each_command(
    cli: Forgedb, script: str, words: str
) -> None:
    run(cli.url, script)
    _assert_named(cli, words)


@pytest.mark.parametrize("cli", ["postgres"], indirect=True)
def test_what_newer_servers_leave_unenforced_is_named(cli: Forgedb) -> None:
    with psycopg.connect(cli.url) as raw:
        version = raw.info.server_version
    for script, words in POSTGRES_18.values():
        if version >= 18_00_00:
            run(cli.url, script)
            _assert_named(cli, words)


@_tried(HARMLESS)
def test_what_changes_nothing_is_mentioned_and_no_fault(
    cli: Forgedb, script: str, words: str
) -> None:
    run(cli.url, script)
    assert f"{words} was added, which is no fault" in cli.ok("migrate", "verify")
    assert ", up to date" in cli.ok("status")
    cli.ok("audit", "verify")
    (difference,) = cli.data("migrate", "verify")["differences"]
    assert (difference["what"], difference["harmless"]) == ("added", True)


def test_an_applications_own_tables_in_the_schema_are_its_own(cli: Forgedb) -> None:
    for statement in EXTRAS:
        run(cli.url, statement)
    assert cli.data("migrate", "verify")["differences"] == []
    cli.ok("status")
    cli.ok("audit", "verify")


def test_each_difference_is_told_whole_as_json(cli: Forgedb) -> None:
    on = "" if cli.url.startswith("sqlite") else " ON leases"
    run(cli.url, f"DROP TRIGGER leases_never_deleted{on}")
    told = cli("status", "--json").json["differences"]
    assert told == cli("migrate", "verify", "--json").json["differences"]
    (difference,) = told
    assert difference["expected"].startswith("CREATE TRIGGER leases_never_deleted")
    assert difference["found"] is None
    (problem,) = cli("audit", "verify", "--json").json["problems"]
    assert problem["schema"] == "leases_never_deleted"
    # It can be put back from what is told.
    run(cli.url, difference["expected"])
    cli.ok("status")


def test_a_view_in_the_place_of_a_table_is_refused_before_anything_is_read(cli: Forgedb) -> None:
    sqlite = cli.url.startswith("sqlite")
    drop = "DROP TABLE projects" + ("" if sqlite else " CASCADE")
    run(cli.url, f"{drop}; CREATE VIEW projects AS {ENDLESS}")
    with forgedb.connect(cli.url, actor="user:ada") as db:
        for call in (
            lambda: db.projects.list(limit=1),
            lambda: db.projects.create("q", "Q"),
            lambda: db.audit.verify(after=None),
        ):
            with pytest.raises(forgedb.MigrationDrift) as refused:
                call()
            assert refused.value.file == "projects"
            assert refused.value.found == "a view"
        with pytest.raises(forgedb.MigrationDrift), db.transaction() as tx:
            tx.projects.list()


# What is kept.


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest) -> Iterator[forgedb.Database]:
    if request.param == "sqlite":
        with forgedb.connect("sqlite://") as db:
            yield db
        return
    with request.getfixturevalue("postgres").new() as url, forgedb.connect(url) as db:
        yield db


def test_the_parts_kept_of_each_version_are_what_its_migrations_make(
    empty: forgedb.Database,
) -> None:
    dialect = empty.client.dialect
    for migration in load(packaged(dialect)):
        empty.migrate(migration.version)
        kept = Path(path_of(dialect, migration.version)).read_bytes()
        assert kept == live_parts(empty), REMEDY


def test_the_tables_asked_for_at_first_use_are_those_of_the_version() -> None:
    newest = load(packaged("sqlite"))[-1].version
    on_sqlite, on_postgres = (tables_of(each, newest) for each in ("sqlite", "postgres"))
    assert on_sqlite == on_postgres
    assert {"projects", "leases", "schema_migrations"} <= set(on_sqlite)
    assert set(on_postgres) < set(asked_for(parts_of("postgres", newest)))


def test_a_schema_loaded_from_its_written_text_has_no_difference(
    empty: forgedb.Database, request: pytest.FixtureRequest
) -> None:
    empty.migrate()
    written, dialect = schema_sql(empty), empty.client.dialect
    history = empty.client.query(
        "SELECT version, name, checksum, applied_at, duration_ms FROM schema_migrations"
    )
    insert = (
        "INSERT INTO schema_migrations VALUES"
        " (:version, :name, :checksum, :applied_at, :duration_ms)"
    )
    columns = ("version", "name", "checksum", "applied_at", "duration_ms")

    def load_into(again: forgedb.Database) -> None:
        for statement in split(written, dialect):
            again.client.execute(statement.text)
        for row in history:
            again.client.execute(insert, dict(zip(columns, row, strict=True)))
        assert forgedb.migrations.Runner(again).differences() == []

    if dialect == "sqlite":
        with forgedb.connect("sqlite://") as again:
            load_into(again)
        return
    databases: Databases = request.getfixturevalue("postgres")
    with databases.new() as url, forgedb.connect(url) as again:
        load_into(again)


def test_a_schema_restored_from_a_dump_has_no_difference(
    postgres: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = embedded_programs()
    with postgres.new(migrated=True) as url, postgres.new() as again:
        dump = subprocess.run(
            [programs / "pg_dump", "--no-owner", "--dbname", url], capture_output=True, check=True
        )
        subprocess.run(
            [programs / "psql", "--quiet", "--set=ON_ERROR_STOP=1", again],
            input=dump.stdout.replace(b"SET transaction_timeout = 0;\n", b""),
            capture_output=True,
            check=True,
        )
        assert Forgedb(again, capsys).data("migrate", "verify")["differences"] == []


def test_a_backup_and_a_vacuum_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = Forgedb(f"sqlite:///{tmp_path}/forge.db", capsys)
    cli.ok("migrate")
    cli.ok("backup", f"{tmp_path}/copy.db")
    run(f"sqlite:///{tmp_path}/copy.db", "VACUUM; ANALYZE")
    copy = Forgedb(f"sqlite:///{tmp_path}/copy.db", capsys)
    assert copy.data("migrate", "verify")["differences"] == []


def test_a_schema_of_another_name_has_no_difference(
    postgres: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres.new() as url:
        run(
            url,
            """
            CREATE SCHEMA project;
            DO $$ BEGIN EXECUTE format(
                'ALTER DATABASE %I SET search_path = project, public', current_database()
            ); END $$;
            """,
        )
        cli = Forgedb(url, capsys)
        cli.ok("migrate")
        assert cli.data("migrate", "verify")["differences"] == []
