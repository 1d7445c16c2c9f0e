"""Iterating over all pages of a list as if they were one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeVar, overload

from forgedb.models import Page

P = ParamSpec("P")
T = TypeVar("T")


@overload
def every(
    listing: Callable[P, Awaitable[Page[T]]], /, *args: P.args, **kwargs: P.kwargs
) -> AsyncIterator[T]: ...
@overload
def every(listing: Callable[P, Page[T]], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]: ...
def every(listing: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Every item of a list, page after page: ``for lease in every(db.leases.list, holder=h)``.

    On an AsyncDatabase use ``async for``.  ``limit`` is how many are read at a time.  Items that
    are added meanwhile are included if they sort after those that were read.

    Raises, while it iterates, what ``listing`` raises.
    """
    going = _awaited if iscoroutinefunction(listing) else _called
    return going(listing, args, kwargs)


def _called(
    listing: Callable[..., Page[T]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[T]:
    while True:
        page = listing(*args, **kwargs)
        yield from page.items
        if page.next is None:
            return
        kwargs["after"] = page.next


async def _awaited(
    listing: Callable[..., Awaitable[Page[T]]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> AsyncIterator[T]:
    while True:
        page = await listing(*args, **kwargs)
        for item in page.items:
            yield item
        if page.next is None:
            return
        kwargs["after"] = page.next
