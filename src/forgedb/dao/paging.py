"""Paging by key: a page begins after the last row of the one before, however deep it lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from forgedb.errors import InvalidValue
from forgedb.ids import check_ulid
from forgedb.models import Page
from forgedb.operations.steps import Steps, many
from forgedb.sql.catalogue import Sql
from forgedb.validation import check_limit

T = TypeVar("T")


def page(
    model: type[T],
    statement: Sql,
    limit: int,
    key: Callable[[T], object],
    **params: Any,
) -> Steps[Page[T]]:
    """One page of ``statement``, which takes ``:limit``; ``key`` names a row for ``after=``.

    One row more than asked for is read: it tells whether there is a next page.
    """
    count = check_limit(limit)
    items = yield from many(model, statement, limit=count + 1, **params)
    following = str(key(items[count - 1])) if len(items) > count else None
    del items[count:]
    return Page(items, following)


def after_id(after: str | None) -> str:
    """The id that a page begins after; the empty text sorts before all.  Raises InvalidValue."""
    return "" if after is None else check_ulid("after", after)


def after_number(after: str | None) -> int:
    """The number that a page begins after.  Raises InvalidValue."""
    if after is None:
        return 0
    if isinstance(after, str) and after.isascii() and after.isdigit() and len(after) < 19:
        return int(after)
    raise InvalidValue("after", after, "give the `next` of the page before, unchanged")
