"""A full disk, for which SQLite's own limit of pages stands."""

from __future__ import annotations

from typing import Any

import pytest

from forgedb import (
    Database,
    MigrationError,
    NewObject,
    Unavailable,
)
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import Folder


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


def _allow_pages(db: Database, more: int) -> None:
    pages = db.client.query_value("PRAGMA page_count")
    assert db.client.query_value(f"PRAGMA max_page_count = {pages + more}") == pages + more


def _fill(db: Database) -> None:
    """Write more than ``_allow_pages`` left room for."""
    for number in range(20):
        db.projects.create(f"filler{number}", "Filler", "x" * 10_000)


def _content(db: Database) -> list[Any]:
    tables = ("projects", "repositories", "leases", "object_metadata", "audit_entries")
    return [db.client.query(f"SELECT * FROM {table}") for table in tables]


def test_a_full_disk_leaves_nothing_half_done_and_the_database_usable(
    migrated: Database,
) -> None:
    db = migrated
    repository = db.repositories.create(db.projects.create("p", "P").id, "a")
    lease = db.leases.acquire(repository.id)
    objects = [NewObject(n.to_bytes(20, "big"), 3, n) for n in range(20_000)]
    before = _content(db)
    _allow_pages(db, 10)
    for write in (
        lambda: db.objects.add_many(repository.id, objects, lease.fencing_token),
        lambda: _fill(db),
    ):
        with pytest.raises(Unavailable, match="the disk is full") as refused:
            write()
        assert refused.value.outcome == "not_committed"
    assert _content(db)[1:4] == before[1:4]
    assert db.audit.verify().problems == []
    _allow_pages(db, 100_000)
    assert db.objects.add_many(repository.id, objects, lease.fencing_token).added == 20_000
    assert db.projects.create("another", "A").slug == "another"
    assert db.audit.verify().problems == []


def test_a_full_disk_in_a_transaction_dooms_all_of_it(migrated: Database) -> None:
    db = migrated
    project = db.projects.create("p", "P")
    before = _content(db)
    _allow_pages(db, 4)

    def fill() -> None:
        with db.transaction() as tx:
            tx.projects.update(project.id, name="Other")
            _fill(tx)

    with pytest.raises(Unavailable, match="the disk is full"):
        fill()
    assert _content(db) == before
    _allow_pages(db, 1000)
    assert db.projects.create("q", "Q").slug == "q"


def test_who_carries_on_in_a_transaction_after_a_full_disk_loses_nothing_silently(
    migrated: Database,
) -> None:
    db = migrated
    _allow_pages(db, 4)

    def carry_on() -> None:
        with db.transaction() as tx:
            tx.projects.create("first", "F")
            with pytest.raises(Unavailable, match="the disk is full"):
                _fill(tx)

    try:
        carry_on()
    except Unavailable:
        assert db.projects.list().items == []
    else:
        assert db.projects.get_by_slug("first").name == "F"
    assert db.audit.verify().problems == []


def test_a_migration_that_fills_the_disk_is_rolled_back_and_named(three: Folder) -> None:
    three.runner.migrate(1)
    _allow_pages(three.db, 1)
    three.write(m0003_c="\nCREATE TABLE big (x TEXT);\nINSERT INTO big VALUES (zeroblob(99999));")
    with pytest.raises(MigrationError, match="the disk is full") as failed:
        three.runner.migrate()
    assert isinstance(failed.value.__cause__, Unavailable)
    assert "big" not in three.tables()
    _allow_pages(three.db, 1000)
    assert three.runner.migrate()[-1].label == "0003_c"
