"""asyncpg: SQL of one's own on one connection, which prepares each statement once; in its records.

Many rows go in by `copy_records_to_table`, its own COPY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers import statements
from benchmarks.peers.values import (
    OBJECT,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject


def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """The statement with the parameters that asyncpg takes, and their names in that order."""
    names = tuple(dict.fromkeys(re.findall(r":(\w+)", text)))
    for position, name in enumerate(names, start=1):
        text = re.sub(rf":{name}\b", f"${position}", text)
    return text, names


GET, _ = _numbered(statements.GET)
VISIBILITY, _ = _numbered(statements.VISIBILITY)
INSERT_REPOSITORY, REPOSITORY = _numbered(statements.INSERT_REPOSITORY)
INSERT_ENTRY, ENTRY = _numbered(statements.INSERT_ENTRY)
INSERT_LEASE, LEASE = _numbered(statements.INSERT_LEASE)
PAGE, _ = _numbered(statements.PAGE)
LOCK, _ = _numbered(f"{statements.LOCK} FOR NO KEY UPDATE")
LAST, _ = _numbered(statements.LAST)
END, ENDED = _numbered(statements.END)
ADVANCE, ADVANCED = _numbered(statements.ADVANCE)

PRESENT = "SELECT oid FROM object_metadata WHERE repository_id = $1 AND oid = ANY($2)"


class Asyncpg:
    """One connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def get(self, ids: Sequence[str]) -> list[asyncpg.Record]:
        return [await self._connection.fetchrow(GET, one) for one in ids]

    async def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            async with self._connection.transaction():
                visibility = await self._connection.fetchval(VISIBILITY, project_id)
                repository, entry = new_repository(project_id, visibility, slug)
                await self._execute(INSERT_REPOSITORY, REPOSITORY, repository)
                await self._execute(INSERT_ENTRY, ENTRY, entry)

    async def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        return [
            await self._connection.fetch(PAGE, repository_id, after, limit) for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[tuple[Any, ...]]:
        return rows_of(repository_id, objects, CREATED_AT)

    async def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        await self._connection.copy_records_to_table(
            "object_metadata", records=rows, columns=OBJECT
        )

    async def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            await self._release(repository_id, await self._acquire(repository_id))

    async def _acquire(self, repository_id: str) -> str:
        async with self._connection.transaction():
            epoch, seq = await self._connection.fetchrow(LOCK, repository_id)
            last = await self._connection.fetchrow(LAST, repository_id)
            lease, entry = new_lease(repository_id, epoch, seq, last)
            await self._execute(INSERT_LEASE, LEASE, lease)
            await self._record(entry, lease["fencing_token"])
        return str(lease["id"])

    async def _release(self, repository_id: str, lease_id: str) -> None:
        async with self._connection.transaction():
            epoch, seq = await self._connection.fetchrow(LOCK, repository_id)
            last = await self._connection.fetchrow(LAST, repository_id)
            ended, entry = end_of_lease(repository_id, seq, lease_id, last)
            await self._execute(END, ENDED, {"id": lease_id, **ended})
            await self._record(entry, epoch)

    async def _record(self, entry: dict[str, Any], epoch: int) -> None:
        await self._execute(INSERT_ENTRY, ENTRY, entry)
        stream = {
            "id": entry["stream_id"],
            "lease_epoch": epoch,
            "audit_seq": entry["seq"],
            "audit_head": entry["entry_hash"],
        }
        await self._execute(ADVANCE, ADVANCED, stream)

    async def _execute(self, text: str, names: Sequence[str], values: dict[str, Any]) -> None:
        await self._connection.execute(text, *[values[name] for name in names])

    async def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        found = await self._connection.fetch(PRESENT, repository_id, oids)
        present = {row[0] for row in found}
        return [oid for oid in oids if oid not in present]

    async def close(self) -> None:
        await self._connection.close()


async def opened(url: str) -> Asyncpg:
    return Asyncpg(await asyncpg.connect(url))
