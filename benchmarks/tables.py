"""Writes what is in ``benchmarks/results`` into the docs' tables.

A table stands between ``<!-- results: NAME -->`` and ``<!-- end -->``; its NAME says which.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.record import load
from benchmarks.report import VERDICTS

DOCS = Path(__file__).parents[1] / "docs"

PAGES = ("benchmarks", "growth", "clients", "startup")

Kept: TypeAlias = Mapping[str, Any]
"""A row of a result."""

_block = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

_BOUND = ("get", "page", "lease", "repository", "depth", "add-many")

LIMITS: Mapping[str, Sequence[str]] = {
    "SQLite": [*_BOUND, "migrate", *(f"await-{name}" for name in _BOUND)],
    "PostgreSQL": [
        *(f"postgres-{name}" for name in _BOUND),
        *(f"postgres-await-{name}" for name in _BOUND),
    ],
}
"""The names of each table's rows, in their order."""

PEER_WORKS = {
    "get": "get by id",
    "create": "create, audited",
    "page": "page at depth 900,000",
    "lease": "lease acquire + release",
    "missing": "missing of 10,000",
    "add": "insert of 1 M, for one",
}

PEER_PREFIXES = {"SQLite": "peers-", "PostgreSQL": "postgres-peers-"}
"""How the names of each database's rows begin."""

GROWN = {
    "get": "repository by id",
    "page": "page of 100 repositories",
    "objects": "page of 100 objects",
    "missing": "`missing`, for an oid",
    "add_many": "`add_many`, for an object",
    "lease": "lease, acquired and released",
    "bytes": "bytes for an object",
}


def write() -> None:
    """Into each page."""
    for page in PAGES:
        path = DOCS / f"{page}.md"
        path.write_text(written(path.read_text("utf-8")), "utf-8")


def written(page: str) -> str:
    """The page with the tables as the results have them."""
    return _block.sub(lambda found: f"{found[1]}{_table(found[2])}\n{found[3]}", page)


def _table(name: str) -> str:
    kind, _, which = name.partition(", ")
    return TABLES[kind](which)


def _limit(which: str) -> str:
    rows = load("limit")["rows"]
    heads = ("work", "against", "raw", "forgedb", "ratio", "quartiles", "CPU", "bound", "")
    chosen = [row for name in LIMITS[which] for row in rows if row["name"] == name]
    return _markdown(heads, map(_against, chosen))


def _against(row: Kept) -> list[str]:
    first, third = row["ratio_quartiles"]
    bound = row["bound"]
    return [
        row["work"].replace(", PostgreSQL", ""),
        row["against"],
        time(row["raw_seconds"]),
        time(row["our_seconds"]),
        f"**{row['ratio']:.2f}**",
        f"{first:.2f}-{third:.2f}",
        f"{row['cpu_ratio']:.2f}",
        "" if bound is None else f"{bound:g}",
        VERDICTS[row["is_within"]],
    ]


def _peers(which: str) -> str:
    """The table of "SQLite", "SQLite, awaited" or the like: a line for each work."""
    database, _, awaited = which.partition(", ")
    rows = peers(database, awaited=bool(awaited))
    names = list(dict.fromkeys(row["against"] for row in rows))
    lines = []
    for work, words in PEER_WORKS.items():
        found = {row["against"]: row for row in rows if row["name"].endswith(f"peers-{work}")}
        ours = next(iter(found.values()))["our_seconds"]
        lines.append([words, time(ours), *(_times_as_long(found.get(name)) for name in names)])
    return _markdown(("work", "forgedb", *names), lines)


def peers(database: str, *, awaited: bool) -> list[Kept]:
    """The rows of one database's peers."""
    prefix = PEER_PREFIXES[database]
    return [
        row
        for row in load("peers")["rows"]
        if row["name"].startswith(prefix) and row["awaited"] is awaited
    ]


def _times_as_long(row: Kept | None) -> str:
    """How many times as long the peer takes."""
    if row is None:
        return ""
    third, first = (1 / each for each in row["ratio_quartiles"])
    spread = f"{figure(first)}-{figure(third)}"
    return f"**{figure(1 / row['ratio'])}** ({spread}), {figure(1 / row['cpu_ratio'])}"


def _growth(which: str) -> str:
    rows = [row for row in load("growth")["rows"] if row["database"] == which]
    sizes = sorted({row["objects"] for row in rows if row["work"] in GROWN})
    lines = []
    for work, words in GROWN.items():
        found = {row["objects"]: row for row in rows if row["work"] == work}
        lines.append([words, *(_grown(found[size]) for size in sizes)])
    return _markdown(("work", *(f"{size:,}" for size in sizes)), lines)


def _grown(row: Kept) -> str:
    if "bytes" in row:
        return f"{row['bytes']:.1f}"
    scale, unit = _unit(row["seconds"])
    middle, first, third = (figure(each * scale) for each in (row["seconds"], *row["quartiles"]))
    return f"{middle} {unit} ({first}-{third})"


def _importing(_which: str) -> str:
    rows = [row for row in load("growth")["rows"] if row["work"] == "import"]
    lines = []
    for size in sorted({row["objects"] for row in rows}):
        found = {row["database"]: row for row in rows if row["objects"] == size}
        lines.append(
            [
                f"{size:,}",
                *(
                    f"{found[name]['peak_bytes'] / 2**20:.0f} MiB, {found[name]['seconds']:.1f} s"
                    for name in ("sqlite", "postgres")
                ),
                f"{found['sqlite']['git_peak_bytes'] / 2**20:.0f} MiB",
            ]
        )
    return _markdown(("objects", "SQLite", "PostgreSQL", "Git's largest process"), lines)


def _clients(which: str) -> str:
    database, _, work = which.partition(", ")
    heads, cells = CLIENTS[work]
    rows = [row for row in load("clients")["rows"] if row["database"] == database]
    return _markdown(heads.split("|"), [cells(row) for row in rows if row["work"] == work])


def _reads(row: Kept) -> list[str]:
    return [
        str(row["clients"]),
        f"{row['reads_per_second']:,.0f}",
        *_latencies(row, "get", "page"),
        f"{row['raw_reads_per_second']:,.0f}",
        f"{row['ratio']:.2f}",
    ]


def _mixed(row: Kept) -> list[str]:
    alone = row["clients"] == 1
    return [
        f"{row['clients']}, {'alternating' if alone else row['writers']}",
        f"{row['reads_per_second']:,.0f}",
        *_latencies(row, "read"),
        f"{row['writes_per_second']:,.0f}",
        *_latencies(row, "write"),
        str(row["errors"]),
    ]


def _to_one_stream(row: Kept) -> list[str]:
    rate = f"{row['writes_per_second']:,.0f}"
    return [str(row["writers"]), rate, *_latencies(row, "write")]


def _latencies(row: Kept, *kinds: str) -> list[str]:
    return [time(row[f"{kind}_p{percent}_ms"] / 1e3) for kind in kinds for percent in (50, 99)]


CLIENTS: Mapping[str, tuple[str, Callable[[Kept], list[str]]]] = {
    "reads": (
        "clients|reads/s|get p50|get p99|page p50|page p99|the driver's reads/s|ratio",
        _reads,
    ),
    "mix": (
        "clients, writers|reads/s|read p50|read p99|writes/s|write p50|write p99|errors",
        _mixed,
    ),
    "one stream": ("writers|entries/s|p50|p99", _to_one_stream),
}
"""For each work, the headings, and the cells of a row."""


def _startup(_which: str) -> str:
    lines = [
        [
            row["start"] if row["start"] == "nothing" else f"`{row['start']}`",
            f"{row['ms']:.1f} ms",
            str(row["modules"]),
            ", ".join(f"{name} {ms:.1f}" for name, ms in row["packages_ms"].items()),
        ]
        for row in load("startup")["rows"]
    ]
    return _markdown(("start", "time", "modules", "milliseconds of each package"), lines)


def _where(which: str) -> str:
    """When and where a result was measured."""
    found = load(which)
    dates = sorted({found["date"], *(row["date"] for row in found["rows"] if "date" in row)})
    machine, versions = found["machine"], found["versions"]
    words = (
        f"{', '.join(dates)}: {machine['cores']} cores of an {machine['processor']},"
        f" {machine['memory_gib']} GiB, {machine['system']}; Python {versions['python']},"
        f" apsw {versions['apsw']}, psycopg {versions['psycopg']}, msgspec {versions['msgspec']}."
        f" {found['notes']}"
    )
    return textwrap.fill(words, 100)


TABLES: Mapping[str, Callable[[str], str]] = {
    "limit": _limit,
    "peers": _peers,
    "growth": _growth,
    "importing": _importing,
    "clients": _clients,
    "startup": _startup,
    "where": _where,
}


def _markdown(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
        for cells in (heads, ["---"] * len(heads), *lines)
    )


def time(seconds: float) -> str:
    """A time with three digits and its unit."""
    scale, unit = _unit(seconds)
    return f"{figure(seconds * scale)} {unit}"


def _unit(seconds: float) -> tuple[float, str]:
    return (1e6, "µs") if seconds < 1e-3 else (1e3, "ms") if seconds < 1 else (1, "s")


def figure(value: float) -> str:
    """A number with three digits, unless it has more before the point."""
    return f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
