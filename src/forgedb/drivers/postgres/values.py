"""How Python's values go to PostgreSQL and come back: as the same types that SQLite gives.

JSON stays the text that was hashed, and a value that SQLite can't keep is refused here too.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.pq import Format
from psycopg.types.numeric import IntBinaryDumper
from psycopg.types.string import TextBinaryLoader, TextLoader

from forgedb.drivers.postgres.binary import ARRAYS, Column, Pack, array, microseconds
from forgedb.operations.rows import Converters, Decoder, RowDecoder, make_decoders

CONVERTERS: Converters = {dict: msgspec.json.decode}

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

_types = psycopg.adapters.types

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
        return _pack_time(microseconds(obj))


class _ArrayDumper(Dumper):
    """An array in PostgreSQL's binary form, written in one go: psycopg's asks item by item."""

    format = Format.BINARY

    def get_key(self, obj: Any, format: PyFormat) -> Any:
        return (type(obj), self._kind(obj))

    def upgrade(self, obj: Any, format: PyFormat) -> Dumper:
        dumper = type(self)(object)
        name, dumper._pack = ARRAYS[self._kind(obj)]
        dumper.oid, dumper._item_oid = _types[name].array_oid, _types[name].oid
        return dumper

    _item_oid: int
    _pack: Pack

    def dump(self, obj: Any) -> bytes:
        return array(self._item_oid, self._pack(self._values(obj)))

    def _kind(self, obj: Any) -> type[Any]:
        kind: type[Any] = obj.kind
        return kind

    def _values(self, obj: Any) -> Sequence[Any]:
        values: Sequence[Any] = obj.values
        return values


class _TupleDumper(_ArrayDumper):
    """A tuple of bytes or of text, for ``= ANY()``."""

    def _kind(self, obj: Any) -> type[Any]:
        return str if obj and isinstance(obj[0], str) else bytes

    def _values(self, obj: Any) -> Sequence[Any]:
        values: Sequence[Any] = obj
        return values


class _NoDumper(Dumper):
    def dump(self, obj: Any) -> bytes:
        raise TypeError(f"a parameter can't be a {type(obj).__name__}")


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, _IntegerDumper)
    adapters.register_dumper(datetime, _TimeDumper)
    adapters.register_dumper(Column, _ArrayDumper)
    adapters.register_dumper(tuple, _TupleDumper)
    adapters.register_dumper(list, _NoDumper)
    adapters.register_loader("json", TextLoader)
    adapters.register_loader("json", TextBinaryLoader)
    return adapters


ADAPTERS = _adapters()
