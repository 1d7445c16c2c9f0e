"""Holding a lease for the length of a block, and waiting for it where someone else has it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic

from forgedb.errors import ForgeDbError, LeaseHeld
from forgedb.models import Lease
from forgedb.operations.binding import Async, H_co, Sync
from forgedb.validation import check_duration

WAIT_MAX = timedelta(days=30)
POLL_SECONDS_MIN = 0.05
POLL_SECONDS_MAX = 2.0


class Hold(Generic[H_co]):
    """A context manager around ``acquire`` and ``release``; it yields the Lease.

    On an AsyncDatabase it is an asynchronous one.
    """

    def __init__(
        self, acquire: Callable[[], Any], release: Callable[[Lease], Any], wait: timedelta
    ) -> None:
        self._acquire = acquire
        self._release = release
        self._wait = check_duration("wait", wait, greatest=WAIT_MAX, least=timedelta(0))
        self._lease: Lease | None = None

    def __enter__(self: Hold[Sync]) -> Lease:
        pauses = self._pauses()
        while True:
            try:
                lease: Lease = self._acquire()
            except LeaseHeld as held:
                time.sleep(_or_raise(next(pauses), held))
            else:
                self._lease = lease
                return lease

    def __exit__(
        self: Hold[Sync],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease = self._taken()
        try:
            self._release(lease)
        except ForgeDbError as lost:
            _unless_told(error, lease, lost)

    async def __aenter__(self: Hold[Async]) -> Lease:
        pauses = self._pauses()
        while True:
            try:
                lease: Lease = await self._acquire()
            except LeaseHeld as held:
                import asyncio

                await asyncio.sleep(_or_raise(next(pauses), held))
            else:
                self._lease = lease
                return lease

    async def __aexit__(
        self: Hold[Async],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease = self._taken()
        try:
            await self._release(lease)
        except ForgeDbError as lost:
            _unless_told(error, lease, lost)

    def _pauses(self) -> Iterator[float]:
        """How long to sleep before each new attempt, in seconds; 0 when the wait is over."""
        give_up_at = time.monotonic() + self._wait.total_seconds()
        pause = POLL_SECONDS_MIN
        while True:
            left = give_up_at - time.monotonic()
            # Jitter, so that many who wait for one repository don't ask in step.
            asleep = random.uniform(pause / 2, pause)  # noqa: S311 - nothing is guarded by it
            yield max(0.0, min(asleep, left))
            pause = min(2 * pause, POLL_SECONDS_MAX)

    def _taken(self) -> Lease:
        lease, self._lease = self._lease, None
        assert lease is not None, "the block is left once, after it was entered"
        return lease


def _or_raise(pause: float, held: LeaseHeld) -> float:
    """The pause, but no longer than the lease lasts; no pause left raises ``held``."""
    if pause <= 0:
        raise held
    return min(pause, max(held.retry_after.total_seconds(), 0.001))


def _unless_told(error: BaseException | None, lease: Lease, lost: ForgeDbError) -> None:
    """Raise what releasing raised, or add it to the error that the block raised."""
    if error is None:
        raise lost
    error.add_note(f"releasing lease {lease.id} failed too: {lost}")
