"""What wakes a thread or a task that sleeps until something happens, or until its time is over."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress

from forgedb.drivers.patience import INTERRUPTIBLE_SECONDS


class Bell(ABC):
    """One waits for it; any thread may ring it, also before it is waited for."""

    @abstractmethod
    def ring(self) -> None: ...

    @abstractmethod
    async def wait(self, seconds: float) -> bool:
        """Wait for it, but no longer than this; returns whether it rang."""


class ThreadBell(Bell):
    """For a thread; it blocks, and so its coroutine never waits."""

    def __init__(self) -> None:
        # Ringing lets go of it.  An Event has a lock besides, which a signal may leave taken.
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        # It may have rung already.
        with suppress(RuntimeError):
            self._silence.release()

    async def wait(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while (left := give_up_at - time.monotonic()) > INTERRUPTIBLE_SECONDS:
            if self._silence.acquire(timeout=INTERRUPTIBLE_SECONDS):
                return True
        return self._silence.acquire(timeout=max(left, 0))


class TaskBell(Bell):
    """For a task of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        # The loop may be closed by now.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        rang = self._rung.is_set()
        self._rung.clear()
        return rang
