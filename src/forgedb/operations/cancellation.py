"""Work that a thread does for a task: where the task is cancelled it stops, as at Ctrl-C.

The driver looks whether it is told to where it looks for Ctrl-C: while it waits for the database.
"""

from __future__ import annotations

from contextvars import ContextVar
from threading import Event

STOP: ContextVar[Event | None] = ContextVar("STOP", default=None)
"""What tells the work of this thread to stop; None where no task waits for it."""


class Stopped(BaseException):
    """Ends the work.  Like KeyboardInterrupt it is no error, and is raised once: what tidies up
    may use the database again."""


def stop_if_told() -> None:
    """Raise Stopped where the task that waits for this work was cancelled."""
    stop = STOP.get()
    if stop is not None and stop.is_set():
        stop.clear()
        raise Stopped
