"""``python -m benchmarks``: measures each row and prints it as soon as it is known."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from benchmarks import objects, reads, report, startup, writes
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.timing import Row

Benchmark: TypeAlias = Callable[[Scale, Path], Iterator[Row]]

BENCHMARKS: dict[str, Benchmark] = {
    "get": reads.get,
    "page": reads.page,
    "lease": writes.lease,
    "add-many": objects.add_many,
    "repository": writes.repository,
    "depth": objects.depth,
    "migrate": startup.migrate,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one; repeatable")
    parser.add_argument("--quick", action="store_true", help="too little work to judge by")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    asked = parser.parse_args()
    if not asked.json:
        print(report.header(), flush=True)
    show = report.as_json if asked.json else report.line
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for name in asked.only or BENCHMARKS:
            for row in BENCHMARKS[name](QUICK if asked.quick else FULL, Path(folder)):
                print(show(row), flush=True)


if __name__ == "__main__":
    main()
