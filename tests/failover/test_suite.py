"""A failure of each kind, on a cluster under load; ``make failover`` makes more of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forgedb.testing.failover.suite import PATRONI, RUNS
from forgedb.testing.servers.patroni import is_installed
from forgedb.testing.servers.programs import installed_programs
from tests.servers.postgres import embedded_programs

PROGRAMS = installed_programs()

OLDER = 15

# Who has no older server does without; where all is checked, a missing one is a failure.
VERSIONS = sorted({18, *({OLDER} if OLDER in PROGRAMS or os.environ.get("CI") else ())})

ON_THE_NEWEST = ("sync", "slow", "cancelled", "lagging", "split", "revived", "frozen", "dumped")
ON_THE_OLDER = ("apply", "lagging", "frozen-sync", "recovered", "put-back", "upgraded")

SHORT = [
    *((kind, 18) for kind in ON_THE_NEWEST),
    *((kind, OLDER) for kind in ON_THE_OLDER if OLDER in VERSIONS),
]


@pytest.mark.parametrize(("kind", "version"), SHORT, ids=str)
def test_the_promises_hold_when_a_primary_fails(kind: str, version: int) -> None:
    result = RUNS[kind](PROGRAMS[version], failovers=1, seed=20261129)
    assert [str(fault) for fault in result.faults] == []
    assert len(result.gap_seconds) == 1
    assert result.counts["grants"] > 10


if is_installed() or os.environ.get("CI"):

    def test_the_promises_hold_when_patroni_replaces_a_primary() -> None:
        result = RUNS[PATRONI](embedded_programs(), failovers=1, seed=20261129)
        assert [str(fault) for fault in result.faults] == []
        assert result.counts["grants"] > 10


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forgedb.testing.failover", *arguments],
        capture_output=True,
        text=True,
    )


def test_the_program_prints_its_seed_what_happened_and_how_many_faults_there_are() -> None:
    done = _run(
        *("--kind", "sync", "--failovers", "1", "--seed", "7"),
        *("--programs", str(embedded_programs())),
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, whole, last = done.stdout.splitlines()
    assert (first, last) == ("seed 7", "0 faults")
    assert whole.startswith("PostgreSQL 18, sync: grants ")


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    done = _run("--programs", str(tmp_path))
    assert done.returncode == 1
    assert "there is no postgres to run" in done.stderr
