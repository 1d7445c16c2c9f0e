"""What ``forgedb migrate`` shows while it works: a line a file, and on a terminal a bar."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from forgedb.migrations.progress import Progress

if TYPE_CHECKING:
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.files import MigrationFile

MANY = 20
"""From so many files on, a bar says how many are left."""

BAR_CHARS = 24


class Shown(Progress):
    """Lines on standard output, the bar and what is waited for on standard error."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._count = 0
        self._done = 0

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        if len(pending) >= MANY and sys.stdout.isatty() and sys.stderr.isatty():
            self._count = len(pending)
            self._draw()

    def waiting(self, why: str) -> None:
        self._erase()
        click.echo(f"waiting: {why}", err=True)
        self._draw()

    def applied(self, entry: AppliedMigration) -> None:
        self._done += 1
        self._erase()
        click.echo(f"{self._verb} {entry.label} in {entry.duration_ms} ms")
        self._draw()

    def _draw(self) -> None:
        if self._done < self._count:
            filled = BAR_CHARS * self._done // self._count
            bar = "━" * filled + "─" * (BAR_CHARS - filled)
            click.echo(f"{bar} {self._done} of {self._count}", err=True, nl=False)

    def _erase(self) -> None:
        if self._count:
            click.echo("\r\x1b[K", err=True, nl=False)
