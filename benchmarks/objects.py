"""Objects by the million: recording them, and reading a page far into the list."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import apsw
import psycopg

from benchmarks.databases import PAGE, fingerprint, ids_of, is_file, open_ours, open_raw
from benchmarks.places import Files, Place
from benchmarks.timing import Contender, Row, Slice, Times, interleave
from forgedb.dao.objects import COPY, INSERT
from forgedb.models import NewObject

RowValues: TypeAlias = tuple[Any, ...]
Add: TypeAlias = Callable[[Any, Sequence[RowValues]], None]

SORTED_ROWS = 100_000
"""How many rows forgedb sorts at a time on SQLite, if they come in no order."""

CREATED_AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
CREATED_AT_TEXT = "2026-11-22T10:00:00.000000Z"
"""The same, as SQLite keeps it."""

TABLE = "object_metadata"
TO_TEMPORARY = COPY.text.replace(f"COPY {TABLE}", "COPY given").encode()

MAKE_TEMPORARY = f"CREATE TEMPORARY TABLE given (LIKE {TABLE}) ON COMMIT DROP"

FROM_TEMPORARY = f"""
INSERT INTO {TABLE}
SELECT * FROM given ORDER BY repository_id, oid
ON CONFLICT DO NOTHING
"""


def add_many(place: Place) -> Iterator[Row]:
    """All objects in one transaction: in Git's order, and shuffled.  On a server also into a table
    that has a tenth as many already."""
    objects = generated(place.scale.objects)
    shuffled = random.Random(1).sample(objects, k=len(objects))
    with open_ours(place.base) as db:
        (repository_id,) = ids_of(db, 1)
    name, count = f"{place.prefix}add-many", len(objects)
    by, bound, together = ("executemany", 1.3, SORTED_ROWS)
    if not isinstance(place, Files):
        by, bound, together = ("COPY", 1.2, count)

    def row(words: str, against: str, most: float | None, times: tuple[Times, Times]) -> Row:
        work = f"add_many of 1 M objects, {words}{place.suffix}"
        return Row(name, work, against, count, most, *times)

    def ready(given: Sequence[NewObject]) -> list[RowValues]:
        rows = rows_of(repository_id, given, created_at_in(place.base))
        starts = range(0, count, together)
        return [row for start in starts for row in sorted(rows[start : start + together])]

    in_order = ready(objects)
    times = _added(place, place.base, add, in_order, objects)
    yield row("in order", by, bound, times)
    times = _added(place, place.base, add, ready(shuffled), shuffled)
    yield row("shuffled", f"{by} of sorted rows", None, times)
    if isinstance(place, Files):
        return
    begun = place.copy(place.base, "begun")
    there = generated(max(1, count // 10), seed=2)
    with open_raw(begun) as first:
        add(first, rows_of(repository_id, there, CREATED_AT))
        first.execute(f"VACUUM ANALYZE {TABLE}")
    times = _added(place, begun, _copy_and_insert, in_order, objects)
    yield row("beside others", "COPY, INSERT … SELECT", None, times)


class Deep(NamedTuple):
    """A database whose first repository has many objects, and the oid at nine tenths of them."""

    url: str
    repository_id: str
    objects: list[NewObject]
    after: bytes


def deep(place: Place) -> Deep:
    """A copy of the place's base with the objects of one repository, in the order of their oids."""
    objects = generated(place.scale.objects)
    url = place.copy(place.base, "deep")
    with open_ours(url) as db:
        (repository_id,) = ids_of(db, 1)
        with db.leases.hold(repository_id) as held:
            db.objects.add_many(repository_id, objects, held.fencing_token)
    place.settle(url)
    return Deep(url, repository_id, objects, bytes(objects[len(objects) * 9 // 10 - 1].oid))


def depth(place: Place) -> Iterator[Row]:
    """Pages at nine tenths of a repository's objects, and at their beginning."""
    url, repository_id, _, after = deep(place)
    scale = place.scale
    with open_ours(url) as db:

        def at(oid: str | None) -> Contender:
            listed = partial(db.objects.list, repository_id, after=oid, limit=PAGE)
            return lambda: lambda: [listed() for _ in range(scale.pages)]

        shallow, ours = interleave([at(None), at(after.hex())], scale.rounds)
    work = f"page of 100 at depth 900,000 of 1 M{place.suffix}"
    yield Row(f"{place.prefix}depth", work, "the first page", scale.pages, 1.1, shallow, ours)


def _added(
    place: Place, base: str, send: Add, rows: Sequence[RowValues], objects: Sequence[NewObject]
) -> tuple[Times, Times]:
    """Times of both sides: the driver sends the same rows that forgedb makes of the objects."""
    repository_id = rows[0][0]
    urls: dict[str, str] = {}

    def by_driver() -> Slice:
        urls["raw"] = place.copy(base, "raw")
        raw = open_raw(urls["raw"])

        def run() -> None:
            send(raw, rows)
            raw.close()

        return run

    def by_forgedb() -> Slice:
        urls["ours"] = place.copy(base, "ours")
        db = open_ours(urls["ours"], clock=lambda: CREATED_AT)
        token = db.leases.acquire(repository_id).fencing_token

        def run() -> None:
            db.objects.add_many(repository_id, objects, token)
            db.close()

        return run

    raw, ours = interleave([by_driver, by_forgedb], place.scale.bulk_rounds, warm_up=False)
    assert fingerprint(urls["raw"], TABLE) == fingerprint(urls["ours"], TABLE), (
        "both wrote the same"
    )
    return raw, ours


def add(raw: apsw.Connection | psycopg.Connection[Any], rows: Sequence[RowValues]) -> None:
    """Record the rows in a transaction, as is fastest with the driver."""
    if isinstance(raw, apsw.Connection):
        cursor = raw.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(INSERT.sqlite, rows)
        cursor.execute("COMMIT")
    else:
        with raw.transaction():
            copy_in(raw, COPY.text.encode(), rows)


def copy_in(raw: psycopg.Connection[Any], text: bytes, rows: Sequence[RowValues]) -> None:
    with raw.cursor().copy(text) as copy:
        copy.set_types(COPY.types)
        write_row = copy.write_row
        for row in rows:
            write_row(row)


def _copy_and_insert(raw: psycopg.Connection[Any], rows: Sequence[RowValues]) -> None:
    with raw.transaction():
        raw.execute(MAKE_TEMPORARY)
        copy_in(raw, TO_TEMPORARY, rows)
        raw.execute(FROM_TEMPORARY)


def generated(count: int, seed: int = 0) -> list[NewObject]:
    """Objects in the order of their oids, as Git lists them; always the same ones of a seed."""
    source = random.Random(seed)
    oids = sorted(source.randbytes(20) for _ in range(count))
    return [
        NewObject(oid, source.randint(1, 4), source.randrange(100_000), source.randrange(10_000))
        for oid in oids
    ]


def created_at_in(url: str) -> object:
    """The value of ``created_at`` as this kind of database stores it."""
    return CREATED_AT_TEXT if is_file(url) else CREATED_AT


def rows_of(
    repository_id: str, objects: Sequence[NewObject], created_at: object = CREATED_AT_TEXT
) -> list[RowValues]:
    """The objects' rows, as tuples."""
    return [
        (repository_id, each.oid, each.type, each.size, each.disk_size, created_at)
        for each in objects
    ]
