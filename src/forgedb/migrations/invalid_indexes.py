"""INVALID indexes: what CREATE INDEX CONCURRENTLY leaves on PostgreSQL where it fails."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql

INVALID_INDEXES = sql(
    sqlite="SELECT '', '', '', false WHERE :schema IS NULL AND false",
    postgres="""
    SELECT
        quote_ident(n.nspname) || '.' || quote_ident(c.relname),
        n.nspname,
        c.relname,
        CASE
            WHEN CAST(:schema AS name) IS NULL THEN pg_table_is_visible(c.oid)
            ELSE n.nspname = CAST(:schema AS name)
        END
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relkind = 'i'
    ORDER BY 1
    """,
)

LEFT, UNUSED = "the index ", " is INVALID, and isn't used"
"""The words around their names in the recorded error of a failure."""

_NAME = r'("(?:[^"]|"")+"|[\w$]+)'
_find_creation = re.compile(
    rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+ON"
    rf"\s+(?:ONLY\s+)?(?:{_NAME}\s*\.)?",
    re.IGNORECASE,
).search


class InvalidIndex(NamedTuple):
    """An index that PostgreSQL doesn't use; ``full`` is its name as SQL takes it."""

    full: str
    schema: str
    name: str
    is_visible: bool


def invalid_indexes(schema: str | None = None) -> Steps[list[InvalidIndex]]:
    """All of the database's, in the order of their names.

    Those in ``schema``, if it is given, count as visible; else those along the search_path.
    """
    return [InvalidIndex(*row) for row in (yield from rows(INVALID_INDEXES, schema=schema))]


def made_by(text: str, indexes: Sequence[InvalidIndex]) -> list[str]:
    """Those that a statement makes, by the name in it; none for REINDEX, which repairs them."""
    created = _find_creation(text)
    if created is None:
        return []
    name, schema = _plain(created[2]), _plain(created[3]) if created[3] else None
    return [
        index.full
        for index in indexes
        if index.name == name and (index.is_visible if schema is None else index.schema == schema)
    ]


def left_by(
    text: str, failed: bool, before: Collection[InvalidIndex], after: Sequence[InvalidIndex]
) -> list[str]:
    """Those that a statement left behind, or that kept it from making its own."""
    named, known = made_by(text, after), {index.full for index in before}
    if failed:
        # Not all are named, as in CREATE INDEX CONCURRENTLY ON t (x).
        return [*named, *(each.full for each in after if each.full not in (*known, *named))]
    created = _find_creation(text)
    # One that was there before isn't this statement's, unless it had IF NOT EXISTS.
    return [full for full in named if full not in known or (created and created[1])]


def unused(indexes: Sequence[str]) -> str:
    """What is said of INVALID indexes."""
    return f"{LEFT}{', '.join(indexes)}{UNUSED}"


def names_in(error: str) -> list[str]:
    """The indexes that a failure left, by its recorded error."""
    names, found, _ = error.rpartition(LEFT)[2].partition(UNUSED)
    return names.split(", ") if found else []


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
