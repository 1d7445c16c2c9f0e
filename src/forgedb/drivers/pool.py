"""A bounded pool of connections for threads: the most recently used one first.

Taking one that is idle costs a list's pop and append, which the interpreter makes atomic; only a
thread that must wait takes a lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

from forgedb.drivers import forks, misuse
from forgedb.drivers.timeouts import INTERRUPTIBLE_SECONDS
from forgedb.errors import Unavailable
from forgedb.operations.call_timeout import for_a_turn


class Closable(Protocol):
    def close(self) -> None: ...
    def sever(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Pool(Generic[C]):
    """At most ``capacity`` connections, opened when first needed."""

    def __init__(self, open_one: Callable[[], C], capacity: int, timeout_seconds: float) -> None:
        self._open_one = open_one
        self.capacity = capacity
        self.timeout_seconds = timeout_seconds
        self.idle: list[C] = []
        """What ``take`` pops from.  A hot path may pop and append by itself, and call ``take``
        where this is empty and ``give`` where ``attention`` is set."""
        self.attention = False
        """Whether a thread waits for a connection, or the pool is closed."""
        self._opened = 0
        self._waiting = 0
        self._closed = False
        self._forked = False
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._connections: WeakSet[C] = WeakSet()
        forks.watch(self)

    @property
    def exhausted(self) -> str:
        """The error's message where no connection was free in time."""
        return f"all {self.capacity} connections stayed busy for {self.timeout_seconds:g} s"

    def take(self) -> C:
        """An idle connection, a new one, or the next one given back.  Raises Unavailable."""
        try:
            return self.idle.pop()
        except IndexError:
            return self._open_or_wait()

    def give(self, connection: C) -> None:
        """Put back what ``take`` gave."""
        self.idle.append(connection)
        if self.attention:
            with self._lock:
                self._changed.notify()
            if self._closed:
                self._close_idle()

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        with self._lock:
            self._closed = self.attention = True
            self._changed.notify_all()
        self._close_idle()

    def forked(self) -> None:
        """Let go of all connections, in a child process: they are the parent's."""
        self.idle = []
        self.attention = self._forked = True
        # Another thread of the parent's may have held the lock, and isn't here to release it.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        for connection in self._connections:
            connection.sever()

    def _close_idle(self) -> None:
        while self.idle:
            self.idle.pop().close()

    def _open_or_wait(self) -> C:
        deadline = time.monotonic() + for_a_turn(self.timeout_seconds)
        with self._lock:
            # Counted before the list is checked again: a connection given back before that check
            # is found by it, and one given back later wakes this thread.
            self._waiting += 1
            self.attention = True
            try:
                while True:
                    # Other threads pop without the lock, so the list may be empty even after a
                    # check that it isn't.
                    try:
                        return self.idle.pop()
                    except IndexError:
                        self._check_open()
                    if self._opened < self.capacity:
                        connection = self._open_one()
                        self._connections.add(connection)
                        self._opened += 1
                        return connection
                    left_seconds = deadline - time.monotonic()
                    if left_seconds <= 0:
                        raise Unavailable(self.exhausted, retryable=True)
                    self._changed.wait(min(left_seconds, INTERRUPTIBLE_SECONDS))
            finally:
                self._waiting -= 1
                self.attention = self._closed or self._waiting > 0

    def _check_open(self) -> None:
        self.check_process()
        if self._closed:
            raise misuse.closed()

    def check_process(self) -> None:
        """Raise UsageError in a child of the process that opened it."""
        if self._forked:
            raise misuse.forked()
