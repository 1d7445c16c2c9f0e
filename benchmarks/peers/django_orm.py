"""Django's ORM: models of the tables as they are, on the connection that Django keeps for a thread.

On SQLite transactions begin by BEGIN IMMEDIATE and pragmas are set by `init_command`, as its notes
on that database advise; PostgreSQL is spoken to by psycopg 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers.settings import PRAGMAS, path_of
from benchmarks.peers.values import (
    OBJECT,
    as_text,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject

settings.configure(USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()

from django.db import connections, models, transaction  # noqa: E402 - settings come first


class TimeField(models.DateTimeField):
    """Django writes times to SQLite with a blank and no Z, which the schema refuses."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if connection.vendor != "sqlite" or value is None:
            return super().get_db_prep_value(value, connection, prepared)
        return as_text(value)


class Unmanaged(models.Model):
    class Meta:
        abstract = True
        app_label = "forge"
        managed = False


class Project(Unmanaged):
    id = models.TextField(primary_key=True)
    visibility = models.TextField()
    deleted_at = TimeField(null=True)

    class Meta(Unmanaged.Meta):
        db_table = "projects"


class Repository(Unmanaged):
    id = models.TextField(primary_key=True)
    project_id = models.TextField()
    slug = models.TextField()
    description = models.TextField()
    default_branch = models.TextField()
    object_format = models.TextField()
    visibility = models.TextField()
    state = models.TextField()
    lease_epoch = models.BigIntegerField()
    created_at = TimeField()
    updated_at = TimeField()
    deleted_at = TimeField(null=True)
    audit_seq = models.BigIntegerField()
    audit_head = models.BinaryField()

    class Meta(Unmanaged.Meta):
        db_table = "repositories"


class Lease(Unmanaged):
    id = models.TextField(primary_key=True)
    repository_id = models.TextField()
    holder = models.TextField()
    purpose = models.TextField()
    fencing_token = models.BigIntegerField()
    idempotency_key = models.TextField(null=True)
    acquired_at = TimeField()
    expires_at = TimeField()
    ended_at = TimeField(null=True)
    end_reason = models.TextField(null=True)
    previous_lease_id = models.TextField(null=True)
    ended_by = models.TextField(null=True)
    end_note = models.TextField(null=True)

    class Meta(Unmanaged.Meta):
        db_table = "leases"


class AuditEntry(Unmanaged):
    pk = models.CompositePrimaryKey("stream_id", "seq")
    stream_id = models.TextField()
    seq = models.BigIntegerField()
    id = models.TextField(unique=True)
    at = TimeField()
    actor = models.TextField()
    action = models.TextField()
    target_type = models.TextField()
    target_id = models.TextField()
    request_id = models.TextField(null=True)
    source_ip = models.TextField(null=True)
    reason = models.TextField(null=True)
    changes = models.TextField()
    hash_version = models.BigIntegerField()
    entry_hash = models.BinaryField()

    class Meta(Unmanaged.Meta):
        db_table = "audit_entries"


class ObjectMetadata(Unmanaged):
    pk = models.CompositePrimaryKey("repository_id", "oid")
    repository_id = models.TextField()
    oid = models.BinaryField()
    type = models.SmallIntegerField()
    size = models.BigIntegerField()
    disk_size = models.BigIntegerField(null=True)
    created_at = TimeField()

    class Meta(Unmanaged.Meta):
        db_table = "object_metadata"


class Django:
    """Its one default connection, which a process has once: each database in its turn."""

    def __init__(self, url: str) -> None:
        self._use(url)

    def _use(self, url: str) -> None:
        connections["default"].close()
        connections.settings = connections.configure_settings({"default": _database(url)})
        del connections["default"]

    def get(self, ids: Sequence[str]) -> list[Repository]:
        return [Repository.objects.get(pk=one) for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            with transaction.atomic():
                project = Project.objects.get(pk=project_id, deleted_at=None)
                repository, entry = new_repository(project_id, project.visibility, slug)
                Repository.objects.create(**repository)
                AuditEntry.objects.create(**entry)

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        return [
            [
                *ObjectMetadata.objects.filter(repository_id=repository_id, oid__gt=after).order_by(
                    "oid"
                )[:limit]
            ]
            for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[ObjectMetadata]:
        rows = rows_of(repository_id, objects, CREATED_AT)
        return [ObjectMetadata(**dict(zip(OBJECT, row, strict=True))) for row in rows]

    def add(self, rows: Sequence[ObjectMetadata]) -> None:
        # In one transaction; it finds out by itself how many rows a statement takes.
        ObjectMetadata.objects.bulk_create(rows)

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            self._release(repository_id, self._acquire(repository_id))

    def _acquire(self, repository_id: str) -> str:
        with transaction.atomic():
            repository = _locked(repository_id)
            last = _last(repository_id)
            lease, entry = new_lease(
                repository_id, repository.lease_epoch, repository.audit_seq, last
            )
            Lease.objects.create(**lease)
            _record(repository, entry, lease_epoch=lease["fencing_token"])
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        with transaction.atomic():
            repository = _locked(repository_id)
            last = _last(repository_id)
            ended, entry = end_of_lease(repository_id, repository.audit_seq, lease_id, last)
            Lease.objects.filter(pk=lease_id).update(**ended)
            _record(repository, entry)

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        found = ObjectMetadata.objects.filter(repository_id=repository_id, oid__in=oids)
        present = set(map(bytes, found.values_list("oid", flat=True)))
        return [oid for oid in oids if oid not in present]

    def close(self) -> None:
        connections.close_all()


def opened(url: str) -> Django:
    return Django(url)


def _database(url: str) -> dict[str, Any]:
    if url.startswith("sqlite:"):
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path_of(url),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "init_command": ";".join(f"PRAGMA {name}={PRAGMAS[name]}" for name in PRAGMAS),
            },
        }
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "CONN_MAX_AGE": None,
    }


def _locked(repository_id: str) -> Repository:
    """The repository, locked where the database has such locks: SQLite's transaction is one."""
    return Repository.objects.select_for_update(no_key=True).get(pk=repository_id)


def _last(repository_id: str) -> tuple[Any, ...] | None:
    found = Lease.objects.filter(repository_id=repository_id).order_by("-fencing_token")
    return found.values_list("id", "ended_at", "expires_at").first()


def _record(repository: Repository, entry: dict[str, Any], **more: Any) -> None:
    AuditEntry.objects.create(**entry)
    Repository.objects.filter(pk=repository.id).update(
        audit_seq=entry["seq"], audit_head=entry["entry_hash"], **more
    )
