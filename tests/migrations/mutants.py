"""Runners with a bug each: what a race must not forgive.

They pause where the bug opens a gap, so that a short race falls into it, and run on a history
without the primary key that would stop them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from forgedb import Database
from forgedb.migrations import Runner
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.batches import Batches
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.history import BegunMigration, History
from forgedb.migrations.lock_retry import LockRetry
from forgedb.migrations.schemas import Resolved, Schemas
from forgedb.migrations.script import Script
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.steps import Steps, now, run

R = TypeVar("R")

GAP_SECONDS = 0.002

HISTORY = """
CREATE TABLE app_schema_migrations (
    version bigint, name text, checksum text, applied_at {time}, duration_ms bigint
)
"""


def without_backstop(db: Database) -> None:
    """Leave each file's being applied once to the code alone."""
    time_type = "text" if db.client.dialect == "sqlite" else "timestamptz"
    db.client.execute(HISTORY.format(time=time_type))


class _Trusting(FileTransaction):
    def is_applied(self, script: Script, history: History) -> bool:
        return False


class ReadsTheHistoryOnce(Runner):
    """Decides by what was pending when it began, and takes the lock only to apply."""

    def _transaction(self) -> FileTransaction:
        return _Trusting(self._table, self._lock_wait_seconds)


class _Slow(FileTransaction):
    def under_lock(self, script: Script, began: float, at: datetime) -> Steps[AppliedMigration]:
        time.sleep(GAP_SECONDS)
        return super().under_lock(script, began, at)


class _Unlocked(_Slow):
    def locked(self, version: int) -> Steps[tuple[History, datetime]]:
        return (yield from self.table.read(creating=True)), (yield from now())


class AsksForNoLock(Runner):
    """Has a transaction for each file, and no more: PostgreSQL lets many write."""

    def _transaction(self) -> FileTransaction:
        return _Unlocked(self._table, self._lock_wait_seconds)


class _Hurried(FileTransaction):
    def _opened(self, script: Script) -> Steps[None]:
        yield from run("; ".join(statement.text for statement in script.opening))


class TakesItsSnapshotWithoutTheTablesLock(Runner):
    """Begins a transaction as its file asks for, and locks nothing before the first look."""

    def _transaction(self) -> FileTransaction:
        return _Hurried(self._table, self._lock_wait_seconds)


class _Hasty(LockRetry):
    def write(self, begin: Callable[[], Steps[R]], *, no_foreign_keys: bool = False) -> R:
        return self._database.autocommit(begin())


class BeginsNoTransaction(Runner):
    """Runs the same statements each by itself: every lock ends as soon as it is had."""

    def _transaction(self) -> FileTransaction:
        return _Slow(self._table, self._lock_wait_seconds)

    def _retry(self) -> LockRetry:
        return _Hasty(self._database, self._lock_timeout_seconds, None)


class FollowsTheSearchPath(Runner):
    """Takes the history that the search_path leads to for the one of where it is."""

    def _read_history(
        self, files: Sequence[MigrationFile] | None, *, writing: bool, beginning: bool
    ) -> Steps[History]:
        self._place = Schemas(self._database.dialect, along_the_path=True)
        return super()._read_history(files, writing=writing, beginning=beginning)

    def _refuse_to_part(self, files: Sequence[MigrationFile], home: Resolved) -> None:
        """Hold it for no fault that the files would make their tables elsewhere."""


class _Outside(FileTransaction):
    def _enter(self) -> Steps[None]:
        yield from ()


class EntersNoSchema(Runner):
    """Keeps a tenant's history in its schema, and runs its files where the session is."""

    def _transaction(self) -> FileTransaction:
        return _Outside(self._table, self._lock_wait_seconds)


class RecordsAfterTheBatch(Batches):
    """Notes how far a file came in a transaction behind the batch's: a crash may come between."""

    def run_one(self, script: Script, began: float) -> BegunMigration | AppliedMigration | None:
        history = self._retry.write(self._transaction.locked_history)
        version = script.migration.version
        begun = next((each for each in history.begun if each.version == version), None)
        cursor = None if begun is None else begun.cursor
        after = self._retry.write(partial(self._transaction.called_batch, script, cursor))
        return self._retry.write(partial(self.note, script, begun, after, began))
