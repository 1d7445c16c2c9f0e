"""Tortoise ORM: models on aiosqlite and asyncpg, and `in_transaction` around what belongs together.

It has no keys of several columns: the models name one of them, and no work here reads by it. On
SQLite its transactions begin without the lock, and nothing asks for another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from tortoise import Tortoise, fields
from tortoise.fields.base import Field
from tortoise.models import Model
from tortoise.transactions import in_transaction

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers.settings import PRAGMAS, path_of
from benchmarks.peers.values import (
    OBJECT,
    as_text,
    as_time,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject

BATCH_ROWS = 5_000


class TimeField(Field[datetime], datetime):
    """SQLite has times as text with a T and a Z, which Tortoise's own field doesn't write."""

    SQL_TYPE = "TIMESTAMPTZ"

    is_text = False
    """On SQLite; Tortoise has one set of models in a process, and so one of fields."""

    def to_db_value(self, value: Any, instance: Any) -> Any:
        return as_text(value) if TimeField.is_text and value is not None else value

    def to_python_value(self, value: Any) -> Any:
        return as_time(value) if isinstance(value, str) else value


class BytesField(Field[bytes], bytes):
    """Its own BinaryField can neither be filtered by nor be a key."""

    SQL_TYPE = "BYTEA"


class Project(Model):
    id = fields.TextField(primary_key=True)
    visibility = fields.TextField()
    deleted_at = TimeField(null=True)

    class Meta:
        table = "projects"


class Repository(Model):
    id = fields.TextField(primary_key=True)
    project_id = fields.TextField()
    slug = fields.TextField()
    description = fields.TextField()
    default_branch = fields.TextField()
    object_format = fields.TextField()
    visibility = fields.TextField()
    state = fields.TextField()
    lease_epoch = fields.BigIntField()
    created_at = TimeField()
    updated_at = TimeField()
    deleted_at = TimeField(null=True)
    audit_seq = fields.BigIntField()
    audit_head = BytesField()

    class Meta:
        table = "repositories"


class Lease(Model):
    id = fields.TextField(primary_key=True)
    repository_id = fields.TextField()
    holder = fields.TextField()
    purpose = fields.TextField()
    fencing_token = fields.BigIntField()
    idempotency_key = fields.TextField(null=True)
    acquired_at = TimeField()
    expires_at = TimeField()
    ended_at = TimeField(null=True)
    end_reason = fields.TextField(null=True)
    previous_lease_id = fields.TextField(null=True)
    ended_by = fields.TextField(null=True)
    end_note = fields.TextField(null=True)

    class Meta:
        table = "leases"


class AuditEntry(Model):
    id = fields.TextField(primary_key=True)
    stream_id = fields.TextField()
    seq = fields.BigIntField()
    at = TimeField()
    actor = fields.TextField()
    action = fields.TextField()
    target_type = fields.TextField()
    target_id = fields.TextField()
    request_id = fields.TextField(null=True)
    source_ip = fields.TextField(null=True)
    reason = fields.TextField(null=True)
    changes = fields.TextField()
    hash_version = fields.BigIntField()
    entry_hash = BytesField()

    class Meta:
        table = "audit_entries"


class ObjectMetadata(Model):
    oid = BytesField(primary_key=True)
    repository_id = fields.TextField()
    type = fields.SmallIntField()
    size = fields.BigIntField()
    disk_size = fields.BigIntField(null=True)
    created_at = TimeField()

    class Meta:
        table = "object_metadata"


class TortoiseOrm:
    """The one set of connections that Tortoise has in a context."""

    async def get(self, ids: Sequence[str]) -> list[Repository]:
        return [await Repository.get(id=one) for one in ids]

    async def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            async with in_transaction():
                project = await Project.get(id=project_id, deleted_at=None)
                repository, entry = new_repository(project_id, project.visibility, slug)
                await Repository.create(**repository)
                await AuditEntry.create(**entry)

    async def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        return [
            await ObjectMetadata.filter(repository_id=repository_id, oid__gt=after)
            .order_by("oid")
            .limit(limit)
            for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[ObjectMetadata]:
        rows = rows_of(repository_id, objects, CREATED_AT)
        return [ObjectMetadata(**dict(zip(OBJECT, row, strict=True))) for row in rows]

    async def add(self, rows: Sequence[ObjectMetadata]) -> None:
        async with in_transaction():
            await ObjectMetadata.bulk_create(rows, batch_size=BATCH_ROWS)

    async def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            await self._release(repository_id, await self._acquire(repository_id))

    async def _acquire(self, repository_id: str) -> str:
        async with in_transaction():
            repository = await _locked(repository_id)
            lease, entry = new_lease(
                repository_id,
                repository.lease_epoch,
                repository.audit_seq,
                await _last(repository_id),
            )
            await Lease.create(**lease)
            await _record(repository, entry, lease_epoch=lease["fencing_token"])
        return str(lease["id"])

    async def _release(self, repository_id: str, lease_id: str) -> None:
        async with in_transaction():
            repository = await _locked(repository_id)
            ended, entry = end_of_lease(
                repository_id, repository.audit_seq, lease_id, await _last(repository_id)
            )
            await Lease.filter(id=lease_id).update(**ended)
            await _record(repository, entry)

    async def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        found = ObjectMetadata.filter(repository_id=repository_id, oid__in=oids)
        present = set(await found.values_list("oid", flat=True))
        return [oid for oid in oids if oid not in present]

    async def close(self) -> None:
        await Tortoise.close_connections()


async def opened(url: str) -> TortoiseOrm:
    TimeField.is_text = url.startswith("sqlite:")
    await Tortoise.init(
        {
            "connections": {"default": _connection(url)},
            "apps": {"forge": {"models": [__name__], "default_connection": "default"}},
        }
    )
    return TortoiseOrm()


def _connection(url: str) -> dict[str, Any]:
    if url.startswith("sqlite:"):
        return {
            "engine": "tortoise.backends.sqlite",
            "credentials": {"file_path": path_of(url), **PRAGMAS},
        }
    parts = urlsplit(url)
    return {
        "engine": "tortoise.backends.asyncpg",
        "credentials": {
            "database": parts.path[1:],
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "password": parts.password,
        },
    }


async def _locked(repository_id: str) -> Repository:
    """The repository, locked where the database has such locks."""
    return await Repository.select_for_update(no_key=True).get(id=repository_id)


async def _last(repository_id: str) -> tuple[Any, ...] | None:
    found = Lease.filter(repository_id=repository_id).order_by("-fencing_token").limit(1)
    rows = await found.values_list("id", "ended_at", "expires_at")
    return rows[0] if rows else None


async def _record(repository: Repository, entry: dict[str, Any], **more: Any) -> None:
    await AuditEntry.create(**entry)
    await Repository.filter(id=repository.id).update(
        audit_seq=entry["seq"], audit_head=entry["entry_hash"], **more
    )
