"""SQLite's foreign keys in a migration: which of them have no parent row or table."""

from __future__ import annotations

from collections import Counter

from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql

DANGLING = sql(
    sqlite="""
    SELECT "table", rowid, parent FROM pragma_foreign_key_check
    """,
    postgres="SELECT '', 0, '' WHERE false",
)
"""Rows whose foreign key finds no parent; PostgreSQL never has any."""

PARENTLESS = sql(
    sqlite="""
    SELECT DISTINCT child.name, refers."table"
    FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS refers
    WHERE child.type = 'table'
      AND NOT EXISTS (
          SELECT 1
          FROM sqlite_schema AS parent
          WHERE parent.type = 'table' AND lower(parent.name) = lower(refers."table")
      )
    """,
    postgres="SELECT '', '' WHERE false",
)
"""Tables that refer to one that isn't there; PostgreSQL never has any."""

Dangling = Counter[tuple[str, int | None, str]]
"""How many references without a parent row: by table, rowid and parent table."""


def dangling() -> Steps[Dangling]:
    """The rows that refer to a row that isn't there."""
    return Counter((yield from rows(DANGLING)))


def parentless() -> Steps[frozenset[tuple[str, str]]]:
    """The tables that refer to one that isn't there, and that one."""
    return frozenset((yield from rows(PARENTLESS)))
