"""What type checkers know of both surfaces; ``make check`` reads it, and nothing runs it.

Each comment that ignores an error asserts that there is one: both checkers complain of an ignored
error that isn't there.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, assert_type

import forgedb
from forgedb import (
    AddResult,
    AppliedMigration,
    AsyncDatabase,
    Checkpoint,
    Database,
    HeldLease,
    Lease,
    LeaseImport,
    NewObject,
    Page,
    Project,
    Repository,
    SigningKey,
    Ulid,
    VerifyReport,
)
from forgedb.dao.leases.dao import LeasesDao
from forgedb.dao.projects import ProjectsDao
from forgedb.operations.binding import Dao
from forgedb.operations.steps import Step


def a_call_gives_the_model(db: Database, id: Ulid, objects: list[NewObject]) -> None:
    assert_type(db.projects.get(id), Project)
    assert_type(db.projects.create("a", "A"), Project)
    assert_type(db.repositories.list(id, after=None, limit=10), Page[Repository])
    assert_type(db.leases.active(id), Lease | None)
    assert_type(db.objects.add_many(id, objects, fencing_token=1), AddResult)
    assert_type(db.leases.import_jsonl(BytesIO(), "log"), LeaseImport)
    assert_type(db.leases.export(BytesIO()), int)
    assert_type(db.audit.verify(), VerifyReport)
    key = SigningKey.generate()
    assert_type(db.audit.checkpoint(key), Checkpoint | None)
    assert_type(db.audit.verify(public_keys=[key.public_key], anchors=["{}"]), VerifyReport)
    assert_type(db.client.query("SELECT 1"), list[tuple[Any, ...]])
    assert_type(db.client.query_as(Project, "SELECT 1"), list[Project])
    assert_type(db.migrate(), list[AppliedMigration])
    with db.transaction() as tx, tx.leases.hold(id, wait=timedelta(seconds=1)) as lease:
        assert_type(tx, Database)
        assert_type(lease, HeldLease)
        assert_type(lease.deadline, datetime)
        assert_type(lease.time_left(), timedelta)


async def an_awaited_call_gives_the_same(
    adb: AsyncDatabase, id: Ulid, objects: list[NewObject]
) -> None:
    assert_type(await forgedb.connect_async(), AsyncDatabase)
    assert_type(await adb.projects.get(id), Project)
    assert_type(await adb.projects.create("a", "A"), Project)
    assert_type(await adb.repositories.list(id, after=None, limit=10), Page[Repository])
    assert_type(await adb.leases.active(id), Lease | None)
    assert_type(await adb.objects.add_many(id, objects, fencing_token=1), AddResult)
    assert_type(await adb.leases.import_jsonl(BytesIO(), "log"), LeaseImport)
    assert_type(await adb.audit.verify(), VerifyReport)
    assert_type(await adb.audit.checkpoint(SigningKey.generate()), Checkpoint | None)
    assert_type(await adb.client.query("SELECT 1"), list[tuple[Any, ...]])
    assert_type(await adb.client.query_as(Project, "SELECT 1"), list[Project])
    assert_type(await adb.migrate(), list[AppliedMigration])
    async with adb.transaction() as tx, tx.leases.hold(id, wait=2.5) as lease:
        assert_type(tx, AsyncDatabase)
        assert_type(lease, HeldLease)


async def a_forgotten_await_is_an_error(adb: AsyncDatabase, id: Ulid) -> None:
    adb.projects.delete(id)  # type: ignore[unused-coroutine]
    assert adb.projects.get(id).slug  # type: ignore[attr-defined]
    with adb.leases.hold(id):  # type: ignore[misc]
        pass


async def an_await_too_many_is_an_error(db: Database, id: Ulid) -> None:
    await db.projects.get(id)  # type: ignore[misc]


def arguments_are_checked(db: Database, adb: AsyncDatabase, id: Ulid) -> None:
    db.projects.get(7)  # type: ignore[arg-type]
    db.projects.get(id, id)  # type: ignore[call-arg]
    db.leases.acquire(id, length=1)  # type: ignore[call-arg]
    adb.leases.acquire(id, duration=1)  # type: ignore[unused-coroutine, arg-type]
    db.leases.hold(id, wait="1 s")  # type: ignore[arg-type]


async def fields_and_options_are_checked(db: Database, adb: AsyncDatabase, id: Ulid) -> None:
    assert_type(db.projects.update(id, name="A", visibility="public"), Project)
    assert_type(await adb.repositories.update(id, state="archived"), Repository)
    db.mirrors.update(id, interval=None)
    db.projects.update(id, nme="A")  # type: ignore[call-arg]
    db.projects.update(id, name=7)  # type: ignore[arg-type]
    await adb.repositories.update(id, stat="archived")  # type: ignore[call-arg]
    db.mirrors.update(id, interval=60)  # type: ignore[arg-type]
    forgedb.connect(mode="rw", call_timeout="never", pool_max_size=5)
    forgedb.connect(mod="rw")  # type: ignore[call-arg]
    forgedb.connect(mode="w")  # type: ignore[arg-type]
    await forgedb.connect_async(pool_max_sise=5)  # type: ignore[call-arg]


def filters_are_given_by_name(db: Database, id: Ulid) -> None:
    assert_type(db.objects.repositories_with(b""), Page[Repository])
    db.leases.list("user:bob")  # type: ignore[call-arg]
    db.audit.list(id)  # type: ignore[call-arg]
    db.objects.list(id, 3)  # type: ignore[call-arg]
    db.relationships.list(id, "fork")  # type: ignore[call-arg]


def the_class_gives_the_steps(dao: Dao[Any], id: Ulid) -> None:
    assert_type(ProjectsDao.get(dao, id), Generator[Step, Any, Project])
    assert_type(LeasesDao.active(dao, id), Generator[Step, Any, Lease | None])
