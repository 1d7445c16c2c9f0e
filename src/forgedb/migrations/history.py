"""The table that says which migrations a database has, and comparing it with the files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from forgedb.errors import MigrationDrift, MigrationError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import MigrationFile
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, change, many, rows
from forgedb.sql.catalogue import sql

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
    CREATE TABLE IF NOT EXISTS schema_migrations (
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

# SQLite's writer has the database to itself already.
LOCK = sql(
    sqlite="SELECT 1",
    postgres="SELECT 1 FROM pg_advisory_xact_lock(hashtextextended('forgedb.migrations', 0))",
)

EXISTS = sql(
    sqlite="SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
    postgres="SELECT 1 WHERE to_regclass('schema_migrations') IS NOT NULL",
)

SELECT_ALL = sql(f"SELECT {columns(AppliedMigration)} FROM schema_migrations ORDER BY version")

INSERT = sql("""
INSERT INTO schema_migrations (version, name, checksum, applied_at, duration_ms)
VALUES (:version, :name, :checksum, :applied_at, :duration_ms)
""")


def read_history() -> Steps[list[AppliedMigration]]:
    """What has been applied, in the order of the numbers; nothing where the table isn't there."""
    if not (yield from rows(EXISTS)):
        return []
    return (yield from many(AppliedMigration, SELECT_ALL))


def record(migration: MigrationFile, at: datetime, duration_ms: int) -> Steps[AppliedMigration]:
    """Add a migration to the history, in the transaction that applied it."""
    applied = AppliedMigration(
        migration.version, migration.name, migration.checksum, at, duration_ms
    )
    yield from change(
        INSERT,
        version=applied.version,
        name=applied.name,
        checksum=applied.checksum,
        applied_at=applied.applied_at,
        duration_ms=applied.duration_ms,
    )
    return applied


def create() -> Steps[None]:
    """Make the table where it isn't there yet."""
    yield from change(CREATE)


def lock_history() -> Steps[None]:
    """Wait until no other process migrates the database, and keep others from it meanwhile."""
    yield from rows(LOCK)


def pending_of(
    files: Sequence[MigrationFile], history: Sequence[AppliedMigration]
) -> list[MigrationFile]:
    """The files that the history lacks.

    Raises MigrationDrift (an applied file was edited), MigrationError (an applied file is
    missing, the database is newer than the files, a lower number came late).
    """
    applied = {entry.version: entry for entry in history}
    known = {migration.version: migration for migration in files}
    for entry in history:
        file = known.get(entry.version)
        if file is None:
            raise _unknown(entry, files)
        if file.checksum != entry.checksum:
            raise MigrationDrift(file.file, entry.checksum, file.checksum)
    pending = [migration for migration in files if migration.version not in applied]
    if pending and history and pending[0].version < history[-1].version:
        raise MigrationError(
            pending[0].file,
            0,
            "",
            [entry.label for entry in history],
            [migration.label for migration in pending],
            f"a higher number, {history[-1].version}, is applied already: give it the next number",
        )
    return pending


def _unknown(entry: AppliedMigration, files: Sequence[MigrationFile]) -> MigrationError:
    newest = files[-1].version if files else -1
    why = (
        "the database is newer than this program, which doesn't know it: upgrade forgedb"
        if entry.version > newest
        else "the database has it, but the file is missing: put it back"
    )
    return MigrationError(f"{entry.label}.sql", 0, "", (), (), why)
