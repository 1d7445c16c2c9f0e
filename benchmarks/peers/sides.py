"""The sides: forgedb, synchronous and async, and each peer; all are called in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import iscoroutine
from typing import Any, NamedTuple

from benchmarks.peers import ours
from benchmarks.peers.table import Peer


class Side(NamedTuple):
    """``open`` takes a database's URL and gives an ``Opened`` whose methods block."""

    words: str
    is_ours: bool
    is_async: bool
    open: Callable[[str], Any]


class Blocking:
    """Wraps an async ``Opened``: each call runs its slice in the event loop until it is done."""

    def __init__(self, opened: Any, loop: asyncio.Runner) -> None:
        self._opened = opened
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._opened, name)

        def call(*arguments: Any) -> Any:
            result = method(*arguments)
            return self._loop.run(result) if iscoroutine(result) else result

        return call


def sides_of(peers: Sequence[Peer], loop: asyncio.Runner) -> list[Side]:
    """forgedb first: synchronous, and async if a peer is async."""

    def open_in_loop(opened: Callable[[str], Any]) -> Callable[[str], Blocking]:
        return lambda url: Blocking(loop.run(opened(url)), loop)

    sides = [Side("forgedb", True, False, ours.opened)]
    if any(peer.is_async for peer in peers):
        sides.append(Side("forgedb, async", True, True, open_in_loop(ours.opened_async)))
    for peer in peers:
        opened = open_in_loop(peer.open) if peer.is_async else peer.open
        sides.append(Side(peer.words, False, peer.is_async, opened))
    return sides
