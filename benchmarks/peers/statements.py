"""The statements that a user of a bare driver writes, with SQLite's named parameters; and the
writes by async drivers, which are the same for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from benchmarks.peers.values import COLUMNS, OBJECT, end_of_lease, new_lease, new_repository

_SHOWN = ", ".join([*COLUMNS["repositories"]][:-2])


def _insert(table: str) -> str:
    columns = COLUMNS[table]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"


GET = f"SELECT {_SHOWN} FROM repositories WHERE id = :id"

VISIBILITY = "SELECT visibility FROM projects WHERE id = :id AND deleted_at IS NULL"

INSERT_REPOSITORY, INSERT_ENTRY, INSERT_LEASE = map(
    _insert, ("repositories", "audit_entries", "leases")
)

INSERT_OBJECT = f"""
INSERT INTO object_metadata ({", ".join(OBJECT)})
VALUES (?, ?, ?, ?, ?, ?)
"""

PAGE = """
SELECT repository_id, oid, type, size, disk_size, created_at
FROM object_metadata
WHERE repository_id = :repository_id AND oid > :after
ORDER BY oid
LIMIT :limit
"""

LOCK = "SELECT lease_epoch, audit_seq FROM repositories WHERE id = :id"
"""On SQLite the transaction has the lock already; PostgreSQL's asks for the row's."""

LAST = """
SELECT id, ended_at, expires_at
FROM leases
WHERE repository_id = :repository_id
ORDER BY fencing_token DESC
LIMIT 1
"""

END = """
UPDATE leases
SET ended_at = :ended_at, end_reason = :end_reason, ended_by = :ended_by
WHERE id = :id
"""

ADVANCE = """
UPDATE repositories
SET lease_epoch = :lease_epoch, audit_seq = :audit_seq, audit_head = :audit_head
WHERE id = :id
"""


class Awaited(Protocol):
    """One connection of an async driver; each driver sends a statement in its own way."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A block that commits at its end, with the lock that a lease needs."""

    async def row(self, text: str, **values: Any) -> Sequence[Any] | None:
        """The first row, with its times converted."""

    async def send(self, text: str, values: dict[str, Any]) -> None:
        """Run a statement that returns no rows."""

    async def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            async with self.transaction():
                (visibility,) = await self.row(VISIBILITY, id=project_id)
                repository, entry = new_repository(project_id, visibility, slug)
                await self.send(INSERT_REPOSITORY, repository)
                await self.send(INSERT_ENTRY, entry)

    async def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            await self._release(repository_id, await self._acquire(repository_id))

    async def _acquire(self, repository_id: str) -> str:
        async with self.transaction():
            epoch, seq = await self.row(LOCK, id=repository_id)
            last = await self.row(LAST, repository_id=repository_id)
            lease, entry = new_lease(repository_id, epoch, seq, last)
            await self._record(entry, lease["fencing_token"])
            await self.send(INSERT_LEASE, lease)
        return str(lease["id"])

    async def _release(self, repository_id: str, lease_id: str) -> None:
        async with self.transaction():
            epoch, seq = await self.row(LOCK, id=repository_id)
            last = await self.row(LAST, repository_id=repository_id)
            ended, entry = end_of_lease(repository_id, seq, lease_id, last)
            await self._record(entry, epoch)
            await self.send(END, {"id": lease_id, **ended})

    async def _record(self, entry: dict[str, Any], epoch: int) -> None:
        await self.send(INSERT_ENTRY, entry)
        stream = {
            "id": entry["stream_id"],
            "lease_epoch": epoch,
            "audit_seq": entry["seq"],
            "audit_head": entry["entry_hash"],
        }
        await self.send(ADVANCE, stream)
