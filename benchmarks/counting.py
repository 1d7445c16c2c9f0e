"""Instructions, counted by callgrind: those of forgedb as a ratio to the raw driver's.

Counts vary by less than 1 % from run to run, times by 10 %.  Counts leave out what the system does,
above all waiting: ``check`` measures times for that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.counted import COUNTED, SIDES, WORKS
from benchmarks.migrations import IMPORTS
from benchmarks.places import Files
from benchmarks.processes import environment

ROOT = Path(__file__).parents[1]

VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

MIGRATE = "migrate"
"""Whole processes: ``forgedb migrate`` with nothing to do, beside what the command line imports."""

_collected = re.compile(r"==(\d+)== Collected : (\d+)")
_counted = re.compile(r"^(\d+) (\S+) (\S+)$", re.MULTILINE)


def is_there() -> bool:
    """Whether this machine has the program that counts."""
    return shutil.which(VALGRIND[0]) is not None


def ratios() -> dict[str, float]:
    """The ratio of each work."""
    _compile()
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        filled = Files(COUNTED, Path(folder)).base
        cores = len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(cores) as together:
            migrating = together.map(lambda side: _migrate(side, filled), SIDES[1:])
            # The sides of a work have the same parent, and so inherit the same count.
            parts = together.map(lambda works: _count(works, filled), _shared(cores))
            counts = {run: count for part in parts for run, count in part.items()}
            counts |= {(MIGRATE, side): n for side, n in zip(SIDES[1:], migrating, strict=True)}
    found = {}
    for work in (*WORKS, MIGRATE):
        before = counts.get((work, "neither"), 0)
        found[work] = (counts[work, "ours"] - before) / (counts[work, "raw"] - before)
    return found


def _compile() -> None:
    """Write Python's bytecode files first: compiling is no part of any work."""
    for module in (("compileall", "-q", "src"), ("benchmarks.counted",)):
        command = [sys.executable, "-m", *module]
        subprocess.run(command, check=True, cwd=ROOT, env=_alike())


def _shared(cores: int) -> list[list[str]]:
    """The works, divided among so many processes."""
    return [[*WORKS][first::cores] for first in range(min(cores, len(WORKS)))]


def _count(works: Sequence[str], filled: str) -> dict[tuple[str, str], int]:
    """The count of each side, which includes the imports of their common parent."""
    runs = [(work, side) for work in works for side in SIDES]
    said, of = instructions("-m", "benchmarks.counted", filled, *chain(*runs))
    return {(work, side): of[child] for child, work, side in _counted.findall(said)}


def _migrate(side: str, filled: str) -> int:
    if side == "raw":
        _, of = instructions("-c", IMPORTS)
    else:
        with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
            url = Files(COUNTED, Path(folder)).copy(filled, "migrated")
            _, of = instructions("-m", "forgedb", "--url", url, "migrate")
    (count,) = of.values()
    return count


def instructions(*arguments: str) -> tuple[str, dict[str, int]]:
    """The output of a Python process, and the counts of it and each of its children."""
    done = subprocess.run(
        [*VALGRIND, sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_alike(),
    )
    collected = {process: int(count) for process, count in _collected.findall(done.stderr)}
    if done.returncode or not collected:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr}")
    return done.stdout, collected


def _alike() -> dict[str, str]:
    """An environment in which each run takes the same count."""
    return environment(PYTHONHASHSEED="0")
