"""Objects by the million: recording them, and reading a page that lies deep among them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.databases import base, copy, first_repository, open_ours, open_raw
from benchmarks.places import Place
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, Times, interleave
from forgedb.dao.objects import INSERT
from forgedb.models import NewObject

PAGE = 100
SORTED_ROWS = 100_000
"""Rows that forgedb sorts together, where they come in no order."""

CREATED_AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
CREATED_AT_TEXT = "2026-11-22T10:00:00.000000Z"
"""The same, as SQLite keeps it."""


def add_many(scale: Scale, folder: Path) -> Iterator[Row]:
    """All objects in one transaction, in Git's order and in none."""
    path = base(scale, folder)
    objects = generated(scale.objects)
    work = "add_many of 1 M objects"
    raw, ours = _added(path, objects, scale)
    yield Row("add-many", f"{work}, in order", "executemany", len(objects), 1.3, raw, ours)
    random.Random(1).shuffle(objects)
    raw, ours = _added(path, objects, scale)
    against = "executemany of sorted rows"
    yield Row("add-many", f"{work}, shuffled", against, len(objects), None, raw, ours)


class Deep(NamedTuple):
    """A database whose first repository has many objects, and the oid at nine tenths of them."""

    url: str
    repository_id: str
    after: str


def deep(place: Place, scale: Scale) -> Deep:
    """A copy of the place's base with the objects of one repository."""
    objects = generated(scale.objects)
    url = place.copy(place.base(), "deep")
    with place.open(url) as db:
        repository_id = first_repository(db)
        with db.leases.hold(repository_id) as held:
            db.objects.add_many(repository_id, objects, held.fencing_token)
    place.settle(url)
    last_before = objects[len(objects) * 9 // 10 - 1].oid
    assert isinstance(last_before, bytes)
    return Deep(url, repository_id, last_before.hex())


def depth(place: Place, scale: Scale) -> Iterator[Row]:
    """Pages at nine tenths of a repository's objects, and at their beginning."""
    url, repository_id, after = deep(place, scale)
    with place.open(url) as db:

        def at(after: str | None) -> Contender:
            listed = partial(db.objects.list, repository_id, after=after, limit=PAGE)
            return lambda: lambda: [listed() for _ in range(scale.pages)]

        shallow, ours = interleave([at(None), at(after)], scale.rounds)
    work = f"page of 100 at depth 900,000 of 1 M{place.suffix}"
    yield Row(f"{place.prefix}depth", work, "the first page", scale.pages, 1.1, shallow, ours)


def _added(path: Path, objects: Sequence[NewObject], scale: Scale) -> tuple[Times, Times]:
    """The driver sends the rows that forgedb sends, sorted batch by batch."""
    with open_ours(path) as db:
        repository_id = first_repository(db)
    batches = [
        sorted(rows_of(repository_id, objects[start : start + SORTED_ROWS]))
        for start in range(0, len(objects), SORTED_ROWS)
    ]

    def with_executemany() -> Slice:
        raw = open_raw(copy(path, "raw"), writes=True)

        def run() -> None:
            cursor = raw.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            for rows in batches:
                cursor.executemany(INSERT.sqlite, rows)
            cursor.execute("COMMIT")
            raw.close()

        return run

    def with_forgedb() -> Slice:
        db = open_ours(copy(path, "ours"))
        token = db.leases.acquire(repository_id).fencing_token

        def run() -> None:
            db.objects.add_many(repository_id, objects, token)
            db.close()

        return run

    raw, ours = interleave([with_executemany, with_forgedb], scale.bulk_rounds, warm_up=False)
    return raw, ours


def generated(count: int, seed: int = 0) -> list[NewObject]:
    """Objects in the order of their oids, as Git lists them; always the same ones of a seed."""
    source = random.Random(seed)
    oids = sorted(source.randbytes(20) for _ in range(count))
    return [
        NewObject(oid, source.randint(1, 4), source.randrange(100_000), source.randrange(10_000))
        for oid in oids
    ]


def rows_of(
    repository_id: str, objects: Sequence[NewObject], created_at: object = CREATED_AT_TEXT
) -> list[tuple[Any, ...]]:
    """The objects' rows, as tuples."""
    return [
        (repository_id, each.oid, each.type, each.size, each.disk_size, created_at)
        for each in objects
    ]
