"""Snapshots of the schemas of a database, and the differences between two of them.

They compare what files make in a scratch database with a live one.  In the live database only the
names that the files make are read, with all parts of their tables.  Other tables in the same
schemas are mentioned, and other schemas are ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

import msgspec

from forgedb.operations.steps import Select, Steps, rows, together
from forgedb.schema_check.catalogue import EXTENSIONS, IN_SCHEMA, NAMES, PARTS_OF_SCHEMA, UNCOMPILED
from forgedb.schema_check.comparison import Difference, in_order, told
from forgedb.schema_check.versions import Part, as_read

UNNAMED = ("main", "public")
"""The schemas whose names are left out before those of their parts."""

WHOLE = ("table", "view")
"""The kinds that have parts of their own."""

KINDS_BY_TEXT = {
    "CREATE VIEW": "view",
    "a view": "view",
    "a materialized view": "view",
    "a sequence": "sequence",
    "a type": "type",
    "no domain": "type",
}

Names = Mapping[str, Mapping[str, str]]
"""By schema: each name and its kind, which is table, view or other."""


class FilesDifference(Difference, frozen=True):
    """A part that differs from what the files make."""

    advice: ClassVar[str] = "put it back as the files make it, or write the change into a new file"


class Snapshot(msgspec.Struct, frozen=True):
    """The names in a database, the parts of those that were asked for, and the extensions."""

    names: Names
    parts: list[Part]
    extensions: frozenset[str]


def names_of(left_out: Collection[str] = ()) -> Steps[Names]:
    """The names in each schema, without those that are ``left_out``."""
    found: dict[str, dict[str, str]] = {}
    for schema, name, kind in (yield from rows(NAMES)):
        there = found.setdefault(schema, {})
        if kind != "schema" and name not in left_out:
            there[name] = kind
    return found


def snapshot(asked: Names | None = None, *, left_out: Collection[str] = ()) -> Steps[Snapshot]:
    """A snapshot of the names that are asked for, by default all.

    Run it in one transaction; it sets the transaction's search_path.
    """
    names = yield from names_of(left_out)
    extensions = frozenset(name for (name,) in (yield from rows(EXTENSIONS)))
    yield from rows(UNCOMPILED)
    parts: list[Part] = []
    views: set[str] = set()
    for schema, wanted in (names if asked is None else asked).items():
        if schema not in names or not wanted:
            continue
        views |= {name.lower() for name in wanted}
        # Names in SQLite are case-insensitive.
        lower = schema == "main"
        named = tuple(sorted(name.lower() if lower else name for name in wanted))
        _, found = yield from together(
            Select(IN_SCHEMA, {"schema": schema}, None),
            Select(PARTS_OF_SCHEMA, {"names": named}, None),
        )
        parts += (_in_schema(schema, as_read(*row)) for row in found)
    # A view that was asked for has a part itself: drop the parts that its tables list for it.
    parts = [part for part in parts if part.kind != "view" or part.name.lower() not in views]
    return Snapshot(names, [_of_its_kind(part) for part in parts], extensions)


def differences_between(
    made: Snapshot, live: Snapshot, mentioned: Collection[str] = ()
) -> list[Difference]:
    """How the live database differs from what files made; names in ``mentioned`` are ignored."""
    differences = [
        *told(made.parts, live.parts, FilesDifference),
        *_missing("schema", made.names.keys() - live.names.keys()),
        *_missing("extension", made.extensions - live.extensions),
        *_others(made, live, mentioned),
    ]
    gone = {each.name for each in differences if each.what == "missing" and each.kind in WHOLE}
    # The parts of a missing table are not listed as well.
    return in_order(
        each
        for each in differences
        if each.kind in WHOLE or each.what != "missing" or each.table not in gone
    )


def _missing(kind: str, names: Collection[str]) -> Iterator[Difference]:
    for name in names:
        yield FilesDifference(kind, name, "", "missing", name, None)


def _others(made: Snapshot, live: Snapshot, known: Collection[str]) -> Iterator[Difference]:
    """The tables and views that the files don't make, in the schemas that they use."""
    for schema, names in made.names.items():
        # If the files make nothing in a schema, all in it belongs to others.
        for name, kind in live.names.get(schema, {}).items() if names else ():
            if kind != "other" and name not in names and name not in known:
                full = _qualified(schema, name)
                yield FilesDifference(kind, full, "", "added", None, kind, harmless=True)


def _in_schema(schema: str, part: Part) -> Part:
    table = part.table and _qualified(schema, part.table)
    name = part.name
    if part.kind not in ("column", "constraint", "trigger", "rule", "policy"):
        name = _qualified(schema, name)
    return Part(part.kind, name, table, part.text)


def _of_its_kind(part: Part) -> Part:
    """The part with its actual kind, since it was found only by its name."""
    kind = next((kind for text, kind in KINDS_BY_TEXT.items() if part.text.startswith(text)), None)
    if kind is None or part.kind not in ("table", "domain"):
        return part
    return Part(kind, part.name, "" if part.table == part.name else part.table, part.text)


def _qualified(schema: str, name: str) -> str:
    return name if schema in UNNAMED else f"{schema}.{name}"
