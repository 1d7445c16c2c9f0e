"""Python files that run in batches, each in a transaction that also records how far it came.

Each batch takes the lock of all migrations, and begins where the last one ended by the history.
So a run that was killed leaves nothing to repair, and two runs at once share the work.
"""

from __future__ import annotations

import time
from functools import partial

import msgspec

from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import refused
from forgedb.migrations.history import CURSOR, BegunMigration
from forgedb.migrations.lock_retry import LockRetry
from forgedb.migrations.no_transaction import Resolution
from forgedb.migrations.progress import Progress
from forgedb.migrations.script import Script
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.steps import Steps, now


class Batches:
    """Runs such files."""

    def __init__(
        self, retry: LockRetry, transaction: FileTransaction, progress: Progress | None = None
    ) -> None:
        self._retry = retry
        self._transaction = transaction
        self._progress = progress

    def apply(self, script: Script) -> AppliedMigration | None:
        """Run a file, or what is left of it, unless another process has done so.

        Raises MigrationError (its batch was rolled back, those before it stay), LockTimeout.
        """
        began = time.monotonic()
        while True:
            came_to = self.run_one(script, began)
            if not isinstance(came_to, BegunMigration):
                return came_to
            if self._progress is not None:
                self._progress.batch(script.migration, came_to.done, came_to.cursor or "")

    def run_one(self, script: Script, began: float) -> BegunMigration | AppliedMigration | None:
        """Run the next batch; returns how far the file came, or at its end its history row."""
        return self._retry.write(partial(self._next, script, began))

    def _next(
        self, script: Script, began: float
    ) -> Steps[BegunMigration | AppliedMigration | None]:
        transaction, version = self._transaction, script.migration.version
        history = yield from transaction.locked_history()
        if transaction.is_applied(script, history):
            return None
        begun = history.begun_of(version)
        if begun is not None and begun.cursor is None:
            raise refused(
                script.migration.file,
                "a file of this number was begun outside a transaction: see `forgedb migrate"
                f" resolve {version}{transaction.options}`",
            )
        after = yield from transaction.called_batch(script, None if begun is None else begun.cursor)
        return (yield from self.note(script, begun, after, began))

    def note(
        self, script: Script, begun: BegunMigration | None, after: str | None, began: float
    ) -> Steps[BegunMigration | AppliedMigration]:
        """Record where a batch ended, in its transaction."""
        table = self._transaction.table
        at = yield from now()
        if after is None:
            if begun is not None:
                yield from table.end(begun)
            duration_ms = round((time.monotonic() - began) * 1000)
            return (yield from table.record(script.migration, at, duration_ms))
        if begun is None:
            begun = yield from table.begin(script.migration, at, "")
        further = msgspec.structs.replace(
            begun, state="resumed", done=begun.done + 1, done_checksum=f"{CURSOR}{after}"
        )
        yield from table.note(begun, further)
        return further

    def resolve(self, script: Script, begun: BegunMigration, how: Resolution) -> list[str]:
        """Take a file as applied that was finished by hand; else the next run just continues."""
        if how == "applied":
            self._retry.write(partial(self.note, script, begun, None, time.monotonic()))
            return [f"{begun.label} is recorded as applied"]
        return [f"the next `forgedb migrate` goes on with {begun.next_part}"]
