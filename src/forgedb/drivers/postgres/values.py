"""How Python's values go to PostgreSQL and come back: as the same types that SQLite gives.

JSON stays the text that was hashed, and a value that SQLite can't keep is refused here too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.numeric import IntBinaryDumper
from psycopg.types.string import TextBinaryLoader, TextLoader

from forgedb.operations.rows import Converters, Decoder, RowDecoder, make_decoders

CONVERTERS: Converters = {dict: msgspec.json.decode}

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_types = psycopg.adapters.types
_NULL = struct.pack("!i", -1)

_pack_array = struct.Struct("!iiIii").pack
_pack_length = struct.Struct("!i").pack
_pack_counted = struct.Struct("!iq").pack
_pack_time = struct.Struct("!q").pack


class _Decoders(dict[Any, tuple[RowDecoder, Decoder]]):
    """Each model's decoders, of one row and of many, built when first asked for."""

    def __missing__(self, model: Any) -> tuple[RowDecoder, Decoder]:
        decoders = self[model] = make_decoders(model, CONVERTERS)
        return decoders


DECODERS = _Decoders()


class _IntegerDumper(IntBinaryDumper):
    """The smallest type that holds the number, and no numbers that SQLite couldn't hold."""

    def get_key(self, obj: int, format: PyFormat) -> Any:
        if not INTEGER_MIN <= obj <= INTEGER_MAX:
            raise OverflowError("an integer has at most 64 bits")
        return super().get_key(obj, format)


class _TimeDumper(Dumper):
    """An aware time as the microseconds that PostgreSQL keeps."""

    format = Format.BINARY
    oid = _types["timestamptz"].oid

    def dump(self, obj: datetime) -> bytes:
        return _pack_time(_microseconds(obj))


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise TypeError("a time needs a time zone: use datetime.now(timezone.utc)")
    return (at - _EPOCH) // _MICROSECOND


class Column:
    """The values of one column in many rows, of one type or None: an array to PostgreSQL."""

    __slots__ = ("kind", "values")

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values
        self.kind = _kind_of(values)


def _kind_of(values: tuple[Any, ...]) -> type[Any]:
    for value in values:
        for kind in (bytes, str, int, datetime):
            if isinstance(value, kind):
                return kind
    return str


def _packed_bytes(values: Iterable[Any]) -> list[bytes]:
    return [_NULL if it is None else _pack_length(len(it)) + it for it in values]


def _packed_text(values: Iterable[Any]) -> list[bytes]:
    return _packed_bytes([None if it is None else it.encode() for it in values])


def _packed_integers(values: Iterable[Any]) -> list[bytes]:
    return [_NULL if it is None else _pack_counted(8, it) for it in values]


def _packed_times(values: Iterable[Any]) -> list[bytes]:
    return [
        _NULL if it is None else _pack_counted(8, (it - _EPOCH) // _MICROSECOND) for it in values
    ]


_ARRAYS: dict[type[Any], tuple[TypeInfo, Callable[[Iterable[Any]], list[bytes]]]] = {
    bytes: (_types["bytea"], _packed_bytes),
    str: (_types["text"], _packed_text),
    int: (_types["int8"], _packed_integers),
    datetime: (_types["timestamptz"], _packed_times),
}


class _ArrayDumper(Dumper):
    """An array in PostgreSQL's binary form, written in one go: psycopg's asks item by item."""

    format = Format.BINARY

    def get_key(self, obj: Any, format: PyFormat) -> Any:
        return (type(obj), self._kind(obj))

    def upgrade(self, obj: Any, format: PyFormat) -> Dumper:
        dumper = type(self)(object)
        info, dumper._pack = _ARRAYS[self._kind(obj)]
        dumper.oid, dumper._item_oid = info.array_oid, info.oid
        return dumper

    _item_oid: int
    _pack: Callable[[Iterable[Any]], list[bytes]]

    def dump(self, obj: Any) -> bytes:
        items = self._pack(self._values(obj))
        return _pack_array(1, 1, self._item_oid, len(items), 1) + b"".join(items)

    def _kind(self, obj: Any) -> type[Any]:
        kind: type[Any] = obj.kind
        return kind

    def _values(self, obj: Any) -> Iterable[Any]:
        values: Iterable[Any] = obj.values
        return values


class _BytesArrayDumper(_ArrayDumper):
    """A tuple of bytes, for ``= ANY()``."""

    def _kind(self, obj: Any) -> type[Any]:
        return bytes

    def _values(self, obj: Any) -> Iterable[Any]:
        values: Iterable[Any] = obj
        return values


class _NoDumper(Dumper):
    def dump(self, obj: Any) -> bytes:
        raise TypeError(f"a parameter can't be a {type(obj).__name__}")


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, _IntegerDumper)
    adapters.register_dumper(datetime, _TimeDumper)
    adapters.register_dumper(Column, _ArrayDumper)
    adapters.register_dumper(tuple, _BytesArrayDumper)
    adapters.register_dumper(list, _NoDumper)
    adapters.register_loader("json", TextLoader)
    adapters.register_loader("json", TextBinaryLoader)
    return adapters


ADAPTERS = _adapters()
