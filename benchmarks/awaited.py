"""The async API at the work that has a bound, compared with awaited drivers; both sides run in one
event loop and take turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count, cycle, islice
from typing import Any, NamedTuple, Protocol, TypeAlias

import aiosqlite
import apsw
import psycopg

import forgedb
from benchmarks import databases, objects, replay
from benchmarks.databases import (
    ACTOR,
    PAGE,
    UTC,
    all_ids,
    ids_of,
    is_file,
    open_ours,
    path_of,
    project_of,
    raw_text,
)
from benchmarks.objects import created_at_in, generated, rows_of
from benchmarks.places import Files, Place
from benchmarks.reads import check_same, chosen
from benchmarks.timing import Contender, Row, Slice, interleave
from benchmarks.writes import leases, repositories
from forgedb.dao.objects import COPY
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID

RowValues: TypeAlias = tuple[Any, ...]

Calls: TypeAlias = Callable[[forgedb.AsyncDatabase], Iterator[Coroutine[Any, Any, object]]]
"""An endless series of writes, each to be awaited."""

Get: TypeAlias = Callable[[str], Coroutine[Any, Any, Sequence[RowValues]]]

AWAKE = 10
"""How many times more pages a slice has here, so that it matters little that a thread wakes up
slowly after the other side's turn."""


class Raw(Protocol):
    """A driver, awaited, on one database."""

    words: str

    async def rows(self, text: Any, params: dict[str, Any]) -> list[RowValues]:
        """What a SELECT gives."""

    async def replay(self, batches: list[replay.Batch]) -> None:
        """Send a slice again."""

    async def add(self, rows: Sequence[RowValues]) -> None:
        """Record objects in one transaction."""

    async def close(self) -> None: ...


class Hopping:
    """apsw; each operation runs in its thread and is awaited, as forgedb's operations are."""

    words = "apsw in a thread"

    def __init__(self, url: str, *, writes: bool) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._raw = self._thread.submit(databases.open_raw, url, writes=writes).result()

    async def rows(self, text: str, params: dict[str, Any]) -> list[RowValues]:
        found: list[RowValues] = await self._do(_fetch, text, params)
        return found

    async def replay(self, batches: list[replay.Batch]) -> None:
        for batch in batches:
            await self._do(_send, batch)

    async def add(self, rows: Sequence[RowValues]) -> None:
        await self._do(objects.add, rows)

    async def close(self) -> None:
        await self._do(apsw.Connection.close)
        self._thread.shutdown()

    def _do(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, work, self._raw, *arguments)


def _fetch(raw: apsw.Connection, text: str, params: dict[str, Any]) -> list[RowValues]:
    return raw.execute(text, params).fetchall()


def _send(raw: apsw.Connection, batch: replay.Batch) -> None:
    replay.send_batch(raw.cursor().execute, batch)


class Awaiting:
    """psycopg."""

    words = "AsyncConnection"

    def __init__(self, raw: psycopg.AsyncConnection[Any]) -> None:
        self._raw = raw

    async def rows(self, text: bytes, params: dict[str, Any]) -> list[RowValues]:
        return await (await self._raw.execute(text, params)).fetchall()

    async def replay(self, batches: list[replay.Batch]) -> None:
        for batch in batches:
            for text, params, has_rows in batch:
                cursor = await self._raw.execute(text, params)
                if has_rows:
                    await cursor.fetchall()

    async def add(self, rows: Sequence[RowValues]) -> None:
        async with (
            self._raw.transaction(),
            self._raw.cursor().copy(COPY.text.encode()) as copy,
        ):
            copy.set_types(COPY.types)
            for row in rows:
                await copy.write_row(row)

    async def close(self) -> None:
        await self._raw.close()


async def _open_psycopg(url: str) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(url, autocommit=True, options=UTC)


async def open_raw(url: str, *, writes: bool = True) -> Raw:
    return Hopping(url, writes=writes) if is_file(url) else Awaiting(await _open_psycopg(url))


@asynccontextmanager
async def _getters(url: str) -> AsyncIterator[dict[str, Callable[[Sequence[str]], Any]]]:
    """Functions that get rows by id through a common driver: aiosqlite, or psycopg."""
    text = raw_text(url, SELECT_BY_ID)
    if is_file(url):
        async with aiosqlite.connect(path_of(url)) as file:

            async def by_cursor(ids: Sequence[str]) -> list[Any]:
                found = []
                for one in ids:
                    async with file.execute(text, {"id": one}) as cursor:
                        found.append(await cursor.fetchone())
                return found

            async def by_fetchall(ids: Sequence[str]) -> list[Any]:
                return [await file.execute_fetchall(text, {"id": one}) for one in ids]

            yield {"aiosqlite, fetchone": by_cursor, "aiosqlite, execute_fetchall": by_fetchall}
    else:
        async with await _open_psycopg(url) as server:

            async def by(execute: Callable[..., Any], ids: Sequence[str]) -> list[Any]:
                return [await (await execute(text, {"id": one})).fetchone() for one in ids]

            yield {
                "AsyncConnection tuples": partial(by, server.execute),
                "a reused AsyncCursor": partial(by, server.cursor().execute),
            }


class Meeting(NamedTuple):
    """Databases of one kind, and the event loop of both sides."""

    place: Place
    loop: asyncio.Runner

    @contextmanager
    def raw(self, url: str, *, writes: bool = True) -> Iterator[Raw]:
        opened = self.loop.run(open_raw(url, writes=writes))
        yield opened
        self.loop.run(opened.close())

    @contextmanager
    def ours(self, url: str) -> Iterator[forgedb.AsyncDatabase]:
        db = self.loop.run(forgedb.connect_async(url, actor=ACTOR))
        yield db
        self.loop.run(db.close())

    def run(self, works: Iterable[Coroutine[Any, Any, object]]) -> Slice:
        """A slice that awaits them one after the other."""

        async def each() -> list[object]:
            return [await work for work in works]

        return lambda: self.loop.run(each())

    def row(self, name: str, words: str, against: str, *numbers: Any) -> Row:
        """A row; ``numbers`` are the count of operations, the bound, and both sides' times."""
        work = f"await {words}{self.place.suffix}"
        return Row(f"{self.place.prefix}await-{name}", work, against, *numbers)


def get(met: Meeting) -> Iterator[Row]:
    """Repositories by id, in random order, on one connection that is kept."""
    scale, url = met.place.scale, met.place.base
    with open_ours(url) as db:
        wanted = chosen(all_ids(db), scale.gets)
    with met.ours(url) as ours:
        opened = _getters(url)
        getters = met.loop.run(opened.__aenter__())

        async def by_forgedb(ids: Sequence[str]) -> list[Any]:
            return [await ours.repositories.get(one) for one in ids]

        sides = [*getters.values(), by_forgedb]
        first, *_, last = (met.loop.run(side(wanted)) for side in sides)
        check_same(first, last)
        *raw, taken = interleave(
            [lambda of=side: lambda: met.loop.run(of(wanted)) for side in sides], scale.rounds
        )
        met.loop.run(opened.__aexit__(None, None, None))
    bounds = (0.6 if is_file(url) else 1.2, None)
    for against, bound, times in zip(getters, bounds, raw, strict=True):
        yield met.row("get", "get by id → model", against, scale.gets, bound, times, taken)


def page(met: Meeting) -> Iterator[Row]:
    """Pages of a project's repositories, from places all over the list."""
    scale, url = met.place.scale, met.place.base
    pages, text = AWAKE * scale.pages, raw_text(url, LIST_LIVE)
    with open_ours(url) as db:
        project_id = project_of(db)
        wanted = chosen(all_ids(db)[:-PAGE], pages)
    values = {"project_id": project_id, "limit": PAGE}
    with met.raw(url, writes=False) as raw, met.ours(url) as ours:
        listed = partial(ours.repositories.list, project_id, limit=PAGE)
        by_driver, by_forgedb = interleave(
            [
                lambda: met.run(raw.rows(text, {**values, "after": one}) for one in wanted),
                lambda: met.run(listed(after=one) for one in wanted),
            ],
            scale.rounds,
        )
    yield met.row("page", "page of 100 → models", raw.words, pages, 1.7, by_driver, by_forgedb)


def depth(met: Meeting) -> Iterator[Row]:
    """Pages at nine tenths of a repository's objects, and at their beginning."""
    scale, (url, repository_id, _, after) = met.place.scale, objects.deep(met.place)
    with met.ours(url) as ours:

        def at(oid: str | None) -> Contender:
            listed = partial(ours.objects.list, repository_id, after=oid, limit=PAGE)
            return lambda: met.run(listed() for _ in range(scale.pages))

        shallow, at_depth = interleave([at(None), at(after.hex())], scale.rounds)
    words = "page of 100 at depth 900,000 of 1 M"
    yield met.row("depth", words, "the first page", scale.pages, 1.1, shallow, at_depth)


def lease(met: Meeting) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    with open_ours(met.place.base) as db:
        ids = ids_of(db)

    async def life(db: forgedb.AsyncDatabase, repository_id: str) -> None:
        granted = await db.leases.acquire(repository_id, purpose="nightly import")
        await db.leases.release(granted.id)

    def calls(db: forgedb.AsyncDatabase) -> Iterator[Coroutine[Any, Any, object]]:
        return (life(db, one) for one in cycle(ids))

    return _beside_statements(met, "lease", "lease acquire + release", 1.4, leases, calls)


def repository(met: Meeting) -> Iterator[Row]:
    """Repositories added to a project that has many."""
    with open_ours(met.place.base) as db:
        project_id = project_of(db)

    def calls(db: forgedb.AsyncDatabase) -> Iterator[Coroutine[Any, Any, object]]:
        return (db.repositories.create(project_id, f"new-{number}") for number in count())

    words = "insert of a repository"
    return _beside_statements(met, "repository", words, 1.5, repositories, calls)


def add_many(met: Meeting) -> Iterator[Row]:
    """Objects in Git's order, into a repository that has none, in one transaction."""
    place, given = met.place, generated(met.place.scale.objects)
    with open_ours(place.base) as db:
        (repository_id,) = ids_of(db, 1)
    rows = rows_of(repository_id, given, created_at_in(place.base))

    def by_driver() -> Slice:
        url = place.copy(place.base, "raw")

        async def add() -> None:
            raw = await open_raw(url)
            await raw.add(rows)
            await raw.close()

        return lambda: met.loop.run(add())

    def by_forgedb() -> Slice:
        db = met.loop.run(forgedb.connect_async(place.copy(place.base, "ours"), actor=ACTOR))
        token = met.loop.run(db.leases.acquire(repository_id)).fencing_token

        async def add() -> None:
            await db.objects.add_many(repository_id, given, token)
            await db.close()

        return lambda: met.loop.run(add())

    times = interleave([by_driver, by_forgedb], place.scale.bulk_rounds, warm_up=False)
    against, bound = (f"{Hopping.words}, executemany", 1.3)
    if not isinstance(place, Files):
        against, bound = (f"{Awaiting.words}, COPY", 1.2)
    yield met.row("add-many", "add_many of 1 M objects", against, len(given), bound, *times)


def _beside_statements(
    met: Meeting, name: str, words: str, bound: float, operations: replay.Series, calls: Calls
) -> Iterator[Row]:
    place, size, rounds = met.place, met.place.scale.writes, met.place.scale.rounds
    base = place.base
    sent = replay.recorded(place.copy(base, "recorded"), operations, size, rounds + 1)
    with met.raw(place.copy(base, "raw")) as raw, met.ours(place.copy(base, "ours")) as ours:
        slices, series = iter(sent), calls(ours)
        times = interleave(
            [
                lambda: met.run([raw.replay(next(slices))]),
                lambda: met.run([*islice(series, size)]),
            ],
            rounds,
        )
    yield met.row(name, words, f"{raw.words}, statements", size, bound, *times)


WORKS: dict[str, Callable[[Meeting], Iterator[Row]]] = {
    "get": get,
    "page": page,
    "lease": lease,
    "add-many": add_many,
    "repository": repository,
    "depth": depth,
}


def rows(name: str, place: Place) -> Iterator[Row]:
    """The rows of the work of this name."""
    with asyncio.Runner() as loop:
        yield from WORKS[name](Meeting(place, loop))
