"""peewee: models bound to the database that is open, and the connection it keeps for a thread.

Many rows go in by `insert_many` of tuples, chunk by chunk in one transaction, which is the fastest
of the ways that its page on bulk inserts compares. PostgreSQL is spoken to by psycopg2, as it does
unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import (
    BigIntegerField,
    BlobField,
    CompositeKey,
    DateTimeField,
    Model,
    PostgresqlDatabase,
    SqliteDatabase,
    TextField,
    chunked,
)

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers.settings import PRAGMAS, in_utc, path_of
from benchmarks.peers.values import (
    as_text,
    as_time,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject

CHUNK_ROWS = 5_000
"""Of six values each: SQLite takes 32,766 in one statement, PostgreSQL twice as many."""


class TimeField(DateTimeField):
    """SQLite has times as text with a T and a Z, which peewee's own field doesn't write."""

    def db_value(self, value: Any) -> Any:
        if value is None or not isinstance(self.model._meta.database, SqliteDatabase):
            return value
        return as_text(value)

    def python_value(self, value: Any) -> datetime | None:
        return as_time(value) if isinstance(value, str) else value


class Project(Model):
    id = TextField(primary_key=True)
    visibility = TextField()
    deleted_at = TimeField(null=True)

    class Meta:
        table_name = "projects"


class Repository(Model):
    id = TextField(primary_key=True)
    project_id = TextField()
    slug = TextField()
    description = TextField()
    default_branch = TextField()
    object_format = TextField()
    visibility = TextField()
    state = TextField()
    lease_epoch = BigIntegerField()
    created_at = TimeField()
    updated_at = TimeField()
    deleted_at = TimeField(null=True)
    audit_seq = BigIntegerField()
    audit_head = BlobField()

    class Meta:
        table_name = "repositories"


class Lease(Model):
    id = TextField(primary_key=True)
    repository_id = TextField()
    holder = TextField()
    purpose = TextField()
    fencing_token = BigIntegerField()
    idempotency_key = TextField(null=True)
    acquired_at = TimeField()
    expires_at = TimeField()
    ended_at = TimeField(null=True)
    end_reason = TextField(null=True)
    previous_lease_id = TextField(null=True)
    ended_by = TextField(null=True)
    end_note = TextField(null=True)

    class Meta:
        table_name = "leases"


class AuditEntry(Model):
    stream_id = TextField()
    seq = BigIntegerField()
    id = TextField()
    at = TimeField()
    actor = TextField()
    action = TextField()
    target_type = TextField()
    target_id = TextField()
    request_id = TextField(null=True)
    source_ip = TextField(null=True)
    reason = TextField(null=True)
    changes = TextField()
    hash_version = BigIntegerField()
    entry_hash = BlobField()

    class Meta:
        table_name = "audit_entries"
        primary_key = CompositeKey("stream_id", "seq")


class ObjectMetadata(Model):
    repository_id = TextField()
    oid = BlobField()
    type = BigIntegerField()
    size = BigIntegerField()
    disk_size = BigIntegerField(null=True)
    created_at = TimeField()

    class Meta:
        table_name = "object_metadata"
        primary_key = CompositeKey("repository_id", "oid")


OBJECT = [
    ObjectMetadata.repository_id,
    ObjectMetadata.oid,
    ObjectMetadata.type,
    ObjectMetadata.size,
    ObjectMetadata.disk_size,
    ObjectMetadata.created_at,
]


class Peewee:
    """A database with the models bound to it."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:"):
            self._database = SqliteDatabase(path_of(url), pragmas=PRAGMAS, lock_type="IMMEDIATE")
        else:
            self._database = PostgresqlDatabase(in_utc(url))
        self._database.bind([Project, Repository, Lease, AuditEntry, ObjectMetadata])
        self._database.connect()

    def get(self, ids: Sequence[str]) -> list[Repository]:
        return [Repository.get_by_id(one) for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            with self._database.atomic():
                project = Project.get_by_id(project_id)
                repository, entry = new_repository(project_id, project.visibility, slug)
                Repository.create(**repository)
                AuditEntry.create(**entry)

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        return [
            [
                *ObjectMetadata.select()
                .where(ObjectMetadata.repository_id == repository_id, ObjectMetadata.oid > after)
                .order_by(ObjectMetadata.oid)
                .limit(limit)
            ]
            for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[tuple[Any, ...]]:
        return rows_of(repository_id, objects, CREATED_AT)

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._database.atomic():
            for chunk in chunked(rows, CHUNK_ROWS):
                ObjectMetadata.insert_many(chunk, fields=OBJECT).execute()

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            self._release(repository_id, self._acquire(repository_id))

    def _acquire(self, repository_id: str) -> str:
        with self._database.atomic():
            repository = self._locked(repository_id)
            last = _last(repository_id)
            lease, entry = new_lease(
                repository_id, repository.lease_epoch, repository.audit_seq, last
            )
            Lease.create(**lease)
            _record(repository, entry, lease_epoch=lease["fencing_token"])
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        with self._database.atomic():
            repository = self._locked(repository_id)
            last = _last(repository_id)
            ended, entry = end_of_lease(repository_id, repository.audit_seq, lease_id, last)
            Lease.update(**ended).where(Lease.id == lease_id).execute()
            _record(repository, entry)

    def _locked(self, repository_id: str) -> Repository:
        """The repository, locked: on SQLite the transaction is the lock."""
        found = Repository.select().where(Repository.id == repository_id)
        if self._database.for_update:
            found = found.for_update("FOR NO KEY UPDATE")
        return found.get()

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        found = ObjectMetadata.select(ObjectMetadata.oid).where(
            ObjectMetadata.repository_id == repository_id, ObjectMetadata.oid.in_(oids)
        )
        present = {bytes(oid) for (oid,) in found.tuples()}
        return [oid for oid in oids if oid not in present]

    def close(self) -> None:
        self._database.close()


def opened(url: str) -> Peewee:
    return Peewee(url)


def _last(repository_id: str) -> tuple[Any, ...] | None:
    return (
        Lease.select(Lease.id, Lease.ended_at, Lease.expires_at)
        .where(Lease.repository_id == repository_id)
        .order_by(Lease.fencing_token.desc())
        .tuples()
        .first()
    )


def _record(repository: Repository, entry: dict[str, Any], **more: Any) -> None:
    AuditEntry.create(**entry)
    stream = {"audit_seq": entry["seq"], "audit_head": entry["entry_hash"], **more}
    Repository.update(**stream).where(Repository.id == repository.id).execute()
