"""One line of a database's migration history."""

from __future__ import annotations

from datetime import datetime

import msgspec

REPEATABLE = -1
"""In the place of a number: a file that is run again when its text has changed has none."""


class Numbered(msgspec.Struct, frozen=True):
    """What the history knows a migration by."""

    version: int
    name: str

    @property
    def label(self) -> str:
        """The number and name, as the file's name has them: ``0001_initial``, ``R__views``."""
        if self.version == REPEATABLE:
            return f"R__{self.name}"
        return f"{self.version:04}_{self.name}"


class AppliedMigration(Numbered, frozen=True):
    """A migration that the database has; ``checksum`` is SHA-256 of its text, in hex.

    Of a repeatable file it is what was run last; its ``version`` is -1.
    """

    checksum: str
    applied_at: datetime
    duration_ms: int
