"""Holding a lease for the length of a block, and waiting while another holder has it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from threading import Lock
from types import TracebackType
from typing import Any, Generic

from forgedb.dao.leases.deadline import HeldLease
from forgedb.dao.leases.notice import ends_of
from forgedb.durations import span_text
from forgedb.errors import (
    AlreadyExists,
    ForgeDbError,
    InvalidValue,
    LeaseHeld,
    LeaseLost,
    NotFound,
    Unavailable,
    UsageError,
)
from forgedb.ids import new_ulid
from forgedb.limits import LEASE_WAIT_MAX
from forgedb.models import Ulid
from forgedb.operations.binding import AsyncRunner, H_co, SyncRunner
from forgedb.operations.call_timeout import LEAVING_SECONDS, at_most
from forgedb.validation import check_duration

POLL_SECONDS_MIN = 0.05
POLL_SECONDS_MAX = 2.0


class Hold(Generic[H_co]):
    """A context manager around ``acquire`` and ``release``; it yields the HeldLease.

    ``let_go`` ends the lease if it was granted, for a caller that got no answer to ``acquire``.
    On an AsyncDatabase the context manager is asynchronous.
    """

    def __init__(
        self,
        runner: H_co,
        repository_id: Ulid,
        acquire: Callable[[Ulid], Any],
        release: Callable[[Ulid], Any],
        let_go: Callable[[Ulid], Any],
        wait: timedelta | float,
    ) -> None:
        self._runner = runner
        self._repository_id = repository_id
        self._acquire = acquire
        self._release = release
        self._let_go = let_go
        self._wait = _checked_wait(wait)
        self._free = Lock()
        """Locked from entering the block until it is left."""
        self._asked: Ulid | None = None
        """The id of the lease that is requested or held; it is made before the request is sent."""
        self._may_be_there = False
        """Whether a request got no answer, so the lease may exist: a retry asks for the same id."""

    def __enter__(self: Hold[SyncRunner]) -> HeldLease:
        self._begin()
        pauses = self._pauses()
        try:
            with self._listening() as wait:
                while True:
                    self._asked = self._asked or new_ulid()
                    try:
                        lease: HeldLease = self._acquire(self._asked)
                    except (AlreadyExists, LeaseHeld, LeaseLost, Unavailable) as error:
                        wait(self._pause_after(error, next(pauses)))
                    else:
                        self._asked = lease.id
                        return lease
        except BaseException as error:
            try:
                if self._may_be_there or not isinstance(error, ForgeDbError):
                    self._let_go_after(error, self._asked)
            finally:
                self._end()
            raise

    def __exit__(
        self: Hold[SyncRunner],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease_id = self._asked
        assert lease_id is not None, "the block was entered before it is left"
        try:
            with _in_haste_after(error):
                self._release(lease_id)
        except ForgeDbError as lost:
            _unless_told(error, lease_id, lost)
        except BaseException as interruption:
            self._let_go_after(interruption, lease_id)
            raise
        finally:
            self._end()

    def _let_go_after(
        self: Hold[SyncRunner], interruption: BaseException, lease_id: Ulid | None
    ) -> None:
        """End the lease if it was granted: the caller was interrupted and won't use it."""
        if lease_id is None:
            return
        try:
            with _in_haste_after(interruption):
                self._let_go(lease_id)
        except NotFound:
            pass
        except ForgeDbError as lost:
            _unless_told(interruption, lease_id, lost)

    async def __aenter__(self: Hold[AsyncRunner]) -> HeldLease:
        from asyncio import CancelledError

        self._begin()
        pauses = self._pauses()
        try:
            async with self._listening() as wait:
                while True:
                    self._asked = self._asked or new_ulid()
                    try:
                        lease: HeldLease = await self._acquire(self._asked)
                    except (AlreadyExists, LeaseHeld, LeaseLost, Unavailable) as error:
                        await wait(self._pause_after(error, next(pauses)))
                    else:
                        self._asked = lease.id
                        return lease
        except BaseException as error:
            try:
                is_told = isinstance(error, ForgeDbError) and not self._may_be_there
                if isinstance(error, CancelledError | ForgeDbError) and not is_told:
                    await self._let_go_afterwards(error, self._asked)
            finally:
                self._end()
            raise

    async def __aexit__(
        self: Hold[AsyncRunner],
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from asyncio import CancelledError

        lease_id = self._asked
        assert lease_id is not None, "the block was entered before it is left"
        try:
            with _in_haste_after(error):
                await self._release(lease_id)
        except ForgeDbError as lost:
            _unless_told(error, lease_id, lost)
        except CancelledError as interruption:
            await self._let_go_afterwards(interruption, lease_id)
            raise
        finally:
            self._end()

    async def _let_go_afterwards(
        self: Hold[AsyncRunner], interruption: BaseException, lease_id: Ulid | None
    ) -> None:
        if lease_id is None:
            return
        try:
            with _in_haste_after(interruption):
                await self._let_go(lease_id)
        except NotFound:
            pass
        except ForgeDbError as lost:
            _unless_told(interruption, lease_id, lost)

    def _pause_after(self, error: ForgeDbError, pause: float) -> float:
        """How much of the pause to wait before the next attempt; raises if a retry is no use."""
        if isinstance(error, Unavailable):
            self._may_be_there = self._may_be_there or error.outcome == "unknown"
            if not (error.retryable or self._may_be_there):
                raise error
        elif isinstance(error, LeaseHeld) or self._may_be_there:
            # So the lease that was requested doesn't exist, or has ended.
            self._may_be_there = False
        else:
            raise error
        if not self._may_be_there:
            self._asked = None
        if pause <= 0:
            raise error
        if isinstance(error, LeaseHeld):
            return min(pause, max(error.retry_after.total_seconds(), 0.001))
        return pause

    def _pauses(self) -> Iterator[float]:
        """How long to pause before each new attempt, in seconds; 0 when the wait is over.

        A notice may end a pause early.  After the attempt that follows, the rest of that pause is
        waited before the next one, so notices don't make attempts rarer.
        """
        now = time.monotonic()
        give_up_at = now + self._wait.total_seconds()
        pause, attempt_at = POLL_SECONDS_MIN, now
        while True:
            now = time.monotonic()
            if now >= attempt_at:
                # Jitter, so that many who wait for one repository don't retry at the same time.
                attempt_at = now + random.uniform(pause / 2, pause)  # noqa: S311
                pause = min(2 * pause, POLL_SECONDS_MAX)
            yield max(0.0, min(attempt_at, give_up_at) - now)

    def _listening(self) -> Any:
        """A context manager that gives the function to wait with; None where ``wait`` is zero."""
        if not self._wait:
            return nullcontext()
        if self._runner.is_transaction:
            raise UsageError(
                "waiting for a lease isn't part of a transaction, which would keep others waiting,"
                " on SQLite even who has the lease: wait with the database's own handle, or without"
                " wait="
            )
        return self._runner.listen(ends_of(self._repository_id))

    def _begin(self) -> None:
        if not self._free.acquire(blocking=False):
            raise UsageError(
                f"this hold of repository {self._repository_id} is entered already, and a lease has"
                " one holder: call hold() for each block"
            )

    def _end(self) -> None:
        self._asked = None
        self._may_be_there = False
        self._free.release()


def _checked_wait(wait: timedelta | float) -> timedelta:
    """The wait as a timedelta; a number is seconds.  Raises InvalidValue."""
    if isinstance(wait, int | float) and not isinstance(wait, bool):
        if not 0 <= wait <= LEASE_WAIT_MAX.total_seconds():
            raise InvalidValue(
                "wait",
                wait,
                f"it must be 0 to {LEASE_WAIT_MAX.total_seconds():.0f} seconds,"
                f" {span_text(LEASE_WAIT_MAX)}",
            )
        return timedelta(seconds=wait)
    if not isinstance(wait, timedelta):
        raise InvalidValue("wait", wait, "it must be seconds, or a timedelta")
    return check_duration("wait", wait, greatest=LEASE_WAIT_MAX, least=timedelta(0))


def _in_haste_after(error: BaseException | None) -> AbstractContextManager[None]:
    """After an interruption, wait for the release for LEAVING_SECONDS at most."""
    is_interrupted = error is not None and not isinstance(error, Exception)
    return at_most(LEAVING_SECONDS) if is_interrupted else nullcontext()


def _unless_told(error: BaseException | None, lease_id: Ulid, lost: ForgeDbError) -> None:
    """Raise what releasing raised, or add it to the error that the block raised."""
    if error is None:
        raise lost
    error.add_note(f"releasing lease {lease_id} failed too: {lost}")
