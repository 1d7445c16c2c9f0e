"""aiosqlite: SQL of one's own on one connection, in rows of `aiosqlite.Row`.

Each call runs in its thread. A query by `execute_fetchall`, its helper, is one such call, where
`execute` and `fetchone` are two. It converts no times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiosqlite

from benchmarks.databases import path_of
from benchmarks.objects import rows_of
from benchmarks.peers.settings import PRAGMAS
from benchmarks.peers.statements import GET, INSERT_OBJECT, LAST, PAGE, Awaited
from benchmarks.peers.values import as_texts
from forgedb.models import NewObject


class Aiosqlite(Awaited):
    """One connection."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._all = connection.execute_fetchall

    async def get(self, ids: Sequence[str]) -> list[aiosqlite.Row]:
        found = []
        for one in ids:
            (row,) = await self._all(GET, {"id": one})
            found.append(row)
        return found

    async def row(self, text: str, **values: Any) -> Sequence[Any] | None:
        for row in await self._all(text, values):
            if text is not LAST:
                return row
            lease_id, ended_at, expires_at = row
            return lease_id, ended_at, datetime.fromisoformat(expires_at)
        return None

    async def send(self, text: str, values: dict[str, Any]) -> None:
        await self._connection.execute(text, as_texts(values))

    async def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        asked = {"repository_id": repository_id, "after": after, "limit": limit}
        return [await self._all(PAGE, asked) for _ in range(times)]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[tuple[Any, ...]]:
        return rows_of(repository_id, objects)

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        async with self.transaction():
            await self._connection.executemany(INSERT_OBJECT, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            await self._connection.rollback()
            raise
        await self._connection.commit()

    async def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        asked = ", ".join("?" * len(oids))
        found = await self._all(
            f"SELECT oid FROM object_metadata WHERE repository_id = ? AND oid IN ({asked})",
            [repository_id, *oids],
        )
        present = {oid for (oid,) in found}
        return [oid for oid in oids if oid not in present]

    async def close(self) -> None:
        await self._connection.close()


async def opened(url: str) -> Aiosqlite:
    connection = await aiosqlite.connect(path_of(url), isolation_level=None)
    connection.row_factory = aiosqlite.Row
    for name, value in PRAGMAS.items():
        await connection.execute(f"PRAGMA {name} = {value}")
    return Aiosqlite(connection)
