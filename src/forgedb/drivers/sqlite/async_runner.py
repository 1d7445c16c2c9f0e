"""Operations on SQLite, for tasks: each whole operation is one job for a thread.

Tasks wait for a connection here, not in a thread: so a task that has one always finds a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from forgedb.drivers import misuse
from forgedb.drivers.pool import Pool
from forgedb.drivers.reentrant_locks import TaskLock
from forgedb.drivers.sqlite.checkout import Checkout, OnConnection
from forgedb.drivers.sqlite.connection import SAVEPOINT, SqliteConnection
from forgedb.drivers.sqlite.options import SqliteOptions
from forgedb.drivers.sqlite.runner import SqliteRunner
from forgedb.drivers.sqlite.worker_threads import Job, WorkerThreads
from forgedb.drivers.task_threads import in_a_thread
from forgedb.errors import Unavailable, UsageError
from forgedb.operations.binding import AsyncRunner, FirstWrite, Mode, SchemaCheck, SyncRunner
from forgedb.operations.call_timeout import for_a_turn
from forgedb.operations.steps import Steps

R = TypeVar("R")


class AsyncSqliteRunner(AsyncRunner):
    """A database; safe to use from many tasks of one event loop."""

    dialect = "sqlite"

    def __init__(self, inner: SqliteRunner, schema_check: SchemaCheck | None) -> None:
        self._inner = inner
        self.first_write = inner.first_write
        self._schema_check = schema_check
        self.schema_ready = schema_check is None
        shared = inner.readers is inner.writer
        self.threads = WorkerThreads(
            inner.writer.capacity + (0 if shared else inner.readers.capacity)
        )
        self._writing = Lane(inner.writer, self.threads)
        self._reading = self._writing if shared else Lane(inner.readers, self.threads)
        self._in_transaction: set[asyncio.Task[Any] | None] = set()
        """The tasks that have a transaction open: they can't use the outer handle."""

    @classmethod
    async def open(
        cls,
        options: SqliteOptions,
        clock: Callable[[], datetime] | None = None,
        schema_check: SchemaCheck | None = None,
        first_write: FirstWrite | None = None,
    ) -> AsyncSqliteRunner:
        """Open the file, in a thread.  Raises Unavailable."""
        inner = await asyncio.to_thread(SqliteRunner, options, clock, None, first_write)
        return cls(inner, schema_check)

    def __repr__(self) -> str:
        return f"AsyncSqliteRunner({self._inner.options.path!r})"

    async def close(self) -> None:
        self._reading.close()
        self._writing.close()
        self._inner.close()
        self.threads.close()

    async def read(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        return await self._reading.run(lambda connection: connection.read(steps))

    query = read

    async def snapshot(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        return await self._reading.run(lambda connection: connection.look(steps))

    async def write(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        return await self._writing.run(lambda connection: connection.write(steps))

    @asynccontextmanager
    async def transaction(
        self, *, read_only: bool = False
    ) -> AsyncGenerator[AsyncSqliteTransaction]:
        """One connection for the block: committed at its end, rolled back if it raises."""
        if self._in_transaction:
            self._refuse_outer_use()
        lane = self._reading if read_only else self._writing
        task = asyncio.current_task()
        async with lane.lend() as connection:
            checkout = Checkout(connection)
            transaction = AsyncSqliteTransaction(self, checkout, read_only, TaskLock())
            try:
                await self.threads.run(
                    lambda job: job.watched(lambda it: it.begin(read_only=read_only), connection)
                )
                self._in_transaction.add(task)
                try:
                    yield transaction
                finally:
                    self._in_transaction.remove(task)
                await transaction.end()
                await self.threads.run(
                    lambda job: job.watched(lambda _: checkout.commit(), connection)
                )
            except BaseException:
                await self.threads.run(lambda _: checkout.rollback())
                raise

    async def backup(self, path: str) -> None:
        await self.blocking(lambda runner: runner.backup(path))

    async def blocking(self, work: Callable[[SyncRunner], R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        return await in_a_thread(lambda: work(self._inner))

    def _refuse_outer_use(self) -> None:
        if asyncio.current_task() in self._in_transaction:
            raise misuse.outer_use()


class AsyncSqliteTransaction(AsyncRunner):
    """An open transaction; tasks that share it use it one at a time."""

    dialect = "sqlite"
    is_transaction = True

    def __init__(
        self,
        outer: AsyncSqliteRunner,
        checkout: Checkout,
        read_only: bool,
        lock: TaskLock,
    ) -> None:
        self._outer = outer
        self.first_write = outer.first_write.of_transaction()
        self._checkout = checkout
        self._read_only = read_only
        self._lock = lock
        self._open = True

    async def end(self) -> None:
        """End it when no other task is in a savepoint of it any more."""
        async with self._lock:
            self._open = False

    async def require_schema(self, mode: Mode) -> None:
        await self._outer.check_schema(self, mode)

    async def read(self, steps: Steps[R]) -> R:
        async with self._lock:
            self._check(read_only=True)
            return await self._run(lambda connection: connection.drive(steps))

    snapshot = query = read

    async def write(self, steps: Steps[R]) -> R:
        async with self._lock:
            self._check(read_only=False)
            checkout = self._checkout
            return await self._outer.threads.run(
                lambda job: job.watched(lambda _: checkout.nest(steps), checkout.connection),
                undo=lambda _: checkout.take_back(),
            )

    @asynccontextmanager
    async def transaction(
        self, *, read_only: bool = False
    ) -> AsyncGenerator[AsyncSqliteTransaction]:
        """A savepoint: what the block did is undone if it raises, and only that."""
        async with self._lock:
            self._check(read_only=read_only)
            await self._run(
                lambda connection: connection.execute(SAVEPOINT),
                undo=lambda _: self._checkout.undo_savepoint(),
            )
            inner = AsyncSqliteTransaction(self._outer, self._checkout, read_only, self._lock)
            inner.first_write = self.first_write
            try:
                yield inner
            except BaseException:
                # Not ``watched``, so that nothing interrupts it: it ends, cancelled or not.
                await self._outer.threads.run(lambda _: self._checkout.undo_savepoint())
                raise
            finally:
                inner._open = False
            self._checkout.keep_savepoint()

    async def backup(self, path: str) -> None:
        raise misuse.not_in_a_transaction("a backup")

    async def close(self) -> None:
        raise misuse.closes_by_itself()

    async def blocking(self, work: Callable[[SyncRunner], R]) -> R:
        raise misuse.not_in_a_transaction("a migration")

    async def _run(self, work: OnConnection[R], undo: Callable[[R], None] | None = None) -> R:
        checkout = self._checkout
        return await self._outer.threads.run(
            lambda job: job.watched(lambda _: checkout.use(work), checkout.connection), undo
        )

    def _check(self, *, read_only: bool) -> None:
        if not self._open:
            raise misuse.ended()
        if self._read_only and not read_only:
            raise misuse.read_only()


class Lane:
    """A pool's connections for tasks: a task that gets the semaphore finds one free."""

    def __init__(self, pool: Pool[SqliteConnection], threads: WorkerThreads) -> None:
        self._pool = pool
        self._threads = threads
        self._places = asyncio.Semaphore(pool.capacity)
        self._closed = False

    def close(self) -> None:
        """Refuse all calls from now on."""
        self._closed = True

    async def run(self, work: OnConnection[R]) -> R:
        """Do the work on a connection, in a thread.  Raises Unavailable, UsageError (closed)."""
        pool = self._pool

        def visit(job: Job[R]) -> R:
            connection = pool.take()
            try:
                return job.watched(work, connection)
            finally:
                pool.give(connection)

        await self._enter()
        try:
            return await self._threads.run(visit)
        finally:
            self._places.release()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[SqliteConnection]:
        """A connection for the block."""
        await self._enter()
        try:
            connection = await self._threads.run(lambda _: self._pool.take(), undo=self._pool.give)
            try:
                yield connection
            finally:
                self._pool.give(connection)
        finally:
            self._places.release()

    async def _enter(self) -> None:
        self._check_open()
        if not self._places.locked():
            await self._places.acquire()
            return
        pool = self._pool
        try:
            async with asyncio.timeout(for_a_turn(pool.timeout_seconds)):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable(pool.exhausted, retryable=True) from None
        try:
            self._check_open()
        except UsageError:
            self._places.release()
            raise

    def _check_open(self) -> None:
        self._pool.check_process()
        if self._closed:
            raise misuse.closed()
