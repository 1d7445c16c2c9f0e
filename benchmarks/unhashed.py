"""What the audit's hash costs a write: the same statements with the hash, and with a number in its
place; by one writer, and by several that each write to a repository of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import forgedb
from benchmarks.databases import ids_of, open_ours
from benchmarks.places import Place
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave
from forgedb.audit import stream

BOUND = 1 / 0.85
"""At least 85 % of the throughput."""

WRITERS = (1, 8)
CYCLES_A_WRITER = 25
NUMBERS = itertools.count(1)
"""The database requires that each entry changes the head of its stream."""


def leases(place: Place) -> Iterator[Row]:
    """Leases acquired and released: a row for each number of writers."""
    scale = place.scale
    for writers in WRITERS:
        with ExitStack() as stack:
            urls = [place.copy(place.base, f"{kind}{writers}") for kind in ("hashed", "unhashed")]
            hashed, unhashed = (
                _turns(stack.enter_context(open_ours(url)), writers, scale, stack) for url in urls
            )
            raw, ours = interleave([_without_hash(unhashed), hashed], scale.rounds)
        who = "1 writer" if writers == 1 else f"{writers} writers"
        work = f"lease acquire + release, {who}{place.suffix}"
        count = min(CYCLES_A_WRITER, scale.writes) * writers
        yield Row(f"{place.prefix}audit-hash", work, "same, no audit hash", count, BOUND, raw, ours)


def _turns(db: forgedb.Database, writers: int, scale: Scale, stack: ExitStack) -> Contender:
    cycles = min(CYCLES_A_WRITER, scale.writes)

    def write(repository_id: str) -> None:
        for _ in range(cycles):
            granted = db.leases.acquire(repository_id, purpose="nightly import")
            db.leases.release(granted.id)

    ids = ids_of(db, writers)
    if writers == 1:
        return lambda: lambda: write(ids[0])
    threads = stack.enter_context(ThreadPoolExecutor(writers))
    return lambda: lambda: list(threads.map(write, ids))


def _without_hash(prepare: Contender) -> Contender:
    def prepared() -> Slice:
        run = prepare()

        def without() -> None:
            module: Any = stream
            entry_hash, module.entry_hash = module.entry_hash, _no_hash
            try:
                run()
            finally:
                module.entry_hash = entry_hash

        return without

    return prepared


def _no_hash(*fields: Any) -> bytes:
    return next(NUMBERS).to_bytes(32)
