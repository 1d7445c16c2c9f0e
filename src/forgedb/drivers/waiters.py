"""What wakes a thread or a task that sleeps until something happens, or until its time is over."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from forgedb.drivers.timeouts import INTERRUPTIBLE_SECONDS


class Waiter(ABC):
    """One thread or task waits on it; any thread may wake it, even before the wait begins."""

    @abstractmethod
    def wake(self) -> None: ...

    @abstractmethod
    async def wait(self, seconds: float) -> bool:
        """Wait for it, but no longer than this; returns whether it was woken."""


class ThreadWaiter(Waiter):
    """For a thread; it blocks, and so its coroutine never suspends."""

    def __init__(self) -> None:
        # ``wake`` releases it.  An Event has a second lock, which a signal may leave locked.
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        # It may have been woken already.
        with suppress(RuntimeError):
            self._asleep.release()

    async def wait(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while (left := give_up_at - time.monotonic()) > INTERRUPTIBLE_SECONDS:
            if self._asleep.acquire(timeout=INTERRUPTIBLE_SECONDS):
                return True
        return self._asleep.acquire(timeout=max(left, 0))


class TaskWaiter(Waiter):
    """For a task of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        # The loop may be closed by now.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woken.set)

    async def wait(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        woken = self._woken.is_set()
        self._woken.clear()
        return woken
