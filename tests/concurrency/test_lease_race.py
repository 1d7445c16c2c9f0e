"""Processes and threads that race for one lease, and a checker that has seen every bug it names."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, EndReason, Lease, Repository
from forgedb.dao.objects import ObjectsDao
from tests.concurrency import checker
from tests.concurrency.mutants import (
    AsksForNoLease,
    AuditsNothing,
    AuditsTwice,
    ChecksBeforeTheLock,
    KeepsTheToken,
    Plain,
    ReadsTheClockBeforeTheLock,
    without_backstops,
)
from tests.concurrency.racing import Grant, compete, compete_as_a_process
from tests.conformance.conftest import START
from tests.conformance.values import FREE

COMPETITORS = 4


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/forge.db"
        return
    with request.getfixturevalue("postgres").new(migrated=True) as url:
        yield url


def _new(url: str) -> tuple[Database, Repository]:
    db = forgedb.connect(url, actor="user:ada")
    db.migrate()
    project = db.projects.create("p", "P")
    return db, db.repositories.create(project.id, "a")


def test_processes_never_hold_one_lease_at_once(url: str) -> None:
    db, repository = _new(url)
    # Where writers don't wait for each other anyway, a race shows more, and takes longer to.
    seconds = 2.5 if url.startswith("sqlite") else 20.0
    spawn = multiprocessing.get_context("spawn")
    with db, ProcessPoolExecutor(COMPETITORS, spawn) as processes:
        start_at = time.time() + 1.0
        racing = [
            processes.submit(compete_as_a_process, url, repository.id, start_at, seconds, seed)
            for seed in range(COMPETITORS)
        ]
        grants = [grant for each in racing for grant in each.result()]
        assert checker.faults_of(db, repository.id, grants) == []
        _was_a_race(db, repository, grants, least=50)
        assert db.repositories.get(repository.id).lease_epoch == len(grants)


def _was_a_race(db: Database, repository: Repository, grants: list[Grant], *, least: int) -> None:
    """Every competitor won often, and leases ended in each of the ways."""
    assert len(grants) >= least
    first = db.leases.history(repository.id, limit=1000).items[:-1]
    assert {lease.end_reason for lease in first} == set(EndReason)
    assert len({lease.holder for lease in first}) > 1


def _race_of_threads(
    daos: Callable[[int], tuple[Any, Any]],
    repository: Repository,
    seconds: float,
    competitors: int,
    slower: float = 1.0,
) -> list[Grant]:
    with ThreadPoolExecutor(competitors) as threads:
        racing = [
            threads.submit(compete, *daos(seed), repository.id, seconds, seed, slower)
            for seed in range(competitors)
        ]
        return [grant for each in racing for grant in each.result()]


def test_threads_on_one_database_never_hold_one_lease_at_once(url: str) -> None:
    _threads_never_hold_one_lease_at_once(url)


def test_threads_on_a_database_in_memory_never_hold_one_lease_at_once() -> None:
    _threads_never_hold_one_lease_at_once("sqlite://")


def _threads_never_hold_one_lease_at_once(url: str) -> None:
    db, repository = _new(url)

    def daos(seed: int) -> tuple[Any, Any]:
        acting = db.acting_as(f"worker:{seed}")
        return acting.leases, acting.objects

    with db:
        # Over a connection all takes longer, and leases that are over when they come show little.
        slower = 1.0 if url.startswith("sqlite") else 8.0
        grants = _race_of_threads(daos, repository, 0.7 * slower, 8, slower)
        assert checker.faults_of(db, repository.id, grants) == []
        _was_a_race(db, repository, grants, least=20)


# The checker finds what it is there for.

RACES_MAX = 150


@pytest.mark.parametrize(
    ("leases", "objects", "found"),
    [
        (Plain, ObjectsDao, None),
        (ChecksBeforeTheLock, ObjectsDao, "overlap"),
        (ChecksBeforeTheLock, ObjectsDao, "two at once"),
        (ReadsTheClockBeforeTheLock, ObjectsDao, "overlap"),
        (KeepsTheToken, ObjectsDao, "token"),
        (Plain, AsksForNoLease, "write"),
        (AuditsTwice, ObjectsDao, "entries"),
        (AuditsNothing, ObjectsDao, "entries"),
    ],
)
def test_a_race_of_leases_with_a_bug_is_told_from_one_without(
    url: str, leases: type[Plain], objects: type[ObjectsDao[Any]], found: str | None
) -> None:
    db, repository = _new(url)
    without_backstops(db)

    def daos(seed: int) -> tuple[Plain, ObjectsDao[Any]]:
        acting = db.acting_as(f"worker:{seed}")
        bound = acting._runner, acting._context
        return leases(*bound), objects(*bound)

    grants: list[Grant] = []
    faults: set[str] = set()
    with db:
        # A busy machine may let one race go by without the bug; not all of them.
        for _ in range(1 if found is None else RACES_MAX):
            grants += _race_of_threads(daos, repository, 0.3, 3)
            given = checker.faults_of(db, repository.id, grants)
            faults = {fault.partition(":")[0] for fault in given}
            if found in faults:
                break
    assert len(grants) > 3
    if found is None:
        assert faults == set()
    else:
        assert found in faults


SECOND = timedelta(seconds=1)


def _lease(token: int, begins: int, ends: int) -> Lease:
    at = START + begins * SECOND
    return Lease(
        f"{FREE[:-2]}{token:02}",
        FREE,
        "worker:1",
        "",
        token,
        None,
        at,
        at + 9 * SECOND,
        START + ends * SECOND,
        EndReason.RELEASED,
        None,
        "worker:1",
        None,
    )


def test_the_checker_takes_leases_that_touch_and_none_that_overlap() -> None:
    assert checker.overlaps([_lease(1, 0, 5), _lease(2, 5, 6), _lease(3, 9, 9)]) == []
    assert checker.overlaps([_lease(1, 0, 5), _lease(2, 4, 6)]) == ["overlap: 1 and 2"]
    # Also one that lies within another, with a third between their ends.
    inside = [_lease(1, 0, 9), _lease(2, 2, 3), _lease(3, 5, 6)]
    assert checker.overlaps(inside) == ["overlap: 1 and 2", "overlap: 1 and 3"]


def test_the_checker_takes_tokens_that_grow_and_no_others() -> None:
    assert checker.tokens([_lease(1, 0, 1), _lease(3, 2, 3)]) == []
    assert checker.tokens([_lease(2, 0, 1), _lease(1, 2, 3)]) == ["token: 2 and then 1"]


def test_the_checker_asks_for_each_lease_at_one_competitor() -> None:
    lease = _lease(1, 0, 1)
    grant = Grant(lease.id, 1, START, START)
    assert checker.told_once([lease], [grant]) == []
    for wrong in ([], [grant, grant], [grant._replace(fencing_token=2)]):
        assert checker.told_once([lease], wrong) != []
