"""How long a silent database is waited for, where that isn't its ``call_timeout``.

It goes for what is called within a block, in the thread or the task that entered it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

LEAVING_SECONDS = 0.4
"""For who has been told to go, and only tidies up: the server needs milliseconds for it."""

LIMIT: ContextVar[float | None] = ContextVar("LIMIT", default=None)
"""Seconds; None is the database's own, infinity as long as the server answers others."""


@contextmanager
def at_most(seconds: float) -> Generator[None]:
    """Wait no longer than this for each answer, in the block."""
    outer = LIMIT.get()
    token = LIMIT.set(seconds if outer is None else min(seconds, outer))
    try:
        yield
    finally:
        LIMIT.reset(token)


@contextmanager
def as_long_as_it_lives() -> Generator[None]:
    """Wait for an answer, in the block, as long as the server answers others."""
    token = LIMIT.set(inf)
    try:
        yield
    finally:
        LIMIT.reset(token)
