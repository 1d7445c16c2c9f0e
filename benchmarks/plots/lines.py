"""Line charts by the number of objects or clients, with logarithmic axes: a panel for each work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, TypeAlias

from benchmarks.plots.svg import document, label

COLUMNS = 3
WIDTH, HEIGHT = 300, 220
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 44, 42
LEGEND = 28

NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}

Point: TypeAlias = tuple[float, float]


class Panel(NamedTuple):
    """A chart of lines by name; both axes are logarithmic."""

    title: str
    unit: str
    x_unit: str
    lines: Mapping[str, Sequence[Point]]


class Figure(NamedTuple):
    """What a panel shows of the rows of one work: a field, in units of ``scale``."""

    work: str
    field: str
    scale: float
    title: str
    unit: str


GROWTH = (
    Figure("get", "seconds", 1e6, "repository by id", "µs"),
    Figure("page", "seconds", 1e6, "page of 100 repositories", "µs"),
    Figure("objects", "seconds", 1e6, "page of 100 objects", "µs"),
    Figure("missing", "seconds", 1e6, "missing, for an oid", "µs"),
    Figure("add_many", "seconds", 1e6, "add_many, for an object", "µs"),
    Figure("lease", "seconds", 1e6, "lease, acquired and released", "µs"),
    Figure("bytes", "bytes", 1, "table of objects, for one", "bytes"),
    Figure("import", "peak_bytes", 2**-20, "memory of forgedb import", "MiB"),
)

CLIENTS = (
    Figure("reads", "reads_per_second", 1, "reads, nobody writing", "a second"),
    Figure("mix", "reads_per_second", 1, "reads, half of them writing", "a second"),
    Figure("mix", "writes_per_second", 1, "writes, half of them reading", "a second"),
    Figure("reads", "read_p99_ms", 1, "99 of 100 reads, nobody writing", "ms at most"),
    Figure("mix", "read_p99_ms", 1, "99 of 100 reads, half writing", "ms at most"),
    Figure("mix", "write_p99_ms", 1, "99 of 100 writes, half reading", "ms at most"),
)


def drawing(rows: Sequence[Mapping[str, Any]], by: str, figures: Sequence[Figure]) -> str:
    """A panel for each figure, with a line for each database."""
    panels: list[Panel] = []
    for work, field, scale, title, unit in figures:
        lines: dict[str, list[Point]] = {}
        for row in rows:
            if row["work"] == work:
                lines.setdefault(row["database"], []).append((row[by], row[field] * scale))
        panels.append(Panel(title, unit, by, lines))
    return side_by_side(panels)


def side_by_side(panels: Sequence[Panel]) -> str:
    """The panels side by side, and above them what the colours mean."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, LEGEND + rows * HEIGHT
    parts = [*_legend()]
    for place, panel in enumerate(panels):
        x, y = place % COLUMNS * WIDTH, LEGEND + place // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x} {y})">', *_drawn(panel), "</g>"]
    return document(width, height, parts)


def _legend() -> Iterable[str]:
    for place, (kind, name) in enumerate(NAMES.items()):
        x = LEFT + 110 * place
        yield f'<path class="line {kind}" d="M{x} 14h22"/>'
        yield f'<text x="{x + 28}" y="18">{name}</text>'


def _drawn(panel: Panel) -> Iterable[str]:
    points = [point for line in panel.lines.values() for point in line]
    x_low, x_high = _decades(x for x, _ in points)
    y_low, y_high = _decades(y for _, y in points)
    room_x, room_y = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> Point:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return round(LEFT + room_x * across, 1), round(TOP + room_y * (1 - up), 1)

    yield f'<text class="title" x="{LEFT}" y="18">{escape(panel.title)}</text>'
    yield f'<text class="small" x="{LEFT}" y="34">{panel.unit}</text>'
    for power in range(y_low, y_high + 1):
        _, y = at(10**x_low, 10**power)
        yield f'<path class="grid" d="M{LEFT} {y}h{room_x}"/>'
        yield label(LEFT - 8, y + 4, "end", _short(power))
    for power in range(x_low, x_high + 1):
        x, y = at(10**power, 10**y_low)
        yield label(x, y + 16, "middle", _short(power))
    yield label(LEFT + room_x / 2, HEIGHT - 6, "middle", panel.x_unit)
    for kind, line in panel.lines.items():
        places = [at(*point) for point in line]
        path = "L".join(f"{x} {y}" for x, y in places)
        yield f'<path class="line {kind}" d="M{path}"/>'
        yield from (f'<circle class="{kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in places)


def _decades(values: Iterable[float]) -> tuple[int, int]:
    """The powers of ten around them, at least one apart."""
    logs = [math.log10(value) for value in values]
    low = math.floor(min(logs))
    return low, max(math.ceil(max(logs)), low + 1)


def _short(power: int) -> str:
    """10^4 is 10k."""
    if power < 0:
        return f"{10**power:g}"
    letters = "", "k", "M", "G"
    return f"{10 ** (power % 3)}{letters[power // 3]}"
