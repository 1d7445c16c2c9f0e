"""Replays forgedb's statements: they are recorded on one copy of a database, and sent again by the
raw driver on another copy of the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import apsw
import psycopg
from psycopg.pq import PipelineStatus

import forgedb
from benchmarks.databases import fingerprint, is_file, open_ours, open_raw
from benchmarks.places import Files, Place
from benchmarks.timing import Contender, Slice, Times, interleave
from forgedb.drivers.sqlite.values import kept

WRITTEN = ("projects", "repositories", "leases", "audit_entries")

Operation: TypeAlias = Callable[[], object]

Series: TypeAlias = Callable[[forgedb.Database], Iterator[Operation]]
"""An endless series of writes, the same for every copy of the database."""


class Statement(NamedTuple):
    """A statement as it was sent, with its values in the driver's types or Python's."""

    text: str | bytes
    params: dict[str, Any] | None
    has_rows: bool


Batch: TypeAlias = list[Statement]
"""The statements of one round trip; on SQLite, of one operation."""

Send: TypeAlias = Callable[[Any, list[Batch]], None]


def against_replay(place: Place, operations: Series) -> list[Times]:
    """Times of slices: of their statements sent by the raw driver, on a server also in forgedb's
    pipelines, and of forgedb."""
    base, count, rounds = place.base, place.scale.writes, place.scale.rounds
    recorded_on = place.copy(base, "recorded")
    slices = recorded(recorded_on, operations, count, rounds + 1)
    ways: list[Send] = [send_on_file] if isinstance(place, Files) else [send, _send_in_pipelines]
    urls = [place.copy(base, f"raw_{number}") for number, _ in enumerate(ways)]
    with ExitStack() as stack:
        raws = [stack.enter_context(closing(open_raw(url))) for url in urls]
        db = stack.enter_context(open_ours(place.copy(base, "ours")))
        series = operations(db)

        def with_forgedb() -> Slice:
            batch = [next(series) for _ in range(count)]
            return lambda: [operation() for operation in batch]

        contenders = [_replaying(*each, slices) for each in zip(ways, raws, strict=True)]
        times = interleave([*contenders, with_forgedb], rounds)
    for table in WRITTEN:
        content = fingerprint(recorded_on, table)
        assert all(fingerprint(url, table) == content for url in urls), f"{table} differ"
    return times


def _replaying(way: Send, raw: Any, slices: list[list[Batch]]) -> Contender:
    left = iter(slices)

    def prepare() -> Slice:
        batches = next(left)
        return lambda: way(raw, batches)

    return prepare


def recorded(url: str, operations: Series, count: int, slices: int) -> list[list[Batch]]:
    """What forgedb sends in each slice of ``count`` operations."""
    found: list[list[Batch]] = []
    with ExitStack() as stack:
        if is_file(url):
            sent = stack.enter_context(_noting_on_file())
        db = stack.enter_context(open_ours(url))
        if not is_file(url):
            sent = stack.enter_context(_noting_round_trips())
        series = operations(db)
        for _ in range(slices):
            todo = [next(series) for _ in range(count)]
            sent.clear()
            for operation in todo:
                sent.append([])
                operation()
            found.append([batch for batch in sent if batch])
    return found


@contextmanager
def _noting_on_file() -> Iterator[list[Batch]]:
    """The statements of connections that are opened within the block."""
    sent: list[Batch] = [[]]

    def note(cursor: apsw.Cursor, text: str, params: Any) -> bool:
        native = params and {name: kept(_native(value)) for name, value in params.items()}
        sent[-1].append(Statement(text, native, text.lstrip().startswith("SELECT")))
        return True

    def note_all(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    apsw.connection_hooks.append(note_all)
    try:
        yield sent
    finally:
        apsw.connection_hooks.remove(note_all)


@contextmanager
def _noting_round_trips() -> Iterator[list[Batch]]:
    """The statements that any psycopg connection sends within the block."""
    sent: list[Batch] = []
    execute, pipeline = psycopg.Cursor.execute, psycopg.Connection.pipeline

    def note(cursor: psycopg.Cursor[Any], text: bytes, params: Any = None, **how: Any) -> Any:
        if cursor.connection.info.pipeline_status is PipelineStatus.OFF:
            sent.append([])
        native = params and {name: _native(value) for name, value in params.items()}
        sent[-1].append(Statement(text, native, text.lstrip().startswith(b"SELECT")))
        return execute(cursor, text, params, **how)

    def note_pipeline(connection: psycopg.Connection[Any]) -> Any:
        sent.append([])
        return pipeline(connection)

    changed: Any = psycopg
    changed.Cursor.execute, changed.Connection.pipeline = note, note_pipeline
    try:
        yield sent
    finally:
        changed.Cursor.execute, changed.Connection.pipeline = execute, pipeline


def _native(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def send_on_file(raw: apsw.Connection, batches: list[Batch]) -> None:
    """Run one statement after the other and fetch the rows, with a cursor for each operation."""
    for batch in batches:
        send_batch(raw.cursor().execute, batch)


def send(raw: psycopg.Connection[Any], batches: list[Batch]) -> None:
    """One statement after the other, each in a round trip of its own."""
    for batch in batches:
        send_batch(raw.execute, batch)


def send_batch(execute: Callable[..., Any], batch: Batch) -> None:
    for text, params, has_rows in batch:
        cursor = execute(text, params)
        if has_rows:
            cursor.fetchall()


def _send_in_pipelines(raw: psycopg.Connection[Any], batches: list[Batch]) -> None:
    for batch in batches:
        if len(batch) == 1:
            send_batch(raw.execute, batch)
            continue
        with raw.pipeline():
            cursors = [raw.execute(text, params) for text, params, _ in batch]
        for cursor, (_, _, has_rows) in zip(cursors, batch, strict=True):
            if has_rows:
                cursor.fetchall()
