"""What a file sets for its whole transaction, at its top: ``SET TRANSACTION ISOLATION LEVEL``.

PostgreSQL takes it only before the transaction's first snapshot, and the history is read before
the file is run.  So it is sent ahead of everything.  Since that snapshot may then stay the same to
the end, the history's table is locked before it is taken: all writers of it have committed by then.
"""

from __future__ import annotations

from collections.abc import Sequence

from forgedb.sql.lexer import tokens
from forgedb.sql.split import ScriptStatement

LOCK_HISTORY = "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE"
"""It takes no snapshot, and waits for writers."""

_SETTINGS = frozenset(
    {"TRANSACTION", "TRANSACTION_ISOLATION", "TRANSACTION_READ_ONLY", "TRANSACTION_DEFERRABLE"}
)
"""What SET TRANSACTION sets, by their own names too."""

READ_ONLY = "the file's line of the history is written in its transaction: leave out READ ONLY"
SNAPSHOT = "what was applied since that snapshot would be applied again: leave it out"


def opening_of(statements: Sequence[ScriptStatement]) -> list[ScriptStatement]:
    """The statements about the transaction, among the SETs that a file of PostgreSQL begins with.

    A SET takes no snapshot, so that the server would accept one of these after it, too.
    """
    opening: list[ScriptStatement] = []
    for statement in statements:
        if statement.opening[:1] != ("SET",):
            break
        words = [each for each in statement.opening[1:3] if each not in ("LOCAL", "SESSION")]
        if words and words[0] in _SETTINGS:
            opening.append(statement)
    return opening


def refusal(statement: ScriptStatement) -> str | None:
    """Why a file's transaction can't be set this way; None where it can."""
    found = tokens(statement.text, "postgres")
    words = " ".join(token.text.upper() for token in found if token.kind == "word")
    if "SNAPSHOT" in words:
        return SNAPSHOT
    return READ_ONLY if "READ ONLY" in words else None
