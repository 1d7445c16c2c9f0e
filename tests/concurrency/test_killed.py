"""SIGKILL at every boundary between an operation's statements: one run, and one process, each."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, EndReason, LeaseHeld
from forgedb.testing.history import Refused, check
from tests.concurrency.boundaries import OPERATIONS, TERM, UNHEARD, die_at
from tests.servers.postgres import Databases

LOADED = [
    "tests.concurrency.boundaries",
    "forgedb.dao.leases.dao",
    "forgedb.dao.mirrors",
    "forgedb.dao.objects",
    "forgedb.dao.projects",
    "forgedb.dao.relationships",
    "forgedb.database",
    "forgedb.drivers.postgres.connect",
    "forgedb.drivers.sqlite.runner",
    "forgedb.migrations.migrator",
]
"""What each process would import: forgedb itself imports late."""

STATEMENTS_MIN = 7
"""Of any of them: BEGIN, the lock, the time, the last lease, the entry, its end, COMMIT."""

STATEMENTS_MAX = 40

MARGIN = timedelta(seconds=0.5)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/forge.db"
        with forgedb.connect(url) as db:
            db.migrate()
        yield url
        return
    with request.getfixturevalue("postgres").new(migrated=True) as url:
        yield url


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_any_statement_an_operation_is_there_as_a_whole_or_not_at_all(
    url: str, operation: str
) -> None:
    with forgedb.connect(url, actor="user:ada") as db:
        project = db.projects.create("p", "P")
        left: list[tuple[str, bool]] = []
        told: list[Refused] = []
        for boundary in count():
            assert boundary < STATEMENTS_MAX
            repository_id = db.repositories.create(project.id, f"r{boundary}").id
            exit_code = _died_at(url, operation, repository_id, boundary)
            if exit_code == 0:
                # There were fewer statements than that: it ran to its end.
                assert _is_done(db, operation, repository_id)
                break
            assert exit_code == -signal.SIGKILL
            left.append((repository_id, _is_done(db, operation, repository_id)))
            told += _ask(db, repository_id)
        over_at = time.monotonic() + (TERM + MARGIN).total_seconds()

        assert len(left) > STATEMENTS_MIN
        # Everything is there after COMMIT, and nothing before it.
        assert [done for _, done in left] == [False] * (len(left) - 1) + [True]
        for repository_id, _ in left:
            wait = timedelta(seconds=max(0.0, over_at - time.monotonic()))
            with db.leases.hold(repository_id, wait=wait) as lease:
                db.leases.require(repository_id, lease.fencing_token)
        assert check(db, observed=told) == []


def test_killed_before_it_hears_of_its_commit_an_operation_is_whole_or_not_there(
    postgres: Databases,
) -> None:
    with postgres.new(migrated=True) as url, forgedb.connect(url, actor="user:ada") as db:
        project = db.projects.create("p", "P")
        left = {
            operation: db.repositories.create(project.id, f"r{number}").id
            for number, operation in enumerate(OPERATIONS)
        }
        for operation, repository_id in left.items():
            assert _died_at(url, operation, repository_id, UNHEARD) == -signal.SIGKILL
            # Its session may still be at it: who locks the row comes after it.
            with db.transaction() as tx:
                tx.repositories.update(repository_id, description=operation)
            _is_done(db, operation, repository_id)
        wait = TERM + MARGIN
        for repository_id in left.values():
            with db.leases.hold(repository_id, wait=wait):
                pass
        assert check(db) == []


def _died_at(url: str, operation: str, repository_id: str, boundary: int) -> int | None:
    """How a process ended that had itself killed there."""
    # A process that has forgedb loaded, and no connection, is copied for each.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(LOADED)
    process = processes.Process(target=die_at, args=(url, operation, repository_id, boundary))
    process.start()
    process.join()
    return process.exitcode


def _ask(db: Database, repository_id: str) -> list[Refused]:
    """Take the lease and give it back where it is free; who holds it, and for how long, if not."""
    asked_at = time.monotonic()
    try:
        db.leases.release(db.leases.acquire(repository_id).id)
    except LeaseHeld as held:
        left = held.retry_after.total_seconds()
        assert left <= TERM.total_seconds()
        return [Refused(repository_id, held.lease.id, asked_at, time.monotonic(), left)]
    return []


def _is_done(db: Database, operation: str, repository_id: str) -> bool:
    """Whether all is there that the operation makes; fails where a part of it is."""
    leases = db.leases.history(repository_id).items
    last = leases[-1] if leases else None
    epoch = db.repositories.get(repository_id).lease_epoch
    actions = [
        entry.action
        for entry in db.audit.list(stream=repository_id).items
        if not entry.action.startswith("repository.")
    ]
    objects = [(each.oid[0], each.disk_size) for each in db.objects.list(repository_id).items]
    state: Any = (
        [(lease.holder, lease.end_reason) for lease in leases],
        actions,
        objects,
    )
    assert epoch == len(leases) == (last.fencing_token if last else 0)
    before, after = STATES[operation]
    assert state in (before, after)
    return bool(state == after)


_HELD = [("worker:1", None)], ["lease.acquire"], []
_RELEASED = [("worker:1", EndReason.RELEASED)], ["lease.acquire", "lease.release"], []

STATES: dict[str, tuple[Any, Any]] = {
    "acquire": (([], [], []), _HELD),
    "acquire after another": (
        _HELD,
        (
            [("worker:1", EndReason.EXPIRED), ("worker:1", None)],
            ["lease.acquire", "lease.expire", "lease.acquire"],
            [],
        ),
    ),
    "release": (_HELD, _RELEASED),
    "force_release": (
        _HELD,
        ([("worker:1", EndReason.FORCED)], ["lease.acquire", "lease.force_release"], []),
    ),
    "handover": (
        _HELD,
        (
            [("worker:1", EndReason.TRANSFERRED), ("worker:2", None)],
            ["lease.acquire", "lease.handover", "lease.acquire"],
            [],
        ),
    ),
    "expire_due": (
        _HELD,
        ([("worker:1", EndReason.EXPIRED)], ["lease.acquire", "lease.expire"], []),
    ),
    "add_many": (
        _HELD,
        (
            [("worker:1", None)],
            ["lease.acquire", "objects.add"],
            [(0, None), (1, None), (2, None)],
        ),
    ),
    "add_many, some again": (
        ([("worker:1", None)], ["lease.acquire", "objects.add"], [(0, 1)]),
        (
            [("worker:1", None)],
            ["lease.acquire", "objects.add", "objects.add"],
            [(0, 2), (1, 2), (2, 2)],
        ),
    ),
}
"""What is there before each operation, and after it: leases, entries, objects."""
