"""The statements that reset the session after a migration's file, sent with it in one text.

What a file sets in its session outlives its transaction.  The next file would see it, though only
where the same process runs both; and so would the next user of the pool's connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forgedb.operations.steps import Ending

CHECKED = "SET CONSTRAINTS ALL IMMEDIATE"
"""Checks deferred constraints before the COMMIT, under the file's own role and settings."""

AS_NEW = (
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
    "UNLISTEN *",
    "SELECT pg_catalog.pg_advisory_unlock_all()",
)
"""DISCARD ALL does the same, but not in a transaction, and drops the driver's own statements."""

UNPREPARED = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT p.name FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql LOOP
        EXECUTE pg_catalog.format('DEALLOCATE %I', name);
    END LOOP;
END
$$
"""

_prepares = re.compile("prepare", re.IGNORECASE).search


def may_prepare(texts: Sequence[str]) -> bool:
    """Whether the statements may have prepared others, with PREPARE."""
    return any(map(_prepares, texts))


def statements(ending: Ending, settings: str, *, has_prepared: bool) -> list[str]:
    """The statements after a file; ``settings`` are those that each session begins with."""
    return [
        *([CHECKED] if ending.checks else []),
        *AS_NEW,
        # It takes longer than all of the others together.
        *([UNPREPARED] if has_prepared else []),
        settings,
        f"SET LOCAL lock_timeout TO {round(ending.lock_wait_seconds * 1000)}",
    ]
