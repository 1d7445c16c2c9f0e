"""Trying what is pending in one transaction that is rolled back; names what can't be tried.

A real run has a transaction for each file.  A file that fails only for lack of one is no failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from forgedb.errors import MigrationError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.references import dangling
from forgedb.migrations.script import Script
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.steps import Steps, now, rows, run
from forgedb.sql.catalogue import sql

WITH_COMMITS = {
    "no-transaction": "it runs in no transaction, and couldn't be undone",
    "batches": "it runs in batches, each with a COMMIT of its own",
}
"""The modes of files that can't be tried at all, and why."""
NEW_LABEL = "it uses a value of an enum that a file before it adds, which needs a COMMIT between"
TOO_MANY_LOCKS = "with the files before it, it needs more locks than one transaction may have"

LABELS = sql(
    sqlite="SELECT 0, '' WHERE false",
    postgres="SELECT oid, CAST(enumlabel AS text) FROM pg_catalog.pg_enum",
)


class Unrehearsed(msgspec.Struct, frozen=True):
    """A file that couldn't be tried, and why."""

    label: str
    why: str


class Rehearsed(list[AppliedMigration]):
    """What was tried and went well, in order; ``unrehearsed`` is what couldn't be tried."""

    def __init__(
        self,
        applied: Iterable[AppliedMigration] = (),
        unrehearsed: Sequence[Unrehearsed] = (),
    ) -> None:
        super().__init__(applied)
        self.unrehearsed = unrehearsed


class RolledBack(Exception):
    """Ends a rehearsal by rolling it back; has the result."""

    def __init__(self, rehearsed: Rehearsed) -> None:
        super().__init__(rehearsed)
        self.rehearsed = rehearsed


class Rehearsal:
    """One attempt at it: ``note`` is called for each file that went well."""

    def __init__(
        self,
        transaction: FileTransaction,
        scripts: Sequence[Script],
        note: Callable[[AppliedMigration, FileTransaction], None],
    ) -> None:
        self._transaction = transaction
        self._scripts = scripts
        self._note = note
        self._labels: frozenset[tuple[int, str]] = frozenset()
        """The values of enums that there were before."""

    def steps(self) -> Steps[None]:
        """Try the files in order, and raise RolledBack."""
        transaction, scripts = self._transaction, self._scripts
        yield from transaction.locked_history()
        before = yield from dangling()
        self._labels = frozenset((yield from rows(LABELS)))
        unrehearsed: Sequence[Unrehearsed] = ()
        for position, script in enumerate(scripts):
            if script.mode in WITH_COMMITS:
                unrehearsed = _left(scripts[position:], WITH_COMMITS[script.mode])
                break
            transaction.pending = scripts[position:]
            began, at = time.monotonic(), (yield from now())
            yield from run("SAVEPOINT forgedb_file")
            try:
                yield from transaction.carried_out(script)
                before = yield from transaction.settle(before, script)
                applied = yield from transaction.recorded(script, began, at)
            except MigrationError as error:
                why = (yield from self._excuse(error)) if position else None
                if why is None:
                    raise
                unrehearsed = _left(scripts[position:], why)
                break
            yield from run("RELEASE SAVEPOINT forgedb_file")
            if transaction.session_changed and position + 1 < len(scripts):
                # The next file is to see a connection like any other.
                break
            self._note(applied, transaction)
        raise RolledBack(Rehearsed(transaction.done, unrehearsed))

    def _excuse(self, error: MigrationError) -> Steps[str | None]:
        """Why a file failed only since those before it aren't committed, if so."""
        refusal = error.__cause__
        cause = None if refusal is None else refusal.__cause__
        code = getattr(cause, "sqlstate", None)
        if code == "53200":
            return TOO_MANY_LOCKS
        if code != "55P04":
            return None
        # This undoes what the file itself added: a value of its own would fail in a real run, too.
        yield from run("ROLLBACK TO SAVEPOINT forgedb_file")
        added = {*(yield from rows(LABELS))} - self._labels
        return NEW_LABEL if any(label in str(cause) for _, label in added) else None


def _left(scripts: Sequence[Script], why: str) -> list[Unrehearsed]:
    """The first of the files that can't be tried, and those that may need what it does."""
    first, *others = (script.migration.label for script in scripts)
    return [
        Unrehearsed(first, why),
        *(Unrehearsed(each, f"it comes after {first}") for each in others),
    ]
