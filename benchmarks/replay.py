"""The same statements, raw: what forgedb sends is recorded on one copy of a database, and sent
again by the driver alone on another, where the same values are as fresh as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import apsw

import forgedb
from benchmarks.databases import copy, open_ours, open_raw
from benchmarks.timing import Slice, Times, interleave
from forgedb.drivers.sqlite.runner import SqliteRunner
from forgedb.drivers.sqlite.values import kept

Operation: TypeAlias = Callable[[], object]


class Statement(NamedTuple):
    """A statement as it was sent, its values in the driver's own types."""

    text: str
    params: dict[str, Any] | None
    has_rows: bool


def against_replay(
    base: Path,
    operations: Callable[[forgedb.Database], Iterator[Operation]],
    *,
    count: int,
    rounds: int,
) -> tuple[Times, Times]:
    """Times of slices of ``count`` operations: their statements sent raw, and by forgedb.

    ``operations`` gives the same endless series of writes for every copy of the database.
    """
    recorded = copy(base, "recorded")
    with open_ours(recorded) as db:
        series = operations(db)
        slices = [_record(db, [next(series) for _ in range(count)]) for _ in range(rounds + 1)]
    with (
        closing(open_raw(copy(base, "raw"), writes=True)) as raw,
        open_ours(copy(base, "ours")) as db,
    ):
        left, series = iter(slices), operations(db)

        def replayed() -> Slice:
            statements = next(left)
            return lambda: _send(raw, statements)

        def with_forgedb() -> Slice:
            batch = [next(series) for _ in range(count)]
            return lambda: [operation() for operation in batch]

        times, ours = interleave([replayed, with_forgedb], rounds)
    return times, ours


def _record(db: forgedb.Database, batch: list[Operation]) -> list[Statement]:
    statements: list[Statement] = []

    def record(cursor: apsw.Cursor, text: str, params: Any) -> bool:
        native = params and {name: _native(value) for name, value in params.items()}
        statements.append(Statement(text, native, text.lstrip().startswith("SELECT")))
        return True

    runner = cast("SqliteRunner", db._runner)
    with runner.borrow_writer() as writer:
        writer.raw.exec_trace = record
    for operation in batch:
        operation()
    with runner.borrow_writer() as writer:
        writer.raw.exec_trace = None
    return statements


def _native(value: Any) -> Any:
    return kept(value.value if isinstance(value, Enum) else value)


def _send(raw: apsw.Connection, statements: list[Statement]) -> None:
    execute = raw.cursor().execute
    for text, params, has_rows in statements:
        cursor = execute(text, params)
        if has_rows:
            cursor.fetchall()
