"""The table: times of one operation, and how they compare."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.timing import Row

HEADER = ("work", "against", "raw", "forgedb", "ratio", "quartiles", "CPU", "bound", "")
WIDTHS = (57, 28, 9, 9, 6, 11, 6, 5, 4)

VERDICTS = {True: "ok", False: "over", None: ""}


def header() -> str:
    return _line(HEADER)


def line(row: Row) -> str:
    first, third = row.spread
    return _line(
        (
            row.work,
            row.against,
            _time(row.raw_seconds),
            _time(row.our_seconds),
            f"{row.ratio:.2f}",
            f"{first:.2f}-{third:.2f}",
            f"{row.cpu_ratio:.2f}",
            "" if row.bound is None else f"{row.bound:.3g}",
            VERDICTS[row.is_within],
        )
    )


def values(row: Row) -> dict[str, Any]:
    """The row as it is saved; seconds are of one operation."""
    return {
        "name": row.name,
        "work": row.work,
        "against": row.against,
        "raw_seconds": row.raw_seconds,
        "raw_seconds_min": min(row.raw.wall) / row.operations,
        "our_seconds": row.our_seconds,
        "our_seconds_min": min(row.ours.wall) / row.operations,
        "ratio": row.ratio,
        "ratio_quartiles": row.spread,
        "cpu_ratio": row.cpu_ratio,
        "bound": row.bound,
        "is_within": row.is_within,
    }


def as_json(row: Row) -> str:
    """One line of JSON."""
    return json.dumps(values(row), ensure_ascii=False)


def _line(cells: tuple[str, ...]) -> str:
    texts, numbers = cells[:2], cells[2:]
    left = [cell.ljust(width) for cell, width in zip(texts, WIDTHS[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(numbers, WIDTHS[2:], strict=True)]
    return "  ".join([*left, *right]).rstrip()


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.2f} µs"
    return f"{seconds * 1e3:.1f} ms"
