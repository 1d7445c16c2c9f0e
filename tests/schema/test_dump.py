"""The schema of any database, written as SQL: nothing is lost, and history leaves no trace."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import apsw
import psycopg
import pytest

import forgedb
from forgedb.admin.ddl import schema_sql
from forgedb.admin.schema import read_schema
from tests.cli.running import Forgedb
from tests.servers.postgres import Databases, embedded_programs

POSTGRES = {
    "types that are made of each other": """
        CREATE DOMAIN zeroth AS integer;
        CREATE DOMAIN first AS zeroth NOT NULL DEFAULT 1;
        ALTER DOMAIN first ADD CONSTRAINT later CHECK (VALUE > 0) NOT VALID;
        CREATE TYPE pair AS (a first, b text);
        CREATE TYPE mood AS ENUM ('it''s', 'calm');
        CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
        CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql IMMUTABLE
            AS 'SELECT length($1) < 9';
        CREATE DOMAIN short AS varchar(9) COLLATE "C" CHECK (is_short(VALUE));
        CREATE TABLE t (p pair, m mood[] DEFAULT '{}', s span, w short);
    """,
    "functions that need tables, and tables that need functions": """
        CREATE TABLE t (a integer);
        CREATE FUNCTION all_t() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';
        CREATE FUNCTION is_good(t) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        ALTER TABLE t ADD CHECK (is_good(t));
        CREATE VIEW v AS SELECT a FROM t;
        CREATE FUNCTION counted() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM v; END;
        CREATE TABLE a (c bigint DEFAULT counted() CHECK (c > counted()));
        CREATE FUNCTION f(i integer DEFAULT 1, VARIADIC j integer[] DEFAULT '{}')
            RETURNS TABLE (x text) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public
            AS $$ BEGIN RETURN QUERY SELECT 'public.f'::text FROM public.f(i); END $$;
        CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
    """,
    "tables": """
        CREATE SEQUENCE "Counter" START 5 INCREMENT 2 CYCLE;
        CREATE TABLE "Parent" (
            id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
            own serial,
            number integer DEFAULT nextval('"Counter"') UNIQUE,
            twice integer GENERATED ALWAYS AS (number * 2) {kind},
            price numeric(10, 2) CONSTRAINT "is there" CHECK (price > 0)
        );
        ALTER TABLE "Parent" ADD CONSTRAINT later CHECK (own > 0) NOT VALID;
        CREATE UNIQUE INDEX by_own ON "Parent" (own) WITH (fillfactor = 70);
        CREATE TABLE a (number integer REFERENCES "Parent" (own) ON DELETE CASCADE);
        CREATE UNLOGGED TABLE quick (a integer) WITH (fillfactor = 70);
        CREATE TABLE base (x integer NOT NULL, CHECK (x > 0));
        CREATE TABLE above (y integer) INHERITS (base);
    """,
    "partitions": """
        CREATE TABLE a (x integer, y integer DEFAULT 1, z integer GENERATED ALWAYS AS (y) STORED)
            PARTITION BY LIST (x);
        CREATE TABLE "0" PARTITION OF a (y DEFAULT 2, CONSTRAINT own CHECK (y > 0), UNIQUE (z))
            FOR VALUES IN (1);
        CREATE TABLE b PARTITION OF a FOR VALUES IN (2) PARTITION BY LIST (y);
        CREATE TABLE aa PARTITION OF b DEFAULT;
        CREATE UNIQUE INDEX of_all ON a (x, y);
        CREATE INDEX of_one ON "0" (y);
        CREATE STATISTICS of_both ON x, y FROM a;
    """,
    "views, rules and triggers": """
        CREATE TABLE t (id integer PRIMARY KEY, b text);
        CREATE VIEW z WITH (security_barrier) AS SELECT t.* FROM t GROUP BY id;
        CREATE VIEW checked AS SELECT id FROM t WHERE id > 0 WITH LOCAL CHECK OPTION;
        CREATE MATERIALIZED VIEW m AS SELECT id FROM z;
        CREATE VIEW a AS SELECT id FROM m;
        CREATE UNIQUE INDEX of_view ON m (id);
        CREATE RULE kept AS ON DELETE TO t DO INSTEAD NOTHING;
        CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER inserts INSTEAD OF INSERT ON z FOR EACH ROW EXECUTE FUNCTION g('it''s');
        CREATE TRIGGER off BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g();
        ALTER TABLE t DISABLE TRIGGER off;
        CREATE TRIGGER always BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g();
        ALTER TABLE t ENABLE ALWAYS TRIGGER always;
    """,
    "row security": """
        CREATE TABLE t (a integer);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        ALTER TABLE t FORCE ROW LEVEL SECURITY;
        CREATE POLICY seen ON t USING (a > 0);
        CREATE POLICY changed ON t AS RESTRICTIVE FOR UPDATE USING (a > 1) WITH CHECK (a > 2);
    """,
    "comments": """
        CREATE DOMAIN d AS integer CONSTRAINT k CHECK (VALUE > 0);
        CREATE TYPE c AS (x integer);
        CREATE TABLE t (a integer PRIMARY KEY);
        CREATE VIEW v AS SELECT a FROM t;
        CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g();
        CREATE POLICY p ON t USING (true);
        COMMENT ON DOMAIN d IS 'of a domain';
        COMMENT ON CONSTRAINT k ON DOMAIN d IS 'of its rule';
        COMMENT ON TYPE c IS 'of a type';
        COMMENT ON TABLE t IS 'of it''s table';
        COMMENT ON COLUMN t.a IS 'of a column';
        COMMENT ON CONSTRAINT t_pkey ON t IS 'of a key';
        COMMENT ON INDEX t_pkey IS 'of its index';
        COMMENT ON VIEW v IS 'of a view';
        COMMENT ON COLUMN v.a IS 'of its column';
        COMMENT ON FUNCTION g() IS E'of a back\\\\slash';
        COMMENT ON TRIGGER r ON t IS 'of a trigger';
        COMMENT ON POLICY p ON t IS 'of a policy';
    """,
    "extensions": """
        CREATE EXTENSION hstore;
        CREATE TABLE t (h hstore);
        CREATE INDEX i ON t USING gin (h);
    """,
}

SQLITE = """
    CREATE TABLE parent (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        word TEXT DEFAULT 'one
          two
        three'
    );
    CREATE TABLE "sqlite's child" (parent REFERENCES parent);
    CREATE INDEX of_word ON parent (word) -- why not
    ;
    CREATE VIEW v AS SELECT 1 -- ends in a comment
    ;
    CREATE VIEW u AS SELECT ';' AS a /* so does this */;
    CREATE TRIGGER g AFTER INSERT ON parent BEGIN
        SELECT CASE WHEN 1 THEN 2 END;
    END;
    CREATE VIRTUAL TABLE searched USING fts5(body);
    ANALYZE;
"""


def written_in(url: str) -> str:
    with forgedb.connect(url) as db:
        return schema_sql(db)


def run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        kind = "VIRTUAL" if connection.info.server_version >= 18_00_00 else "STORED"
        connection.execute(script.replace("{kind}", kind).encode())


def as_postgres_says(url: str) -> str:
    """The schema by ``pg_dump``, without what differs from run to run."""
    program = embedded_programs() / "pg_dump"
    command = [program, "--schema-only", "--no-owner", "--no-privileges", "--dbname", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))


@pytest.mark.parametrize("name", POSTGRES)
def test_what_is_written_of_postgres_makes_what_pg_dump_sees(
    name: str, postgres: Databases
) -> None:
    with postgres.new() as url, postgres.new() as again:
        run(url, POSTGRES[name])
        written = written_in(url)
        assert "not written" not in written
        run(again, written)
        assert written_in(again) == written
        assert as_postgres_says(again) == as_postgres_says(url)


def test_the_order_in_which_objects_were_made_leaves_no_trace(postgres: Databases) -> None:
    made = [
        "CREATE DOMAIN d AS integer",
        "CREATE TYPE e AS ENUM ('a')",
        "CREATE TABLE t (a integer PRIMARY KEY)",
        "CREATE TABLE s (a integer PRIMARY KEY)",
        "CREATE SEQUENCE q",
        "CREATE FUNCTION f() RETURNS integer RETURN 1",
        "CREATE FUNCTION g() RETURNS integer RETURN 2",
    ]
    upon = [
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE VIEW u AS SELECT a FROM s",
        "CREATE INDEX i ON t (a)",
        "CREATE INDEX h ON s (a)",
        "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES s",
        "ALTER TABLE s ADD FOREIGN KEY (a) REFERENCES t",
        "CREATE FUNCTION k() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t; END",
    ]
    with postgres.new() as one, postgres.new() as other:
        run(one, ";\n".join(made + upon))
        run(other, ";\n".join(made[::-1] + upon[::-1]))
        assert written_in(one) == written_in(other)


def test_what_cannot_be_written_is_named_at_the_top_and_stays_a_comment(
    postgres: Databases,
) -> None:
    with postgres.new() as url, postgres.new() as again:
        run(
            url,
            """
            CREATE TABLE t (a integer);
            CREATE AGGREGATE "total
DROP TABLE t; --"(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
            """,
        )
        written = written_in(url)
        first, _, rest = written.partition("\n\n")
        assert first.startswith("-- not written: function ")
        assert "\n" not in first
        run(again, written)
        assert written_in(again) == rest


def test_objects_that_need_each_other_are_written_once_each(postgres: Databases) -> None:
    with postgres.new() as url:
        run(
            url,
            """
            CREATE TABLE t (a integer);
            CREATE FUNCTION f(t) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
            ALTER TABLE t ADD b integer DEFAULT f(NULL);
            """,
        )
        written = written_in(url)
    assert written.count("CREATE TABLE t (") == 1
    assert written.count("CREATE OR REPLACE FUNCTION f(t)") == 1


def test_a_schema_of_another_name_gives_the_same_text(postgres: Databases) -> None:
    script = "CREATE TABLE t (a serial); CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t;"
    script += "CREATE STATISTICS both_of ON a, (a + 1) FROM t;"
    with postgres.new() as url, postgres.new() as elsewhere:
        run(url, script)
        run(
            elsewhere,
            f"""
            CREATE SCHEMA "For ge";
            DO $$ BEGIN
                EXECUTE format(
                    'ALTER DATABASE %I SET search_path = "For ge"', current_database());
            END $$;
            SET search_path = "For ge";
            {script}
            """,
        )
        assert written_in(url) == written_in(elsewhere)


def test_an_empty_database_has_no_schema_to_write(postgres: Databases) -> None:
    assert written_in("sqlite://") == ""
    with postgres.new() as url:
        assert written_in(url) == ""


def test_what_is_written_of_sqlite_makes_every_object_again_letter_by_letter(
    tmp_path: Path,
) -> None:
    def objects(connection: apsw.Connection) -> dict[str, list[str]]:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql <> ''")
        return {name: text.split() for name, text in found if not name.startswith("sqlite_")}

    def default(connection: apsw.Connection) -> str:
        asked = "SELECT dflt_value FROM pragma_table_info('parent') WHERE name = 'word'"
        (value,) = connection.execute(asked).fetchone()
        return str(value)

    with (
        closing(apsw.Connection(str(tmp_path / "one.db"))) as one,
        closing(apsw.Connection(str(tmp_path / "other.db"))) as other,
    ):
        one.execute(SQLITE)
        written = written_in(f"sqlite:///{tmp_path}/one.db")
        other.execute(written)
        assert objects(other) == objects(one)
        assert default(other) == default(one)
    assert written_in(f"sqlite:///{tmp_path}/other.db") == written


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_columns_of_any_table_are_read_with_what_they_refer_to(
    dialect: str, tmp_path: Path, postgres: Databases
) -> None:
    script = """
        CREATE TABLE "Pa rent" (a INTEGER, b INTEGER, PRIMARY KEY (b, a));
        CREATE TABLE child (
            x INTEGER, y INTEGER, z INTEGER, FOREIGN KEY (x, y) REFERENCES "Pa rent"
        );
    """
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/any.db"
        if dialect == "sqlite":
            connection = stack.enter_context(closing(apsw.Connection(str(tmp_path / "any.db"))))
            connection.execute(f"{script} CREATE VIRTUAL TABLE searched USING fts5(body)")
        else:
            url = stack.enter_context(postgres.new())
            run(url, f"{script} CREATE TABLE searched (body text)")
        db = stack.enter_context(forgedb.connect(url))
        tables = {table.name: table for table in read_schema(db)}
    assert list(tables) == ["Pa rent", "child", "searched"]
    assert [each.in_primary_key for each in tables["Pa rent"].columns] == [True, True]
    references = [each.references for each in tables["child"].columns]
    assert references == ["Pa rent.b", "Pa rent.a", None]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_command_line_writes_the_schema_that_a_folder_of_ones_own_makes(
    dialect: str, tmp_path: Path, postgres: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_notes.sql").write_text("CREATE TABLE notes (id INTEGER, body TEXT);\n")
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/notes.db"
        if dialect == "postgres":
            url = stack.enter_context(postgres.new())
        cli = Forgedb(url, capsys)
        cli.ok("migrate", "--dir", str(folder))
        written = cli.ok("schema", "--format", "sql")
        assert written == written_in(url)
    assert "CREATE TABLE notes (" in written
    assert "CREATE TABLE app_schema_migrations (" in written
    assert "0001" not in written
