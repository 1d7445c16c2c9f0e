"""How Python's values are kept in SQLite's, and read back: times as text, booleans as 0 and 1."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import apsw
import msgspec
from msgspec import to_builtins

from forgedb.operations.rows import Converters, Decoder, RowDecoder, make_decoders

CONVERTERS: Converters = {
    datetime: datetime.fromisoformat,
    bool: bool,
    dict: msgspec.json.decode,
}


class _Decoders(dict[Any, tuple[RowDecoder, Decoder]]):
    """Each model's decoders, of one row and of many, built when first asked for."""

    def __missing__(self, model: Any) -> tuple[RowDecoder, Decoder]:
        decoders = self[model] = make_decoders(model, CONVERTERS)
        return decoders


DECODERS = _Decoders()

TIME_CHARS = 27


_last_written: tuple[datetime | None, str] = (None, "")
"""One time goes into several columns of an operation's rows."""


def time_text(at: datetime) -> str:
    """``2026-11-22T10:00:00.000000Z``: 27 characters that sort as the times do."""
    global _last_written
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    if type(in_utc) is datetime:
        # A tenth of what isoformat takes, which also asks for the zone's offset.
        text: str = to_builtins(in_utc)
        if len(text) < TIME_CHARS:
            text = f"{text[:19]}.000000Z"
    else:
        text = in_utc.isoformat("T", "microseconds")[:26] + "Z"
    _last_written = (at, text)
    return text


def kept(value: Any) -> Any:
    """The value as SQLite keeps it.  Raises TypeError where it has no way to."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a time needs a time zone: use datetime.now(timezone.utc)")
        return time_text(value)
    if isinstance(value, tuple):
        # Taken by the table-valued function carray(), without a call into Python for each.
        return apsw.carray(cast("tuple[bytes, ...]", value))
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    raise TypeError(f"a parameter can't be a {type(value).__name__}")


def bind(cursor: apsw.Cursor, number: int, value: object) -> Any:
    """What apsw asks for a parameter of a type that SQLite doesn't have."""
    known, text = _last_written
    return text if value is known else kept(value)
