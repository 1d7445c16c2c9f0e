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

TURN_SECONDS = 1.0
"""For the same, where others must first be done: with a connection, or a lock."""

LIMIT: ContextVar[float | None] = ContextVar("LIMIT", default=None)
"""Seconds; None is the database's own, infinity as long as the server answers others."""


def for_an_answer(usual: float | None) -> float | None:
    """How long to wait for an answer, where it is usually so many seconds; None is for ever."""
    limit = LIMIT.get()
    if limit is None or limit == inf:
        return usual
    return limit if usual is None else min(limit, usual)


def for_a_turn(usual: float) -> float:
    """How long to wait for others to be done."""
    limit = LIMIT.get()
    return usual if limit is None else min(usual, max(limit, TURN_SECONDS))


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
