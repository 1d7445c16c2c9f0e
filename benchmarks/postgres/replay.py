"""The same statements, raw: what forgedb sends is recorded on one copy of a database, and sent
again by psycopg alone on another, where the same values are as fresh as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import psycopg
from psycopg.pq import PipelineStatus

from benchmarks.postgres.server import Server, fingerprint, open_ours, open_raw
from benchmarks.replay import Series
from benchmarks.timing import Slice, Times, interleave

WRITTEN = ("projects", "repositories", "leases", "audit_entries")


class Statement(NamedTuple):
    """A statement as it was sent, its values in types of Python's own."""

    text: bytes
    params: dict[str, Any] | None
    has_rows: bool


Batch: TypeAlias = list[Statement]
"""What went in one round trip."""


class Replayed(NamedTuple):
    """Times of the same work: one statement after the other, in forgedb's batches, by forgedb."""

    singly: Times
    in_pipelines: Times
    ours: Times


def against_replay(
    server: Server, base: str, operations: Series, *, count: int, rounds: int
) -> Replayed:
    """Times of slices of ``count`` operations."""
    recorded_on = server.copy(base, "recorded")
    slices = recorded(recorded_on, operations, count, rounds + 1)
    singly_on, pipelined_on = server.copy(base, "singly"), server.copy(base, "pipelined")
    with (
        open_raw(singly_on) as singly,
        open_raw(pipelined_on) as pipelined,
        open_ours(server.copy(base, "ours")) as db,
    ):
        series = operations(db)

        def with_forgedb() -> Slice:
            batch = [next(series) for _ in range(count)]
            return lambda: [operation() for operation in batch]

        times = interleave(
            [
                _slices_of(_send_singly, singly, slices),
                _slices_of(_send_in_pipelines, pipelined, slices),
                with_forgedb,
            ],
            rounds,
        )
    for table in WRITTEN:
        once = fingerprint(recorded_on, table)
        assert once == fingerprint(singly_on, table) == fingerprint(pipelined_on, table)
    return Replayed(*times)


def _slices_of(
    send: Callable[[psycopg.Connection[Any], list[Batch]], None],
    raw: psycopg.Connection[Any],
    slices: list[list[Batch]],
) -> Callable[[], Slice]:
    left = iter(slices)

    def prepare() -> Slice:
        batches = next(left)
        return lambda: send(raw, batches)

    return prepare


def recorded(url: str, operations: Series, count: int, slices: int) -> list[list[Batch]]:
    recorded: list[list[Batch]] = []
    with open_ours(url) as db:
        series = operations(db)
        for _ in range(slices):
            todo = [next(series) for _ in range(count)]
            with _noted() as batches:
                for operation in todo:
                    operation()
            recorded.append(batches)
    return recorded


@contextmanager
def _noted() -> Iterator[list[Batch]]:
    """What any connection sends within the block."""
    batches: list[Batch] = []
    execute, pipeline = psycopg.Cursor.execute, psycopg.Connection.pipeline

    def note(cursor: psycopg.Cursor[Any], text: bytes, params: Any = None, **how: Any) -> Any:
        if cursor.connection.info.pipeline_status is PipelineStatus.OFF:
            batches.append([])
        batches[-1].append(_statement(text, params))
        return execute(cursor, text, params, **how)

    def note_pipeline(connection: psycopg.Connection[Any]) -> Any:
        batches.append([])
        return pipeline(connection)

    changed: Any = psycopg
    changed.Cursor.execute, changed.Connection.pipeline = note, note_pipeline
    try:
        yield batches
    finally:
        changed.Cursor.execute, changed.Connection.pipeline = execute, pipeline


def _statement(text: bytes, params: Mapping[str, Any] | None) -> Statement:
    native = params and {
        name: value.value if isinstance(value, Enum) else value for name, value in params.items()
    }
    return Statement(text, native, text.lstrip().startswith(b"SELECT"))


def _send_singly(raw: psycopg.Connection[Any], batches: list[Batch]) -> None:
    for batch in batches:
        for text, params, has_rows in batch:
            cursor = raw.execute(text, params)
            if has_rows:
                cursor.fetchall()


def _send_in_pipelines(raw: psycopg.Connection[Any], batches: list[Batch]) -> None:
    for batch in batches:
        if len(batch) == 1:
            _send_singly(raw, [batch])
            continue
        with raw.pipeline():
            cursors = [raw.execute(text, params) for text, params, _ in batch]
        for cursor, (_, _, has_rows) in zip(cursors, batch, strict=True):
            if has_rows:
                cursor.fetchall()
