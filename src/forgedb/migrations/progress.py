"""What a runner reports while it works: a caller overrides the methods that it needs."""

from __future__ import annotations

from collections.abc import Sequence

from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import MigrationFile


class Progress:
    """Ignores all reports."""

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        """These files are about to be applied; another process may apply some of them first."""

    def waiting(self, why: str) -> None:
        """A lock has been waited for a while; called again when the reason changes."""

    def warned(self, file: str, severity: str, words: str) -> None:
        """The server sent a notice while a file was run, such as one of its own ``RAISE WARNING``.

        ``severity`` is PostgreSQL's: WARNING, INFO, or NOTICE where the file asks for these.
        """

    def batch(self, migration: MigrationFile, done: int, after: str) -> None:
        """So many batches of a file are done; the next one begins after ``after``, in JSON."""

    def applied(self, entry: AppliedMigration) -> None:
        """A file has been applied by this runner."""
