"""What partitions cost: object_metadata compared with the same table without partitions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import psycopg

from benchmarks.databases import fingerprint, open_raw, raw_text
from benchmarks.objects import CREATED_AT, RowValues, copy_in, generated
from benchmarks.places import Place
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave
from forgedb.dao.objects import COPY, SELECT_ONE

PARTITIONED, WHOLE = "object_metadata", "object_metadata_whole"

MAKE_WHOLE = f"""
CREATE TABLE {WHOLE} (
    LIKE {PARTITIONED} INCLUDING ALL,
    FOREIGN KEY (repository_id) REFERENCES repositories (id) ON UPDATE RESTRICT ON DELETE RESTRICT
)
"""

REPOSITORIES = 100
"""The number of repositories that the objects belong to."""


def partitions(place: Place) -> Iterator[Row]:
    """COPY into both, of rows in key order; then single rows by their keys."""
    url, scale = place.copy(place.base, "partitions"), place.scale
    with open_raw(url) as raw:
        raw.execute(MAKE_WHOLE)
        rows = _spread(raw, scale)
        whole, partitioned = interleave(
            [_copying(raw, WHOLE, rows), _copying(raw, PARTITIONED, rows)],
            scale.bulk_rounds,
            warm_up=False,
        )
        assert fingerprint(url, WHOLE) == fingerprint(url, PARTITIONED), "both hold the same"
        name, against = "postgres-partitions", "one table, no partitions"
        yield Row(name, "COPY into 16 partitions", against, len(rows), None, whole, partitioned)
        raw.execute("VACUUM ANALYZE")
        wanted = random.Random(0).choices([row[:2] for row in rows], k=scale.gets)
        whole, partitioned = interleave(
            [_getting(raw, url, WHOLE, wanted), _getting(raw, url, PARTITIONED, wanted)],
            scale.rounds,
        )
        yield Row(name, "get from 16 partitions", against, len(wanted), None, whole, partitioned)


def _spread(raw: psycopg.Connection[Any], scale: Scale) -> list[RowValues]:
    found = raw.execute(
        "SELECT id FROM repositories ORDER BY id LIMIT %s", [REPOSITORIES]
    ).fetchall()
    source = random.Random(0)
    return sorted(
        (source.choice(found)[0], each.oid, each.type, each.size, each.disk_size, CREATED_AT)
        for each in generated(scale.objects)
    )


def _copying(raw: psycopg.Connection[Any], table: str, rows: list[RowValues]) -> Contender:
    text = COPY.text.replace(PARTITIONED, table).encode()

    def prepare() -> Slice:
        raw.execute(f"TRUNCATE {table}".encode())

        def run() -> None:
            with raw.transaction():
                copy_in(raw, text, rows)

        return run

    return prepare


def _getting(
    raw: psycopg.Connection[Any], url: str, table: str, wanted: list[RowValues]
) -> Contender:
    text = raw_text(url, SELECT_ONE).replace(PARTITIONED, table)

    def prepare() -> Slice:
        execute = raw.cursor().execute
        return lambda: [
            execute(text, {"repository_id": repository_id, "oid": oid}).fetchone()
            for repository_id, oid in wanted
        ]

    return prepare
