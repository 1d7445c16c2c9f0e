"""How long to wait for a database that doesn't answer, if not for its ``call_timeout``.

A limit applies to the calls within a block, in the thread or the task that entered it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

LEAVING_SECONDS = 0.4
"""For the clean-up after an interruption: the server needs only milliseconds for it."""

TURN_SECONDS = 1.0
"""For the same clean-up, where it must first wait for a connection or a lock."""

LIMIT: ContextVar[float | None] = ContextVar("LIMIT", default=None)
"""Seconds; None is the database's own timeout, infinity while the server answers others."""


def for_an_answer(usual: float | None) -> float | None:
    """How long to wait for an answer, given the usual timeout in seconds; None is for ever."""
    limit = LIMIT.get()
    if limit is None or limit == inf:
        return usual
    return limit if usual is None else min(limit, usual)


def for_a_turn(usual: float) -> float:
    """How long to wait for a connection or a lock that others hold."""
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
