"""What comes behind the last statement of a migration's file, with it in one text.

A session outlives its transaction, and so does what the file set there: for the next file, which
would find it only where the same process runs both, and for whoever the pool lends it to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forgedb.operations.steps import Ending

CHECKED = "SET CONSTRAINTS ALL IMMEDIATE"
"""What waits for the COMMIT, done under the file's own role and settings."""

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
"""DISCARD ALL does the same, but in no transaction; and it takes the driver's own statements."""

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
    """Whether statements may have prepared others, by their own."""
    return any(map(_prepares, texts))


def statements(ending: Ending, settings: str, *, has_prepared: bool) -> list[str]:
    """What ends a file; ``settings`` are what a session of the driver's begins with."""
    return [
        *([CHECKED] if ending.checks else []),
        *AS_NEW,
        # It takes longer than all of the others together.
        *([UNPREPARED] if has_prepared else []),
        settings,
        f"SET LOCAL lock_timeout TO {round(ending.lock_wait_seconds * 1000)}",
    ]
