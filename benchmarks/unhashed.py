"""What the audit's hash costs a write: the same statements with it, and with a number in its
place, by one writer and by several that write to repositories of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import forgedb
from benchmarks.databases import PROJECT, base, copy, open_ours
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave
from forgedb.audit import stream

BOUND = 1 / 0.85
"""At least 85 % of the throughput."""

WRITERS = (1, 8)
CYCLES_A_WRITER = 25
NUMBERS = itertools.count(1)
"""The database wants another end of a stream with each entry."""

Open: TypeAlias = Callable[[str], forgedb.Database]
"""Opens a copy of the database under a name."""


def leases(scale: Scale, folder: Path) -> Iterator[Row]:
    """Leases acquired and released, in a file."""
    path = base(scale, folder)
    yield from rows("audit-hash", "", scale, lambda name: open_ours(copy(path, name)))


def rows(name: str, where: str, scale: Scale, opened: Open) -> Iterator[Row]:
    """One for each number of writers."""
    for writers in WRITERS:
        with ExitStack() as stack:
            hashed, unhashed = (
                _turns(stack.enter_context(opened(f"{kind}{writers}")), writers, scale, stack)
                for kind in ("hashed", "unhashed")
            )
            raw, ours = interleave([_without_hash(unhashed), hashed], scale.rounds)
        who = "1 writer" if writers == 1 else f"{writers} writers"
        work = f"lease acquire + release, {who}{where}"
        count = min(CYCLES_A_WRITER, scale.writes) * writers
        yield Row(name, work, "same, no audit hash", count, BOUND, raw, ours)


def _turns(db: forgedb.Database, writers: int, scale: Scale, stack: ExitStack) -> Contender:
    project = db.projects.get_by_slug(PROJECT)
    repositories = db.repositories.list(project.id, limit=writers).items
    cycles = min(CYCLES_A_WRITER, scale.writes)

    def write(repository_id: str) -> None:
        for _ in range(cycles):
            granted = db.leases.acquire(repository_id, purpose="nightly import")
            db.leases.release(granted.id)

    ids = [each.id for each in repositories]
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


def _no_hash(**fields: Any) -> bytes:
    return next(NUMBERS).to_bytes(32)
