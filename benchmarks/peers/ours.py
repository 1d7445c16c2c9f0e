"""forgedb, synchronous and async, behind the interface of its peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import forgedb
from benchmarks.databases import ACTOR
from benchmarks.peers.values import PURPOSE
from forgedb.models import NewObject


class Ours:
    """A ``Database``; it takes a connection from its pool for each call."""

    def __init__(self, url: str) -> None:
        self._db = forgedb.connect(url, actor=ACTOR)

    def get(self, ids: Sequence[str]) -> list[Any]:
        get = self._db.repositories.get
        return [get(one) for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            self._db.repositories.create(project_id, slug)

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        last = after.hex()
        return [
            self._db.objects.list(repository_id, after=last, limit=limit).items
            for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> Any:
        token = self._db.leases.acquire(repository_id, purpose=PURPOSE).fencing_token
        return repository_id, objects, token

    def add(self, rows: Any) -> None:
        self._db.objects.add_many(*rows)

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            granted = self._db.leases.acquire(repository_id, purpose=PURPOSE)
            self._db.leases.release(granted.id)

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        return self._db.objects.missing(repository_id, oids)

    def close(self) -> None:
        self._db.close()


class OursAsync:
    """An ``AsyncDatabase``."""

    def __init__(self, db: forgedb.AsyncDatabase) -> None:
        self._db = db

    async def get(self, ids: Sequence[str]) -> list[Any]:
        get = self._db.repositories.get
        return [await get(one) for one in ids]

    async def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            await self._db.repositories.create(project_id, slug)

    async def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        last = after.hex()
        return [
            (await self._db.objects.list(repository_id, after=last, limit=limit)).items
            for _ in range(times)
        ]

    async def rows(self, repository_id: str, objects: Sequence[NewObject]) -> Any:
        lease = await self._db.leases.acquire(repository_id, purpose=PURPOSE)
        return repository_id, objects, lease.fencing_token

    async def add(self, rows: Any) -> None:
        await self._db.objects.add_many(*rows)

    async def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            granted = await self._db.leases.acquire(repository_id, purpose=PURPOSE)
            await self._db.leases.release(granted.id)

    async def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        return await self._db.objects.missing(repository_id, oids)

    async def close(self) -> None:
        await self._db.close()


def opened(url: str) -> Ours:
    return Ours(url)


async def opened_async(url: str) -> OursAsync:
    return OursAsync(await forgedb.connect_async(url, actor=ACTOR))
