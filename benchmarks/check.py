"""Whether forgedb still costs what it did when its ratios were committed.

For work of a single process instructions are counted, with valgrind.  Where a server or the system
takes part, times are measured, and may differ by much more.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks import counting, reads, record, writes
from benchmarks.places import Databases, Files
from benchmarks.scale import FULL
from benchmarks.server import Server
from benchmarks.timing import Row

NAME = "check"

TOLERANCES = {"instructions": 0.03, "time": 0.2}
"""By which share a ratio may differ from the committed one, by what was measured."""

ACCEPT = "python -m benchmarks check --accept"


class Ratio(NamedTuple):
    """forgedb's cost as a multiple of the driver's for the same work."""

    measure: str
    work: str
    ratio: float


class Comparison(NamedTuple):
    """A line of the result; ``is_worse`` fails the check."""

    words: str
    is_worse: bool


def main(asked: Namespace) -> int:
    if not counting.is_there():
        sys.stderr.write("valgrind counts the instructions, and isn't installed: install it\n")
        return 2
    kept: dict[str, Any] = {"rows": [], "versions": {}}
    with suppress(FileNotFoundError):
        kept = record.load(NAME)
    committed = [Ratio(**row) for row in kept["rows"]]
    found = counted() if asked.short else [*counted(), *timed()]
    if asked.accept:
        record.save(NAME, [each._asdict() for each in merged(committed, found)])
        return 0
    for words in differing_versions(kept["versions"], record.versions()):
        print(words)
    lines = compare(committed, found)
    for line in lines:
        print(line.words)
    return 1 if any(line.is_worse for line in lines) else 0


def counted() -> list[Ratio]:
    """The ratios of instructions."""
    return [Ratio("instructions", work, ratio) for work, ratio in counting.ratios().items()]


def timed() -> list[Ratio]:
    """The ratios of time."""
    rows: list[Row] = []
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        files = Files(FULL, Path(folder))
        for measure in (reads.get, reads.page, writes.lease, writes.repository):
            rows += measure(files)
    with Server() as server:
        databases = Databases(FULL, server)
        for measure in (reads.get, reads.page, writes.lease):
            rows += measure(databases)
    return [Ratio("time", f"{row.work}, against {row.against}", row.ratio) for row in rows]


def merged(kept: Sequence[Ratio], found: Sequence[Ratio]) -> list[Ratio]:
    """The ratios found, and the committed ones of a measure that was not taken."""
    taken = {each.measure for each in found}
    return [*found, *(each for each in kept if each.measure not in taken)]


def compare(kept: Sequence[Ratio], found: Sequence[Ratio]) -> list[Comparison]:
    """Compare each ratio with the committed one, if its measure was taken."""
    committed = {each[:2]: each.ratio for each in kept}
    taken = {each.measure for each in found}
    lines = [_compared(each, committed.pop(each[:2], None)) for each in found]
    for measure, work in committed:
        if measure in taken:
            lines.append(Comparison(f"{work}: {measure} weren't measured any more", is_worse=True))
    return lines


def _compared(found: Ratio, committed: float | None) -> Comparison:
    measure, work, ratio = found
    if committed is None:
        return Comparison(f"{work}: {ratio:.3f} in {measure} is not committed: {ACCEPT}", True)
    change, tolerance = ratio / committed - 1, TOLERANCES[measure]
    words = f"{work}: {ratio:.3f} in {measure}, committed {committed:.3f}, {change:+.1%}"
    if change > tolerance:
        return Comparison(f"{words}: beyond {tolerance:.0%}; find out why, or {ACCEPT}", True)
    if change < -tolerance:
        return Comparison(f"{words}: better; keep it with {ACCEPT}", False)
    return Comparison(words, False)


def differing_versions(kept: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """The versions that differ from those of the committed measurement."""
    return [
        f"{name} is {here[name]} here, and was {version} when the ratios were committed"
        for name, version in kept.items()
        if name in here and here[name] != version
    ]
