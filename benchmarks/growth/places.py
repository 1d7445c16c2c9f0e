"""The database that grows, on SQLite and on PostgreSQL; rows are loaded past forgedb, for speed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple, TypeAlias

import forgedb
from benchmarks.databases import PROJECT, open_ours, open_raw
from benchmarks.objects import TABLE, add, created_at_in, rows_of
from benchmarks.places import Files, Place
from benchmarks.server import FILLED
from forgedb.models import NewObject

OBJECTS_A_REPOSITORY = 100
REPOSITORIES_MAX = 100_000
CREATED_TOGETHER = 1_000
PUT_TOGETHER = 50_000
SAMPLE = 100_000

OBJECT_BYTES = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat"
    " WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'object_metadata')",
    "postgres": "SELECT CAST(sum(pg_total_relation_size(relid)) AS bigint)"
    " FROM pg_partition_tree('object_metadata')",
}

Put: TypeAlias = Callable[[str, Sequence[NewObject]], object]
"""Inserts a repository's objects into the table, past forgedb."""


class Grown(NamedTuple):
    """A database of one project; half of its objects are the first repository's."""

    db: forgedb.Database
    project_id: str
    repository_ids: list[str]
    objects: int
    large: Sequence[bytes]
    """A sample of the first repository's oids, in random order."""
    object_bytes: int
    """The size of the table of objects, with its indexes."""


@contextmanager
def growing(place: Place) -> Iterator[tuple[forgedb.Database, Put, Callable[[], object]]]:
    """A new database, a function that inserts objects, and one that checkpoints or vacuums it."""
    url = place.empty("growing")
    with open_ours(url) as db:
        db.migrate()
        with closing(open_raw(url)) as raw:

            def put(repository_id: str, objects: Sequence[NewObject]) -> None:
                add(raw, rows_of(repository_id, objects, created_at_in(url)))

            def settle() -> None:
                if isinstance(place, Files):
                    raw.pragma("wal_checkpoint(TRUNCATE)")
                else:
                    raw.execute(f"VACUUM ANALYZE {', '.join((*FILLED, TABLE))}".encode())

            yield db, put, settle


def grow(
    db: forgedb.Database, put: Put, settle: Callable[[], object], sizes: Sequence[int]
) -> Iterator[Grown]:
    """The same database at each of the sizes, in ascending order."""
    source = random.Random(0)
    project = db.projects.create(PROJECT, "Platform")
    ids: list[str] = []
    large: list[bytes] = []
    there = 0
    for size in sizes:
        wanted = min(size // OBJECTS_A_REPOSITORY, REPOSITORIES_MAX)
        new = _created(db, project.id, range(len(ids), wanted))
        ids += new
        added = size - there
        for_large = added // 2
        for count in _parts(for_large, -(-for_large // PUT_TOGETHER)):
            objects = made(source, count)
            large += (bytes(each.oid) for each in source.sample(objects, min(count, 5_000)))
            put(ids[0], objects)
        for_others = _parts(added - for_large, len(ids) - 1)
        for repository_id, count in zip(ids[1:], for_others, strict=True):
            put(repository_id, made(source, count))
        settle()
        there = size
        sample = source.sample(large, min(SAMPLE, len(large)))
        measured = db.client.query_value(OBJECT_BYTES[db.client.dialect])
        yield Grown(db, project.id, ids, size, sample, measured)


def _created(db: forgedb.Database, project_id: str, numbers: Sequence[int]) -> list[str]:
    created: list[str] = []
    remaining = iter(numbers)
    while some := [*islice(remaining, CREATED_TOGETHER)]:
        with db.transaction() as tx:
            created += (tx.repositories.create(project_id, f"repository-{n}").id for n in some)
    return created


def _parts(whole: int, parts: int) -> list[int]:
    """A number divided into so many parts, which differ by one at most."""
    least, more = divmod(whole, parts)
    return [least + (part < more) for part in range(parts)]


def made(source: random.Random, count: int) -> list[NewObject]:
    """Objects in the order of their oids, alike in all else."""
    oids = sorted(source.randbytes(20) for _ in range(count))
    return [NewObject(oid, 3, 12_345, 4_321) for oid in oids]
