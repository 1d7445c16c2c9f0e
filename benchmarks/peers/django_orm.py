"""Django's ORM: models of the tables as they are, on the connection that Django keeps for a thread.

On SQLite transactions begin by BEGIN IMMEDIATE and pragmas are set by `init_command`, as its notes
on that database advise; PostgreSQL is spoken to by psycopg 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings

from benchmarks.databases import path_of
from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers.settings import PRAGMAS
from benchmarks.peers.values import (
    COLUMNS,
    KEYS,
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


KINDS: dict[str, Callable[[], models.Field]] = {
    "text": partial(models.TextField, null=True),
    "int": partial(models.BigIntegerField, null=True),
    "short": models.SmallIntegerField,
    "bytes": models.BinaryField,
    "json": models.TextField,
    "time": partial(TimeField, null=True),
}


def _model(name: str, table: str) -> Any:
    """As `inspectdb` would write its class."""
    fields: dict[str, Any] = {column: KINDS[kind]() for column, kind in COLUMNS[table].items()}
    if len(KEYS[table]) > 1:
        fields["pk"] = models.CompositePrimaryKey(*KEYS[table])
    else:
        fields["id"] = models.TextField(primary_key=True)
    meta = type("Meta", (Unmanaged.Meta,), {"db_table": table, "abstract": False})
    return type(name, (Unmanaged,), {"__module__": __name__, "Meta": meta, **fields})


Project, Repository = _model("Project", "projects"), _model("Repository", "repositories")
Lease, AuditEntry = _model("Lease", "leases"), _model("AuditEntry", "audit_entries")
ObjectMetadata = _model("ObjectMetadata", "object_metadata")


class Django:
    """Django's default connection, one for a process: it is pointed at each database in turn."""

    def __init__(self, url: str) -> None:
        self._use(url)

    def _use(self, url: str) -> None:
        connections["default"].close()
        connections.settings = connections.configure_settings({"default": _database(url)})
        del connections["default"]

    def get(self, ids: Sequence[str]) -> list[Any]:
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

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[Any]:
        rows = rows_of(repository_id, objects, CREATED_AT)
        return [ObjectMetadata(**dict(zip(OBJECT, row, strict=True))) for row in rows]

    def add(self, rows: Sequence[Any]) -> None:
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
            _record(repository, entry, lease_epoch=lease["fencing_token"])
            Lease.objects.create(**lease)
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        with transaction.atomic():
            repository = _locked(repository_id)
            last = _last(repository_id)
            ended, entry = end_of_lease(repository_id, repository.audit_seq, lease_id, last)
            _record(repository, entry)
            Lease.objects.filter(pk=lease_id).update(**ended)

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


def _locked(repository_id: str) -> Any:
    """The repository, locked where the database has such locks: SQLite's transaction is one."""
    return Repository.objects.select_for_update(no_key=True).get(pk=repository_id)


def _last(repository_id: str) -> tuple[Any, ...] | None:
    found = Lease.objects.filter(repository_id=repository_id).order_by("-fencing_token")
    return found.values_list("id", "ended_at", "expires_at").first()


def _record(repository: Any, entry: dict[str, Any], **more: Any) -> None:
    AuditEntry.objects.create(**entry)
    Repository.objects.filter(pk=repository.id).update(
        audit_seq=entry["seq"], audit_head=entry["entry_hash"], **more
    )
