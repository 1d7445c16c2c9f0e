"""Waiting for a lock, or until nobody else changes the same rows: retries after growing pauses,
until one succeeds or the time is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeGuard, TypeVar

from forgedb.errors import ForgeDbError, LockTimeout, Unavailable
from forgedb.operations.cancellation import stop_if_told
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps

R = TypeVar("R")

PAUSE_SECONDS_FIRST = 0.02
PAUSE_SECONDS_MAX = 0.5

WRITER_SECONDS = 0.2
"""How long one attempt waits for SQLite's writer."""

SILENT_SECONDS = 1.0
"""A shorter wait isn't reported."""


SERIALIZATION_FAILURE = "40001"
"""PostgreSQL's SQLSTATE, under a file's own isolation level, where its snapshot is too old."""


def may_pass(error: ForgeDbError) -> TypeGuard[Unavailable]:
    """Whether the same transaction, run again, may well succeed."""
    code = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, LockTimeout) or (
        isinstance(error, Unavailable) and code == SERIALIZATION_FAILURE
    )


class LockRetry:
    """Writes to a database in use: retries each for so long, and reports what it waits for."""

    def __init__(
        self,
        database: MigrationRunner,
        timeout_seconds: float,
        report: Callable[[str], None] | None,
    ) -> None:
        self._database = database
        self._timeout_seconds = timeout_seconds
        self._report = report

    def write(self, begin: Callable[[], Steps[R]], *, no_foreign_keys: bool = False) -> R:
        """Carry out the steps that ``begin`` makes anew for each attempt, in one transaction.

        Raises LockTimeout.
        """
        return self._until_done(
            lambda: self._database.attempt(begin(), WRITER_SECONDS, no_foreign_keys=no_foreign_keys)
        )

    def autocommit(self, begin: Callable[[], Steps[R]]) -> R:
        """As write, in no transaction."""
        return self._until_done(lambda: self._database.autocommit(begin()))

    def _until_done(self, attempt: Callable[[], R]) -> R:
        began = time.monotonic()
        pause_seconds = PAUSE_SECONDS_FIRST
        reported = ""
        while True:
            stop_if_told()
            try:
                return attempt()
            except Unavailable as error:
                if not may_pass(error):
                    raise
                waited_seconds = time.monotonic() - began
                if waited_seconds >= self._timeout_seconds:
                    raise LockTimeout(
                        f"gave up after {waited_seconds:.1f} s: {error.why}", retryable=True
                    ) from error
                if self._report and waited_seconds >= SILENT_SECONDS and error.why != reported:
                    reported = error.why
                    self._report(reported)
            # Jitter, or processes that wait would all retry at the same moments.
            pause = random.uniform(0.5, 1) * pause_seconds  # noqa: S311
            time.sleep(min(pause, max(0.0, self._timeout_seconds - waited_seconds)))
            pause_seconds = min(2 * pause_seconds, PAUSE_SECONDS_MAX)
