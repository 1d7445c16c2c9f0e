"""Histories of the same files in another place: where there is one, no new history is begun."""

from __future__ import annotations

from collections.abc import Sequence

from forgedb.errors import MigrationDrift, MigrationError, UsageError
from forgedb.migrations.comparison import known_of
from forgedb.migrations.files import MigrationFile, own_checksums
from forgedb.migrations.history import COLUMNS, TABLE, History, HistoryTable
from forgedb.migrations.schemas import Resolved, Schemas
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql

HISTORIES = sql(
    sqlite="""
    SELECT NULL, name
    FROM sqlite_schema
    WHERE type = 'table' AND name IN (:table, :older)
    ORDER BY name
    """,
    postgres=f"""
    SELECT CAST(n.nspname AS text), CAST(c.relname AS text)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname IN (CAST(:table AS name), CAST(:older AS name))
      AND c.relkind = 'r'
      AND c.relpersistence <> 't'
      AND {COLUMNS} = (
          SELECT pg_catalog.count(*)
          FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND NOT a.attisdropped
            AND a.attname IN ('version', 'name', 'checksum', 'applied_at', 'duration_ms'))
      AND pg_catalog.has_schema_privilege(n.oid, CAST('USAGE' AS text))
      AND NOT EXISTS (
          SELECT 1
          FROM pg_catalog.pg_class AS each
          WHERE each.relnamespace = n.oid
            AND (each.oid = c.oid
                OR each.relname = CAST(CAST(c.relname AS text) || '_begun' AS name))
            AND NOT pg_catalog.has_table_privilege(each.oid, CAST('SELECT' AS text)))
    ORDER BY
        pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname),
        n.nspname,
        c.relname
    LIMIT 100
    """,
)
"""Tables of the same name and form that the role may read, those along the search_path first."""


def refuse_elsewhere(
    files: Sequence[MigrationFile],
    ours: HistoryTable,
    place: Schemas,
    *,
    is_own: bool,
    is_table_given: bool,
    options: str,
) -> Steps[None]:
    """Refuse to begin a history where one of the same files is in another place.

    A schema or a table that was given is taken as meant.  Raises MigrationError.
    """
    older = ours.name if is_own or is_table_given else TABLE
    if place.is_chosen and older == ours.name:
        return
    for schema, name in (yield from rows(HISTORIES, table=ours.name, older=older)):
        is_here = schema == ours.schema
        if (is_here and name == ours.name) or (place.is_chosen and not is_here):
            continue
        try:
            history = yield from HistoryTable(name, schema).read()
        except (MigrationDrift, UsageError):
            # It can't be read without running another role's code.
            continue
        if _is_of(files, history, is_own=is_own):
            raise _refused(files, ours, HistoryTable(name, schema), options, is_here=is_here)


def parted(files: Sequence[MigrationFile], ours: HistoryTable, home: Resolved) -> MigrationError:
    """The error where a history isn't in the schema in which the files would make their tables."""
    why = (
        f"the history is in {ours.shown}, which the search_path leads to, and what the files make"
        f" would be in {home.files}, where none of it is: to go on with that history,"
        f" --schema {home.history} (a library's Migrator: schema=); to begin in {home.files},"
        f" --schema {home.files}"
    )
    return MigrationError(files[0].file, 0, "", (), (), why)


def _is_of(files: Sequence[MigrationFile], history: History, *, is_own: bool) -> bool:
    texts = {migration.checksum for migration in files}
    if is_own:
        return any(entry.checksum in texts for entry in history.applied)
    own = own_checksums()
    known = known_of(files)
    others = [entry for entry in history.applied if entry.checksum not in own - texts]
    return any((entry.version, entry.name) in known for entry in (*others, *history.begun))


def _refused(
    files: Sequence[MigrationFile],
    ours: HistoryTable,
    theirs: HistoryTable,
    options: str,
    *,
    is_here: bool,
) -> MigrationError:
    if is_here:
        why = (
            f"the history of these files is in {theirs.shown}, and none in {ours.shown}: move it"
            f" with `forgedb migrate move{options}` (a library's Migrator: move), or go on there"
            f" with --table {theirs.name}; to run all of them anew, --table {ours.name}"
        )
    else:
        table = "" if theirs.name == ours.name else f" --table {theirs.name}"
        why = (
            f"nothing of these files is in {ours.shown}, and a history of them is in"
            f" {theirs.shown}: to go on with that one, --schema {theirs.schema}{table}, or"
            f" --history-schema {theirs.schema}{table} if no more than the history belongs there;"
            f" to run all of them anew, --schema {ours.schema}"
        )
    return MigrationError(files[0].file, 0, "", (), [each.label for each in files], why)
