"""Advice on errors of SQLite, where its own message doesn't say what to do."""

from __future__ import annotations

import re

from forgedb.errors import ForgeDbError
from forgedb.migrations.references import parentless
from forgedb.operations.steps import Steps

DEPENDENT = r"error in (view|trigger) (.+?)(?: after [a-z ]+)?: "
MISSING = "no such table: main."
UNATTACHED = "unable to open database: "


def hint(error: ForgeDbError) -> Steps[str]:
    """What to do about it, to be appended to the message; empty where that says enough."""
    words = str(error.__cause__)
    dependent = re.match(DEPENDENT, words)
    if dependent is not None:
        kind, name = dependent.groups()
        return f"; drop the {kind} {name} before it, and make it anew behind it"
    if words.startswith(UNATTACHED):
        file = words.removeprefix(UNATTACHED)
        return f"; {file} was to be attached: ATTACH makes no file, make it first"
    if words.startswith(MISSING):
        missing = words.removeprefix(MISSING).lower()
        for child, parent in sorted((yield from parentless())):
            if parent.lower() == missing:
                # To drop a parent SQLite compiles a statement on the child, and reads all its keys.
                return (
                    f"; {child} still refers to it: drop {child} before the tables that it refers"
                    " to, or begin the file with `-- forgedb: rebuild`"
                )
    return ""
