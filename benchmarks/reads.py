"""Reading repositories: one by its id, and a page of 100; raw statements give tuples."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

from msgspec.structs import astuple

import forgedb
from benchmarks.databases import PAGE, all_ids, open_ours, open_raw, project_of, raw_text
from benchmarks.places import Files, Place
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID

Execute = Callable[..., Any]


def get(place: Place) -> Iterator[Row]:
    """Repositories by id, in random order, on one connection that is kept."""
    on_file, url, count = isinstance(place, Files), place.base, place.scale.gets
    with (
        open_ours(url) as db,
        closing(open_raw(url, writes=False)) as raw,
        closing(place.connect(url)) as library,
    ):
        tuples = raw.cursor().execute if on_file else raw.execute
        other = library.cursor().execute if on_file else raw.cursor().execute
        wanted = chosen(all_ids(db), count)
        slices = [*(getting(execute, url, wanted) for execute in (tuples, other))]
        slices.append(getting_ours(db, wanted))
        check_same([row for (row,) in slices[0]()], slices[-1]())
        first, second, ours = interleave(
            [lambda of=each: of for each in slices], place.scale.rounds
        )
    name, work = f"{place.prefix}get", f"get by id → model{place.suffix}"
    if on_file:
        yield Row(name, work, "apsw tuples", count, 1.6, first, ours)
        yield Row(name, work, "sqlite3 tuples", count, 1.0, second, ours)
    else:
        yield Row(name, work, "psycopg tuples", count, 1.2, first, ours)
        yield Row(name, work, "psycopg, a reused cursor", count, None, second, ours)


def page(place: Place) -> Iterator[Row]:
    """Pages of a project's repositories, from places all over the list."""
    url, count = place.base, place.scale.pages
    with open_ours(url) as db, closing(open_raw(url, writes=False)) as raw:
        execute = raw.cursor().execute if isinstance(place, Files) else raw.execute
        by_driver, by_forgedb = paging(execute, url, db, place.scale)
        for rows, found in zip(by_driver(), by_forgedb(), strict=True):
            check_same(rows, found.items)
        raw_times, ours = interleave([lambda: by_driver, lambda: by_forgedb], place.scale.rounds)
    name, work = f"{place.prefix}page", f"page of 100 → models{place.suffix}"
    yield Row(name, work, f"{place.driver} tuples", count, 1.7, raw_times, ours)


def getting(execute: Execute, url: str, wanted: Sequence[str]) -> Slice:
    text = raw_text(url, SELECT_BY_ID)
    return lambda: [execute(text, {"id": one}).fetchall() for one in wanted]


def getting_ours(db: forgedb.Database, wanted: Sequence[str]) -> Slice:
    return lambda: [db.repositories.get(one) for one in wanted]


def paging(execute: Execute, url: str, db: forgedb.Database, scale: Scale) -> tuple[Slice, Slice]:
    """By the driver, and by forgedb."""
    project_id, text = project_of(db), raw_text(url, LIST_LIVE)
    wanted = chosen(all_ids(db)[:-PAGE], scale.pages)
    return (
        lambda: [
            execute(text, {"project_id": project_id, "after": one, "limit": PAGE}).fetchall()
            for one in wanted
        ],
        lambda: [db.repositories.list(project_id, after=one, limit=PAGE) for one in wanted],
    )


def chosen(ids: Sequence[str], count: int) -> list[str]:
    """So many of them, all over the list."""
    return random.Random(0).choices(ids, k=count)


def check_same(rows: Sequence[Any], models: Sequence[Any]) -> None:
    """Check that both read the same: the fields that the driver and the model have alike."""
    for row, model in zip(rows, models, strict=True):
        assert row[:5] == astuple(model)[:5], (row, model)
