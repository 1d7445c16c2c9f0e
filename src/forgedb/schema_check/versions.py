"""The parts of a schema as the migrations make them, kept in a file for each version.

A file is generated from the migrations, and has a line for each part, tables first.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forgedb.sql.lexer import Dialect

KINDS = ("table", "column", "constraint", "index", "trigger", "domain", "function")
"""What the migrations make, in the order of a file."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A table, column, constraint, index, trigger, function or type, and the ``table`` it is on.

    On SQLite columns and constraints are in the text of their table; an index that SQLite makes
    itself, for a key, has no text.
    """

    kind: str
    name: str
    table: str
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by; SQLite takes names in any case."""
        return self.kind, self.table, self.name


def path_of(dialect: Dialect, version: int) -> str:
    """The file of a version's parts."""
    return os.path.join(os.path.dirname(__file__), dialect, f"{version:04}.jsonl")


def tables_of(dialect: Dialect, version: int) -> tuple[str, ...]:
    """The names of a version's tables, without partitions, which are found through their table."""
    names: list[str] = []
    with open(path_of(dialect, version), "rb") as lines:
        for line in lines:
            part = msgspec.json.decode(line, type=Part)
            if part.kind != "table":
                break
            if not _is_partition(part):
                names.append(part.name)
    return tuple(names)


def parts_of(dialect: Dialect, version: int) -> list[Part]:
    """The parts that the migrations up to a version make."""
    with open(path_of(dialect, version), "rb") as lines:
        return [msgspec.json.decode(line, type=Part) for line in lines]


def asked_for(parts: Iterable[Part]) -> tuple[str, ...]:
    """The names to ask a live database for: of tables, functions and types."""
    return tuple(
        sorted(
            {
                part.name.partition("(")[0]
                for part in parts
                if part.kind in ("table", "function", "domain") and not _is_partition(part)
            }
        )
    )


def as_read(kind: str, name: str, table: str, text: str) -> Part:
    """A row of a live database as a part; white space at the edges of lines is ignored."""
    if "\n" in text:
        text = "\n".join(line.strip() for line in text.strip().splitlines())
    return Part(kind, name, table, text)


def written(parts: Iterable[Part]) -> bytes:
    """The file's bytes."""
    in_order = sorted(parts, key=lambda part: (KINDS.index(part.kind), part.table, part.name))
    return b"".join(msgspec.json.encode(part) + b"\n" for part in in_order)


def _is_partition(part: Part) -> bool:
    return part.text.startswith("a table of ")
