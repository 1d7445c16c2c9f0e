"""Instructions counted by callgrind: what forgedb takes for a work, as a ratio to the raw one.

Counts move by less than a hundredth from run to run, where times move by a tenth.  They leave out
what the system does, waiting above all: for that there are times.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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

_collected = re.compile(r"Collected : (\d+)")


def is_there() -> bool:
    """Whether this machine has the program that counts."""
    return shutil.which(VALGRIND[0]) is not None


def ratios() -> dict[str, float]:
    """The ratio of each work."""
    _compile()
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        filled = Files(COUNTED, Path(folder)).base
        runs = [(work, side) for work in WORKS for side in SIDES]
        runs += [(MIGRATE, side) for side in SIDES[1:]]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as together:
            taken = together.map(lambda run: _count(*run, filled), runs)
            counts = dict(zip(runs, taken, strict=True))
    found = {}
    for work in (*WORKS, MIGRATE):
        before = counts.get((work, "neither"), 0)
        found[work] = (counts[work, "ours"] - before) / (counts[work, "raw"] - before)
    return found


def _compile() -> None:
    """Have Python's compiled code written, which is no part of any work."""
    for module in (("compileall", "-q", "src"), ("benchmarks.counted",)):
        command = [sys.executable, "-m", *module]
        subprocess.run(command, check=True, cwd=ROOT, env=_alike())


def _count(work: str, side: str, filled: str) -> int:
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        if work != MIGRATE:
            return instructions("-m", "benchmarks.counted", work, side, filled, folder)
        if side == "raw":
            return instructions("-c", IMPORTS)
        url = Files(COUNTED, Path(folder)).copy(filled, "migrated")
        return instructions("-m", "forgedb", "--url", url, "migrate")


def instructions(*arguments: str) -> int:
    """How many a process of this interpreter takes."""
    done = subprocess.run(
        [*VALGRIND, sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_alike(),
    )
    collected = _collected.search(done.stderr)
    if done.returncode or collected is None:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr}")
    return int(collected[1])


def _alike() -> dict[str, str]:
    """An environment in which a run takes what the last one took."""
    return environment(PYTHONHASHSEED="0")
