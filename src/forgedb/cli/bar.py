"""A progress bar on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def bar(what: str) -> Generator[Callable[[int, int | None, str], None]]:
    """Shows the count done, the total, the rate and a note; removed when the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} {task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    ) as shown:
        task = shown.add_task(what, total=None, rate="", note="")
        began = time.monotonic()

        def update(done: int, total: int | None, note: str) -> None:
            rate = done / max(time.monotonic() - began, 0.001)
            total = total and max(total, done)
            shown.update(task, completed=done, total=total, rate=f"{rate:,.0f}/s", note=note)

        yield update
