"""A database of version 0.1.0, with data, goes through all migrations and proves its history.

``made_by_0_1_0`` holds one of each kind, as 0.1.0 left it: an SQLite file, PostgreSQL's dump, the
lines of both databases' checkpoints that were kept elsewhere, and the key that signed them.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from forgedb import Database, LeaseHeld, NewObject, PublicKey, SchemaOutdated
from forgedb.migrations.files import load, packaged
from tests.faults.surfaces import Surface
from tests.servers.postgres import Databases

MADE = Path(__file__).parent / "made_by_0_1_0"
KEY = PublicKey.from_pem((MADE / "public-key.pem").read_text())

MADE_AT = datetime(2026, 11, 25, 21, tzinfo=UTC)
"""Some hours after 0.1.0 gave the last lease, which lasts for 72 hours."""

TABLES = (
    "projects",
    "repositories",
    "leases",
    "audit_entries",
    "object_metadata",
    "mirrors",
    "repository_relationships",
    "audit_checkpoints",
    "lease_import_lines",
)


@pytest.fixture(params=["threads", "tasks"])
def open_db(request: pytest.FixtureRequest) -> Iterator[Surface]:
    with Surface(by_tasks=request.param == "tasks") as surface:
        yield surface


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres: Databases) -> Iterator[str]:
    """A database as 0.1.0 left it."""
    if request.param == "sqlite":
        shutil.copy(MADE / "forge.db", tmp_path / "forge.db")
        yield f"sqlite:///{tmp_path}/forge.db"
        return
    with postgres.new() as url:
        with psycopg.connect(url, autocommit=True) as restoring:
            restoring.execute((MADE / "forge.sql").read_bytes())
        yield url


def anchors(url: str) -> list[str]:
    kind = "sqlite" if url.startswith("sqlite") else "postgres"
    return (MADE / f"anchors-{kind}.jsonl").read_text().splitlines(keepends=True)


def content(url: str) -> dict[str, list[Any]]:
    """All rows of the tables that 0.1.0 has, by the database's own driver."""

    def read(execute: Any) -> dict[str, list[Any]]:
        return {
            table: sorted(execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in TABLES
        }

    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return read(connection.execute)
        finally:
            connection.close()
    with psycopg.connect(url) as session:
        return read(lambda text: session.execute(text.encode()))


@pytest.fixture
def db(open_db: Surface, url: str) -> Database:
    """The database, after all migrations."""
    db = open_db(url, clock=lambda: MADE_AT)
    db.migrate()
    return db


def test_it_asks_for_what_it_lacks_and_nothing_of_it_changes(open_db: Surface, url: str) -> None:
    before = content(url)
    assert {table for table in TABLES if not before[table]} == set()
    db = open_db(url)
    labels = [migration.label for migration in load(packaged(db.client.dialect))][1:]
    with pytest.raises(SchemaOutdated) as outdated:
        db.projects.list()
    assert outdated.value.pending == tuple(labels)
    assert [applied.label for applied in db.migrate()] == labels
    assert content(url) == before
    assert db.migrate() == []


def test_its_history_and_checkpoints_prove_themselves(db: Database, url: str) -> None:
    report = db.audit.verify(public_keys=[KEY], anchors=anchors(url))
    assert report.problems == []
    assert report.streams == 6
    assert any(found.checkpoint is not None for found in report.ranges)


def test_the_lease_that_is_live_goes_on_and_the_next_token_is_one_more(db: Database) -> None:
    api = db.repositories.get_by_path("platform/api")
    lease = db.leases.active(api.id)
    assert lease is not None
    assert (lease.holder, lease.fencing_token, lease.purpose) == ("user:ada", 6, "still going on")
    assert db.leases.require(api.id, 6) == lease
    added = db.objects.add_many(api.id, [NewObject(b"\x09" * 20, 3, 1)], 6)
    assert added.added == 1
    with pytest.raises(LeaseHeld):
        db.acting_as("user:bob").leases.acquire(api.id)
    db.leases.release(lease.id)
    assert db.acting_as("user:bob").leases.acquire(api.id).fencing_token == 7
    assert db.identity.get().era == 0
    assert db.audit.verify().problems == []


def test_what_was_begun_is_gone_on_with(db: Database, url: str) -> None:
    platform = next(each for each in db.projects.list().items if each.slug == "platform")
    (mirror,) = db.mirrors.list(db.repositories.get_by_path("platform/api").id).items
    assert (mirror.consecutive_failures, mirror.last_error) == (1, "timed out")
    claimed = db.mirrors.claim_due(10, timedelta(hours=1))
    assert [each.id for each in claimed] == [mirror.id]
    web = db.repositories.create(platform.id, "later")
    lease = db.leases.acquire(web.id)
    assert lease.fencing_token == 1
    (of_log,) = db.leases.history(db.repositories.get_by_path("platform/api-fork").id).items
    assert of_log.holder == "user:eve"
    report = db.audit.verify(public_keys=[KEY], anchors=anchors(url))
    assert report.problems == []
