"""Holding a lease for the length of a block, and waiting for it where someone else has it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any

from forgedb.errors import ForgeDbError, LeaseHeld
from forgedb.models import Lease
from forgedb.validation import check_duration

WAIT_MAX = timedelta(days=30)
POLL_SECONDS_MIN = 0.05
POLL_SECONDS_MAX = 2.0


class Hold:
    """A context manager around ``acquire`` and ``release``; it yields the Lease."""

    def __init__(
        self, acquire: Callable[[], Any], release: Callable[[Lease], Any], wait: timedelta
    ) -> None:
        self._acquire = acquire
        self._release = release
        self._wait = check_duration("wait", wait, greatest=WAIT_MAX, least=timedelta(0))
        self._lease: Lease | None = None

    def __enter__(self) -> Lease:
        give_up_at = time.monotonic() + self._wait.total_seconds()
        pause = POLL_SECONDS_MIN
        while True:
            try:
                lease: Lease = self._acquire()
            except LeaseHeld as held:
                left = give_up_at - time.monotonic()
                if left <= 0:
                    raise
                # Jitter, so that many who wait for one repository don't ask in step.
                asleep = random.uniform(pause / 2, pause)  # noqa: S311 - nothing is guarded by it
                time.sleep(min(asleep, left, max(held.retry_after.total_seconds(), 0.001)))
                pause = min(2 * pause, POLL_SECONDS_MAX)
            else:
                self._lease = lease
                return lease

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        assert lease is not None, "the block is left once, after it was entered"
        try:
            self._release(lease)
        except ForgeDbError as lost:
            if error is None:
                raise
            error.add_note(f"releasing lease {lease.id} failed too: {lost}")
