"""Locks for a transaction's one connection, where several threads or tasks use it."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable
from threading import get_ident
from types import TracebackType


class ReentrantLock(ABC):
    """An asynchronous context manager: one user at a time, who may enter it again."""

    @staticmethod
    @abstractmethod
    def user() -> Hashable:
        """The running thread or task."""

    @abstractmethod
    def is_taken(self) -> bool:
        """Whether another thread or task holds it now."""

    @abstractmethod
    async def __aenter__(self) -> None: ...

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ThreadLock(ReentrantLock):
    """Between threads; it blocks, and so its coroutines never suspend."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @staticmethod
    def user() -> Hashable:
        return get_ident()

    def is_taken(self) -> bool:
        if self._lock.acquire(blocking=False):
            self._lock.release()
            return False
        return True

    async def __aenter__(self) -> None:
        self._lock.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()


class TaskLock(ReentrantLock):
    """Between tasks: asyncio's lock, which its holder may take again."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: Hashable = None
        self._depth = 0

    @staticmethod
    def user() -> Hashable:
        return asyncio.current_task()

    def is_taken(self) -> bool:
        return self._lock.locked() and self._holder is not self.user()

    async def __aenter__(self) -> None:
        user = self.user()
        if self._holder is not user:
            await self._lock.acquire()
            self._holder = user
        self._depth += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
            self._lock.release()
