"""The tables that say which migrations a database has, and which are only half done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from forgedb.errors import Conflict, MigrationDrift, UsageError
from forgedb.migrations.applied import AppliedMigration, Numbered
from forgedb.migrations.checksum import digest
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.schemas import Resolved, Schemas, full, shown
from forgedb.operations.rows import columns
from forgedb.operations.steps import Select, SelectOne, Steps, change, many, rows, together
from forgedb.sql.catalogue import Sql, sql

TABLE = "schema_migrations"
"""The table of forgedb's own history; the statements here are written with its name."""

FOLDERS_TABLE = "app_schema_migrations"
"""The table of the history of a user's folder, unless another is named."""

BEGUN, MARKED, RERUN = BESIDE = ("_begun", "_marked", "_repeatable")
"""The suffixes of the tables that are made beside a history's, when they are needed."""

SUSPECT_ADVICE = (
    "nothing of it was used, since what others put there would run as you: find out who made it,"
    " and drop it, or what was added, or migrate as the role that it belongs to"
)

STRANGERS_ADVICE = (
    "it bears the name of one of PostgreSQL's own, may be called in its place and would run as you:"
    " drop it, and let only the owner create anything in its schema (REVOKE CREATE ON SCHEMA)"
)

_WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast
check collate column constraint create cross current_catalog current_date current_role
current_time current_timestamp current_user default deferrable desc distinct do else end
except false fetch for foreign freeze from full grant group having ilike in initially inner
intersect into is isnull join lateral leading left like limit localtime localtimestamp
natural not notnull null offset on only or order outer overlaps placing primary references
returning right select session_user similar some symmetric table tablesample then to
trailing true union unique user using variadic verbose when where window with add alter
autoincrement between commit delete drop escape exists if index insert set transaction
update values nothing
"""
_RESERVED = frozenset(_WORDS.split())
"""Words that one of the databases refuses as a table's name."""

COLUMNS = len(AppliedMigration.__struct_fields__)

# A name that doesn't follow CONSTRAINT is a table's.
NAMES = rf"(CONSTRAINT |')?\b{TABLE}(\w*)"

_is_table = re.compile(r"[a-z_][a-z0-9_]{0,49}").fullmatch

# PostgreSQL's has no IF NOT EXISTS: a table that another role made since the check must be refused.
# On SQLite the one writer both checks and creates.
CREATE = sql(
    sqlite="""
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version     INTEGER NOT NULL PRIMARY KEY,
        name        TEXT NOT NULL,
        checksum    TEXT NOT NULL,
        applied_at  TEXT NOT NULL,
        duration_ms INTEGER NOT NULL,
        CONSTRAINT schema_migrations_version_check CHECK (version >= 0),
        CONSTRAINT schema_migrations_checksum_check CHECK (length(checksum) = 64),
        CONSTRAINT schema_migrations_duration_ms_check CHECK (duration_ms >= 0)
    ) STRICT
    """,
    postgres="""
    CREATE TABLE schema_migrations (
        version     bigint NOT NULL,
        name        text COLLATE "C" NOT NULL,
        checksum    text COLLATE "C" NOT NULL,
        applied_at  timestamptz NOT NULL,
        duration_ms bigint NOT NULL,
        CONSTRAINT schema_migrations_one_per_version PRIMARY KEY (version),
        CONSTRAINT schema_migrations_version_check CHECK (version >= 0),
        CONSTRAINT schema_migrations_checksum_check CHECK (length(checksum) = 64),
        CONSTRAINT schema_migrations_duration_ms_check CHECK (duration_ms >= 0)
    )
    """,
)

# Made with the first file that runs in no transaction: most databases never have it.
CREATE_BEGUN = sql(
    sqlite="""
    CREATE TABLE IF NOT EXISTS schema_migrations_begun (
        version       INTEGER NOT NULL PRIMARY KEY,
        name          TEXT NOT NULL,
        state         TEXT NOT NULL,
        done          INTEGER NOT NULL,
        done_checksum TEXT NOT NULL,
        begun_at      TEXT NOT NULL,
        begun_by      TEXT NOT NULL,
        error         TEXT,
        CONSTRAINT schema_migrations_begun_state_check
            CHECK (state IN ('running', 'failed', 'resumed'))
    ) STRICT
    """,
    postgres="""
    CREATE TABLE schema_migrations_begun (
        version       bigint NOT NULL PRIMARY KEY,
        name          text COLLATE "C" NOT NULL,
        state         text COLLATE "C" NOT NULL,
        done          bigint NOT NULL,
        done_checksum text COLLATE "C" NOT NULL,
        begun_at      timestamptz NOT NULL,
        begun_by      text COLLATE "C" NOT NULL,
        error         text COLLATE "C",
        CONSTRAINT schema_migrations_begun_state_check
            CHECK (state IN ('running', 'failed', 'resumed'))
    )
    """,
)

EXIST = sql(
    sqlite="""
    SELECT
        EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'),
        (
            SELECT count(*)
            FROM pragma_table_info('schema_migrations')
            WHERE name IN ('version', 'name', 'checksum', 'applied_at', 'duration_ms')
        ),
        EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations_begun')
    """,
    postgres="""
    SELECT
        to_regclass('schema_migrations') IS NOT NULL,
        (
            SELECT count(*)
            FROM pg_attribute
            WHERE attrelid = to_regclass('schema_migrations')
              AND attname IN ('version', 'name', 'checksum', 'applied_at', 'duration_ms')
              AND NOT attisdropped
        ),
        to_regclass('schema_migrations_begun') IS NOT NULL
    """,
)

# What would run another role's code, or read something else: first at reading, then at writing.
# Each function is named with its schema, and each operator gets the types that it is for: another
# role's, whose types fit better, would be called instead.
SUSPECT = sql(
    sqlite="""
    SELECT name, true, CASE type WHEN 'table' THEN 'a virtual table' ELSE 'a ' || type END
    FROM sqlite_schema
    WHERE name COLLATE NOCASE IN (
        'schema_migrations', 'schema_migrations_begun', 'schema_migrations_marked',
        'schema_migrations_repeatable')
      AND (type <> 'table' OR rootpage = 0)
    UNION ALL
    SELECT tbl_name, false, 'a table with the trigger ' || name
    FROM sqlite_schema
    WHERE type = 'trigger'
      AND tbl_name COLLATE NOCASE IN (
          'schema_migrations', 'schema_migrations_begun', 'schema_migrations_marked',
          'schema_migrations_repeatable')
    """,
    postgres="""
    WITH tables (oid, name, kind, owner) AS (
        SELECT c.oid, CAST(c.relname AS text), c.relkind, c.relowner
        FROM pg_class AS c
        WHERE c.oid IN (
            CAST(pg_catalog.to_regclass('schema_migrations') AS oid),
            CAST(pg_catalog.to_regclass('schema_migrations_begun') AS oid),
            CAST(pg_catalog.to_regclass('schema_migrations_marked') AS oid),
            CAST(pg_catalog.to_regclass('schema_migrations_repeatable') AS oid))
    ),
    me (oid, is_superuser) AS (
        SELECT r.oid, r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user
    )
    SELECT t.name, true,
        CASE t.kind
            WHEN 'v' THEN 'a view'
            WHEN 'm' THEN 'a materialized view'
            WHEN 'f' THEN 'a foreign table'
            ELSE 'no plain table'
        END
    FROM tables AS t
    WHERE t.kind <> 'r'
    UNION ALL
    SELECT t.name, true, 'a temporary table'
    FROM tables AS t JOIN pg_class AS c ON c.oid = t.oid
    WHERE c.relpersistence = 't'
    UNION ALL
    SELECT t.name, true, 'a table with row security'
    FROM tables AS t JOIN pg_class AS c ON c.oid = t.oid
    WHERE c.relrowsecurity
    UNION ALL
    SELECT t.name, true, 'a table with rows of ' || CAST(c.relname AS text)
    FROM tables AS t
    JOIN pg_inherits AS i ON i.inhparent = t.oid
    JOIN pg_class AS c ON c.oid = i.inhrelid
    UNION ALL
    SELECT t.name, true, 'a table whose column ' || CAST(a.attname AS text) || ' is of the type '
        || pg_catalog.format_type(a.atttypid, a.atttypmod)
    FROM tables AS t
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS y ON y.oid = a.atttypid
    JOIN pg_namespace AS n ON n.oid = y.typnamespace
    WHERE t.kind = 'r' AND n.nspname <> 'pg_catalog'
    UNION ALL
    SELECT t.name, false, 'a table of the role ' || CAST(r.rolname AS text)
    FROM tables AS t
    CROSS JOIN me
    JOIN pg_roles AS r ON r.oid = t.owner
    WHERE r.oid <> me.oid
      AND NOT r.rolsuper
      AND r.oid <> (
          SELECT d.datdba FROM pg_database AS d WHERE d.datname = pg_catalog.current_database())
      AND (me.is_superuser OR NOT pg_catalog.pg_has_role(r.oid, CAST('USAGE' AS text)))
    UNION ALL
    SELECT t.name, false, 'a table with the trigger ' || CAST(g.tgname AS text)
    FROM tables AS t JOIN pg_trigger AS g ON g.tgrelid = t.oid AND NOT g.tgisinternal
    UNION ALL
    SELECT t.name, false, 'a table with the rule ' || CAST(r.rulename AS text)
    FROM tables AS t JOIN pg_rewrite AS r ON r.ev_class = t.oid
    WHERE t.kind = 'r'
    UNION ALL
    SELECT t.name, false, 'a table with a default of ' || CAST(a.attname AS text)
    FROM tables AS t
    JOIN pg_attrdef AS d ON d.adrelid = t.oid
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.adnum
    UNION ALL
    SELECT t.name, false, 'a table whose rule ' || CAST(k.conname AS text) || ' calls a function'
    FROM tables AS t
    JOIN pg_constraint AS k ON k.conrelid = t.oid
    JOIN pg_depend AS d
      ON d.classid = CAST(CAST('pg_constraint' AS regclass) AS oid) AND d.objid = k.oid
    WHERE d.refclassid <> CAST(CAST('pg_class' AS regclass) AS oid)
    UNION ALL
    SELECT t.name, false, 'a table whose index ' || CAST(c.relname AS text) || ' calls a function'
    FROM tables AS t
    JOIN pg_index AS i ON i.indrelid = t.oid
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_depend AS d
      ON d.classid = CAST(CAST('pg_class' AS regclass) AS oid) AND d.objid = c.oid
    WHERE d.refclassid <> CAST(CAST('pg_class' AS regclass) AS oid)
      AND d.refclassid <> CAST(CAST('pg_constraint' AS regclass) AS oid)
    """,
)
"""For each such table: whether even reading it is unsafe, and what it is."""

# The database's owner and superusers need no such trick, and an extension's functions are trusted.
STRANGERS = sql(
    sqlite="SELECT '', '' WHERE :schema IS NULL AND false",
    postgres="""
    WITH path (oid, name) AS (
        SELECT n.oid, CAST(n.nspname AS text)
        FROM pg_namespace AS n
        WHERE n.nspname = ANY (pg_catalog.current_schemas(false))
           OR n.nspname = CAST(:schema AS name)
    ),
    strangers (oid, name) AS (
        SELECT r.oid, CAST(r.rolname AS text)
        FROM pg_roles AS r
        WHERE NOT r.rolsuper
          AND r.rolname <> current_user
          AND r.oid <> (
              SELECT d.datdba FROM pg_database AS d
              WHERE d.datname = pg_catalog.current_database())
    ),
    made (catalogue, oid, name, owner) AS (
        SELECT CAST(CAST('pg_proc' AS regclass) AS oid), p.oid,
            'function ' || path.name || '.' || CAST(p.proname AS text) || '('
            || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
            p.proowner
        FROM path
        JOIN pg_proc AS p ON p.pronamespace = path.oid
        WHERE EXISTS (
            SELECT 1
            FROM pg_proc AS b
            JOIN pg_namespace AS m ON m.oid = b.pronamespace
            WHERE b.proname = p.proname AND m.nspname = 'pg_catalog')
        UNION ALL
        SELECT CAST(CAST('pg_operator' AS regclass) AS oid), o.oid,
            'operator ' || path.name || '.' || CAST(o.oprname AS text),
            o.oprowner
        FROM path JOIN pg_operator AS o ON o.oprnamespace = path.oid
    )
    SELECT made.name, strangers.name
    FROM made
    JOIN strangers ON strangers.oid = made.owner
    WHERE NOT EXISTS (
        SELECT 1 FROM pg_depend AS d
        WHERE d.classid = made.catalogue AND d.objid = made.oid AND d.deptype = 'e')
    ORDER BY made.name
    """,
)
"""Other roles' functions and operators that a statement may call in place of PostgreSQL's own."""


CURSOR = "after "
"""Prefix of a batched file's cursor, which is kept in the place of the statements' checksum."""


class BegunMigration(Numbered, frozen=True):
    """A file that runs in no transaction, or in batches, and isn't finished.

    ``done`` of its statements have been run; ``state`` is running, failed, or resumed (the next
    run goes on with it).
    """

    state: str
    done: int
    done_checksum: str
    begun_at: datetime
    begun_by: str
    error: str | None

    @property
    def cursor(self) -> str | None:
        """After what the next batch begins, as JSON; None for a file that has no batches."""
        is_one = self.done_checksum.startswith(CURSOR)
        return self.done_checksum.removeprefix(CURSOR) if is_one else None

    @property
    def next_part(self) -> str:
        """What is to be done next, in words."""
        if self.cursor is None:
            return f"statement {self.done + 1} of {self.label}"
        return f"batch {self.done + 1} of {self.label}, after {self.cursor}"


class History(msgspec.Struct, frozen=True):
    """What a database has, in the order of the numbers."""

    applied: Sequence[AppliedMigration] = ()
    begun: Sequence[BegunMigration] = ()

    def begun_of(self, version: int) -> BegunMigration | None:
        """How far the file of this number came, if it was begun and isn't finished."""
        return next((each for each in self.begun if each.version == version), None)


BESIDE_EXISTS = sql(
    sqlite="SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations' || :end)",
    postgres="SELECT to_regclass('schema_migrations' || CAST(:end AS text)) IS NOT NULL",
)

SELECT_ALL = sql(f"SELECT {columns(AppliedMigration)} FROM schema_migrations ORDER BY version")

SELECT_FROM = sql(f"""
SELECT {columns(AppliedMigration)}
FROM schema_migrations
WHERE version >= :version
ORDER BY version
LIMIT 1
""")

INSERT = sql("""
INSERT INTO schema_migrations (version, name, checksum, applied_at, duration_ms)
VALUES (:version, :name, :checksum, :applied_at, :duration_ms)
""")

SELECT_BEGUN = sql(
    f"SELECT {columns(BegunMigration)} FROM schema_migrations_begun ORDER BY version"
)

INSERT_BEGUN = sql("""
INSERT INTO schema_migrations_begun
    (version, name, state, done, done_checksum, begun_at, begun_by)
VALUES (:version, :name, 'running', 0, :done_checksum, :begun_at, :begun_by)
""")

UPDATE_BEGUN = sql("""
UPDATE schema_migrations_begun
SET
    state = :state,
    done = :done,
    done_checksum = :done_checksum,
    begun_at = :begun_at,
    begun_by = :begun_by,
    error = :error
WHERE version = :version AND state = :was AND begun_at = :was_at AND begun_by = :was_by
""")

DELETE = sql("DELETE FROM schema_migrations WHERE version = :version")

DELETE_BEGUN = sql("""
DELETE FROM schema_migrations_begun
WHERE version = :version AND state = :was AND begun_at = :was_at AND begun_by = :was_by
""")


SHADOWING = sql(
    sqlite="""
    SELECT type, name
    FROM sqlite_temp_schema
    WHERE substr(lower(tbl_name), 1, length('schema_migrations')) = 'schema_migrations'
    """,
    postgres="SELECT '', '' WHERE false",
)
"""Temporary tables, views and triggers of SQLite's connection that hide the history's tables."""


class HistoryTable:
    """The tables of one history: forgedb's own, or another of the same form.

    On PostgreSQL they are in ``schema``, which ``place`` finds before they are first read;
    without either, where the search_path leads.  Raises UsageError for a name that isn't plain.
    """

    def __init__(
        self, table: str = TABLE, schema: str | None = None, place: Schemas | None = None
    ) -> None:
        if not _is_table(table) or table in _RESERVED or table.startswith(("sqlite_", "pg_")):
            raise UsageError(
                f"{table!r} can't be the history's table: use up to 50 of a-z, 0-9 and _, and no"
                " word or prefix of SQL's own"
            )
        for end in BESIDE:
            if table.endswith(end):
                raise UsageError(
                    f"{table!r} can't be the history's table: with {end} ends the name of what"
                    " another history keeps beside it; choose another end"
                )
        self.name = table
        self.schema = schema
        self.place = place

    @property
    def shown(self) -> str:
        """The table's name as people write it, with its schema."""
        return shown(self.schema, self.name)

    @property
    def full(self) -> str:
        """The same, quoted for a statement's text."""
        return full(self.schema, self.name)

    @property
    def files_schema(self) -> str | None:
        """The schema for what the files make, if one was named."""
        return None if self.place is None else self.place.schema

    def find(self, place: Schemas) -> Steps[Resolved]:
        """Find anew in which schema it is, and use that one from now on."""
        home = yield from place.find(self.name)
        self.schema = home.history
        return home

    def read(self, *, creating: bool = False, writing: bool = False) -> Steps[History]:
        """What has been applied or begun; nothing where the tables aren't there.

        ``creating`` makes the first of them if need be; ``writing`` says that writes will follow,
        which takes stricter checks, and ``creating`` implies it.

        Raises UsageError (the table is another program's), MigrationDrift (it would run another
        role's code, or read what another role put there).
        """
        if self.place is not None and self.schema is None:
            yield from self.find(self.place)
        writing = writing or creating
        steps = [Select(self._of(SUSPECT), {}, None), Select(self._of(EXIST), {}, None)]
        suspect, ((has_applied, columns_known, has_begun),), *strange = yield from together(
            *steps, *([Select(STRANGERS, {"schema": self.files_schema}, None)] if writing else [])
        )
        for name, role in (row for found in strange for row in found):
            raise MigrationDrift(name, "none", f"one of the role {role}", STRANGERS_ADVICE)
        for table, is_for_readers, what in suspect:
            if is_for_readers or writing:
                raise MigrationDrift(table, "a plain table of one's own", what, SUSPECT_ADVICE)
        if not has_applied:
            if creating:
                yield from change(self._of(CREATE))
            return History()
        if not columns_known and not creating:
            # PostgreSQL knows a table's name a moment before its columns: it is being made.
            return History()
        if columns_known < COLUMNS:
            raise UsageError(
                f"the table {self.shown} is another program's: give the history of these files a"
                " name of its own with --table (a library's Migrator: table=)"
            )
        begun: Sequence[BegunMigration] = ()
        if has_begun:
            # Before the applied ones: a file that is finished in between is then found there.
            begun = yield from many(BegunMigration, self._of(SELECT_BEGUN))
        applied = yield from many(AppliedMigration, self._of(SELECT_ALL))
        return History(applied, begun)

    def has(self, end: str) -> Steps[bool]:
        """Whether the table with this suffix, which is kept beside it, was made already."""
        ((is_there,),) = yield from rows(self._of(BESIDE_EXISTS), end=end)
        return bool(is_there)

    def look_up(self, version: int) -> SelectOne:
        """The step that gives the first row from a number on, or None; the table must exist."""
        return SelectOne(self._of(SELECT_FROM), {"version": version}, AppliedMigration)

    def record(
        self, migration: MigrationFile, at: datetime, duration_ms: int
    ) -> Steps[AppliedMigration]:
        """Add a migration to the history, in the transaction that applied it."""
        applied = AppliedMigration(
            migration.version, migration.name, migration.checksum, at, duration_ms
        )
        yield from change(
            self._of(INSERT),
            version=applied.version,
            name=applied.name,
            checksum=applied.checksum,
            applied_at=applied.applied_at,
            duration_ms=applied.duration_ms,
        )
        return applied

    def shadowed(self) -> Steps[str | None]:
        """What a file has made that hides the history from the rest of its session, in words."""
        for kind, name in (yield from rows(self._of(SHADOWING))):
            return (
                f"the temporary {kind} {name} is in the place of the history, where this file is to"
                " be recorded: give it another name, or another table"
            )
        return None

    def forget(self, version: int) -> Steps[None]:
        """Take a migration out of the history."""
        yield from change(self._of(DELETE), version=version)

    def begin(self, migration: MigrationFile, at: datetime, by: str) -> Steps[BegunMigration]:
        """Record that a file is being run in no transaction."""
        begun = BegunMigration(
            migration.version, migration.name, "running", 0, checksum_of(()), at, by, None
        )
        if not (yield from self.has(BEGUN)):
            yield from change(self._of(CREATE_BEGUN))
        yield from change(
            self._of(INSERT_BEGUN),
            version=begun.version,
            name=begun.name,
            done_checksum=begun.done_checksum,
            begun_at=at,
            begun_by=by,
        )
        return begun

    def note(self, was: BegunMigration, now: BegunMigration) -> Steps[None]:
        """Record how far a file has come.  Raises Conflict if the row was changed meanwhile."""
        changed = yield from change(
            self._of(UPDATE_BEGUN),
            state=now.state,
            done=now.done,
            done_checksum=now.done_checksum,
            begun_at=now.begun_at,
            begun_by=now.begun_by,
            error=now.error,
            **_as_it_was(was),
        )
        _refuse_unless(changed, was)

    def end(self, was: BegunMigration) -> Steps[None]:
        """Forget that a file was begun, to record it as applied.  Raises Conflict as ``note``."""
        changed = yield from change(self._of(DELETE_BEGUN), **_as_it_was(was))
        _refuse_unless(changed, was)

    def of(self, statement: Sql) -> Sql:
        """A statement for a table that is kept beside it, with this one's names."""
        return self._of(statement)

    def _of(self, statement: Sql) -> Sql:
        """The statement for this table, in its schema."""
        if self.schema is None and self.name == TABLE:
            return statement
        return _placed(statement, self.name, self.schema)


@cache
def _placed(statement: Sql, table: str, schema: str | None) -> Sql:
    # Cached: drivers cache what they compile of each statement, too.
    sqlite = statement.sqlite.replace(TABLE, table)
    if schema is None:
        return Sql(sqlite, statement.postgres.replace(TABLE, table), own=statement.own)

    def named(found: re.Match[str]) -> str:
        before, name = found[1] or "", f"{table}{found[2]}"
        if before == "CONSTRAINT ":
            return f"{before}{name}"
        placed = full(schema, name)
        return before + (placed.replace("'", "''") if before else placed)

    return Sql(sqlite, re.sub(NAMES, named, statement.postgres), own=statement.own)


def checksum_of(statements: Sequence[str]) -> str:
    """SHA-256 of the statements' texts, which shows an edit of those that were run."""
    return digest("\0".join(statements))


def _as_it_was(begun: BegunMigration) -> dict[str, Any]:
    return {
        "version": begun.version,
        "was": begun.state,
        "was_at": begun.begun_at,
        "was_by": begun.begun_by,
    }


def _refuse_unless(changed: int, begun: BegunMigration) -> None:
    if not changed:
        raise Conflict(
            "schema_migrations_begun",
            f"{begun.label} was resolved, or taken up, by somebody else while {begun.begun_by} was"
            " at work on it: look with `forgedb migrate resolve`",
        )
