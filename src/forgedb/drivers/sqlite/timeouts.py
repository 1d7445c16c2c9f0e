"""How long a connection waits for another process's lock, and how long a statement of it may run.

SQLite calls back for both, seldom enough to cost nothing.  Python checks for Ctrl-C then, too.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from math import inf
from weakref import ref

import apsw

from forgedb.operations.call_timeout import for_a_turn
from forgedb.operations.cancellation import stop_if_told

INSTRUCTIONS = 100_000
"""How many of SQLite's own instructions run between two checks: some milliseconds."""

PAUSES_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025)


class Waiting:
    """The connection's busy handler and its progress handler."""

    def __init__(
        self, raw: apsw.Connection, lock_seconds: float, call_seconds: float | None
    ) -> None:
        # Weak: the connection refers to this object, which must not keep it alive.
        self._raw = ref(raw)
        self.lock_seconds = lock_seconds
        self.call_seconds = inf if call_seconds is None else call_seconds
        self._give_up_at = 0.0
        self.due = 0.0
        """When the statement is to be given up; 0.0 from its start to the first check."""
        self.gave_up = False
        """Whether a statement was given up, since this was last made False."""
        raw.set_busy_handler(self._for_a_lock)
        raw.set_progress_handler(self._for_a_statement, INSTRUCTIONS)

    def _for_a_lock(self, tries: int) -> bool:
        """Whether to try again to get a lock that another process has."""
        stop_if_told()
        now = time.monotonic()
        if tries == 0:
            self._give_up_at = now + for_a_turn(self.lock_seconds)
        raw = self._raw()
        # SQLite itself would go on waiting for a lock although it was interrupted.
        if raw is None or now >= self._give_up_at or raw.is_interrupted:
            return False
        pause = PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)]
        time.sleep(min(pause, self._give_up_at - now))
        return True

    def _for_a_statement(self) -> bool:
        """Whether to interrupt the statement that runs."""
        stop_if_told()
        now = time.monotonic()
        if not self.due:
            self.due = now + self.call_seconds
        self.gave_up = now > self.due
        return self.gave_up

    @contextmanager
    def for_locks(self, lock_seconds: float) -> Generator[None]:
        """Wait no longer than this for locks, in the block."""
        usual, self.lock_seconds = self.lock_seconds, lock_seconds
        try:
            yield
        finally:
            self.lock_seconds = usual

    @contextmanager
    def of_a_migration(self, lock_seconds: float | None = None) -> Generator[None]:
        """In the block, let statements run without a limit, and wait ``lock_seconds`` for locks."""
        usual = self.lock_seconds, self.call_seconds
        self.call_seconds = inf
        if lock_seconds is not None:
            self.lock_seconds = lock_seconds
        try:
            yield
        finally:
            self.lock_seconds, self.call_seconds = usual
