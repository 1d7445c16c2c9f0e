"""Connections of a process that forks: they stay the parent's, and the child lets go of them.

Two processes that use one connection get each other's answers, or each other's locks.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    def forked(self) -> None:
        """Let go of all connections, in a child process."""


_watched: WeakSet[Forked] = WeakSet()


def watch(pool: Forked) -> None:
    """Call the pool's ``forked`` in each child process."""
    _watched.add(pool)


def _tell_all() -> None:
    for pool in list(_watched):
        pool.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_all)
