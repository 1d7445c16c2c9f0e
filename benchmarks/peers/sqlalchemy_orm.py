"""SQLAlchemy's ORM: classes mapped to Core's tables, and a session for each unit of work.

Gets share one session for a slice; pages and writes have one each. Loaded objects are changed by
their attributes, and flushed at commit. Many rows are inserted by an INSERT of the class with a
list of mappings, as the ORM's guide to bulk inserts advises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from benchmarks.objects import CREATED_AT, rows_of
from benchmarks.peers import sqlalchemy_core as core
from benchmarks.peers.values import (
    OBJECT,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject


class Base(DeclarativeBase):
    metadata = core.metadata


class Project(Base):
    __table__ = core.projects


class Repository(Base):
    __table__ = core.repositories


class Lease(Base):
    __table__ = core.leases


class AuditEntry(Base):
    __table__ = core.audit_entries


class ObjectMetadata(Base):
    __table__ = core.object_metadata


NO_KEY_UPDATE = {"key_share": True}


class Orm:
    """Sessions to read by, and sessions to write by."""

    def __init__(self, url: str) -> None:
        self._engines = core.engines_of(url)
        self._reading, self._writing = (sessionmaker(engine) for engine in self._engines)

    def get(self, ids: Sequence[str]) -> list[Repository]:
        with self._reading() as session:
            return [session.get_one(Repository, one) for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        for slug in slugs:
            with self._writing.begin() as session:
                project = session.get_one(Project, project_id)
                repository, entry = new_repository(project_id, project.visibility, slug)
                session.add_all([Repository(**repository), AuditEntry(**entry)])

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        pages = []
        for _ in range(times):
            # A page is a request, and so has a session of its own, with no objects in memory yet.
            with self._reading() as session:
                found = session.scalars(
                    select(ObjectMetadata)
                    .where(
                        ObjectMetadata.repository_id == repository_id, ObjectMetadata.oid > after
                    )
                    .order_by(ObjectMetadata.oid)
                    .limit(limit)
                )
                pages.append(found.all())
        return pages

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[dict[str, Any]]:
        rows = rows_of(repository_id, objects, CREATED_AT)
        return [dict(zip(OBJECT, row, strict=True)) for row in rows]

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        with self._writing.begin() as session:
            session.execute(insert(ObjectMetadata), rows)

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            self._release(repository_id, self._acquire(repository_id))

    def _acquire(self, repository_id: str) -> str:
        with self._writing.begin() as session:
            repository = session.get_one(Repository, repository_id, with_for_update=NO_KEY_UPDATE)
            last = _last(session, repository_id)
            before = last and (last.id, last.ended_at, last.expires_at)
            lease, entry = new_lease(
                repository_id, repository.lease_epoch, repository.audit_seq, before
            )
            session.add(AuditEntry(**entry))
            repository.lease_epoch = lease["fencing_token"]
            repository.audit_seq, repository.audit_head = entry["seq"], entry["entry_hash"]
            # The schema needs the entry first; no relationship here tells the ORM so.
            session.flush()
            session.add(Lease(**lease))
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        with self._writing.begin() as session:
            repository = session.get_one(Repository, repository_id, with_for_update=NO_KEY_UPDATE)
            last = _last(session, repository_id)
            assert last is not None
            ended, entry = end_of_lease(
                repository_id,
                repository.audit_seq,
                lease_id,
                (last.id, last.ended_at, last.expires_at),
            )
            session.add(AuditEntry(**entry))
            for name, value in ended.items():
                setattr(last, name, value)
            repository.audit_seq, repository.audit_head = entry["seq"], entry["entry_hash"]

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        with self._reading() as session:
            found = session.scalars(
                select(ObjectMetadata.oid).where(
                    ObjectMetadata.repository_id == repository_id, ObjectMetadata.oid.in_(oids)
                )
            )
            present = set(found)
        return [oid for oid in oids if oid not in present]

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()


def opened(url: str) -> Orm:
    return Orm(url)


def _last(session: Session, repository_id: str) -> Lease | None:
    return session.scalars(
        select(Lease)
        .where(Lease.repository_id == repository_id)
        .order_by(Lease.fencing_token.desc())
        .limit(1)
    ).first()
