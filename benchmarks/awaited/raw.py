"""The drivers, awaited: apsw on a thread of its own, and psycopg's AsyncConnection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg

from benchmarks import databases, replay
from benchmarks.objects import CREATED_AT, CREATED_AT_TEXT
from benchmarks.peers.settings import path_of
from benchmarks.postgres import replay as postgres_replay
from benchmarks.postgres.server import UTC, raw_text
from benchmarks.replay import Series
from forgedb.dao.objects import COPY, INSERT
from forgedb.sql.catalogue import Sql

RowValues = tuple[Any, ...]


class Raw(Protocol):
    """A driver on one database."""

    words: str
    created_at: object
    """When objects were recorded, as the driver takes it."""

    @staticmethod
    def recorded(url: str, operations: Series, count: int, slices: int) -> list[Any]:
        """What forgedb sends, slice by slice, each for ``replay``."""

    async def rows(self, statement: Sql, params: dict[str, Any]) -> list[RowValues]:
        """What a SELECT gives."""

    async def replay(self, sent: Any) -> None:
        """Send a slice again."""

    async def add(self, rows: Sequence[RowValues]) -> None:
        """Record objects in one transaction."""

    async def close(self) -> None: ...


class Hopping:
    """apsw; each operation is a hop to its thread and back, as forgedb's are."""

    words = "apsw in a thread"
    created_at = CREATED_AT_TEXT

    def __init__(self, url: str, *, writes: bool) -> None:
        self._thread = ThreadPoolExecutor(1)
        opened = self._thread.submit(databases.open_raw, Path(path_of(url)), writes=writes)
        self._raw = opened.result()

    @staticmethod
    async def open(url: str, *, writes: bool) -> Hopping:
        return Hopping(url, writes=writes)

    @staticmethod
    def recorded(url: str, operations: Series, count: int, slices: int) -> list[Any]:
        return replay.recorded(Path(path_of(url)), operations, count, slices=slices)

    async def rows(self, statement: Sql, params: dict[str, Any]) -> list[RowValues]:
        found: list[RowValues] = await self._do(_fetch, statement.sqlite, params)
        return found

    async def replay(self, sent: Any) -> None:
        for statements in sent:
            await self._do(replay.send_one, statements)

    async def add(self, rows: Sequence[RowValues]) -> None:
        await self._do(_insert, rows)

    async def close(self) -> None:
        await self._do(apsw.Connection.close)
        self._thread.shutdown()

    def _do(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, work, self._raw, *arguments)


def _fetch(raw: apsw.Connection, text: str, params: dict[str, Any]) -> list[RowValues]:
    return raw.execute(text, params).fetchall()


def _insert(raw: apsw.Connection, rows: Sequence[RowValues]) -> None:
    with raw:
        raw.cursor().executemany(INSERT.sqlite, rows)


class Awaiting:
    """psycopg."""

    words = "AsyncConnection"
    created_at = CREATED_AT

    def __init__(self, raw: psycopg.AsyncConnection[Any]) -> None:
        self._raw = raw

    @staticmethod
    async def open(url: str, *, writes: bool) -> Awaiting:
        raw = await psycopg.AsyncConnection.connect(url, autocommit=True, options=UTC)
        return Awaiting(raw)

    @staticmethod
    def recorded(url: str, operations: Series, count: int, slices: int) -> list[Any]:
        return postgres_replay.recorded(url, operations, count, slices)

    async def rows(self, statement: Sql, params: dict[str, Any]) -> list[RowValues]:
        return await (await self._raw.execute(raw_text(statement), params)).fetchall()

    async def replay(self, sent: Any) -> None:
        for batch in sent:
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
