"""``python -m benchmarks.imports``: what starting costs, and which packages it is spent on."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.databases import open_ours
from benchmarks.migrations import IMPORTS
from benchmarks.processes import environment, run
from benchmarks.record import save
from benchmarks.timing import Contender, interleave

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
    times = interleave([_starting(arguments) for arguments in processes.values()], rounds)
    return [
        {"start": name, "ms": round(median(taken.wall) * 1e3, 1), **imported(arguments)}
        for (name, arguments), taken in zip(processes.items(), times, strict=True)
    ]


def imported(arguments: Sequence[str]) -> dict[str, Any]:
    """How many modules, and the milliseconds of each package's own, without those it imports.

    Python's own modules are one package.  Noting the times slows the imports down by about half.
    """
    found = modules(arguments)
    own: Counter[str] = Counter()
    for name, microseconds in found:
        top = name.partition(".")[0]
        own["python" if top.lstrip("_") in _OF_PYTHON else top] += microseconds
    packages = {name: round(us / 1e3, 1) for name, us in own.most_common(LARGEST)}
    rest = sum(own.values()) / 1e3 - sum(packages.values())
    if len(own) > LARGEST:
        packages["others"] = round(rest, 1)
    return {"modules": len(found), "packages_ms": packages}


def modules(arguments: Sequence[str]) -> list[tuple[str, int]]:
    """Each module that a process imports, with the microseconds of its own."""
    command = [sys.executable, "-X", "importtime", *arguments]
    said = subprocess.run(
        command, check=True, env=environment(), capture_output=True, text=True
    ).stderr
    return [(match[2], int(match[1])) for match in map(_line, said.splitlines()) if match]


_OF_PYTHON = {name.lstrip("_") for name in sys.stdlib_module_names} | {"distutils", "site"}


def _starting(arguments: Sequence[str]) -> Contender:
    return lambda: partial(run, sys.executable, *arguments, is_quiet=True)


if __name__ == "__main__":
    main()
