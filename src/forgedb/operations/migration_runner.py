"""What only migrations ask of a database: a transaction of it can't be migrated."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from typing import TypeVar

from forgedb.operations.binding import SyncRunner
from forgedb.operations.steps import Steps

R = TypeVar("R")


class MigrationRunner(SyncRunner):
    """A whole database, for whoever changes its schema."""

    @abstractmethod
    def attempt(self, steps: Steps[R], wait_seconds: float, *, no_foreign_keys: bool = False) -> R:
        """As write, waiting no longer than this for SQLite's one writer; PostgreSQL has many.

        ``no_foreign_keys`` leaves those of SQLite unchecked, as the rebuild of a table needs.
        Raises LockTimeout.
        """

    @abstractmethod
    def autocommit(self, steps: Steps[R]) -> R:
        """Each statement by itself, in no transaction: for those that refuse to run in one."""

    @abstractmethod
    def end_session(self) -> None:
        """Let nothing be left of what was set in ``autocommit`` for statements that follow."""

    @abstractmethod
    def scratch(self) -> AbstractContextManager[MigrationRunner]:
        """An empty database of this kind for the block, beside this one; gone at its end.

        Raises UsageError where none can be made.
        """
