"""Deploys at once: each file is applied once, and a check that has seen every bug it names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgedb import Database
from forgedb.migrations import Runner
from tests.migrations import mutants
from tests.migrations.mutants import (
    AsksForNoLock,
    BeginsNoTransaction,
    ReadsTheHistoryOnce,
    without_backstop,
)
from tests.migrations.racing import Race, competitors, faults_of, write_steps
from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import Databases

PROCESSES = 8
FILES = 200
REPEATS = 3

FILES_OF_A_MUTANT = 20

RACES_OF_A_MUTANT = 5
"""On a busy machine one process may be through before the others have begun."""


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    with competitors(PROCESSES) as race:
        yield race


@pytest.fixture
def steps(tmp_path: Path) -> Path:
    return tmp_path / "steps"


@pytest.mark.parametrize("repeat", range(REPEATS))
def test_eight_processes_apply_each_of_200_files_once(
    race: Race, url: str, steps: Path, repeat: int
) -> None:
    write_steps(steps, FILES)
    told = race(Runner, url, steps)
    assert faults_of(url, told, FILES) == []
    assert len([numbers for numbers in told if numbers]) > 1, f"race {repeat} was none"


# Who has no PgBouncer does without; where all is checked, a missing one is a failure.
if pgbouncer_program() is not None or os.environ.get("CI"):

    @pytest.mark.parametrize("dialect", ["postgres"])
    def test_a_pooler_that_lends_connections_by_the_transaction_changes_nothing_about_it(
        race: Race, url: str, postgres: Databases, steps: Path
    ) -> None:
        write_steps(steps, FILES)
        pooled = f"{postgres.through_pgbouncer(url)}?prepare_threshold=never"
        told = race(Runner, pooled, steps)
        assert faults_of(url, told, FILES) == []


def test_each_mutant_is_one_of_the_code_that_is_there() -> None:
    for mutant in vars(mutants).values():
        if isinstance(mutant, type) and mutant.__module__ == mutants.__name__:
            own = {name for name in vars(mutant) if not name.startswith("__")}
            assert own
            assert own <= {*dir(mutant.__base__)}, mutant


def _is_caught(mutant: type[Runner], race: Race, url: str, db: Database, steps: Path) -> bool:
    write_steps(steps, FILES_OF_A_MUTANT)
    for _ in range(RACES_OF_A_MUTANT):
        without_backstop(db)
        faults = faults_of(url, race(mutant, url, steps), FILES_OF_A_MUTANT)
        if any("is done" in fault for fault in faults):
            return True
        for table in ("log", "app_schema_migrations"):
            db.client.execute(f"DROP TABLE {table}")
    return False


@pytest.mark.parametrize("mutant", [ReadsTheHistoryOnce, BeginsNoTransaction])
def test_a_race_catches_a_runner_that_does_not_read_again_or_does_not_lock(
    mutant: type[Runner], race: Race, url: str, db: Database, steps: Path
) -> None:
    assert _is_caught(mutant, race, url, db, steps)


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_race_catches_a_runner_that_takes_a_transaction_for_a_lock(
    race: Race, url: str, db: Database, steps: Path
) -> None:
    assert _is_caught(AsksForNoLock, race, url, db, steps)
