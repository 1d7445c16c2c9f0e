"""A connection on loan to a transaction and to its savepoints, until the transaction ends."""

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
"""Between two statements there is nothing to interrupt: so again and again."""


class Checkout:
    """The connection, for one statement or operation at a time.

    A block that fails ends at once, whoever is still in one of its savepoints.  The connection is
    the next transaction's then, and must not be theirs as well.
    """

    def __init__(self, connection: SqliteConnection) -> None:
        self.connection = connection
        # One thread may use it within its own use: rows to add may come from a read of the same
        # transaction's.
        self._lock = threading.RLock()
        self._ended = False
        self._unreleased = 0
        """How many savepoints are to be released before the next use: what was done in the last
        can still be taken back, for a task that is told that it was cancelled."""

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
        """Keep what was done since the savepoint; with what is around it, it may yet be undone."""
        self._unreleased += 1

    def undo_savepoint(self) -> None:
        """Undo what was done since the savepoint, if that isn't undone already."""
        with self._lock:
            if not self._ended:
                self._release()
                self.connection.rollback_to()

    def _release(self) -> None:
        if not self.connection.raw.in_transaction:
            # SQLite undid the whole by itself, and its savepoints with it.
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
        """End it now; what somebody is doing with it is interrupted."""
        while not self._lock.acquire(timeout=INTERRUPT_AGAIN_SECONDS):
            self.connection.raw.interrupt()
        try:
            self._ended = True
            self.connection.rollback()
        finally:
            self._lock.release()
