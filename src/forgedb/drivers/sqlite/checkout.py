"""The connection of a transaction and of its savepoints, until the transaction ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from forgedb.drivers import misuse
from forgedb.drivers.sqlite.connection import RELEASE, SqliteConnection
from forgedb.operations.steps import Steps

R = TypeVar("R")

OnConnection = Callable[[SqliteConnection], R]

INTERRUPT_AGAIN_SECONDS = 0.01
"""An interrupt between two statements has no effect: so it is repeated."""


class Checkout:
    """The connection, for one statement or operation at a time.

    A block that fails ends the transaction at once, even if another thread is in a savepoint of
    it.  The next transaction then gets the connection, and that thread must not use it any more.
    """

    def __init__(self, connection: SqliteConnection) -> None:
        self.connection = connection
        # Reentrant: while a thread adds rows, these may come from a read in the same transaction.
        self._lock = threading.RLock()
        self._ended = False
        self._unreleased = 0
        """How many savepoints are to be released before the next use.  Until then the last one can
        be undone, if its task turns out to be cancelled."""

    def use(self, work: OnConnection[R]) -> R:
        """Do the work.  Raises UsageError (the transaction has ended), Unavailable (undone)."""
        with self._lock:
            if self._ended:
                raise misuse.ended()
            self.connection.require_transaction()
            self._release()
            return work(self.connection)

    def nest(self, steps: Steps[R]) -> R:
        """Carry out an operation that ``take_back`` can undo until the next use."""

        def work(connection: SqliteConnection) -> R:
            result = connection.nest_open(steps)
            self._unreleased += 1
            return result

        return self.use(work)

    def take_back(self) -> None:
        """Undo what was nested last."""
        with self._lock:
            if not self._ended:
                self._unreleased -= 1
                self.connection.rollback_to()

    def keep_savepoint(self) -> None:
        """Keep what was done since the savepoint, unless what encloses it is undone."""
        self._unreleased += 1

    def undo_savepoint(self) -> None:
        """Undo what was done since the savepoint, if that isn't undone already."""
        with self._lock:
            if not self._ended:
                self._release()
                self.connection.rollback_to()

    def _release(self) -> None:
        if not self.connection.raw.in_transaction:
            # SQLite rolled the transaction back by itself, and its savepoints with it.
            self._unreleased = 0
        while self._unreleased:
            self._unreleased -= 1
            self.connection.execute(RELEASE)

    def commit(self) -> None:
        """End it.  Raises Unavailable, and nothing is kept, where that can't be done."""
        with self._lock:
            self._ended = True
            self.connection.commit()

    def rollback(self) -> None:
        """End it now; a statement that still runs on it is interrupted."""
        while not self._lock.acquire(timeout=INTERRUPT_AGAIN_SECONDS):
            self.connection.raw.interrupt()
        try:
            self._ended = True
            self.connection.rollback()
        finally:
            self._lock.release()
