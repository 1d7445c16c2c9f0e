"""asyncpg: SQL of one's own on one connection, which prepares each statement once, and its records.

Many rows go in by `copy_records_to_table`, its own COPY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import asyncpg

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers import statements
from benchmarks.peers.statements import LOCK, Awaited
from benchmarks.peers.values import OBJECT
from forgedb.models import NewObject


@cache
def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """The statement with the parameters that asyncpg takes, and their names in that order."""
    names = tuple(dict.fromkeys(re.findall(r":(\w+)", text)))
    for position, name in enumerate(names, start=1):
        text = re.sub(rf":{name}\b", f"${position}", text)
    return f"{text} FOR NO KEY UPDATE" if text.startswith(LOCKS) else text, names


LOCKS = LOCK.partition(":")[0]
GET, _ = _numbered(statements.GET)
PAGE, _ = _numbered(statements.PAGE)
PRESENT = "SELECT oid FROM object_metadata WHERE repository_id = $1 AND oid = ANY($2)"


class Asyncpg(Awaited):
    """One connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.transaction = connection.transaction

    async def get(self, ids: Sequence[str]) -> list[asyncpg.Record]:
        return [await self._connection.fetchrow(GET, one) for one in ids]

    async def row(self, text: str, **values: Any) -> Sequence[Any] | None:
        numbered, names = _numbered(text)
        return await self._connection.fetchrow(numbered, *[values[name] for name in names])

    async def send(self, text: str, values: dict[str, Any]) -> None:
        numbered, names = _numbered(text)
        await self._connection.execute(numbered, *[values[name] for name in names])

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

    async def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        found = await self._connection.fetch(PRESENT, repository_id, oids)
        present = {row[0] for row in found}
        return [oid for oid in oids if oid not in present]

    async def close(self) -> None:
        await self._connection.close()


async def opened(url: str) -> Asyncpg:
    return Asyncpg(await asyncpg.connect(url))
