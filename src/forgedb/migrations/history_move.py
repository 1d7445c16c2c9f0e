"""Moving a history to another table: 0.1 kept a folder's history in the table of forgedb's own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forgedb.errors import UsageError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.comparison import others_files
from forgedb.migrations.files import MigrationFile, own_checksums
from forgedb.migrations.history import BESIDE, HistoryTable
from forgedb.migrations.schemas import full, quoted
from forgedb.operations.steps import Steps, rows, run
from forgedb.sql.catalogue import sql

TABLE_TEXT = sql(
    sqlite="SELECT sql, :schema FROM sqlite_schema WHERE type = 'table' AND name = :name",
    postgres="""
    SELECT CAST(c.relname AS text), NULL
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = CAST(:schema AS name) AND c.relname = CAST(:name AS name)
      AND c.relkind = 'r'
    """,
)

RULES = sql(
    sqlite="SELECT :schema, :name WHERE false",
    postgres="""
    SELECT CAST(k.conname AS text)
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = CAST(:schema AS name) AND c.relname = CAST(:name AS name)
    ORDER BY k.conname
    """,
)
"""The names of a table's constraints, which are its indexes' names as well."""


def move(
    files: Sequence[MigrationFile], source: HistoryTable, target: HistoryTable
) -> Steps[list[AppliedMigration]]:
    """Move the history of these files from the table ``source`` to the table ``target``.

    Raises UsageError (the history isn't these files', there is none, or ``target`` has one).
    """
    if source.name == target.name:
        raise UsageError(f"{source.shown} can't be moved to itself: name another with --table")
    there = yield from target.read(writing=True)
    if there.applied or there.begun:
        raise UsageError(
            f"{target.shown} holds a history already, and {source.shown} can't be added to it:"
            " name another table with --table"
        )
    history = yield from source.read(writing=True)
    if not history.applied and not history.begun:
        raise UsageError(
            f"there is no history in {source.shown}: say where it is with --from"
            " (and --history-schema)"
        )
    own = own_checksums()
    if any(entry.checksum in own for entry in history.applied):
        raise UsageError(
            f"the history in {source.shown} is forgedb's own, which stays where it is: say where"
            " that of your folder is with --from"
        )
    unknown = others_files(files, history, source.shown)
    if unknown is not None:
        raise UsageError(f"{unknown.why.partition(':')[0]}: give their folder with --dir")
    for end in ("", *BESIDE):
        yield from _rename(source.schema, f"{source.name}{end}", f"{target.name}{end}")
    return [*history.applied]


def _rename(schema: str | None, old: str, new: str) -> Steps[None]:
    found = yield from rows(TABLE_TEXT, schema=schema, name=old)
    if not found:
        return
    if (yield from rows(TABLE_TEXT, schema=schema, name=new)):
        yield from run(f"DROP TABLE {full(schema, new)}")
    if schema is None:
        # SQLite's own RENAME would leave the constraints' names as they are, and fail in a schema
        # in which any view is broken.
        ((text, _),) = found
        made = re.sub(rf'(CREATE TABLE |CONSTRAINT )"?{old}(\w*)"?', rf"\1{new}\2", text)
        yield from run(made, f"INSERT INTO {new} SELECT * FROM {old}", f"DROP TABLE {old}")
        return
    yield from run(f"ALTER TABLE {full(schema, old)} RENAME TO {new}")
    for (rule,) in (yield from rows(RULES, schema=schema, name=new)):
        if rule.startswith(old):
            renamed = quoted(f"{new}{rule.removeprefix(old)}")
            text = f"ALTER TABLE {full(schema, new)} RENAME CONSTRAINT {quoted(rule)} TO {renamed}"
            yield from run(text)
