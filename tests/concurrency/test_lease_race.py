"""Threads that race for one lease, and leases with a bug each, which the same race must show."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, EndReason, Repository
from forgedb.dao.objects import ObjectsDao
from forgedb.testing.history import Observation, check
from forgedb.testing.soak.client import Client
from tests.concurrency.mutants import (
    AsksForNoLease,
    AuditsNothing,
    AuditsTwice,
    ChecksBeforeTheLock,
    KeepsTheToken,
    Plain,
    ReadsTheClockBeforeTheLock,
    TakesByOneStatement,
    WaitsForTheStamp,
    without_backstops,
)

TERM_SECONDS = (0.002, 0.02)


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


def _race(
    daos: Callable[[str], tuple[Any, Any]],
    repository: Repository,
    seconds: float,
    competitors: int,
    slower: float = 1.0,
    *,
    number: int = 0,
) -> list[Observation]:
    """What the competitors were told."""
    told: list[Observation] = []
    until = time.monotonic() + seconds

    def compete(seed: int) -> None:
        name = f"worker:{seed}"
        terms = slower * TERM_SECONDS[0], slower * TERM_SECONDS[1]
        chance = random.Random(seed + competitors * number)
        client = Client(name, *daos(name), [repository.id], chance, told.append, terms=terms)
        client.live(until)

    with ThreadPoolExecutor(competitors) as threads:
        list(threads.map(compete, range(competitors)))
    return told


def test_threads_on_one_database_never_hold_one_lease_at_once(url: str) -> None:
    _threads_never_hold_one_lease_at_once(url)


def test_threads_on_a_database_in_memory_never_hold_one_lease_at_once() -> None:
    _threads_never_hold_one_lease_at_once("sqlite://")


def _threads_never_hold_one_lease_at_once(url: str) -> None:
    db, repository = _new(url)

    def daos(name: str) -> tuple[Any, Any]:
        acting = db.acting_as(name)
        return acting.leases, acting.objects

    with db:
        # Over a connection all takes longer, and leases that are over when they come show little.
        seconds, slower = (0.7, 1.0) if url.startswith("sqlite") else (6.0, 16.0)
        told = _race(daos, repository, seconds, 8, slower)
        assert check(db, [repository.id], told, complete=True) == []
        leases = db.leases.history(repository.id, limit=1000).items
        assert len(leases) >= 20
        assert {lease.end_reason for lease in leases} >= set(EndReason)
        assert len({lease.holder for lease in leases}) > 1
        assert db.repositories.get(repository.id).lease_epoch == leases[-1].fencing_token


# The check finds what it is there for.

RACES_MAX = 150


@pytest.mark.parametrize(
    ("leases", "objects", "rule"),
    [
        (Plain, ObjectsDao, None),
        (ChecksBeforeTheLock, ObjectsDao, "overlap"),
        (ChecksBeforeTheLock, ObjectsDao, "alone"),
        (ReadsTheClockBeforeTheLock, ObjectsDao, "overlap"),
        (WaitsForTheStamp, ObjectsDao, "stuck"),
        (KeepsTheToken, ObjectsDao, "token"),
        (Plain, AsksForNoLease, "write"),
        (AuditsTwice, ObjectsDao, "audit"),
        (AuditsNothing, ObjectsDao, "audit"),
    ],
)
def test_a_race_of_leases_with_a_bug_is_told_from_one_without(
    url: str, leases: type[Plain], objects: type[ObjectsDao[Any]], rule: str | None
) -> None:
    _race_shows(rule, url, leases, objects)


@pytest.mark.parametrize("rule", ["overlap", "alone"])
def test_a_conditional_update_with_a_sub_select_grants_twice_on_postgres(
    postgres: Any, rule: str
) -> None:
    with postgres.new(migrated=True) as url:
        _race_shows(rule, url, TakesByOneStatement)


def test_a_conditional_update_with_a_sub_select_is_right_where_writers_take_turns(
    tmp_path: Path,
) -> None:
    _race_shows(None, f"sqlite:///{tmp_path}/forge.db", TakesByOneStatement)


def _race_shows(
    rule: str | None,
    url: str,
    leases: type[Plain],
    objects: type[ObjectsDao[Any]] = ObjectsDao,
) -> None:
    db, repository = _new(url)
    without_backstops(db)
    # What is gone of the schema is told, too, and is no fault of the race.
    gone = check(db, [repository.id])

    def daos(name: str) -> tuple[Plain, ObjectsDao[Any]]:
        acting = db.acting_as(name)
        bound = acting._runner, acting._context
        return leases(*bound), objects(*bound)

    told: list[Observation] = []
    rules: set[str] = set()
    with db:
        # Who believed to be alone shows where leases outlast the answers.
        slower = 4.0 if rule == "alone" and db.client.dialect == "postgres" else 1.0
        # A busy machine may let one race go by without the bug; not all of them.
        for number in range(1 if rule is None else RACES_MAX):
            told += _race(daos, repository, 0.3, 3, slower, number=number)
            faults = check(db, [repository.id], told, complete=True)
            rules = {fault.rule for fault in faults if fault not in gone}
            if rule in rules:
                break
    assert len(told) > 3
    if rule is None:
        assert rules == set()
    else:
        assert rule in rules
