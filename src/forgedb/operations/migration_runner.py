"""What only migrations need of a database.  They need all of it, not one transaction."""

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
        """Like write, but wait at most ``wait_seconds`` for SQLite's one writer.

        ``no_foreign_keys`` turns the checks of foreign keys off on SQLite, to rebuild a table.
        Raises LockTimeout.
        """

    @abstractmethod
    def autocommit(self, steps: Steps[R]) -> R:
        """Run each statement outside a transaction, for those that refuse to run in one."""

    @abstractmethod
    def end_session(self) -> None:
        """Drop the session settings that ``autocommit`` left, before other statements follow."""

    @abstractmethod
    def scratch(self) -> AbstractContextManager[MigrationRunner]:
        """An empty database of this kind for the block; it is dropped at the end.

        Raises UsageError if none can be created.
        """
