"""The works, on databases of either kind: each side in the same event loop, turn by turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, cycle, islice
from typing import Any, NamedTuple, TypeAlias

import forgedb
from benchmarks.awaited.raw import Awaiting, Hopping, Raw
from benchmarks.databases import ACTOR, PROJECT, first_repository
from benchmarks.objects import PAGE, deep, generated, rows_of
from benchmarks.places import Databases, Files, Place
from benchmarks.reads import places
from benchmarks.replay import Series
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, interleave
from benchmarks.writes import leases, repositories
from forgedb.dao.repositories import LIST_LIVE

Calls: TypeAlias = Callable[[forgedb.AsyncDatabase], Iterator[Coroutine[Any, Any, object]]]
"""Writes without end, each to be awaited."""


AWAKE = 10


class Meeting(NamedTuple):
    """Databases of one kind, the driver that reads them raw, and the loop of both sides."""

    scale: Scale
    place: Place
    driver: type[Hopping | Awaiting]
    loop: asyncio.Runner

    @property
    def base(self) -> str:
        return self.place.base()

    @contextmanager
    def raw(self, url: str, *, writes: bool) -> Iterator[Raw]:
        opened = self.loop.run(self.driver.open(url, writes=writes))
        yield opened
        self.loop.run(opened.close())

    @contextmanager
    def ours(self, url: str) -> Iterator[forgedb.AsyncDatabase]:
        db = self.loop.run(forgedb.connect_async(url, actor=ACTOR))
        yield db
        self.loop.run(db.close())

    def run(self, works: Iterable[Coroutine[Any, Any, object]]) -> Slice:
        """One after the other."""

        async def each() -> list[object]:
            return [await work for work in works]

        return lambda: self.loop.run(each())

    def row(self, name: str, words: str, against: str, **numbers: Any) -> Row:
        work = f"await {words}{self.place.suffix}"
        return Row(name=f"{self.place.prefix}await-{name}", work=work, against=against, **numbers)


def page(met: Meeting) -> Iterator[Row]:
    """Pages of a project's repositories, from places all over the list."""
    with met.place.open(met.base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id
        found = db.client.query("SELECT id FROM repositories ORDER BY id")
    # Enough of them that a thread that slept while others had their turn is awake again.
    scale = met.scale._replace(pages=AWAKE * met.scale.pages)
    wanted = places(found, scale)
    values = {"project_id": project_id, "limit": PAGE}
    with met.raw(met.base, writes=False) as raw, met.ours(met.base) as ours:
        listed = partial(ours.repositories.list, project_id, limit=PAGE)
        by_driver, by_forgedb = interleave(
            [
                lambda: met.run(raw.rows(LIST_LIVE, {**values, "after": one}) for one in wanted),
                lambda: met.run(listed(after=one) for one in wanted),
            ],
            met.scale.rounds,
        )
    yield met.row(
        "page",
        "page of 100 → models",
        met.driver.words,
        operations=scale.pages,
        bound=1.7,
        raw=by_driver,
        ours=by_forgedb,
    )


def depth(met: Meeting) -> Iterator[Row]:
    """Pages at nine tenths of a repository's objects, and at their beginning."""
    url, repository_id, after = deep(met.place, met.scale)
    with met.ours(url) as ours:

        def at(place: str | None) -> Contender:
            listed = partial(ours.objects.list, repository_id, after=place, limit=PAGE)
            return lambda: met.run(listed() for _ in range(met.scale.pages))

        shallow, at_depth = interleave([at(None), at(after)], met.scale.rounds)
    yield met.row(
        "depth",
        "page of 100 at depth 900,000 of 1 M",
        "the first page",
        operations=met.scale.pages,
        bound=1.1,
        raw=shallow,
        ours=at_depth,
    )


def lease(met: Meeting) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    with met.place.open(met.base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id
        ids = [one.id for one in db.repositories.list(project_id, limit=100).items]

    async def acquire_and_release(db: forgedb.AsyncDatabase, repository_id: str) -> None:
        granted = await db.leases.acquire(repository_id, purpose="nightly import")
        await db.leases.release(granted.id)

    def calls(db: forgedb.AsyncDatabase) -> Iterator[Coroutine[Any, Any, object]]:
        return (acquire_and_release(db, one) for one in cycle(ids))

    words = "lease acquire + release"
    yield from _beside_statements(met, "lease", words, 1.4, leases, calls)


def repository(met: Meeting) -> Iterator[Row]:
    """Repositories added to a project that has many."""
    with met.place.open(met.base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id

    def calls(db: forgedb.AsyncDatabase) -> Iterator[Coroutine[Any, Any, object]]:
        return (db.repositories.create(project_id, f"new-{number}") for number in count())

    words = "insert of a repository"
    yield from _beside_statements(met, "repository", words, 1.5, repositories, calls)


def add_many(met: Meeting) -> Iterator[Row]:
    """Objects in Git's order, into a repository that has none, in one transaction."""
    objects = generated(met.scale.objects)
    with met.place.open(met.base) as db:
        repository_id = first_repository(db)
    rows = rows_of(repository_id, objects, met.driver.created_at)

    def by_driver() -> Slice:
        url = met.place.copy(met.base, "raw")

        async def add() -> None:
            raw = await met.driver.open(url, writes=True)
            await raw.add(rows)
            await raw.close()

        return lambda: met.loop.run(add())

    def by_forgedb() -> Slice:
        db = met.loop.run(forgedb.connect_async(met.place.copy(met.base, "ours"), actor=ACTOR))
        token = met.loop.run(db.leases.acquire(repository_id)).fencing_token

        async def add() -> None:
            await db.objects.add_many(repository_id, objects, token)
            await db.close()

        return lambda: met.loop.run(add())

    raw, ours = interleave([by_driver, by_forgedb], met.scale.bulk_rounds, warm_up=False)
    yield met.row(
        "add-many",
        "add_many of 1 M objects",
        f"{met.driver.words}, {'executemany' if met.driver is Hopping else 'COPY'}",
        operations=len(objects),
        bound=1.3 if met.driver is Hopping else 1.2,
        raw=raw,
        ours=ours,
    )


def _beside_statements(
    met: Meeting, name: str, words: str, bound: float, operations: Series, calls: Calls
) -> Iterator[Row]:
    size, rounds = met.scale.writes, met.scale.rounds
    sent = met.driver.recorded(met.place.copy(met.base, "recorded"), operations, size, rounds + 1)
    raw_on, ours_on = (met.place.copy(met.base, name) for name in ("raw", "ours"))
    with met.raw(raw_on, writes=True) as raw, met.ours(ours_on) as ours:
        slices, series = iter(sent), calls(ours)
        by_driver, by_forgedb = interleave(
            [
                lambda: met.run([raw.replay(next(slices))]),
                lambda: met.run([*islice(series, size)]),
            ],
            rounds,
        )
    yield met.row(
        name,
        words,
        f"{met.driver.words}, statements",
        operations=size,
        bound=bound,
        raw=by_driver,
        ours=by_forgedb,
    )


WORKS: dict[str, Callable[[Meeting], Iterator[Row]]] = {
    "page": page,
    "lease": lease,
    "add-many": add_many,
    "repository": repository,
    "depth": depth,
}


def rows(place: Files | Databases, scale: Scale, name: str) -> Iterator[Row]:
    """Of the work of this name."""
    driver = Hopping if isinstance(place, Files) else Awaiting
    with asyncio.Runner() as loop:
        yield from WORKS[name](Meeting(scale, place, driver, loop))
