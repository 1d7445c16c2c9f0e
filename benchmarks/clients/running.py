"""1 to 64 clients on PostgreSQL, 1 to 8 on a SQLite file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.clients.crowd import ClientFailed
from benchmarks.clients.rows import Row, rows
from benchmarks.clients.work import Place
from benchmarks.databases import all_ids, open_ours, project_of
from benchmarks.places import Files
from benchmarks.record import load_at_first, save
from benchmarks.scale import FULL, QUICK
from benchmarks.server import Server

COUNTS = {"sqlite": (1, 2, 4, 8), "postgres": (1, 2, 4, 8, 16, 32, 64)}
QUICK_COUNTS = (1, 3)

SECONDS = 8.0
QUICK_SECONDS = 0.6

COLUMNS = (
    ("database", "database", 9),
    ("clients", "clients", 7),
    ("work", "work", 10),
    ("writers", "writers", 7),
    ("reads/s", "reads_per_second", 9),
    ("p50 ms", "read_p50_ms", 8),
    ("p99 ms", "read_p99_ms", 8),
    ("writes/s", "writes_per_second", 9),
    ("p50 ms", "write_p50_ms", 8),
    ("p99 ms", "write_p99_ms", 8),
    ("raw reads/s", "raw_reads_per_second", 11),
    ("ratio", "ratio", 6),
    ("errors", "errors", 6),
)
"""Of the table: the heading, the row's field, and the width."""


def main(asked: Namespace) -> None:
    seconds = asked.seconds or (QUICK_SECONDS if asked.quick else SECONDS)
    scale = QUICK if asked.quick else FULL
    print(_line([name for name, _, _ in COLUMNS]), flush=True)
    notes = [load_at_first(), f"{seconds:g} s of each kind of work."]
    found: list[Row] = []
    counts = dict.fromkeys(COUNTS, QUICK_COUNTS) if asked.quick else COUNTS
    try:
        if asked.only != "postgres":
            with TemporaryDirectory(prefix="forgedb-clients-") as folder:
                url = Files(scale, Path(folder)).base
                found += map(_shown, _measured("sqlite", url, seconds, counts))
        if asked.only != "sqlite":
            with Server(on_disk=True) as server:
                notes.append(f"{server.words()}.")
                print(server.words(), flush=True)
                url = server.base(scale)
                found += map(_shown, _measured("postgres", url, seconds, counts))
    except ClientFailed as error:
        raise SystemExit(f"a client failed, so nothing is kept:\n{error}") from None
    if asked.save:
        print(save("clients", found, notes=" ".join(notes)))


def _measured(
    database: str, url: str, seconds: float, counts: Mapping[str, tuple[int, ...]]
) -> Iterator[Row]:
    with open_ours(url) as db:
        place = Place(url, project_of(db), tuple(all_ids(db)))
    yield from rows(database, place, counts[database], seconds)


def _shown(row: Row) -> Row:
    print(_line([str(row.get(field, "")) for _, field, _ in COLUMNS]), flush=True)
    return row


def _line(cells: list[str]) -> str:
    widths = [width for _, _, width in COLUMNS]
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
