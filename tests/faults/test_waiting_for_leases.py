"""Those who wait for a lease on PostgreSQL: woken when it ends, and none the worse if they aren't.

Where pauses are so long that nobody could have looked in time, only a hint explains who gets it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import Database, Lease, LeaseHeld, Repository
from forgedb.dao import holding
from forgedb.dao.telling import CHANNEL, LOCK_CLASS
from forgedb.drivers.postgres import listening
from tests.faults.surfaces import OTHERS, Surface, beside, until, value
from tests.servers.network import Network
from tests.servers.postgres import Databases, PostgresServer, embedded_programs

SOON_SECONDS = 10.0
LONG_SECONDS = 60.0
"""A pause that no test waits for."""

LISTENING = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND query ~ 'pg_.*advisory_'"


@pytest.fixture
def repository(url: str) -> Repository:
    with forgedb.connect(url, actor="user:ada") as db:
        return db.repositories.create(db.projects.create("platform", "Platform").id, "api")


@pytest.fixture
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself for a minute."""
    monkeypatch.setattr(holding, "POLL_SECONDS_MIN", 2 * LONG_SECONDS)
    monkeypatch.setattr(holding, "POLL_SECONDS_MAX", 2 * LONG_SECONDS)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def held_for_a_moment(db: Database, repository_id: str, who: str = "user:bob") -> Lease:
    """Wait for the lease, and let go of it; what it was."""
    with db.acting_as(who).leases.hold(repository_id, wait=LONG_SECONDS) as lease:
        return lease


def listens_for(session: psycopg.Connection[Any], *repository_ids: str) -> bool:
    """Whether somebody has locked them, as those do who wait."""
    query = """
        SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND classid = %s
            AND objid::bigint = ANY (
                SELECT hashtext(id)::bigint & 4294967295 FROM unnest(%s::text[]) AS id)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    return bool(value(session, query, LOCK_CLASS, [*repository_ids]) >= len(repository_ids))


def sessions(session: psycopg.Connection[Any]) -> int:
    """How many others there are."""
    return int(value(session, f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS}"))


def listening_threads() -> int:
    return sum(thread.name == "forgedb-leases" for thread in threading.enumerate())


# Being told.


@pytest.mark.usefixtures("only_hints")
@pytest.mark.parametrize("how", ["release", "force_release"])
def test_who_waits_is_woken_when_the_lease_ends(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    how: str,
) -> None:
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(held_for_a_moment, db, repository.id)
    until(lambda: listens_for(admin, repository.id))
    if how == "release":
        db.leases.release(lease.id)
    else:
        db.leases.force_release(lease.id, "bob is waiting")
    assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1
