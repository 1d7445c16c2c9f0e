"""``python -m benchmarks.counted WORK SIDE BASE FOLDER``: the process that is counted.

All sides of a work prepare the same; then one side does it, or, for ``neither``, nobody.  What a
side takes more than ``neither`` is what its work costs.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from benchmarks.databases import PROJECT, copy, open_ours, open_raw
from benchmarks.objects import generated, rows_of
from benchmarks.replay import Series, recorded, send
from benchmarks.scale import QUICK, Scale
from benchmarks.timing import Slice
from benchmarks.writes import leases, repositories
from forgedb.dao.objects import INSERT
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID

SIDES = ("neither", "raw", "ours")

PAGE = 100

COUNTED = QUICK._replace(repositories=200, objects=5_000, gets=200, pages=20, writes=20)


class Prepared(NamedTuple):
    """Both sides of the same work, each to be called once to warm up and once for the count."""

    raw: Slice
    ours: Slice


Work: TypeAlias = Callable[[Path, Scale], Prepared]


def get(path: Path, scale: Scale) -> Prepared:
    """Repositories by id."""
    db, raw = open_ours(path), open_raw(path, writes=False)
    found = raw.execute("SELECT id FROM repositories ORDER BY id").fetchall()
    wanted = random.Random(0).choices([str(row[0]) for row in found], k=scale.gets)
    execute, text = raw.cursor().execute, SELECT_BY_ID.sqlite
    return Prepared(
        lambda: [execute(text, {"id": one}).fetchall() for one in wanted],
        lambda: [db.repositories.get(one) for one in wanted],
    )


def page(path: Path, scale: Scale) -> Prepared:
    """Pages of a project's repositories."""
    db, raw = open_ours(path), open_raw(path, writes=False)
    project = db.projects.get_by_slug(PROJECT).id
    found = raw.execute("SELECT id FROM repositories ORDER BY id").fetchall()
    wanted = random.Random(0).choices([str(row[0]) for row in found[:-PAGE]], k=scale.pages)
    execute, text = raw.cursor().execute, LIST_LIVE.sqlite

    def asked(after: str) -> dict[str, Any]:
        return {"project_id": project, "after": after, "limit": PAGE}

    return Prepared(
        lambda: [execute(text, asked(one)).fetchall() for one in wanted],
        lambda: [db.repositories.list(project, after=one, limit=PAGE) for one in wanted],
    )


def lease(path: Path, scale: Scale) -> Prepared:
    """Leases acquired and released."""
    return _beside_statements(leases, path, scale)


def repository(path: Path, scale: Scale) -> Prepared:
    """Repositories created."""
    return _beside_statements(repositories, path, scale)


def _beside_statements(writes: Series, path: Path, scale: Scale) -> Prepared:
    """The writes, and the statements that they send raw."""
    slices = iter(recorded(copy(path, "recorded"), writes, scale.writes, slices=2))
    raw, db = open_raw(copy(path, "raw"), writes=True), open_ours(copy(path, "ours"))
    series = writes(db)
    return Prepared(
        lambda: send(raw, next(slices)),
        lambda: [next(series)() for _ in range(scale.writes)],
    )


def add_many(path: Path, scale: Scale) -> Prepared:
    """Objects in the order of their oids, into an empty repository each time."""
    objects = generated(scale.objects)
    db, raw = open_ours(copy(path, "ours")), open_raw(copy(path, "raw"), writes=True)
    project = db.projects.get_by_slug(PROJECT).id
    items = db.repositories.list(project, limit=2).items
    ready = iter([rows_of(one.id, objects) for one in items])
    leased = iter([db.leases.acquire(one.id) for one in items])

    def with_executemany() -> None:
        with raw:
            raw.cursor().executemany(INSERT.sqlite, next(ready))

    def with_forgedb() -> None:
        lease = next(leased)
        db.objects.add_many(lease.repository_id, objects, lease.fencing_token)

    return Prepared(with_executemany, with_forgedb)


WORKS: dict[str, Work] = {
    "get": get,
    "page": page,
    "lease": lease,
    "repository": repository,
    "add-many": add_many,
}


def main(work: str, side: str, base: str, folder: str) -> None:
    prepared = WORKS[work](copy(Path(base), "counted", Path(folder)), COUNTED)
    for run in prepared:
        run()
    # What was prepared is no garbage: a collection that walks it belongs to neither side.
    gc.collect()
    gc.freeze()
    if side != "neither":
        getattr(prepared, side)()


if __name__ == "__main__":
    if sys.argv[1:]:
        main(*sys.argv[1:])
