"""What the rebuild of a table on SQLite must not break; SQLite itself checks none of it."""

from __future__ import annotations

from collections import Counter

import msgspec

from forgedb.errors import ForgeDbError
from forgedb.migrations.references import Dangling, dangling, parentless
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import Sql, sql

VIEWS = sql(
    sqlite="SELECT name FROM sqlite_schema WHERE type = 'view'",
    postgres="SELECT '' WHERE false",
)


class Integrity(msgspec.Struct, frozen=True):
    """What is broken: rows and tables whose parent isn't there, and views that can't be read."""

    dangling: Dangling
    parentless: frozenset[tuple[str, str]]
    """Pairs: a table, and the table it refers to, which isn't there."""
    unreadable: dict[str, str]
    """Views, and what SQLite says of each."""

    def broken_since(self, before: Integrity) -> str | None:
        """What is broken now and wasn't before, in words, with what to do."""
        for child, parent in sorted(self.parentless - before.parentless):
            return (
                f"{child} would refer to {parent}, which isn't there: copy the rows, drop the old"
                " table, and rename the new one last"
            )
        for view, why in self.unreadable.items():
            if view not in before.unreadable:
                return f"the view {view} couldn't be read any more ({why}): make it anew"
        return more_dangling(before.dangling, self.dangling)


def integrity() -> Steps[Integrity]:
    """What is broken now."""
    unreadable: dict[str, str] = {}
    for (view,) in (yield from rows(VIEWS)):
        name = view.replace('"', '""')
        text = f'SELECT 1 FROM "{name}" LIMIT 0'
        try:
            yield from rows(Sql(text, text))
        except ForgeDbError as error:
            unreadable[view] = str(error.__cause__)
    return Integrity((yield from dangling()), (yield from parentless()), unreadable)


def more_dangling(before: Dangling, after: Dangling) -> str | None:
    """Which rows refer to what isn't there, and didn't before, in words with what to do."""
    tables = Counter((child, parent) for child, _, parent in (after - before).elements())
    for (child, parent), count in tables.items():
        return (
            f"{count} more row(s) of {child} would refer to rows of {parent} that aren't there:"
            " copy every row that others refer to, with its key"
        )
    return None
