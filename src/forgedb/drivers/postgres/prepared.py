"""When a statement is prepared on the server: after a few uses, and never within a pipeline.

psycopg can do this by itself, but it counts a statement as prepared that a pipeline skipped after
an error; and it forgets all that it prepared at a ROLLBACK.
"""

from __future__ import annotations

STATEMENTS_MAX = 90
"""Fewer than psycopg keeps on a connection."""

NOT_BY_ITSELF = 1_000_000_000
"""psycopg's own threshold: never reached, so that it prepares nothing by itself."""


class Preparing:
    """What one connection has prepared, by text; ``threshold`` None prepares nothing."""

    def __init__(self, threshold: int | None) -> None:
        self._threshold = threshold
        self._uses: dict[bytes, int] = {}
        self._prepared: set[bytes] = set()

    def is_done(self, text: bytes) -> bool:
        """Whether the statement is prepared: there is nothing more to count."""
        return text in self._prepared

    def is_due(self, text: bytes) -> bool:
        """Whether the statement's next use is the one that prepares it."""
        return self._uses.get(text, 0) == self._threshold and text not in self._prepared

    def used(self, text: bytes) -> None:
        """Count a use that went well."""
        uses = self._uses.get(text, 0)
        if uses == self._threshold:
            self._prepared.add(text)
        elif uses or len(self._uses) < STATEMENTS_MAX:
            self._uses[text] = uses + 1

    def forget(self) -> None:
        """Begin anew: psycopg has let go of what was prepared."""
        self._uses.clear()
        self._prepared.clear()
