"""``python -m benchmarks.imports``: what starting costs, and which packages it is spent on."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.databases import open_ours
from benchmarks.migrations import IMPORTS
from benchmarks.record import save

ROUNDS = 40
QUICK_ROUNDS = 2

LARGEST = 6
"""So many packages are named; the rest is one number."""

_line = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)").match


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.imports", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="too little work to judge by")
    parser.add_argument("--save", action="store_true", help="keep it in benchmarks/results")
    asked = parser.parse_args()
    rounds = QUICK_ROUNDS if asked.quick else ROUNDS
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        path = Path(folder) / "migrated.db"
        with open_ours(path) as db:
            db.migrate()
        rows = measured(starts(f"sqlite:///{path}"), rounds)
    for row in rows:
        packages = ", ".join(f"{name} {ms:.1f}" for name, ms in row["packages_ms"].items())
        print(f"{row['start']:<36} {row['ms']:6.1f} ms, {row['modules']:3} modules: {packages}")
    if asked.save:
        print(save("startup", rows))


def starts(url: str) -> dict[str, Sequence[str]]:
    """What a process is started with, by what it is called."""
    return {
        "nothing": ("-c", "pass"),
        IMPORTS: ("-c", IMPORTS),
        "import forgedb": ("-c", "import forgedb"),
        "forgedb.connect": ("-c", f"import forgedb; forgedb.connect({url!r}).close()"),
        "forgedb --version": ("-m", "forgedb", "--version"),
        "forgedb migrate, nothing pending": ("-m", "forgedb", "--url", url, "migrate"),
    }


def measured(processes: dict[str, Sequence[str]], rounds: int) -> list[dict[str, Any]]:
    """A row for each: the median of its milliseconds, which take turns, and what it imports."""
    taken: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name, arguments in processes.items():
            seconds = _timed(lambda given=arguments: _run(*given))
            if number:
                # The first one of each finds what it needs on the disk.
                taken[name].append(seconds * 1e3)
    return [
        {"start": name, "ms": round(median(taken[name]), 1), **imported(arguments)}
        for name, arguments in processes.items()
    ]


def imported(arguments: Sequence[str]) -> dict[str, Any]:
    """How many modules, and the milliseconds of each package's own, without those it imports.

    Python's own modules are one package.  Noting the times slows the imports down by about half.
    """
    said = _run("-X", "importtime", *arguments).stderr
    found = [(match[2], int(match[1])) for match in map(_line, said.splitlines()) if match]
    own: Counter[str] = Counter()
    for name, microseconds in found:
        top = name.partition(".")[0]
        own["python" if top.lstrip("_") in _OF_PYTHON else top] += microseconds
    packages = {name: round(us / 1e3, 1) for name, us in own.most_common(LARGEST)}
    rest = sum(own.values()) / 1e3 - sum(packages.values())
    if len(own) > LARGEST:
        packages["others"] = round(rest, 1)
    return {"modules": len(found), "packages_ms": packages}


_OF_PYTHON = {name.lstrip("_") for name in sys.stdlib_module_names} | {"distutils", "site"}


def _timed(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, *arguments], check=True, env=environment, capture_output=True, text=True
    )


if __name__ == "__main__":
    main()
