"""What starting a process costs, and how much of it each package takes."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.databases import open_ours
from benchmarks.migrations import IMPORTS, OURS
from benchmarks.places import Place
from benchmarks.processes import environment, run
from benchmarks.record import save
from benchmarks.timing import Contender, Row, interleave

ROUNDS = 40
QUICK_ROUNDS = 2

LARGEST = 6
"""How many packages are listed; the others are summed up."""

_line = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| +(\S+)").match


def migrate(place: Place) -> Iterator[Row]:
    """A migration with nothing to do, compared with its unavoidable imports, as whole processes."""
    raw, ours = interleave(
        [
            _starting(("-c", IMPORTS)),
            lambda: partial(run, *OURS, "--url", place.base, "migrate", is_quiet=True),
        ],
        place.scale.process_rounds,
    )
    yield Row("migrate", "forgedb migrate, nothing pending", IMPORTS, 1, 1.3, raw, ours)


def main(asked: Namespace) -> None:
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        url = f"sqlite:///{folder}/migrated.db"
        with open_ours(url) as db:
            db.migrate()
        rows = measured(starts(url), QUICK_ROUNDS if asked.quick else ROUNDS)
    for row in rows:
        packages = ", ".join(f"{name} {ms:.1f}" for name, ms in row["packages_ms"].items())
        print(f"{row['start']:<36} {row['ms']:6.1f} ms, {row['modules']:3} modules: {packages}")
    if asked.save:
        print(save("startup", rows))


def starts(url: str) -> dict[str, Sequence[str]]:
    """The arguments of each process, by its name."""
    return {
        "nothing": ("-c", "pass"),
        IMPORTS: ("-c", IMPORTS),
        "import forgedb": ("-c", "import forgedb"),
        "forgedb.connect": ("-c", f"import forgedb; forgedb.connect({url!r}).close()"),
        "forgedb --version": ("-m", "forgedb", "--version"),
        "forgedb migrate, nothing pending": ("-m", "forgedb", "--url", url, "migrate"),
    }


def measured(processes: dict[str, Sequence[str]], rounds: int) -> list[dict[str, Any]]:
    """A row for each process, which take turns: the median of milliseconds, and what it imports."""
    times = interleave([_starting(arguments) for arguments in processes.values()], rounds)
    return [
        {"start": name, "ms": round(median(taken.wall) * 1e3, 1), **imported(arguments)}
        for (name, arguments), taken in zip(processes.items(), times, strict=True)
    ]


def imported(arguments: Sequence[str]) -> dict[str, Any]:
    """How many modules, and the milliseconds of each package's own, without those it imports.

    Python's own modules count as one package.  Measuring slows the imports down by about half.
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
