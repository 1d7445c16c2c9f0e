"""Deadlocks, serialization failures and time limits: what is tried again, and what is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any, cast
from urllib.parse import quote

import psycopg
import pytest

from forgedb import Database, NewObject, ObjectType, Repository, Unavailable
from forgedb.dao.audit import AuditDao
from forgedb.dao.leases.dao import LeasesDao
from forgedb.dao.mirrors import MirrorsDao
from forgedb.dao.objects import ObjectsDao
from forgedb.dao.projects import ProjectsDao
from forgedb.dao.relationships import RelationshipsDao
from forgedb.operations.binding import Operation
from tests.faults.surfaces import Surface, attempts, beside, refuse_first, until
from tests.faults.surfaces import waits_for_a_lock as someone_waits

ATTEMPTS_MAX = 20
"""More than anyone should make."""


@pytest.fixture
def repositories(db: Database) -> tuple[Repository, Repository]:
    project = db.projects.create("platform", "Platform")
    return db.repositories.create(project.id, "a"), db.repositories.create(project.id, "b")


def _entries(db: Database, repository: Repository) -> int:
    return len(db.audit.list(stream=repository.id).items)


# Deadlocks


def test_of_two_transactions_that_wait_for_each_other_one_commits_and_one_is_told(
    open_db: Surface, url: str, admin: psycopg.Connection[Any]
) -> None:
    admin.execute("SET deadlock_timeout TO '1min'")
    database = admin.info.dbname
    admin.execute(f"ALTER DATABASE \"{database}\" SET deadlock_timeout TO '50ms'".encode())
    db = open_db(url)
    project = db.projects.create("platform", "Platform")
    both = [db.repositories.create(project.id, slug) for slug in ("a", "b")]
    each_has_one = Barrier(2)

    def change(first: int, second: int) -> str | Unavailable:
        name = f"from {first}"
        try:
            with db.transaction() as tx:
                tx.repositories.update(both[first].id, description=name)
                each_has_one.wait(30)
                tx.repositories.update(both[second].id, description=name)
        except Unavailable as error:
            return error
        return name

    with ThreadPoolExecutor(2) as threads:
        told = [
            done.result() for done in [threads.submit(change, 0, 1), threads.submit(change, 1, 0)]
        ]
    (kept,) = (each for each in told if isinstance(each, str))
    (refused,) = (each for each in told if isinstance(each, Unavailable))
    assert refused.retryable
    assert refused.outcome == "not_committed"
    assert "waited for each other" in str(refused)
    assert [db.repositories.get(each.id).description for each in both] == [kept, kept]
    assert [_entries(db, each) for each in both] == [2, 2]
    assert db.audit.verify().ok


def test_an_operation_of_its_own_that_is_a_deadlocks_victim_is_done_again(
    open_db: Surface, url: str, admin: psycopg.Connection[Any]
) -> None:
    # Whoever waits looks for a deadlock once, after this time: long enough for the other to wait.
    admin.execute(f"ALTER DATABASE \"{admin.info.dbname}\" SET deadlock_timeout TO '1s'".encode())
    db = open_db(url)
    project = db.projects.create("platform", "Platform")
    both = sorted(db.repositories.create(project.id, slug).id for slug in ("a", "b"))
    with beside(url) as other, ThreadPoolExecutor(1) as threads, other.transaction():
        other.execute("SET LOCAL deadlock_timeout TO '1min'")
        lock = "SELECT 1 FROM repositories WHERE id = %s FOR UPDATE"
        other.execute(lock, [both[1]])
        made = threads.submit(db.relationships.create, both[0], "fork", both[1])
        until(lambda: someone_waits(admin))
        # It is the only one to look within a minute.
        other.execute(lock, [both[0]])
    assert made.result().target_id == both[1]
    assert len(db.relationships.list(both[0]).items) == 1
    assert len(db.audit.list(target=made.result().id).items) == 1
    assert db.audit.verify().ok


# Serialization failures


def test_an_operation_of_its_own_that_the_server_asks_to_repeat_is_repeated(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 3)
    project = db.projects.create("platform", "Platform")
    assert attempts(admin) == 4
    assert [each.id for each in db.projects.list().items] == [project.id]
    assert len(db.audit.list(stream=project.id).items) == 1


def test_a_commit_that_the_server_refuses_is_known_to_have_failed_and_repeated(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 2, at_commit=True)
    project = db.projects.create("platform", "Platform")
    assert attempts(admin) == 3
    assert len(db.audit.list(stream=project.id).items) == 1


def test_an_operation_that_is_refused_again_and_again_is_given_up(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 1000)
    with pytest.raises(Unavailable) as refused:
        db.projects.create("platform", "Platform")
    assert refused.value.retryable
    assert refused.value.outcome == "not_committed"
    assert isinstance(refused.value.__cause__, psycopg.errors.SerializationFailure)
    assert 1 < attempts(admin) < ATTEMPTS_MAX
    assert db.projects.list().items == []


@pytest.mark.parametrize("at_commit", [False, True])
def test_in_a_transaction_of_the_callers_nothing_is_repeated_behind_their_back(
    db: Database, admin: psycopg.Connection[Any], at_commit: bool
) -> None:
    refuse_first(admin, 1, at_commit=at_commit)
    with pytest.raises(Unavailable) as refused, db.transaction() as tx:
        tx.projects.create("platform", "Platform")
    assert refused.value.retryable
    assert refused.value.outcome == "not_committed"
    assert attempts(admin) == 1
    assert db.projects.list().items == []
    with db.transaction() as tx:
        tx.projects.create("platform", "Platform")
    assert len(db.projects.list().items) == 1


def test_what_is_no_fault_of_the_moment_is_told_at_once(
    db: Database, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 1000, sqlstate="53100")
    with pytest.raises(Unavailable) as refused:
        db.projects.create("platform", "Platform")
    assert not refused.value.retryable
    assert attempts(admin) == 1


def _listed(objects: list[NewObject]) -> list[NewObject]:
    return objects


def _streamed(objects: list[NewObject]) -> Iterator[NewObject]:
    return iter(objects)


@pytest.mark.parametrize(("given", "is_repeated"), [(_listed, True), (_streamed, False)])
def test_objects_are_added_again_from_a_list_but_not_from_a_stream_that_is_spent(
    db: Database,
    repositories: tuple[Repository, Repository],
    admin: psycopg.Connection[Any],
    given: Callable[[list[NewObject]], Any],
    is_repeated: bool,
) -> None:
    repository = repositories[0]
    token = db.leases.acquire(repository.id).fencing_token
    objects = [NewObject(bytes([number]) * 20, ObjectType.BLOB, number) for number in range(50)]
    refuse_first(admin, 1)
    if is_repeated:
        assert db.objects.add_many(repository.id, given(objects), token).added == 50
    else:
        with pytest.raises(Unavailable) as refused:
            db.objects.add_many(repository.id, given(objects), token)
        assert refused.value.retryable
        assert db.objects.list(repository.id).items == []
        assert db.objects.add_many(repository.id, objects, fencing_token=token).added == 50
    assert attempts(admin) == 2
    with pytest.raises(Unavailable):
        admin.execute("ALTER SEQUENCE attempts RESTART")
        db.objects.remove_many(
            repository.id, oids=(each.oid for each in objects), fencing_token=token
        )
    assert len(db.objects.list(repository.id, limit=100).items) == 50


class LinesOnly:
    """As much of a file as an import reads: not an iterator."""

    def __init__(self, content: bytes) -> None:
        self.readline = BytesIO(content).readline


def test_a_log_is_not_imported_again_from_a_file_that_was_read(
    db: Database, repositories: tuple[Repository, Repository], admin: psycopg.Connection[Any]
) -> None:
    fields = {
        "event": "acquired",
        "lease_id": "l-1",
        "repository_id": repositories[0].id,
        "holder": "user:ada",
        "purpose": "",
        "at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-02T00:00:00Z",
    }
    content = json.dumps(fields).encode() + b"\n"
    refuse_first(admin, 1)
    with pytest.raises(Unavailable) as refused:
        db.leases.import_jsonl(cast("Any", LinesOnly(content)), "old-forge")
    assert refused.value.retryable
    assert attempts(admin) == 1
    assert db.leases.import_jsonl(cast("Any", LinesOnly(content)), "old-forge").imported == 1


def test_each_operation_on_a_file_of_the_callers_is_declared_to_be_done_but_once() -> None:
    operations = [
        operation
        for dao in (AuditDao, LeasesDao, MirrorsDao, ObjectsDao, ProjectsDao, RelationshipsDao)
        for operation in vars(dao).values()
        if isinstance(operation, Operation)
    ]
    on_files = [each for each in operations if "file" in each.function.__annotations__]
    assert {each.name for each in on_files} > {"export", "import_jsonl"}
    assert [each for each in operations if not each.repeatable] == on_files


# Time limits

LIMITED = {
    "statement_timeout": "the statement was cancelled, or ran into statement_timeout",
    "lock_timeout": "a lock was held by someone else past lock_timeout",
}


@pytest.mark.parametrize("limit", LIMITED)
def test_a_time_limit_of_the_servers_undoes_the_transaction_and_is_named(
    open_db: Surface, url: str, limit: str
) -> None:
    limited = open_db(f"{url}?options={quote(f'-c {limit}=300ms')}", pool_max_size=1)
    project = limited.projects.create("platform", "Platform")
    with beside(url) as other, other.transaction():
        other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
        with pytest.raises(Unavailable, match=LIMITED[limit]) as refused:
            limited.projects.update(project.id, name="New")
        assert refused.value.retryable
        assert refused.value.outcome == "not_committed"
        with pytest.raises(Unavailable, match=LIMITED[limit]), limited.transaction() as tx:
            tx.projects.create("other", "Other")
            tx.projects.update(project.id, name="New")
    assert [each.name for each in limited.projects.list().items] == ["Platform"]
    assert limited.projects.update(project.id, name="New").name == "New"
    assert limited.audit.verify().ok


def test_a_caller_who_goes_on_after_a_time_limit_is_told_that_nothing_is_kept(
    open_db: Surface, url: str
) -> None:
    db = open_db(f"{url}?options={quote('-c lock_timeout=200ms')}")
    project = db.projects.create("platform", "Platform")
    with beside(url) as other, other.transaction():
        other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
        with db.transaction() as tx:
            kept = tx.projects.create("kept", "LastUsed")
            # An operation in a transaction is a savepoint: what failed of it is undone alone.
            with pytest.raises(Unavailable, match="lock_timeout"):
                tx.projects.update(project.id, name="New")
            tx.projects.update(kept.id, name="LastUsed on")
    assert {each.name for each in db.projects.list().items} == {"Platform", "LastUsed on"}
    assert db.audit.verify().ok


# A pool that is used up


def test_who_finds_every_connection_busy_is_told_so_after_pool_timeout(
    open_db: Surface, url: str
) -> None:
    db = open_db(url, pool_max_size=1, pool_timeout=0.2)
    with ThreadPoolExecutor(1) as other:
        with db.transaction() as tx:
            tx.projects.create("platform", "Platform")
            for call in (db.projects.list, lambda: db.projects.create("other", "Other")):
                refused = other.submit(call).exception()
                assert isinstance(refused, Unavailable)
                assert refused.retryable
                assert refused.outcome == "not_committed"
                assert "1 connections of the pool stayed busy for 0.2 s" in str(refused)
                assert "pool_max_size" in str(refused)
        assert len(other.submit(db.projects.list).result().items) == 1
