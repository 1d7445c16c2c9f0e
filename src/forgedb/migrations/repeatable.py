"""Repeatable files, ``R__name.sql``: views, functions, triggers, run again when their text changes.

They run after all numbered files, in the order of their names, and after those that they name in
their header: ``-- forgedb: after R__other``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from forgedb.migrations.applied import REPEATABLE, AppliedMigration
from forgedb.migrations.checksum import digest
from forgedb.migrations.comparison import MigrationState, State
from forgedb.migrations.files import MigrationFile, refused
from forgedb.migrations.header import AFTER, header_of
from forgedb.migrations.history import RERUN, HistoryTable
from forgedb.operations.steps import Steps, change, many
from forgedb.sql.catalogue import sql
from forgedb.sql.lexer import Dialect

# Made with the first such file.
CREATE_REPEATABLE = sql(
    sqlite="""
    CREATE TABLE IF NOT EXISTS schema_migrations_repeatable (
        name        TEXT NOT NULL PRIMARY KEY,
        checksum    TEXT NOT NULL,
        applied_at  TEXT NOT NULL,
        duration_ms INTEGER NOT NULL,
        CONSTRAINT schema_migrations_repeatable_checksum_check CHECK (length(checksum) = 64),
        CONSTRAINT schema_migrations_repeatable_duration_ms_check CHECK (duration_ms >= 0)
    ) STRICT
    """,
    postgres="""
    CREATE TABLE schema_migrations_repeatable (
        name        text COLLATE "C" NOT NULL PRIMARY KEY,
        checksum    text COLLATE "C" NOT NULL,
        applied_at  timestamptz NOT NULL,
        duration_ms bigint NOT NULL,
        CONSTRAINT schema_migrations_repeatable_checksum_check CHECK (length(checksum) = 64),
        CONSTRAINT schema_migrations_repeatable_duration_ms_check CHECK (duration_ms >= 0)
    )
    """,
)

SELECT_REPEATABLE = sql(f"""
SELECT {REPEATABLE}, name, checksum, applied_at, duration_ms
FROM schema_migrations_repeatable
ORDER BY name
""")

UPSERT_REPEATABLE = sql("""
INSERT INTO schema_migrations_repeatable (name, checksum, applied_at, duration_ms)
VALUES (:name, :checksum, :applied_at, :duration_ms)
ON CONFLICT (name) DO UPDATE
SET
    checksum = excluded.checksum,
    applied_at = excluded.applied_at,
    duration_ms = excluded.duration_ms
""")


def compare_repeatable(
    files: Sequence[MigrationFile], applied: Sequence[AppliedMigration]
) -> list[MigrationState]:
    """The state of each repeatable file, in their order, and of those that are gone."""
    entries = {entry.name: entry for entry in applied}
    states: list[MigrationState] = []
    for file in files:
        entry = entries.pop(file.name, None)
        is_applied = entry is not None and entry.checksum == file.checksum
        state: State = "applied" if is_applied else "pending"
        states.append(MigrationState(REPEATABLE, file.name, file.label, state, file, entry, None))
    for name, entry in entries.items():
        states.append(MigrationState(REPEATABLE, name, entry.label, "gone", None, entry, None))
    return states


def applied_repeatable(table: HistoryTable) -> Steps[Sequence[AppliedMigration]]:
    """The last run of each repeatable file; empty where there never was one."""
    if not (yield from table.has(RERUN)):
        return ()
    return (yield from many(AppliedMigration, table.of(SELECT_REPEATABLE)))


def record_repeatable(
    table: HistoryTable, migration: MigrationFile, at: datetime, duration_ms: int
) -> Steps[AppliedMigration]:
    """Record what was run, in the transaction that ran it."""
    if not (yield from table.has(RERUN)):
        yield from change(table.of(CREATE_REPEATABLE))
    entry = AppliedMigration(REPEATABLE, migration.name, migration.checksum, at, duration_ms)
    yield from change(
        table.of(UPSERT_REPEATABLE),
        name=entry.name,
        checksum=entry.checksum,
        applied_at=at,
        duration_ms=duration_ms,
    )
    return entry


def in_order(files: Sequence[MigrationFile], dialect: Dialect) -> list[MigrationFile]:
    """The files in the order in which they run: a file after those that its header names.

    Its checksum then covers these, too: if one of them changes, and drops this file's view with
    ``DROP VIEW … CASCADE``, this file is run again, even if a run ended between the two.

    Raises MigrationError (a name that isn't there, a cycle, a header that makes no sense).
    """
    from heapq import heapify, heappop, heappush

    by_name = {file.name: file for file in files}
    before = {file.name: _before(file, by_name, dialect) for file in files}
    ready = [name for name, names in before.items() if not names]
    heapify(ready)
    ordered: dict[str, MigrationFile] = {}
    while ready:
        name = heappop(ready)
        file = by_name[name]
        if before[name]:
            sums = [file.checksum, *(ordered[other].checksum for other in before[name])]
            file = msgspec.structs.replace(file, checksum=digest("\0".join(sums)))
        ordered[name] = file
        for later, names in before.items():
            if name in names and ordered.keys() >= {*names}:
                heappush(ready, later)
    if len(ordered) < len(files):
        _refuse_circle(by_name, before, ordered)
    return [*ordered.values()]


def _before(
    file: MigrationFile, by_name: Mapping[str, MigrationFile], dialect: Dialect
) -> Sequence[str]:
    """The names of the files that run before this one, in their order."""
    value = header_of(file, dialect).get(AFTER, "")
    names = sorted({each.removeprefix("r__") for each in value.replace(",", " ").split()})
    for name in names:
        if name not in by_name:
            raise refused(
                file.file,
                f"it is to run after R__{name}, and there is no R__{name}.sql: name one that is"
                " there, or leave that out",
            )
    return names


def _refuse_circle(
    by_name: Mapping[str, MigrationFile],
    before: Mapping[str, Sequence[str]],
    ordered: Mapping[str, object],
) -> None:
    """Raise MigrationError with one cycle of the files that couldn't be put in order."""
    name = min(before.keys() - ordered.keys())
    path: list[str] = []
    while name not in path:
        path.append(name)
        name = next(each for each in before[name] if each not in ordered)
    circle = [*path[path.index(name) :], name]
    raise refused(
        by_name[name].file,
        f"it would run after itself: {' after '.join(f'R__{each}' for each in circle)};"
        " take one of the lines out",
    )
