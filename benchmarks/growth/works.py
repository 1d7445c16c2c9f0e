"""What is timed at each size: a slice of each work, done again and again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from benchmarks.databases import PAGE
from benchmarks.growth.places import Grown, made
from benchmarks.timing import Contender, Slice, interleave, quartiles


class Scale(NamedTuple):
    """Operations in a slice, and how often each slice is done."""

    gets: int
    pages: int
    oids: int
    objects: int
    leases: int
    rounds: int


FULL = Scale(gets=1000, pages=50, oids=10_000, objects=10_000, leases=100, rounds=11)

QUICK = Scale(gets=5, pages=2, oids=20, objects=20, leases=2, rounds=2)


class Work(NamedTuple):
    """A kind of work: ``prepare`` makes slices of so many operations."""

    name: str
    unit: str
    """What the time is given for, such as one row."""
    operations: int
    prepare: Contender


def works(grown: Grown, scale: Scale) -> list[Work]:
    """All works, on a database of this size."""
    db, ids, source = grown.db, grown.repository_ids, random.Random(grown.objects)
    large = ids[0]

    def get() -> Slice:
        wanted = source.choices(ids, k=scale.gets)
        return lambda: [db.repositories.get(one) for one in wanted]

    def page() -> Slice:
        begin = source.choices(ids[: max(1, len(ids) - PAGE)], k=scale.pages)
        return lambda: [db.repositories.list(grown.project_id, after=one) for one in begin]

    def objects_page() -> Slice:
        begin = source.choices(grown.large, k=scale.pages)
        return lambda: [db.objects.list(large, after=one.hex(), limit=PAGE) for one in begin]

    def missing() -> Slice:
        there = source.sample(grown.large, min(scale.oids // 2, len(grown.large)))
        asked = [*there, *(source.randbytes(20) for _ in range(scale.oids - len(there)))]
        source.shuffle(asked)
        return lambda: db.objects.missing(large, asked)

    added: list[bytes] = []

    def add_many() -> Slice:
        token = db.leases.acquire(large, idempotency_key="growing").fencing_token
        if added:
            db.objects.remove_many(large, added, token)
        objects = made(source, scale.objects)
        added[:] = [bytes(each.oid) for each in objects]
        return lambda: db.objects.add_many(large, objects, token)

    def lease() -> Slice:
        several = source.choices(ids[1:], k=scale.leases)
        return lambda: [db.leases.release(db.leases.acquire(one).id) for one in several]

    return [
        Work("get", "a repository", scale.gets, get),
        Work("page", "a page of 100 repositories", scale.pages, page),
        Work("objects", "a page of 100 objects", scale.pages, objects_page),
        Work("missing", "an oid", scale.oids, missing),
        Work("add_many", "an object", scale.objects, add_many),
        Work("lease", "a lease", scale.leases, lease),
    ]


def measured(work: Work, rounds: int) -> dict[str, Any]:
    """Seconds of one operation: the median, and the quartiles."""
    (times,) = interleave([work.prepare], rounds)
    # Preparing another slice removes what the last one added.
    work.prepare()
    taken = [seconds / work.operations for seconds in times.wall]
    return {"seconds": median(taken), "quartiles": [*quartiles(taken)]}


def rows(database: str, grown: Grown, scale: Scale) -> Iterator[dict[str, Any]]:
    """A row for each work, and one for the bytes."""
    at = {
        "database": database,
        "objects": grown.objects,
        "repositories": len(grown.repository_ids),
    }
    for work in works(grown, scale):
        yield {**at, "work": work.name, "of": work.unit, **measured(work, scale.rounds)}
    each = grown.object_bytes / grown.objects
    yield {**at, "work": "bytes", "of": "an object", "bytes": round(each, 1)}
