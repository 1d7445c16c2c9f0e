"""Objects by the million, beside psycopg's own COPY: into a repository that has none yet, and into
one that has some."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import psycopg

from benchmarks.databases import first_repository
from benchmarks.objects import CREATED_AT, generated, rows_of
from benchmarks.postgres.server import Server, fingerprint, open_ours, open_raw
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave
from forgedb.dao.objects import COPY
from forgedb.models import NewObject

RowValues: TypeAlias = tuple[Any, ...]

TO_TEMPORARY = COPY.text.replace("COPY object_metadata", "COPY given").encode()

MAKE_TEMPORARY = "CREATE TEMPORARY TABLE given (LIKE object_metadata) ON COMMIT DROP"

FROM_TEMPORARY = """
INSERT INTO object_metadata
SELECT * FROM given ORDER BY repository_id, oid
ON CONFLICT DO NOTHING
"""


def add_many(scale: Scale, server: Server) -> Iterator[Row]:
    """All objects in one transaction: in Git's order and in none, and beside a tenth as many."""
    base = server.base(scale)
    repository_id = _repository(base)
    objects = generated(scale.objects)
    shuffled = random.Random(1).sample(objects, k=len(objects))
    rows = rows_of(repository_id, objects, CREATED_AT)
    raw, ours, out_of_order = interleave(
        [
            _by_psycopg(server, base, copy_in, rows),
            _by_forgedb(server, base, "ours", repository_id, objects),
            _by_forgedb(server, base, "shuffled", repository_id, shuffled),
        ],
        scale.bulk_rounds,
        warm_up=False,
    )
    _check_same(server, "ours", "shuffled")
    name, work, count = "postgres-add-many", "add_many of 1 M objects, PostgreSQL", len(objects)
    yield Row(name, f"{work}", "COPY", count, 1.2, raw, ours)
    yield Row(name, f"{work}, shuffled", "COPY of sorted rows", count, None, raw, out_of_order)

    begun = server.copy(base, "begun")
    there = generated(max(1, scale.objects // 10), seed=2)
    with open_raw(begun) as first:
        copy_in(first, rows_of(repository_id, there, CREATED_AT))
        first.execute("VACUUM ANALYZE object_metadata")
    raw, ours = interleave(
        [
            _by_psycopg(server, begun, _copy_and_insert, rows),
            _by_forgedb(server, begun, "ours", repository_id, objects),
        ],
        scale.bulk_rounds,
        warm_up=False,
    )
    _check_same(server, "ours")
    yield Row(name, f"{work}, beside others", "COPY, INSERT … SELECT", count, None, raw, ours)


def copy_in(raw: psycopg.Connection[Any], rows: Sequence[RowValues]) -> None:
    """COPY the rows, in a transaction of its own."""
    with raw.transaction():
        _copy(raw, COPY.text.encode(), rows)


def _copy_and_insert(raw: psycopg.Connection[Any], rows: Sequence[RowValues]) -> None:
    with raw.transaction():
        raw.execute(MAKE_TEMPORARY)
        _copy(raw, TO_TEMPORARY, rows)
        raw.execute(FROM_TEMPORARY)


def _copy(raw: psycopg.Connection[Any], text: bytes, rows: Sequence[RowValues]) -> None:
    with raw.cursor().copy(text) as copy:
        copy.set_types(COPY.types)
        write_row = copy.write_row
        for row in rows:
            write_row(row)


def _by_psycopg(
    server: Server,
    base: str,
    send: Callable[[psycopg.Connection[Any], Sequence[RowValues]], None],
    rows: Sequence[RowValues],
) -> Contender:
    def prepare() -> Slice:
        raw = open_raw(server.copy(base, "raw"))

        def run() -> None:
            send(raw, rows)
            raw.close()

        return run

    return prepare


def _by_forgedb(
    server: Server, base: str, name: str, repository_id: str, objects: Sequence[NewObject]
) -> Contender:
    def prepare() -> Slice:
        db = open_ours(server.copy(base, name), clock=lambda: CREATED_AT)
        token = db.leases.acquire(repository_id).fencing_token

        def run() -> None:
            db.objects.add_many(repository_id, objects, token)
            db.close()

        return run

    return prepare


def _check_same(server: Server, *names: str) -> None:
    raw = fingerprint(server.url_of("raw"), "object_metadata")
    for name in names:
        assert raw == fingerprint(server.url_of(name), "object_metadata"), "both wrote the same"


def _repository(url: str) -> str:
    with open_ours(url) as db:
        return first_repository(db)
