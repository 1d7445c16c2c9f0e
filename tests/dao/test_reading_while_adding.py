"""Rows to add that come from a read of the same transaction, one by one, while they are added."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

import forgedb
from forgedb import AddResult, Database, NewObject, ObjectType, UsageError


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        with forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="user:ada") as db:
            db.migrate()
            yield db
        return
    with (
        request.getfixturevalue("postgres").new(migrated=True) as url,
        forgedb.connect(url, actor="user:ada") as db,
    ):
        yield db


def _oid(number: int) -> bytes:
    return sha1(str(number).encode(), usedforsecurity=False).digest()


def test_a_forks_objects_are_copied_in_one_transaction(db: Database) -> None:
    project = db.projects.create("p", "P")
    source, fork = (db.repositories.create(project.id, slug).id for slug in ("a", "b"))
    token = db.leases.acquire(source).fencing_token
    db.objects.add_many(source, [NewObject(_oid(n), ObjectType.BLOB, n) for n in range(300)], token)
    token = db.leases.acquire(fork).fencing_token
    with db.transaction() as tx:
        found = forgedb.every(tx.objects.list, source, limit=7)
        copies = (NewObject(each.oid, each.type, each.size) for each in found)
        assert tx.objects.add_many(fork, copies, token) == AddResult(300, 0)
    assert db.objects.stats(fork) == db.objects.stats(source)


def test_statements_of_ones_own_may_read_as_well(db: Database) -> None:
    with db.transaction() as tx:
        tx.client.execute("CREATE TABLE numbers (n INTEGER)")

        def counted() -> Iterator[dict[str, int]]:
            for _ in range(3):
                yield {"n": tx.client.query_value("SELECT count(*) FROM numbers")}

        tx.client.execute_many("INSERT INTO numbers VALUES (:n)", counted())
    assert db.client.query_value("SELECT count(*) FROM numbers") == 3


def test_the_outer_handle_is_refused_there_as_anywhere_in_a_block(db: Database) -> None:
    project = db.projects.create("p", "P")
    repository = db.repositories.create(project.id, "a")
    token = db.leases.acquire(repository.id).fencing_token

    def from_outside() -> Iterator[NewObject]:
        db.projects.list()
        yield NewObject(_oid(1), ObjectType.BLOB, 1)

    with pytest.raises(UsageError, match="the outer handle"), db.transaction() as tx:
        tx.objects.add_many(repository.id, from_outside(), token)
    assert db.objects.list(repository.id).items == []
