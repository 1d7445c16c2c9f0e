"""Differences between a live database's schema and what its migrations made, part by part.

Only this finds a guard, such as a trigger, that is missing: the history of migrations still lists
its file, and the audit trail is unchanged.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from forgedb.errors import MigrationDrift
from forgedb.operations.steps import Select, Steps, rows, together
from forgedb.schema_check.catalogue import NO_TABLES, PARTS, UNCOMPILED, VERSION
from forgedb.schema_check.versions import (
    KINDS,
    Part,
    as_read,
    asked_for,
    parts_of,
    path_of,
    tables_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from forgedb.sql.lexer import Dialect

EXCERPT_CHARS = 60

HARMLESS = ("index", "view")
"""Additions that don't change what forgedb's statements do; a unique index isn't one."""

AS_MADE = "put it back as the migrations make it (`forgedb schema --format sql` on a new database)"

What = Literal["missing", "added", "different"]


class Difference(msgspec.Struct, frozen=True):
    """A part that is missing, was added, or differs from what the migrations make.

    ``table`` is the table that the part is on; ``expected`` and ``found`` are its whole text.  A
    ``harmless`` difference is only mentioned.
    """

    kind: str
    name: str
    table: str
    what: What
    expected: str | None
    found: str | None
    harmless: bool = False

    advice: ClassVar[str] = AS_MADE

    @property
    def named(self) -> str:
        """The part's kind and name, and the name of its table."""
        on = f" on {self.table}" if self.table and self.table != self.name else ""
        return f"{self.kind} {self.name}{on}"

    def __str__(self) -> str:
        named = self.named
        if self.what == "missing":
            return f"{named} is missing: {self.advice}"
        if self.what == "added":
            if self.harmless:
                return f"{named} was added, which is no fault"
            return f"{named} was added: find out who made it, and drop it"
        expected, found = self.parting
        return f"{named} is different (expected {expected!r}, found {found!r}): {self.advice}"

    @property
    def parting(self) -> tuple[str, str]:
        """Excerpts of the expected and the found text, from shortly before they differ."""
        return _excerpts(self.expected or "nothing", self.found or "nothing")

    def as_drift(self) -> MigrationDrift:
        """The error to raise if this difference makes something unreadable."""
        return MigrationDrift(self.named, *self.parting, self.advice)


def differences() -> Steps[list[Difference]]:
    """Where the schema differs from what the applied migrations made, harmless differences last.

    Empty for a database that is newer than this code, or that has no history.
    """
    for dialect, version in (yield from rows(VERSION)):
        if os.path.exists(path_of(dialect, version)):
            return (yield from compared(parts_of(dialect, version)))
    return []


def compared(expected: Sequence[Part]) -> Steps[list[Difference]]:
    """Where the schema differs from these parts."""
    parts = Select(PARTS, {"names": asked_for(expected)}, None)
    _, found = yield from together(Select(UNCOMPILED, {}, None), parts)
    return told(expected, (as_read(*row) for row in found))


def told(
    expected: Iterable[Part], found: Iterable[Part], kind: type[Difference] = Difference
) -> list[Difference]:
    """How the parts that were found differ from the expected ones, harmless differences last."""
    there = {part.key: part for part in found}
    differences: list[Difference] = []
    for part in expected:
        live = there.pop(part.key, None)
        if live is None:
            differences.append(kind(*_named(part), "missing", part.text, None))
        elif live.text != part.text:
            differences.append(kind(*_named(part), "different", part.text, live.text))
    for part in there.values():
        harmless = part.kind in HARMLESS and not part.text.upper().startswith("CREATE UNIQUE")
        differences.append(kind(*_named(part), "added", None, part.text, harmless=harmless))
    return in_order(differences)


def in_order(differences: Iterable[Difference]) -> list[Difference]:
    """Harmless ones last; tables before the parts on them, which are missing with their table."""
    return sorted(differences, key=_rank)


def require_tables(dialect: Dialect, version: int, *, may_lack: bool = False) -> Steps[None]:
    """Refuse a required table that is something else before it is read: a view might never end.

    Raises MigrationDrift.
    """
    for name, found in (yield from rows(NO_TABLES, names=tables_of(dialect, version))):
        if found is None and may_lack:
            continue
        raise MigrationDrift(name, "a table", found or "nothing of that name", AS_MADE)


def _rank(each: Difference) -> tuple[bool, int, str, str]:
    kind = KINDS.index(each.kind) if each.kind in KINDS else len(KINDS)
    return each.harmless, kind, each.table, each.name


def _named(part: Part) -> tuple[str, str, str]:
    return part.kind, part.name, part.table


def _excerpts(expected: str, found: str) -> tuple[str, str]:
    at = next(
        (place for place, (one, other) in enumerate(zip(expected, found)) if one != other),  # noqa: B905
        min(len(expected), len(found)),
    )
    begin = max(at - EXCERPT_CHARS // 3, 0)
    return _excerpt(expected, begin), _excerpt(found, begin)


def _excerpt(text: str, begin: int) -> str:
    end = begin + EXCERPT_CHARS
    shown = " ".join(text[begin:end].split())
    return f"{'...' if begin else ''}{shown}{'...' if end < len(text) else ''}"
