"""Columns of many values in PostgreSQL's binary form: as arrays, and as the rows of a COPY.

psycopg does the same value by value; a column at a time takes a fraction of that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any, TypeAlias

Pack: TypeAlias = Callable[[Sequence[Any]], Iterable[bytes]]
"""Gives each of a column's values with its length before it."""

COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = struct.pack("!h", -1)

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_NULL = struct.pack("!i", -1)

_pack_array = struct.Struct("!iiIii").pack
_pack_fields = struct.Struct("!h").pack
_pack_length = struct.Struct("!i").pack
_pack_smallint = struct.Struct("!ih").pack
_pack_bigint = struct.Struct("!iq").pack


class Column:
    """The values of one column in many rows, of one type or None: an array to PostgreSQL."""

    __slots__ = ("kind", "values")

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self.kind = _kind_of(values)


def _kind_of(values: Sequence[Any]) -> type[Any]:
    for value in values:
        for kind in (bytes, str, int, datetime):
            if isinstance(value, kind):
                return kind
    return str


def array(item_oid: int, items: Iterable[bytes]) -> bytes:
    """An array of packed items, none of them an array."""
    several = [*items]
    return _pack_array(1, 1, item_oid, len(several), 1) + b"".join(several)


def copied(types: Sequence[str], columns: Sequence[Sequence[Any]]) -> bytes:
    """The rows that the columns make, as a binary COPY has them between its begin and its end."""
    fields = [_pack_fields(len(columns))] * len(columns[0])
    packed = (_PACKS[name](column) for name, column in zip(types, columns, strict=True))
    return b"".join(chain.from_iterable(zip(fields, *packed, strict=True)))


def microseconds(at: datetime) -> int:
    """An aware time as PostgreSQL counts it.  Raises TypeError for a naive one."""
    if at.tzinfo is None:
        raise TypeError("a time needs a time zone: use datetime.now(timezone.utc)")
    return (at - _EPOCH) // _MICROSECOND


def _once(pack: Pack) -> Pack:
    """Pack a value once where the column holds no other, as those of one call's rows often do."""

    def packed(values: Sequence[Any]) -> Iterable[bytes]:
        if values and values[0] is values[-1] and values.count(values[0]) == len(values):
            return [*pack(values[:1])] * len(values)
        return pack(values)

    return packed


def _each(pack: Pack) -> Pack:
    def packed(values: Sequence[Any]) -> Iterable[bytes]:
        if None not in values:
            return pack(values)
        present = iter(pack([value for value in values if value is not None]))
        return [_NULL if value is None else next(present) for value in values]

    return _once(packed)


def _bytes(values: Iterable[bytes]) -> Iterable[bytes]:
    return [_pack_length(len(value)) + value for value in values]


def _text(values: Sequence[str]) -> Iterable[bytes]:
    return _bytes(value.encode() for value in values)


def _smallints(values: Sequence[int]) -> Iterable[bytes]:
    return map(_pack_smallint, repeat(2), values)


def _bigints(values: Iterable[int]) -> Iterable[bytes]:
    return map(_pack_bigint, repeat(8), values)


def _times(values: Sequence[datetime]) -> Iterable[bytes]:
    return _bigints(map(microseconds, values))


_PACKS: dict[str, Pack] = {
    "bytea": _each(_bytes),
    "text": _each(_text),
    "smallint": _each(_smallints),
    "bigint": _each(_bigints),
    "timestamptz": _each(_times),
}

ARRAYS: dict[type[Any], tuple[str, Pack]] = {
    bytes: ("bytea", _PACKS["bytea"]),
    str: ("text", _PACKS["text"]),
    int: ("int8", _PACKS["bigint"]),
    datetime: ("timestamptz", _PACKS["timestamptz"]),
}
