"""Threads that do a task's blocking work: one switch there, one back, and cancelled work is undone.

``run_in_executor`` costs nearly twice as much, which shows beside SQLite's few microseconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from forgedb.drivers.sqlite.connection import SqliteConnection
from forgedb.drivers.task_threads import carry_out, settle
from forgedb.operations.call_timeout import LIMIT

R = TypeVar("R")
W = TypeVar("W")

INTERRUPT_AGAIN_SECONDS = 0.01


class Job(Generic[R]):
    """A task's work that a thread does; meanwhile it may be interrupted."""

    def __init__(self, work: Callable[[Job[R]], R]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self.arrived: asyncio.Future[R] = self._loop.create_future()
        """What the task waits for; cancelled with it."""
        self.ended: asyncio.Future[R] | None = None
        """What a cancelled task waits for."""
        self._lock = threading.Lock()
        self._connection: SqliteConnection | None = None

    def run(self) -> None:
        """Do the work, in the thread."""
        carry_out(partial(self._work, self), self._loop, self._arrive)

    def _arrive(self, value: Any, error: BaseException | None) -> None:
        waiting = self.arrived
        if waiting.cancelled():
            # The task may not have been told yet that it is cancelled.
            waiting = self.ended = self.ended or self._loop.create_future()
        settle(waiting, value, error)

    async def wind_down(self) -> asyncio.Future[R]:
        """Interrupt the work until it has ended, also where the task is cancelled once more."""
        if not self.arrived.cancelled():
            # The work ended in the same pass of the event loop as the cancellation.
            return self.arrived
        ended = self.ended = self.ended or self._loop.create_future()
        while not ended.done():
            with self._lock:
                # An interrupt between two statements has no effect: so it is repeated.
                if self._connection is not None:
                    self._connection.raw.interrupt()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([ended], timeout=INTERRUPT_AGAIN_SECONDS)
        return ended

    def watched(self, work: Callable[[SqliteConnection], W], connection: SqliteConnection) -> W:
        """Do the work on a connection, where an interruption may reach it."""
        with self._lock:
            self._connection = connection
        try:
            return work(connection)
        finally:
            with self._lock:
                self._connection = None


class WorkerThreads:
    """At most ``threads_max`` threads, started when needed, that take jobs in turn."""

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._threads = 0
        self._on_the_way = 0
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()

    async def run(self, work: Callable[[Job[R]], R], undo: Callable[[R], None] | None = None) -> R:
        """Do the work in a thread.  Raises what it raises.

        Where the task is cancelled, the work is interrupted, and waited for; if it had a result all
        the same, ``undo`` is called with that.
        """
        # The call's time limit must hold in the thread, too.
        job = Job(work if LIMIT.get() is None else _within(copy_context(), work))
        if self._on_the_way >= self._threads < self._threads_max:
            self._threads += 1
            threading.Thread(target=self._take_jobs, name="forgedb", daemon=True).start()
        self._on_the_way += 1
        self._queue.put(job)
        try:
            return await job.arrived
        except asyncio.CancelledError:
            ended = await job.wind_down()
            # The error is retrieved, or asyncio would log that it never was.
            if ended.exception() is None and undo is not None:
                undo(ended.result())
            raise
        finally:
            self._on_the_way -= 1

    def close(self) -> None:
        """End the threads, each when it has done what it is doing."""
        for _ in range(self._threads):
            self._queue.put(None)
        self._threads = 0

    def _take_jobs(self) -> None:
        while (job := self._queue.get()) is not None:
            job.run()
            del job


def _within(context: Context, work: Callable[[Job[R]], R]) -> Callable[[Job[R]], R]:
    return lambda job: context.run(work, job)
