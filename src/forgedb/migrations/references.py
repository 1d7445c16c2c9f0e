"""SQLite's foreign keys in a migration: what a DROP TABLE would take along, and what dangles.

Where foreign keys are checked, SQLite deletes a table's rows before it drops the table, and with
them, or emptied of their reference, the rows of other tables (https://sqlite.org/lang_droptable).
"""

from __future__ import annotations

import re
from collections import Counter

from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import Sql, sql
from forgedb.sql.split import ScriptStatement

DANGLING = sql(
    sqlite="""
    SELECT "table", rowid, parent FROM pragma_foreign_key_check
    """,
    postgres="SELECT '', 0, '' WHERE false",
)
"""Rows whose foreign key finds no parent; PostgreSQL never has any."""

TAKEN_ALONG = sql(
    sqlite="""
    SELECT DISTINCT lower(refers."table"), child.name
    FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS refers
    WHERE child.type = 'table'
      AND refers.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
      AND lower(refers."table") <> lower(child.name)
    """,
    postgres="SELECT '', '' WHERE false",
)
"""Tables, and each that loses rows or references with theirs."""

DROP_TABLE = (
    r"\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:\w+\s*\.\s*)?"
    r"(?:\"([^\"]+)\"|`([^`]+)`|\[([^]]+)\]|(\w+))"
)

Dangling = Counter[tuple[str, int | None, str]]
"""How often a row of a table, by its rowid, finds no row of a parent."""


def dangling() -> Steps[Dangling]:
    """The rows that refer to what isn't there."""
    return Counter((yield from rows(DANGLING)))


def taken_along(statement: ScriptStatement) -> Steps[tuple[str, str] | None]:
    """The table that a statement drops, and one that has rows that would go, or be changed, too."""
    if statement.opening[:2] != ("DROP", "TABLE"):
        return None
    found = re.match(DROP_TABLE, statement.text, re.IGNORECASE)
    if found is None:
        return None
    (table,) = filter(None, found.groups())
    for parent, child in (yield from rows(TAKEN_ALONG)):
        if parent == table.lower():
            name = child.replace('"', '""')
            any_row = f'SELECT EXISTS (SELECT 1 FROM "{name}")'
            ((has_rows,),) = yield from rows(Sql(any_row, any_row))
            if has_rows:
                return table, child
    return None
