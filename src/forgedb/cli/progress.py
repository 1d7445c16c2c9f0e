"""What ``forgedb migrate`` shows while it works: a line a file, and on a terminal a bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from forgedb.migrations.progress import Progress

if TYPE_CHECKING:
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.files import MigrationFile

MANY = 20
"""The number of files from which on a bar is shown."""

BAR_CHARS = 24

BATCH_SECONDS = 2.0
"""How often the progress of a migration in batches is printed."""


class Warnings(Progress):
    """What the server says while a file is run, on standard error."""

    def warned(self, file: str, severity: str, words: str) -> None:
        click.echo(f"{severity.lower()}: {file}: {words}", err=True)

    def ended(self) -> None:
        """Leave nothing on the line, whether all were applied or not."""


class Shown(Warnings):
    """Lines on standard output; the bar, and whom the runner waits for, on standard error."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._planned: dict[tuple[int, str], tuple[int, str]] = {}
        self._done = 0
        self._has_bar = False
        self._next_batch_at = time.monotonic() + BATCH_SECONDS

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        numbered = enumerate(pending, start=1)
        self._planned = {(each.version, each.name): (place, each.label) for place, each in numbered}
        self._has_bar = len(pending) >= MANY and sys.stdout.isatty() and sys.stderr.isatty()
        self._draw()

    def waiting(self, why: str) -> None:
        self._erase()
        click.echo(f"waiting: {why}", err=True)
        self._draw()

    def warned(self, file: str, severity: str, words: str) -> None:
        self._erase()
        super().warned(file, severity, words)
        self._draw()

    def batch(self, migration: MigrationFile, done: int, after: str) -> None:
        now = time.monotonic()
        if now < self._next_batch_at:
            return
        self._next_batch_at = now + BATCH_SECONDS
        self._erase()
        click.echo(f"{migration.label}: {done} batches done, up to {after}", err=True)
        self._draw()

    def applied(self, entry: AppliedMigration) -> None:
        # Its place in the list, not one more: another process may have applied some before it.
        self._done, label = self._planned[entry.version, entry.name]
        self._erase()
        click.echo(f"{self._verb} {label} in {entry.duration_ms} ms")
        self._draw()

    def ended(self) -> None:
        self._erase()

    def _draw(self) -> None:
        count = len(self._planned)
        if self._has_bar and self._done < count:
            filled = BAR_CHARS * self._done // count
            bar = "━" * filled + "─" * (BAR_CHARS - filled)
            click.echo(f"{bar} {self._done} of {count}", err=True, nl=False)

    def _erase(self) -> None:
        if self._has_bar:
            click.echo("\r\x1b[K", err=True, nl=False)
