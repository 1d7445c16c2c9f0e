"""The same work in a database that grows, on both databases."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from benchmarks.growth import imports, works
from benchmarks.growth.places import grow, growing
from benchmarks.places import Databases, Files
from benchmarks.record import load, load_at_first, save
from benchmarks.scale import FULL
from benchmarks.server import Server

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK_SIZES = (200, 400)

IMPORTS = (1_000, 10_000, 100_000, 1_000_000)
QUICK_IMPORTS = (60, 120)

DATABASES = ("sqlite", "postgres")

Found: TypeAlias = dict[str, Any]


def main(asked: Namespace) -> None:
    sizes = sorted(asked.sizes or (QUICK_SIZES if asked.quick else SIZES))
    scale = works.QUICK if asked.quick else works.FULL
    notes = [load_at_first()]
    found: list[Found] = []
    for database in DATABASES:
        if asked.only in (None, database):
            with TemporaryDirectory(prefix="forgedb-growth-") as folder, Server() as server:
                importing = QUICK_IMPORTS if asked.quick else IMPORTS
                for row in _measured(database, Path(folder), server, sizes, importing, scale):
                    print(line(row), flush=True)
                    found.append(row)
                if database == "postgres":
                    notes.append(f"{server.words()}.")
    if asked.save:
        # Keep the saved rows of other databases and sizes.
        kept = {_key(row): row for row in load("growth")["rows"]}
        kept |= {_key(row): row for row in found}
        print(save("growth", [*kept.values()], notes=" ".join(notes)))


def _key(row: Found) -> tuple[Any, ...]:
    return row["database"], row["work"], row["objects"]


def _measured(
    database: str,
    folder: Path,
    server: Server,
    sizes: Sequence[int],
    importing: Sequence[int],
    scale: works.Scale,
) -> Iterator[Found]:
    place = Files(FULL, folder) if database == "sqlite" else Databases(FULL, server)
    with growing(place) as (db, put, settle):
        for grown in grow(db, put, settle, sizes):
            yield from works.rows(database, grown, scale)
    yield from imports.measured(database, place.empty("imports"), folder, importing)


def line(row: Found) -> str:
    """A row for people."""
    if "peak_bytes" in row:
        ours, of_git = (row[name] / 2**20 for name in ("peak_bytes", "git_peak_bytes"))
        what = f"{ours:.0f} MiB, {of_git:.0f} MiB of git's, {row['seconds']:.1f} s"
    elif "bytes" in row:
        what = f"{row['bytes']} bytes"
    else:
        first, third = (each * 1e6 for each in row["quartiles"])
        what = f"{row['seconds'] * 1e6:,.2f} µs ({first:,.2f} to {third:,.2f})"
    return f"{row['database']:<9} {row['objects']:>11,}  {row['work']:<9} {row['of']:<26} {what}"
