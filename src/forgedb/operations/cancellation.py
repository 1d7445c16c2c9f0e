"""Stopping a thread that works for a task: if the task is cancelled, it stops as at Ctrl-C.

The driver checks for both in the same place: while it waits for the database.
"""

from __future__ import annotations

from contextvars import ContextVar
from threading import Event

STOP: ContextVar[Event | None] = ContextVar("STOP", default=None)
"""Set to stop the work of this thread; None if no task waits for it."""


class Stopped(BaseException):
    """Ends the work.  Like KeyboardInterrupt it is no error, and it is raised once, so that the
    clean-up may use the database again."""


def stop_if_told() -> None:
    """Raise Stopped if the task that waits for this work was cancelled."""
    stop = STOP.get()
    if stop is not None and stop.is_set():
        stop.clear()
        raise Stopped
