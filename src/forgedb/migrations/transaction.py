"""Running one file in a transaction, and adding it to the history in the same one.

Everything here is steps: the caller that carries them out decides how long to wait, and retries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from forgedb.errors import ForgeDbError, InvalidValue, LockTimeout, MigrationDrift, MigrationError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.history import History, HistoryTable
from forgedb.migrations.isolation import LOCK_HISTORY, READ_ONLY
from forgedb.migrations.lock_retry import may_pass
from forgedb.migrations.locking import lock
from forgedb.migrations.repeatable import applied_repeatable, record_repeatable
from forgedb.migrations.script import Script
from forgedb.migrations.squashed import as_squashed
from forgedb.operations.steps import Ending, Now, Run, Steps, call, now, rows, run
from forgedb.sql.catalogue import sql
from forgedb.sql.lexer import Lines
from forgedb.sql.split import ScriptStatement

if TYPE_CHECKING:
    from forgedb.migrations.rebuild_check import Integrity
    from forgedb.migrations.references import Dangling

DEFERRABLE = sql(
    sqlite="SELECT NULL, NULL",
    postgres="""
    SELECT
        string_agg(DISTINCT format('%I.%I', nspname, conname), ', '),
        string_agg(DISTINCT format('%I.%I', nspname, conname), ', ') FILTER (WHERE condeferred)
    FROM pg_constraint JOIN pg_namespace AS n ON n.oid = connamespace
    WHERE condeferrable
    """,
)
"""The deferrable constraints, and those of them that are deferred by default."""


ADVICE = {
    "25001": "begin the file with `-- forgedb: no-transaction`",
    "2D000": "COMMIT and ROLLBACK in a DO block, or in a procedure that is called, need a file that"
    " begins with `-- forgedb: no-transaction`",
    "25006": READ_ONLY,
    "55P04": "put what uses it into the next file",
}
"""Advice for what PostgreSQL refuses in a transaction, by SQLSTATE; SQLite has only messages."""

TOO_LATE = "put it above all other statements of the file"
"""The advice for a SET TRANSACTION that comes after a query."""


class FileTransaction:
    """How one runner applies files: to which history, and how long statements queue for a lock."""

    def __init__(
        self,
        table: HistoryTable,
        lock_wait_seconds: float,
        options: str = "",
        warned: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self.table = table
        self.lock_wait_seconds = lock_wait_seconds
        self.options = options
        """What the command line needs to find the same files and history again."""
        self._warned = warned
        """Called with a file's name and each of the server's notices: its severity and words."""
        self.done: list[AppliedMigration] = []
        """What this run has applied."""
        self.allow_out_of_order = False
        self.is_at_commit = False
        """Whether all of a file's statements have been run."""
        self.session_changed = False
        """Whether a file has changed SQLite's connection, and not only data."""
        self.pending: Sequence[Script] = ()
        """The files still to apply, the one that is being run among them."""

    def locked_history(self) -> Steps[History]:
        """The history, under the lock: nobody else changes it before the transaction ends."""
        yield from lock(self.lock_wait_seconds)
        return (yield from self.table.read(creating=True))

    def locked(self, version: int) -> Steps[tuple[History, datetime]]:
        """The history under the lock, at least its first row from this number on; and the time."""
        if not self.done:
            return (yield from self.locked_history()), (yield from now())
        # The table exists, and all checksums were compared before the first file was run.  Whether
        # this number was applied since then takes one round trip, together with the lock.
        entry, at = yield from lock(self.lock_wait_seconds, self.table.look_up(version), Now())
        return History(() if entry is None else (entry,)), at

    def in_transaction(self, script: Script) -> Steps[AppliedMigration | None]:
        """Run a file, unless another process has done so; nothing of it stays where it fails."""
        began = time.monotonic()
        self.is_at_commit = False
        if script.opening:
            yield from self._opened(script)
        if script.migration.is_repeatable:
            yield from self.locked_history()
            if (yield from self._is_up_to_date(script)):
                return None
            return (yield from self.under_lock(script, began, (yield from now())))
        history, at = yield from self.locked(script.migration.version)
        if self.is_applied(script, history):
            return None
        return (yield from self.under_lock(script, began, at))

    def _opened(self, script: Script) -> Steps[None]:
        """Begin the transaction as the file asks for; the history's table must exist already."""
        texts = tuple(statement.text for statement in script.opening)
        try:
            yield Run(texts, None, self.hearing(script))
        except ForgeDbError as error:
            raise self.failed(script, script.opening[error.number], error) from error
        yield from run(f"SET LOCAL lock_timeout TO {round(self.lock_wait_seconds * 1000)}")
        yield from run(LOCK_HISTORY.format(self.table.full))

    def under_lock(self, script: Script, began: float, at: datetime) -> Steps[AppliedMigration]:
        """Run a file in the open transaction, which holds the lock and ends after the file."""
        yield from self.carried_out(script, Ending(self.lock_wait_seconds))
        return (yield from self.recorded(script, began, at))

    def carried_out(self, script: Script, ending: Ending | None = None) -> Steps[None]:
        """Run a file's statements, and after them its ``ending``."""
        before = (yield from _integrity()) if script.mode == "rebuild" else None
        yield from self._enter()
        if script.python is not None:
            yield from self._called(script, script.python.migrate)
        texts = tuple(statement.text for statement in script.statements)
        try:
            changed = yield Run(texts, ending, self.hearing(script))
        except ForgeDbError as error:
            from forgedb.migrations.hints import hint

            raise self._refusal(script, error, (yield from hint(error))) from error
        self.session_changed = self.session_changed or changed
        if changed:
            self._refuse(script, (yield from self.table.shadowed()))
        if before is not None:
            self._refuse(script, (yield from _integrity()).broken_since(before))

    def recorded(self, script: Script, began: float, at: datetime) -> Steps[AppliedMigration]:
        """Add a file that was run to the history."""
        duration_ms = round((time.monotonic() - began) * 1000)
        record = self.table.record
        if script.migration.is_repeatable:
            record = partial(record_repeatable, self.table)
        try:
            recorded = yield from record(script.migration, at, duration_ms)
        except ForgeDbError as error:
            if may_pass(error):
                raise
            words = f"its line of the history can't be written: {_said(error, script)}"
            raise self._error(script, words) from error
        self.is_at_commit = True
        return recorded

    def _enter(self) -> Steps[None]:
        if self.table.place is not None:
            yield from self.table.place.enter()

    def called_batch(self, script: Script, after: str | None) -> Steps[str | None]:
        """Run the next batch of a Python file in the open transaction; returns its cursor."""
        assert script.python is not None, "only a program has batches"
        yield from self._enter()
        given: str | None = yield from self._called(script, partial(script.python.batch, after))
        try:
            changed = yield Run((), Ending(self.lock_wait_seconds), self.hearing(script))
        except ForgeDbError as error:
            raise self._refusal(script, error) from error
        if changed:
            self._refuse(script, (yield from self.table.shadowed()))
        return given

    def _called(self, script: Script, function: Callable[[Any], Any]) -> Steps[Any]:
        """Call a Python file's function; an error is raised with the line it came from."""
        python = script.python
        assert python is not None, "only a program is called"
        try:
            return (yield from call(function))
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and not python.exits_by_itself(error):
                raise
            line = python.line_of(error)
            if isinstance(error, ForgeDbError) and may_pass(error):
                words = f"{script.migration.file}:{line}: {error.why}"
                raise LockTimeout(words, retryable=True) from error
            if isinstance(error, ForgeDbError):
                why = _said(error, script)
            else:
                why = python.words_of(error)
            raise self._error(script, why, line, 0, python.text_of(line)) from error

    def hearing(self, script: Script) -> Callable[[str, str], None] | None:
        """The function to call with the server's notices while a file is run."""
        return None if self._warned is None else partial(self._warned, script.migration.file)

    def _is_up_to_date(self, script: Script) -> Steps[bool]:
        """Whether another process has run a repeatable file since this one checked."""
        applied = yield from applied_repeatable(self.table)
        known = {(entry.name, entry.checksum) for entry in applied}
        return (script.migration.name, script.migration.checksum) in known

    def settle(self, before: Dangling, script: Script) -> Steps[Dangling]:
        """Check what a COMMIT after the file would check, and go on as in a new transaction.

        Returns the references that have no parent row.  Raises MigrationError.
        """
        from forgedb.migrations.rebuild_check import more_dangling
        from forgedb.migrations.references import dangling

        ((deferrable, deferred),) = yield from rows(DEFERRABLE)
        # By their names: SET CONSTRAINTS ALL would apply to constraints of a later file, too.
        if deferrable is not None:
            try:
                yield from run(f"SET CONSTRAINTS {deferrable} IMMEDIATE")
            except ForgeDbError as error:
                raise self.uncommitted(script, error) from error
        if deferred is not None:
            yield from run(f"SET CONSTRAINTS {deferred} DEFERRED")
        after = yield from dangling()
        self._refuse(script, more_dangling(before, after))
        try:
            yield Run((), Ending(self.lock_wait_seconds, checks=False), self.hearing(script))
        except ForgeDbError as error:
            raise self._refusal(script, error, of_ending=True) from error
        return after

    def _refusal(
        self, script: Script, error: ForgeDbError, way_out: str = "", *, of_ending: bool = False
    ) -> LockTimeout | MigrationError:
        """The error where one of the statements sent together, or their ending, was refused."""
        statements = () if of_ending else script.statements[error.number : error.number + 1]
        if may_pass(error):
            places = [f":{each.line}:{each.column}" for each in statements]
            where = "".join([script.migration.file, *places])
            return LockTimeout(f"{where}: {error.why}", retryable=True)
        for statement in statements:
            return self.failed(script, statement, error, way_out)
        return self.uncommitted(script, error)

    def failed(
        self, script: Script, statement: ScriptStatement, error: ForgeDbError, advice: str = ""
    ) -> MigrationError:
        """The error for a statement that the database refused."""
        line, column = statement.line, statement.column
        if error.position is not None:
            down, right = Lines(statement.text).place(error.position)
            line, column = line + down - 1, right if down > 1 else column + right - 1
        words = _said(error, script, statement)
        return self._error(script, f"{words}{advice}", line, column, statement.text)

    def uncommitted(self, script: Script, error: ForgeDbError) -> MigrationError:
        """The error for a file of which every statement went well, but not its COMMIT."""
        return self._error(script, f"{_said(error, script)}, which its COMMIT found")

    def is_applied(self, script: Script, history: History) -> bool:
        """Whether the file is in the history.

        Raises MigrationDrift (another text of it is), MigrationError (a higher number is).
        """
        migration = script.migration
        history = as_squashed([migration], history)
        for entry in history.applied:
            if entry.version == migration.version:
                if entry.checksum != migration.checksum:
                    raise MigrationDrift(migration.file, entry.checksum, migration.checksum)
                return True
        newest = max((entry.version for entry in history.applied), default=-1)
        if newest > migration.version and not self.allow_out_of_order:
            raise self._error(
                script,
                f"a higher number, {newest}, is applied already, by another process since this one"
                " began: give it the next number, or allow it with --allow-out-of-order",
            )
        return False

    def _refuse(self, script: Script, why: str | None) -> None:
        if why is not None:
            raise self._error(script, why)

    def _error(
        self, script: Script, why: str, line: int = 0, column: int = 0, statement: str = ""
    ) -> MigrationError:
        applied = [entry.label for entry in self.done]
        pending = [later.migration.label for later in self.pending]
        return MigrationError(script.migration.file, line, statement, applied, pending, why, column)


def _integrity() -> Steps[Integrity]:
    # Few files make a table anew.
    from forgedb.migrations.rebuild_check import integrity

    return integrity()


def _said(error: ForgeDbError, script: Script, statement: ScriptStatement | None = None) -> str:
    """The database's message about a statement, with its detail, its hint, and our advice."""
    cause = error.__cause__
    words = str(cause) if isinstance(error, InvalidValue) and cause else str(error)
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is not None:
        if isinstance(error, InvalidValue):
            words = diagnosis.message_primary or words
        beside = (diagnosis.message_detail, diagnosis.message_hint)
        words = "; ".join([words, *(text.rstrip(".") for text in beside if text)])
    if script.mode == "no-transaction":
        return words
    code = getattr(cause, "sqlstate", None) or ""
    way_out = ADVICE.get("25001" if "within a transaction" in words else code)
    if code == "25001" and statement is not None and statement.opening[:1] == ("SET",):
        way_out = TOO_LATE
    return f"{words}; {way_out}" if way_out else words
