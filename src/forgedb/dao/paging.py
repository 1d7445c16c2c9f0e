"""Keyset paging: a page begins after the last row of the page before, so any depth costs the same.

Callers get the end of a page as ``Page.next``, and pass this text unchanged as ``after=``.  Its
format differs from list to list, and callers must not rely on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from forgedb.errors import InvalidValue
from forgedb.ids import check_ulid
from forgedb.limits import INTEGER_MAX
from forgedb.models import Page
from forgedb.operations.steps import Select, Steps
from forgedb.sql.catalogue import Sql
from forgedb.validation import check_integer, check_limit

T = TypeVar("T")


class Key(msgspec.Struct, frozen=True, eq=False):
    """What a list is sorted by."""

    place: Callable[[Any], str]
    """The text for the place of a row, for ``Page.next``."""

    beginning: Mapping[str, object]
    """The statement's parameters for a page that begins before all rows."""

    following: Callable[[str], Mapping[str, object]]
    """The parameters for a page that begins after a place.  Raises ValueError for no place."""

    def after(self, after: str) -> Mapping[str, object]:
        """The parameters of the page after a place.  Raises InvalidValue."""
        try:
            if isinstance(after, str):
                return self.following(after)
        except (ValueError, OverflowError):
            pass
        raise InvalidValue("after", after, "give the `next` of the page before, unchanged")


BY_ID = Key(lambda row: row.id, {"after": ""}, lambda text: {"after": check_ulid("after", text)})
"""The empty text sorts before all ids."""


def by_number(field: str) -> Key:
    """A key that sorts by a field that counts from 1."""
    return Key(lambda row: str(getattr(row, field)), {"after": 0}, _number)


def _number(text: str) -> Mapping[str, object]:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(INTEGER_MAX))):
        raise ValueError(text)
    return {"after": check_integer("after", int(text))}


def page(
    model: type[T], statement: Sql, limit: int, key: Key, after: str | None, **params: Any
) -> Steps[Page[T]]:
    """One page of ``statement``, which takes ``:limit`` and what the key gives.

    One row more than asked for is read: it tells whether there is a next page.
    """
    count = check_limit(limit)
    params.update(key.beginning if after is None else key.after(after), limit=count + 1)
    items: list[T] = yield Select(statement, params, model)
    following = key.place(items[count - 1]) if len(items) > count else None
    del items[count:]
    return Page(items, following)
