"""Values that every database must refuse, and small readings of what it holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest

from forgedb import AuditEntry, Database, InvalidValue, Page

T = TypeVar("T")

FREE = "01JD" + "0" * 22
"""A ULID that no row has."""

BAD_ULIDS = [
    "",
    FREE.lower(),
    FREE[:-1],
    FREE + "0",
    FREE[:-1] + "I",
    FREE[:-1] + "L",
    FREE[:-1] + "O",
    FREE[:-1] + "U",
    "8" + FREE[1:],
    FREE[:-1] + "é",
    FREE[:-1] + "٠",
    FREE[:-1] + "\n",
    FREE + "\0",
    None,
    7,
    FREE.encode(),
]

BAD_SLUGS = [
    "",
    "A",
    "-a",
    ".a",
    "_a",
    "a b",
    "a/b",
    "a" * 101,
    "é",
    "a\n",
    "a\0",
    None,
    1,
    b"a",
]

BAD_TEXTS = ["nul \0 here", "half \ud800 a pair", None, 7, b"bytes"]

BAD_LIMITS = [0, -1, 1001, True, 2.0, "3", None, 10**30]

BAD_AFTERS = ["", "garbage", FREE.lower(), 7, b"x", f"{FREE}' OR 1=1 --"]


def every_page(fetch: Callable[..., Page[T]], limit: int) -> list[list[T]]:
    """The pages of a list, from the first to the last."""
    page = fetch(limit=limit)
    pages = [page.items]
    while page.next is not None:
        page = fetch(limit=limit, after=page.next)
        pages.append(page.items)
    return pages


def history(db: Database, target_id: str) -> list[AuditEntry]:
    """A target's audit entries, from the first to the last."""
    return db.audit.list(target=target_id, limit=1000).items


def actions(db: Database, target_id: str) -> list[str]:
    return [entry.action for entry in history(db, target_id)]


def count_of_entries(db: Database) -> Any:
    return db.client.query_value("SELECT count(*) FROM audit_entries")


def assert_refused(field: str, value: object, *calls: Callable[[], object]) -> None:
    """Each call raises InvalidValue that names the field and has the value."""
    for call in calls:
        with pytest.raises(InvalidValue) as raised:
            pytest.fail(f"{field}={value!r} was taken: {call()!r}")
        assert raised.value.field == field
        assert raised.value.value is value
        assert str(raised.value).startswith(f"{field} ")


def assert_list_pages_well(fetch: Callable[..., Page[Any]]) -> None:
    """A list of five items pages by key, and refuses limits and places that make no sense."""
    whole = fetch(limit=1000)
    assert len(whole.items) == 5
    assert whole.next is None
    assert [item.id for item in whole.items] == sorted(item.id for item in whole.items)
    for limit in range(1, 7):
        pages = every_page(fetch, limit)
        assert [item for page in pages for item in page] == whole.items
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert len(pages) == -(-5 // limit)
    assert fetch(after=whole.items[-1].id).items == []
    for bad_limit in BAD_LIMITS:
        assert_refused("limit", bad_limit, partial(fetch, limit=bad_limit))
    for bad_after in BAD_AFTERS:
        assert_refused("after", bad_after, partial(fetch, after=bad_after))
