"""The same statements, raw: what forgedb sends is recorded on one copy of a database, and sent
again by the driver alone on another, where the same values are as fresh as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import apsw

import forgedb
from benchmarks.databases import copy, open_ours, open_raw
from benchmarks.timing import Slice, Times, interleave
from forgedb.drivers.sqlite.values import kept

Operation: TypeAlias = Callable[[], object]

Series: TypeAlias = Callable[[forgedb.Database], Iterator[Operation]]
"""Writes without end, the same for every copy of the database."""


class Statement(NamedTuple):
    """A statement as it was sent, its values in the driver's own types."""

    text: str
    params: dict[str, Any] | None
    has_rows: bool


Sent: TypeAlias = list[list[Statement]]
"""The statements of each operation of a slice."""


def against_replay(
    base: Path,
    operations: Series,
    *,
    count: int,
    rounds: int,
) -> tuple[Times, Times]:
    """Times of slices of ``count`` operations: their statements sent raw, and by forgedb."""
    slices = recorded(copy(base, "recorded"), operations, count, slices=rounds + 1)
    with (
        closing(open_raw(copy(base, "raw"), writes=True)) as raw,
        open_ours(copy(base, "ours")) as db,
    ):
        left, series = iter(slices), operations(db)

        def replayed() -> Slice:
            operations = next(left)
            return lambda: send(raw, operations)

        def with_forgedb() -> Slice:
            batch = [next(series) for _ in range(count)]
            return lambda: [operation() for operation in batch]

        times, ours = interleave([replayed, with_forgedb], rounds)
    return times, ours


def recorded(path: Path, operations: Series, count: int, *, slices: int) -> list[Sent]:
    """What forgedb sends in each slice of ``count`` operations."""
    sent: list[Statement] = []

    def note(cursor: apsw.Cursor, text: str, params: Any) -> bool:
        native = params and {name: _native(value) for name, value in params.items()}
        sent.append(Statement(text, native, text.lstrip().startswith("SELECT")))
        return True

    def note_all(connection: apsw.Connection) -> None:
        connection.exec_trace = note

    found: list[Sent] = []
    apsw.connection_hooks.append(note_all)
    try:
        with open_ours(path) as db:
            series = operations(db)
            for _ in range(slices):
                batch = [next(series) for _ in range(count)]
                of_each: Sent = []
                for operation in batch:
                    sent.clear()
                    operation()
                    of_each.append(sent.copy())
                found.append(of_each)
    finally:
        apsw.connection_hooks.remove(note_all)
    return found


def _native(value: Any) -> Any:
    return kept(value.value if isinstance(value, Enum) else value)


def send(raw: apsw.Connection, operations: Sent) -> None:
    """Send the statements of all operations, and fetch what they give."""
    for statements in operations:
        send_one(raw, statements)


def send_one(raw: apsw.Connection, statements: list[Statement]) -> None:
    """Send the statements of one operation."""
    execute = raw.cursor().execute
    for text, params, has_rows in statements:
        cursor = execute(text, params)
        if has_rows:
            cursor.fetchall()
