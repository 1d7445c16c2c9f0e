"""SQLAlchemy Core: tables, statements made once, and the connection of an engine.

Reads use a connection in autocommit, as the engine's documentation advises for work that needs no
transaction. Writes use another, whose transactions begin by BEGIN IMMEDIATE on SQLite, by the hooks
that the dialect's page shows. For PostgreSQL it uses psycopg 3, its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, event, insert, select, update

from benchmarks.databases import path_of
from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers.settings import PRAGMAS, in_utc
from benchmarks.peers.values import (
    COLUMNS,
    KEYS,
    OBJECT,
    as_text,
    as_time,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject


class Time(sa.types.UserDefinedType[datetime]):
    """SQLite has times as text with a T and a Z, which SQLAlchemy's own type doesn't read."""

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: None if value is None else as_text(value)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        return lambda value: None if value is None else as_time(value)


TIME = sa.DateTime(timezone=True).with_variant(Time(), "sqlite")

KINDS = {
    "text": sa.Text,
    "int": sa.BigInteger,
    "short": sa.SmallInteger,
    "bytes": sa.LargeBinary,
    "json": sa.JSON,
    "time": TIME,
}

metadata = sa.MetaData()

projects, repositories, leases, audit_entries, object_metadata = (
    sa.Table(
        table,
        metadata,
        *(
            sa.Column(name, KINDS[kind], primary_key=name in KEYS[table])
            for name, kind in of.items()
        ),
    )
    for table, of in COLUMNS.items()
)

SHOWN = [each for each in repositories.c if each.name not in ("audit_seq", "audit_head")]

GET = select(*SHOWN).where(repositories.c.id == bindparam("id"))

VISIBILITY = select(projects.c.visibility).where(
    projects.c.id == bindparam("id"), projects.c.deleted_at.is_(None)
)

PAGE = (
    select(object_metadata)
    .where(
        object_metadata.c.repository_id == bindparam("repository_id"),
        object_metadata.c.oid > bindparam("after"),
    )
    .order_by(object_metadata.c.oid)
    .limit(bindparam("limit"))
)

PAGE_BY_OFFSET = (
    select(object_metadata)
    .where(object_metadata.c.repository_id == bindparam("repository_id"))
    .order_by(object_metadata.c.oid)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)

PRESENT = select(object_metadata.c.oid).where(
    object_metadata.c.repository_id == bindparam("repository_id"),
    object_metadata.c.oid.in_(bindparam("oids", expanding=True)),
)

# FOR NO KEY UPDATE, on PostgreSQL, which has such locks.
LOCK = (
    select(repositories.c.lease_epoch, repositories.c.audit_seq)
    .where(repositories.c.id == bindparam("id"))
    .with_for_update(key_share=True)
)

LAST = (
    select(leases.c.id, leases.c.ended_at, leases.c.expires_at)
    .where(leases.c.repository_id == bindparam("repository_id"))
    .order_by(leases.c.fencing_token.desc())
    .limit(1)
)

END = update(leases).where(leases.c.id == bindparam("lease_id"))

ADVANCE = update(repositories).where(repositories.c.id == bindparam("repository_id"))


class Core:
    """Engines on one database, and a connection of each that is kept."""

    def __init__(self, url: str) -> None:
        self._engines = engines_of(url)
        self._reading, self._writing = (engine.connect() for engine in self._engines)

    def get(self, ids: Sequence[str]) -> list[Any]:
        execute = self._reading.execute
        return [execute(GET, {"id": one}).one() for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        connection = self._writing
        for slug in slugs:
            with connection.begin():
                visibility = connection.execute(VISIBILITY, {"id": project_id}).scalar_one()
                repository, entry = new_repository(project_id, visibility, slug)
                connection.execute(insert(repositories), repository)
                connection.execute(insert(audit_entries), entry)

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        asked = {"repository_id": repository_id, "after": after, "limit": limit}
        return [self._reading.execute(PAGE, asked).all() for _ in range(times)]

    def page_by_offset(self, repository_id: str, offset: int, limit: int) -> Sequence[Any]:
        asked = {"repository_id": repository_id, "offset": offset, "limit": limit}
        return self._reading.execute(PAGE_BY_OFFSET, asked).all()

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[dict[str, Any]]:
        rows = rows_of(repository_id, objects, CREATED_AT)
        return [dict(zip(OBJECT, row, strict=True)) for row in rows]

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        with self._writing.begin():
            self._writing.execute(insert(object_metadata), rows)

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            self._release(repository_id, self._acquire(repository_id))

    def _acquire(self, repository_id: str) -> str:
        connection = self._writing
        with connection.begin():
            epoch, seq = connection.execute(LOCK, {"id": repository_id}).one()
            last = connection.execute(LAST, {"repository_id": repository_id}).first()
            lease, entry = new_lease(repository_id, epoch, seq, last)
            self._record(entry, lease_epoch=lease["fencing_token"])
            connection.execute(insert(leases), lease)
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        connection = self._writing
        with connection.begin():
            _, seq = connection.execute(LOCK, {"id": repository_id}).one()
            last = connection.execute(LAST, {"repository_id": repository_id}).one()
            ended, entry = end_of_lease(repository_id, seq, lease_id, last)
            self._record(entry)
            connection.execute(END, {"lease_id": lease_id, **ended})

    def _record(self, entry: dict[str, Any], **more: Any) -> None:
        self._writing.execute(insert(audit_entries), entry)
        stream = {"audit_seq": entry["seq"], "audit_head": entry["entry_hash"], **more}
        self._writing.execute(ADVANCE, {"repository_id": entry["stream_id"], **stream})

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        asked = {"repository_id": repository_id, "oids": oids}
        present = set(self._reading.execute(PRESENT, asked).scalars())
        return [oid for oid in oids if oid not in present]

    def close(self) -> None:
        self._reading.close()
        self._writing.close()
        for engine in self._engines:
            engine.dispose()


def opened(url: str) -> Core:
    return Core(url)


def engines_of(url: str) -> tuple[sa.Engine, sa.Engine]:
    """An engine for reads, and one for writes."""
    # Changes are JSON text already, since they are hashed: the type need not serialize them.
    options: dict[str, Any] = {"json_serializer": str}
    if not url.startswith("sqlite:"):
        url = in_utc(url).replace("postgresql:", "postgresql+psycopg:")
        writing = sa.create_engine(url, **options)
        return writing.execution_options(isolation_level="AUTOCOMMIT"), writing
    url = f"sqlite:///{path_of(url)}"
    reading = sa.create_engine(url, isolation_level="AUTOCOMMIT", **options)
    writing = sa.create_engine(url, **options)
    for engine in (reading, writing):
        event.listen(engine, "connect", _configure)
    event.listen(writing, "begin", _begin_immediate)
    return reading, writing


def _configure(driver: Any, _: object) -> None:
    driver.isolation_level = None
    for name, value in PRAGMAS.items():
        driver.execute(f"PRAGMA {name} = {value}")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
