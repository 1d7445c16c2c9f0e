"""Running one file in a transaction, its line of history with it.

Everything here is steps: who carries them out decides how long to wait, and tries again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from forgedb.errors import ForgeDbError, LockTimeout, MigrationDrift, MigrationError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.history import History, HistoryTable
from forgedb.migrations.locking import lock
from forgedb.migrations.script import Script
from forgedb.operations.steps import Steps, change, now, rows, run
from forgedb.sql.catalogue import sql
from forgedb.sql.lexer import Lines
from forgedb.sql.split import ScriptStatement

DANGLING = sql(
    sqlite="""
    SELECT "table", parent FROM pragma_foreign_key_check
    """,
    postgres="SELECT '', '' WHERE false",
)
"""Rows whose foreign key finds no parent; PostgreSQL never has any."""

CHECK_DEFERRED = sql(sqlite="SELECT 1 WHERE false", postgres="SET CONSTRAINTS ALL IMMEDIATE")
"""Checks at once what PostgreSQL would check at the COMMIT."""


class Applying:
    """How one runner applies: which history, and how long a statement queues for a lock."""

    def __init__(self, table: HistoryTable, lock_wait_seconds: float) -> None:
        self.table = table
        self.lock_wait_seconds = lock_wait_seconds
        self.done: list[AppliedMigration] = []
        """What this run has applied."""
        self.pending: Sequence[Script] = ()
        """What it is going to apply, the file that is being run among them."""

    def locked_history(self, version: int | None = None) -> Steps[History]:
        """The history, under the lock: nobody else changes it before the transaction ends.

        With ``version`` only what was applied of that number: the others' checksums were compared
        before the first file was run.
        """
        if version is not None and self.done:
            # The table is there, and this takes one round trip.
            look = self.table.look_up(version)
            (entry,) = yield from lock(self.lock_wait_seconds, look)
            return History(() if entry is None else (entry,))
        yield from lock(self.lock_wait_seconds)
        yield from self.table.create()
        return (yield from self.table.read())

    def in_transaction(self, script: Script) -> Steps[AppliedMigration | None]:
        """Run a file, unless another process has done so; nothing of it stays where it fails."""
        began = time.monotonic()
        history = yield from self.locked_history(script.migration.version)
        if self.is_applied(script, history):
            return None
        return (yield from self.unlocked(script, began))

    def unlocked(self, script: Script, began: float) -> Steps[AppliedMigration]:
        """Run a file in the open transaction, whose lock is held."""
        dangling: Counter[tuple[str, str]] = Counter()
        if script.mode == "rebuild":
            dangling = yield from self.dangling()
        for statement in script.statements:
            try:
                yield from run(statement.text)
            except ForgeDbError as error:
                if isinstance(error, LockTimeout):
                    file, line, column = script.migration.file, statement.line, statement.column
                    words = f"{file}:{line}:{column}: {error.why}"
                    raise LockTimeout(words, retryable=True) from error
                raise self.failed(script, statement, error) from error
        if script.mode == "rebuild":
            self._refuse_more(dangling, (yield from self.dangling()), script)
        at = yield from now()
        duration_ms = round((time.monotonic() - began) * 1000)
        return (yield from self.table.record(script.migration, at, duration_ms))

    def dangling(self) -> Steps[Counter[tuple[str, str]]]:
        """How many rows of each table find no row of each parent."""
        return Counter((yield from rows(DANGLING)))

    def settle(self, before: Counter[tuple[str, str]], last: Script) -> Steps[None]:
        """Check what a COMMIT would.  Raises MigrationError."""
        try:
            yield from change(CHECK_DEFERRED)
        except ForgeDbError as error:
            raise self.uncommitted(last, error) from error
        self._refuse_more(before, (yield from self.dangling()), last)

    def failed(
        self, script: Script, statement: ScriptStatement, error: ForgeDbError, advice: str = ""
    ) -> MigrationError:
        """The error for a statement that the database refused."""
        line, column = statement.line, statement.column
        if error.position is not None:
            down, right = Lines(statement.text).place(error.position)
            line, column = line + down - 1, right if down > 1 else column + right - 1
        return self._error(script, f"{error}{advice}", line, column, statement.text)

    def uncommitted(self, script: Script, error: ForgeDbError) -> MigrationError:
        """The error for a file of which every statement went well, but not its COMMIT."""
        return self._error(script, f"{error}, which its COMMIT found")

    def is_applied(self, script: Script, history: History) -> bool:
        """Whether the file is in the history.  Raises MigrationDrift for another text of it."""
        migration = script.migration
        for entry in history.applied:
            if entry.version == migration.version:
                if entry.checksum != migration.checksum:
                    raise MigrationDrift(migration.file, entry.checksum, migration.checksum)
                return True
        return False

    def _refuse_more(
        self,
        before: Counter[tuple[str, str]],
        after: Counter[tuple[str, str]],
        script: Script,
    ) -> None:
        for (child, parent), count in (after - before).items():
            raise self._error(
                script,
                f"{count} more row(s) of {child} would refer to rows of {parent} that aren't there:"
                " copy every row that others refer to, with its key",
            )

    def _error(
        self, script: Script, why: str, line: int = 0, column: int = 0, statement: str = ""
    ) -> MigrationError:
        applied = [entry.label for entry in self.done]
        pending = [later.migration.label for later in self.pending]
        return MigrationError(script.migration.file, line, statement, applied, pending, why, column)
