"""What a runner tells while it works, kept; and waiting until something shows from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from forgedb import AppliedMigration
from forgedb.migrations import Progress
from forgedb.migrations.files import MigrationFile

DEADLINE_SECONDS = 20.0


class Heard(Progress):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.planned_labels: list[str] = []
        self.applied_labels: list[str] = []
        self.reasons: list[str] = []
        self.warnings: list[tuple[str, str, str]] = []

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        self.planned_labels += [each.label for each in pending]

    def waiting(self, why: str) -> None:
        self.reasons.append(why)

    def warned(self, file: str, severity: str, words: str) -> None:
        self.warnings.append((file, severity, words))

    def applied(self, entry: AppliedMigration) -> None:
        self.applied_labels.append(entry.label)


def until(true: Callable[[], object]) -> bool:
    """Whether it came true before the deadline."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while not true():
        if time.monotonic() >= give_up_at:
            return False
        time.sleep(0.005)
    return True
