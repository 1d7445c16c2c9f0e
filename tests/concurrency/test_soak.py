"""A short soak on each database: ``make soak`` is the same at length; and what its program says."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import forgedb
from forgedb import InvalidValue, SchemaOutdated, Unavailable
from forgedb.testing.soak.attack import attack
from forgedb.testing.soak.clocks import MachineClock
from forgedb.testing.soak.orders import Orders, Plan
from forgedb.testing.soak.process import Process
from tests.concurrency.soak import target_on

# Where writers don't wait for each other anyway, a race shows more, and takes longer to.
SECONDS = {"sqlite": 8, "postgres": 20}


@pytest.mark.parametrize("database", SECONDS)
def test_leases_hold_while_processes_are_stopped_and_killed_and_clocks_are_set(
    database: str,
) -> None:
    short = Plan(minutes=SECONDS[database] / 60, clients=60, seed=20261123)
    with target_on(database) as (url, restart_server):
        result = attack(url, short, restart_server=restart_server)
        assert result.faults == []
        own = {"restart server"} if restart_server else {"set clock", "set clock far back"}
        made = {"stop", "kill", "kill all", *own}
        happened = {"granted", "held", "late"}
        assert {name for name in made | happened if not result.counts.get(name)} == set()
        assert result.counts["granted"] > 20


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/forge.db"
    with forgedb.connect(url, actor="user:ada") as db:
        db.migrate()
    return url


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True
    )


def test_the_program_prints_its_seed_what_it_did_and_how_many_faults_there_are(url: str) -> None:
    soak = ("--url", url, "--minutes", "0.1", "--clients", "4")
    done = _run("forgedb.testing.soak", *soak, "--seed", "7")
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, counts, last = done.stdout.splitlines()
    assert (first, last) == ("seed 7", "0 faults")
    assert re.search(r"\bgranted \d", counts)
    assert _run("forgedb.testing.history", "--url", url).stdout == "0 faults\n"


def test_a_history_with_a_fault_makes_the_program_fail_and_say_which(url: str) -> None:
    with forgedb.connect(url, actor="user:ada") as db:
        project = db.projects.create("p", "P")
        repository = db.repositories.create(project.id, "a")
        db.leases.acquire(repository.id)
        db.client.execute("UPDATE repositories SET lease_epoch = 2")
    done = _run("forgedb.testing.history", "--url", url, repository.id)
    assert (done.returncode, done.stderr) == (1, "")
    token, audit, last = done.stdout.splitlines()
    assert token == (
        f"token: repository {repository.id}: the last lease's is 1, and the repository's epoch 2"
    )
    assert audit.startswith(f"audit: repository {repository.id}: ")
    assert last == "2 faults"


def test_a_database_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    for module in ("forgedb.testing.history", "forgedb.testing.soak"):
        done = _run(module, "--url", f"sqlite:///{tmp_path}/none.db")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: there is no database at ")
    assert list(tmp_path.iterdir()) == []


def test_what_cant_be_attacked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="other processes can't see it"):
        attack("sqlite://", Plan(minutes=0.1, clients=60, seed=20261123))
    with pytest.raises(Unavailable, match="there is no database"):
        attack(f"sqlite:///{tmp_path}/none.db", Plan(minutes=0.1, clients=60, seed=20261123))
    with forgedb.connect(f"sqlite:///{tmp_path}/empty.db"):
        pass
    with pytest.raises(SchemaOutdated):
        attack(f"sqlite:///{tmp_path}/empty.db", Plan(minutes=0.1, clients=60, seed=20261123))
    for minutes, clients in ((0.0, 2), (1e9, 2), (1.0, 1), (1.0, 1_000_000)):
        with pytest.raises(InvalidValue):
            Plan(minutes=minutes, clients=clients)


def test_a_process_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path}/none.db", str(tmp_path / "1.log")
    process = Process(Orders(url, "client:1", 1, 1, [], log, str(tmp_path / "clock")))
    assert process.wait(30) == 1
    assert "there is no database at" in process.errors()
    assert [*process.lines()] == []


def test_the_machines_clock_is_set_for_all_who_share_its_file(tmp_path: Path) -> None:
    one, other = MachineClock(tmp_path / "clock"), MachineClock(tmp_path / "clock")
    assert other.offset == timedelta(0)
    one.set(timedelta(seconds=-90))
    assert (other.offset, other.steps) == (timedelta(seconds=-90), 1)
    assert other.now() < datetime.now(UTC) - timedelta(seconds=89)
