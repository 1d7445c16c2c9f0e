"""One row of a database's migration history."""

from __future__ import annotations

from datetime import datetime

import msgspec

REPEATABLE = -1
"""In the place of a version: a repeatable file has no number."""


class Numbered(msgspec.Struct, frozen=True):
    """A migration's number and name, as the history has them."""

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

    For a repeatable file it is the last run; its ``version`` is -1.
    """

    checksum: str
    applied_at: datetime
    duration_ms: int
