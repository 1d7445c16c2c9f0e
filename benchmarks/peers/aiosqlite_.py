"""aiosqlite: SQL of one's own on one connection, in rows of `aiosqlite.Row`.

Each call is a hop to its thread: `execute_fetchall`, its helper for queries, takes one where
`execute` and `fetchone` take two. It converts no times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiosqlite

from benchmarks.objects import rows_of
from benchmarks.peers.settings import PRAGMAS, path_of
from benchmarks.peers.statements import (
    ADVANCE,
    END,
    GET,
    INSERT_ENTRY,
    INSERT_LEASE,
    INSERT_OBJECT,
    INSERT_REPOSITORY,
    LAST,
    LOCK,
    PAGE,
    VISIBILITY,
)
from benchmarks.peers.values import (
    as_texts,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject


class Aiosqlite:
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

    async def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            async with self._immediate():
                ((visibility,),) = await self._all(VISIBILITY, {"id": project_id})
                repository, entry = new_repository(project_id, visibility, slug)
                await self._connection.execute(INSERT_REPOSITORY, as_texts(repository))
                await self._connection.execute(INSERT_ENTRY, as_texts(entry))

    async def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        asked = {"repository_id": repository_id, "after": after, "limit": limit}
        return [await self._all(PAGE, asked) for _ in range(times)]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[tuple[Any, ...]]:
        return rows_of(repository_id, objects)

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        async with self._immediate():
            await self._connection.executemany(INSERT_OBJECT, rows)

    async def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            await self._release(repository_id, await self._acquire(repository_id))

    async def _acquire(self, repository_id: str) -> str:
        async with self._immediate():
            ((epoch, seq),) = await self._all(LOCK, {"id": repository_id})
            last = await self._last(repository_id)
            lease, entry = new_lease(repository_id, epoch, seq, last)
            await self._connection.execute(INSERT_LEASE, as_texts(lease))
            await self._record(entry, lease["fencing_token"])
        return str(lease["id"])

    async def _release(self, repository_id: str, lease_id: str) -> None:
        async with self._immediate():
            ((epoch, seq),) = await self._all(LOCK, {"id": repository_id})
            last = await self._last(repository_id)
            ended, entry = end_of_lease(repository_id, seq, lease_id, last)
            await self._connection.execute(END, {"id": lease_id, **as_texts(ended)})
            await self._record(entry, epoch)

    async def _last(self, repository_id: str) -> tuple[Any, ...] | None:
        for lease_id, ended_at, expires_at in await self._all(
            LAST, {"repository_id": repository_id}
        ):
            return lease_id, ended_at, datetime.fromisoformat(expires_at)
        return None

    async def _record(self, entry: dict[str, Any], epoch: int) -> None:
        await self._connection.execute(INSERT_ENTRY, as_texts(entry))
        stream = {
            "id": entry["stream_id"],
            "lease_epoch": epoch,
            "audit_seq": entry["seq"],
            "audit_head": entry["entry_hash"],
        }
        await self._connection.execute(ADVANCE, stream)

    @asynccontextmanager
    async def _immediate(self) -> AsyncIterator[None]:
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
