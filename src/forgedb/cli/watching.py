"""A live view on a terminal: lines that are redrawn every few seconds, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from forgedb.errors import Unavailable


def watch(lines_for: Callable[[int], Sequence[str]], interval_seconds: float) -> None:
    """Draw the lines of ``lines_for(width)`` again and again.

    A line above them has the time; while the database is unavailable, it also says so, and the last
    lines stay.  Lines that don't fit into the terminal's height are counted.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    lines: Sequence[str] = ()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                width, height = console.size
                at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}Z"
                try:
                    lines = lines_for(width)
                    state = f"{at}, every {interval_seconds:g} s, Ctrl-C ends"
                except Unavailable as error:
                    state = f"{at}, trying again: {error}"
                shown = [state, *fitting(lines, height - 1)]
                live.update(Text("\n".join(shown), no_wrap=True), refresh=True)
                time.sleep(interval_seconds)
        except KeyboardInterrupt:
            return


def fitting(lines: Sequence[str], height: int) -> list[str]:
    """As many lines as there is room for; the last says how many are not shown."""
    if len(lines) <= height:
        return [*lines]
    kept = max(0, height - 1)
    return [*lines[:kept], f"and {len(lines) - kept:,} lines more"]
