"""Bar charts: forgedb's time beside the driver's and the bound; the peers' beside forgedb's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from benchmarks.plots.svg import document, label
from benchmarks.tables import LIMITS, PEER_PREFIXES, PEER_WORKS, figure

Kept: TypeAlias = Mapping[str, Any]

DATABASES = {"SQLite": "sqlite", "PostgreSQL": "postgres"}
"""Each database's colour."""

LINE = 22
NAMES = 380
"""Pixels for a line, and for what it is called."""

RATIO_MAX = 2.0
ACROSS = 420

PANEL, ROOM, COLUMNS = 300, 110, 3
PEER_NAMES = 108
TIMES_MIN, TIMES_MAX = 0.5, 60.0


def limits(rows: Sequence[Kept]) -> str:
    """A line for each work that has a bound: the ratio, its quartiles, and the bound."""
    parts = [*_legend()]
    y = 44.0
    for database in DATABASES:
        names = [name for name in LIMITS[database] if not _is_awaited(name)]
        parts.append(label(0, y, "start", database, "title"))
        for name in names:
            for row in (*_bound(rows, name), *_bound(rows, _awaited(name))):
                y += LINE
                parts += _ratio(row, database, y)
        y += LINE * 1.6
    bottom = y - LINE
    for tenth in range(0, int(RATIO_MAX * 10) + 1, 5):
        x = NAMES + ACROSS * tenth / 10 / RATIO_MAX
        parts.insert(0, f'<path class="grid" d="M{x} 30V{bottom}"/>')
        parts.append(label(x, bottom + 14, "middle", f"{tenth / 10:g}"))
    parts.append(label(NAMES + ACROSS / 2, bottom + 32, "middle", "times what the driver takes"))
    return document(NAMES + ACROSS + 60, round(bottom + 42), parts)


def _legend() -> Iterator[str]:
    yield f'<circle class="sqlite" cx="{NAMES + 10}" cy="12" r="5"/>'
    yield label(NAMES + 20, 16, "start", "called")
    yield f'<circle class="sqlite awaited" cx="{NAMES + 80}" cy="12" r="5"/>'
    yield label(NAMES + 90, 16, "start", "awaited")
    yield f'<path class="bound" d="M{NAMES + 160} 4v16"/>'
    yield label(NAMES + 168, 16, "start", "the bound")


def _ratio(row: Kept, database: str, y: float) -> Iterator[str]:
    kind = DATABASES[database]
    first, third = (_at(each) for each in row["ratio_quartiles"])
    at, bound = _at(row["ratio"]), _at(row["bound"])
    words = row["work"].removesuffix(f", {database}").partition(", audited")[0]
    awaited = " awaited" if _is_awaited(row["name"]) else ""
    yield label(NAMES - 12, y + 4, "end", f"{words} / {_shortly(row['against'])}")
    yield f'<path class="line {kind}" d="M{first} {y}H{third}"/>'
    yield f'<circle class="{kind}{awaited}" cx="{at}" cy="{y}" r="5"/>'
    yield f'<path class="bound" d="M{bound} {y - 8}v16"/>'
    yield label(NAMES + ACROSS + 56, y + 4, "end", f"{row['ratio']:.2f}")


def _shortly(against: str) -> str:
    """A shorter name where a whole program is too long for a line."""
    return against if len(against) < 32 else "the imports alone"


def _at(ratio: float) -> float:
    return round(NAMES + ACROSS * min(ratio, RATIO_MAX) / RATIO_MAX, 1)


def _bound(rows: Sequence[Kept], name: str) -> list[Kept]:
    return [row for row in rows if row["name"] == name and row["bound"] is not None]


def _awaited(name: str) -> str:
    database, separator, work = name.rpartition("postgres-")
    return f"{database}{separator}await-{work}"


def _is_awaited(name: str) -> bool:
    return "await-" in name


def peers(rows: Sequence[Kept]) -> str:
    """A panel for each work on each database: how many times forgedb's time each peer takes."""
    panels = []
    for database, kind in DATABASES.items():
        prefix = PEER_PREFIXES[database]
        for work, words in PEER_WORKS.items():
            found = [row for row in rows if row["name"] == prefix + work]
            panels.append((f"{words}, {database}", kind, found))
    height = 46 + LINE * max(len(found) for _, _, found in panels)
    parts = []
    for place, (title, kind, found) in enumerate(panels):
        x, y = place % COLUMNS * PANEL, place // COLUMNS * height
        parts.append(f'<g transform="translate({x} {y})">')
        parts += [label(4, 16, "start", title, "title"), *_bars(found, kind), "</g>"]
    return document(COLUMNS * PANEL, -(-len(panels) // COLUMNS) * height, parts)


def _bars(found: Sequence[Kept], kind: str) -> Iterator[str]:
    one = _along(1.0)
    bottom = 30 + LINE * len(found)
    yield f'<path class="grid" d="M{one} 26V{bottom}"/>'
    for place, row in enumerate(found):
        times = 1 / row["ratio"]
        y, at = 30 + LINE * place, _along(times)
        left, width = min(one, at), max(abs(at - one), 1.0)
        colour = kind if times >= 1 else "faster"
        name, _, _ = row["against"].rpartition(" ")
        yield label(PEER_NAMES, y + 12, "end", name + (" *" if row["awaited"] else ""))
        yield f'<rect class="{colour}" x="{left}" y="{y + 2}" width="{width:.1f}" height="13"/>'
        yield label(max(at, one) + 5, y + 12, "start", figure(times))


def _along(times: float) -> float:
    share = math.log(min(max(times, TIMES_MIN), TIMES_MAX) / TIMES_MIN)
    return round(PEER_NAMES + 8 + ROOM * share / math.log(TIMES_MAX / TIMES_MIN), 1)
