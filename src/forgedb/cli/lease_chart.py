"""Leases on a terminal: how much of each term is over, and who held a repository when.

Everything here is given the terminal's width, and returns lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from forgedb.cli.output import duration_text, text
from forgedb.models import Lease

GAP = "  "
BAR_CELLS = 10
CHART_CELLS_MIN = 16
HOLDER_CELLS_MAX = 24
LEAST = {"HOLDER": 8, "REPO": 12}
"""The columns to narrow when space is short, in this order, and the least width of each."""

DAY = timedelta(days=1)


class Marks(NamedTuple):
    """Characters of bars: time elapsed or held, other time, a lease still held; and of cut text."""

    full: str
    empty: str
    on: str
    cut: str


UNICODE = Marks("█", "░", "▶", "…")
ASCII = Marks("#", ".", ">", "~")


def marks_for(encoding: str | None) -> Marks:
    """The marks that an output of this encoding can show."""
    try:
        "".join(UNICODE).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def terms(
    leases: Sequence[Lease],
    path_of: Callable[[Lease], str],
    now: datetime,
    width: int,
    marks: Marks = UNICODE,
) -> list[str]:
    """Two lines a live lease: where, who, how long, and a bar of the term; then id and purpose."""
    rows = [
        (
            text(path_of(lease)),
            text(lease.holder),
            duration_text(max(now - lease.acquired_at, timedelta(0))),
            "over" if lease.expires_at <= now else duration_text(lease.expires_at - now),
            _bar(_part(now, lease.acquired_at, lease.expires_at), BAR_CELLS, marks),
        )
        for lease in leases
    ]
    headings = ("REPO", "HOLDER", "AGE", "LEFT", "TERM")
    lines = _columns(headings, rows, width, marks, dropped=("TERM", "AGE"))
    shown = [lines[0].rstrip()]
    for line, lease in zip(lines[1:], leases, strict=True):
        shown += [line, _cut(f"{GAP}{lease.id}{GAP}{text(lease.purpose)}", width, marks)]
    return shown


def history(
    leases: Sequence[Lease], now: datetime, width: int, marks: Marks = UNICODE
) -> list[str]:
    """A line a lease, the oldest first: who, since when, how long, and a bar on one axis for all.

    The axis goes from the first grant to the last end; to now, if a lease is open.
    """
    if not leases:
        return []
    ends = [
        lease.ended_at or min(lease.expires_at, max(now, lease.acquired_at)) for lease in leases
    ]
    begin, end = min(lease.acquired_at for lease in leases), max(ends)
    time_text = _time_format(end - begin)
    rows = [
        (
            str(lease.fencing_token),
            text(lease.holder),
            f"{lease.acquired_at:{time_text}}",
            _span_text(until - lease.acquired_at),
            _how(lease, now),
        )
        for lease, until in zip(leases, ends, strict=True)
    ]
    headings = ("TOKEN", "HOLDER", "FROM", "LASTED", "HOW")
    room = width - CHART_CELLS_MIN - len(GAP)
    plain = _columns(headings, rows, room, marks, dropped=("FROM", "HOW", "LASTED"))
    cells = max(CHART_CELLS_MIN, width - _cells(plain[0]) - len(GAP))
    bars = [
        _span(_part(lease.acquired_at, begin, end), _part(until, begin, end), cells, marks)
        for lease, until in zip(leases, ends, strict=True)
    ]
    for place, lease in enumerate(leases):
        if lease.ended_at is None and lease.expires_at > now:
            held, _, later = bars[place].rpartition(marks.full)
            bars[place] = held + marks.on + later
    a_cell = _span_text((end - begin) / cells)
    return [
        f"{begin:%Y-%m-%d %H:%M:%S}Z to {end:%Y-%m-%d %H:%M:%S}Z, {a_cell} a cell",
        plain[0].rstrip(),
        *(f"{line}{GAP}{bar}" for line, bar in zip(plain[1:], bars, strict=True)),
    ]


def _how(lease: Lease, now: datetime) -> str:
    if lease.end_reason is not None:
        return lease.end_reason.value
    return "open" if lease.expires_at > now else "over"


def _span_text(span: timedelta) -> str:
    """In milliseconds below a second, as leases in tests last."""
    if timedelta(0) < span < timedelta(seconds=1):
        return f"{max(1, span // timedelta(milliseconds=1))}ms"
    return duration_text(span)


def _time_format(span: timedelta) -> str:
    """The shortest format in which neighbouring times on the axis differ."""
    if span < DAY:
        return "%H:%M:%S"
    return "%m-%d %H:%M" if span < 300 * DAY else "%Y-%m-%d"


def _part(at: datetime, begin: datetime, end: datetime) -> float:
    """Where a time lies between two others, from 0 to 1."""
    if end <= begin:
        return 1.0
    return min(1.0, max(0.0, (at - begin) / (end - begin)))


def _bar(part: float, cells: int, marks: Marks) -> str:
    full = math.floor(part * cells)
    return marks.full * full + marks.empty * (cells - full)


def _span(first: float, last: float, cells: int, marks: Marks) -> str:
    """A bar on the axis; the shortest takes one cell, so that it can be seen."""
    begin = min(math.floor(first * cells), cells - 1)
    end = begin + 1 if (last - first) * cells <= 1 else math.ceil(last * cells)
    return marks.empty * begin + marks.full * (end - begin) + marks.empty * (cells - end)


def _columns(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    marks: Marks,
    dropped: Sequence[str],
) -> list[str]:
    """Lines of equal width.

    If they are too wide, the holder is cut first, then the path; then the ``dropped`` columns are
    left out, one after the other.
    """
    columns = dict(zip(headings, zip(headings, *rows, strict=True), strict=True))
    widths = {name: max(map(_cells, column)) for name, column in columns.items()}
    widths["HOLDER"] = min(widths["HOLDER"], HOLDER_CELLS_MAX)
    for name in ("", *dropped):
        columns.pop(name, None)
        over = sum(widths[each] for each in columns) + len(GAP) * (len(columns) - 1) - width
        for giving_way, least in LEAST.items():
            if giving_way in columns and over > 0:
                less = min(over, max(widths[giving_way] - least, 0))
                widths[giving_way], over = widths[giving_way] - less, over - less
        if over <= 0:
            break
    fitted = [
        [_padded(_fitted(name, cell, widths[name], marks), widths[name]) for cell in column]
        for name, column in columns.items()
    ]
    return [GAP.join(line) for line in zip(*fitted, strict=True)]


def _fitted(name: str, cell: str, cells: int, marks: Marks) -> str:
    """The cell, cut where it is too long: a path at its beginning, since many begin alike."""
    if name == "REPO":
        return _cut(cell[::-1], cells, marks)[::-1]
    return _cut(cell, cells, marks)


def _cells(words: str) -> int:
    """How many columns of a terminal the text takes."""
    from rich.cells import cell_len

    return cell_len(words)


def _padded(words: str, cells: int) -> str:
    return words + " " * (cells - _cells(words))


def _cut(words: str, cells: int, marks: Marks) -> str:
    from rich.cells import set_cell_size

    if _cells(words) <= cells:
        return words
    return set_cell_size(words, cells - 1).rstrip() + marks.cut
