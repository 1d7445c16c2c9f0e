"""``python -m benchmarks.counted BASE WORK SIDE …``: the processes whose instructions are counted.

Each work and side runs in a child of one process, which has imported everything and opened nothing:
importing is nine tenths of what such a process takes.  A line for each tells its process id.

All sides of a work prepare the same.  Then one side does the work, or none for ``neither``.  The
cost of a side is what it takes more than ``neither``.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

from benchmarks.databases import all_ids, ids_of, open_ours, open_raw
from benchmarks.objects import add, generated, rows_of
from benchmarks.places import Files
from benchmarks.reads import chosen, getting, getting_ours, paging
from benchmarks.replay import Series, recorded, send_on_file
from benchmarks.scale import QUICK
from benchmarks.timing import Slice
from benchmarks.writes import leases, repositories

SIDES = ("neither", "raw", "ours")

COUNTED = QUICK._replace(repositories=200, objects=5_000, gets=200, pages=20, writes=20)


class Prepared(NamedTuple):
    """Both sides of the same work, each to be called once to warm up and once for the count."""

    raw: Slice
    ours: Slice


Work: TypeAlias = Callable[[Files, str], Prepared]


def get(place: Files, url: str) -> Prepared:
    """Repositories by id."""
    db = open_ours(url)
    wanted = chosen(all_ids(db), place.scale.gets)
    execute = open_raw(url, writes=False).cursor().execute
    return Prepared(getting(execute, url, wanted), getting_ours(db, wanted))


def page(place: Files, url: str) -> Prepared:
    """Pages of a project's repositories."""
    execute = open_raw(url, writes=False).cursor().execute
    return Prepared(*paging(execute, url, open_ours(url), place.scale))


def writes(series: Series, place: Files, url: str) -> Prepared:
    """The writes, and the statements that they send raw."""
    count = place.scale.writes
    slices = iter(recorded(place.copy(url, "recorded"), series, count, slices=2))
    raw = open_raw(place.copy(url, "raw"))
    operations = series(open_ours(place.copy(url, "ours")))
    return Prepared(
        lambda: send_on_file(raw, next(slices)),
        lambda: [next(operations)() for _ in range(count)],
    )


def add_many(place: Files, url: str) -> Prepared:
    """Objects in the order of their oids, into an empty repository each time."""
    objects = generated(place.scale.objects)
    db, raw = open_ours(place.copy(url, "ours")), open_raw(place.copy(url, "raw"))
    ids = ids_of(db, 2)
    ready = iter([rows_of(one, objects) for one in ids])
    leased = iter([db.leases.acquire(one) for one in ids])

    def with_forgedb() -> None:
        lease = next(leased)
        db.objects.add_many(lease.repository_id, objects, lease.fencing_token)

    return Prepared(lambda: add(raw, next(ready)), with_forgedb)


WORKS: dict[str, Work] = {
    "get": get,
    "page": page,
    "lease": partial(writes, leases),
    "repository": partial(writes, repositories),
    "add-many": add_many,
}


def main(base: str, *given: str) -> None:
    """Count each work and side, one process after the other."""
    runs = [*zip(given[::2], given[1::2], strict=True)]
    children: list[int] = []
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for number, _ in enumerate(runs):
            Path(folder, str(number)).mkdir()
        # A child inherits its parent's count: do as little as possible between two forks.
        for _ in runs:
            child = os.fork()
            if not child:
                count(*runs[len(children)], base, f"{folder}/{len(children)}")
                # Skip the parent's exit handlers, and don't close what is open.
                os._exit(0)
            children.append(child)
            if os.waitpid(child, 0)[1]:
                sys.exit(f"{runs[len(children) - 1]} failed")
    for child, (work, side) in zip(children, runs, strict=True):
        print(child, work, side)


def count(work: str, side: str, base: str, folder: str) -> None:
    """Warm up both sides, and then do the work by the given one."""
    place = Files(COUNTED, Path(folder))
    prepared = WORKS[work](place, place.copy(base, "counted"))
    for run in prepared:
        run()
    # Keep prepared objects out of garbage collections: these would count for the side.
    gc.collect()
    gc.freeze()
    if side != "neither":
        getattr(prepared, side)()


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
