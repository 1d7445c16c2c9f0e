"""Operations on SQLite, for tasks: each whole operation is one hop to a thread and back.

Tasks wait for a connection here, not in a thread: so there is always a thread for who has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from forgedb.drivers import refusals
from forgedb.drivers.errands import in_a_thread
from forgedb.drivers.pool import Pool
from forgedb.drivers.sqlite.connection import SAVEPOINT, SqliteConnection
from forgedb.drivers.sqlite.hops import Hop, Hops
from forgedb.drivers.sqlite.lent import Lent, OnConnection
from forgedb.drivers.sqlite.options import SqliteOptions
from forgedb.drivers.sqlite.runner import SqliteRunner
from forgedb.drivers.turns import TaskTurns
from forgedb.errors import Unavailable, UsageError
from forgedb.ids import Ulid
from forgedb.operations.binding import Async, FirstWrite, Mode, SchemaCheck, Sync
from forgedb.operations.silence import for_a_turn
from forgedb.operations.steps import Steps

R = TypeVar("R")


class AsyncSqliteRunner(Async):
    """A database; safe to use from many tasks of one event loop."""

    dialect = "sqlite"

    def __init__(self, inner: SqliteRunner, schema_check: SchemaCheck | None) -> None:
        self._inner = inner
        self.first_write = inner.first_write
        self._schema_check = schema_check
        self.schema_ready = schema_check is None
        shared = inner.readers is inner.writer
        self.hops = Hops(inner.writer.capacity + (0 if shared else inner.readers.capacity))
        self._writing = Lane(inner.writer, self.hops)
        self._reading = self._writing if shared else Lane(inner.readers, self.hops)
        self._in_transaction: set[asyncio.Task[Any] | None] = set()
        """The tasks that have a transaction open: the outer handle is out of use for them."""

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
        self.hops.close()

    async def require_schema(self, mode: Mode) -> None:
        await self.check_schema(self, mode)

    async def check_schema(self, through: Async, mode: Mode) -> None:
        """As require_schema, asked through an open transaction."""
        if not self.schema_ready and self._schema_check is not None:
            self.schema_ready = await through.read(self._schema_check(self.dialect, mode))

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
            lent = Lent(connection)
            transaction = AsyncSqliteTransaction(self, lent, read_only, TaskTurns())
            try:
                await self.hops.run(
                    lambda hop: hop.watched(lambda it: it.begin(read_only=read_only), connection)
                )
                self._in_transaction.add(task)
                try:
                    yield transaction
                finally:
                    self._in_transaction.remove(task)
                await transaction.end()
                await self.hops.run(lambda hop: hop.watched(lambda _: lent.commit(), connection))
            except BaseException:
                await self.hops.run(lambda _: lent.rollback())
                raise

    async def backup(self, path: str) -> None:
        await self.blocking(lambda runner: runner.backup(path))

    async def blocking(self, work: Callable[[Sync], R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        return await in_a_thread(lambda: work(self._inner))

    def _refuse_outer_use(self) -> None:
        if asyncio.current_task() in self._in_transaction:
            raise refusals.outer_use()


class AsyncSqliteTransaction(Async):
    """An open transaction; other tasks that use it take turns."""

    dialect = "sqlite"

    def __init__(
        self,
        outer: AsyncSqliteRunner,
        lent: Lent,
        read_only: bool,
        turns: TaskTurns,
    ) -> None:
        self._outer = outer
        self.first_write = outer.first_write.of_transaction()
        self._lent = lent
        self._read_only = read_only
        self._turns = turns
        self._open = True

    async def end(self) -> None:
        """End when nobody is in a savepoint of it any more."""
        async with self._turns:
            self._open = False

    async def require_schema(self, mode: Mode) -> None:
        await self._outer.check_schema(self, mode)

    async def read(self, steps: Steps[R]) -> R:
        async with self._turns:
            self._check(read_only=True)
            return await self._run(lambda connection: connection.drive(steps))

    snapshot = query = read

    async def write(self, steps: Steps[R]) -> R:
        async with self._turns:
            self._check(read_only=False)
            lent = self._lent
            return await self._outer.hops.run(
                lambda hop: hop.watched(lambda _: lent.nest(steps), lent.connection),
                undo=lambda _: lent.take_back(),
            )

    @asynccontextmanager
    async def transaction(
        self, *, read_only: bool = False
    ) -> AsyncGenerator[AsyncSqliteTransaction]:
        """A savepoint: what the block did is undone if it raises, and only that."""
        async with self._turns:
            self._check(read_only=read_only)
            await self._run(
                lambda connection: connection.execute(SAVEPOINT),
                undo=lambda _: self._lent.undo_savepoint(),
            )
            inner = AsyncSqliteTransaction(self._outer, self._lent, read_only, self._turns)
            inner.first_write = self.first_write
            try:
                yield inner
            except BaseException:
                # Nothing is there to interrupt: it is done to the end, cancelled or not.
                await self._outer.hops.run(lambda _: self._lent.undo_savepoint())
                raise
            finally:
                inner._open = False
            self._lent.keep_savepoint()

    def pausing(self, repository_id: Ulid) -> NoReturn:
        raise refusals.no_pause()

    async def backup(self, path: str) -> None:
        raise refusals.not_in_a_transaction("a backup")

    async def close(self) -> None:
        raise refusals.closes_by_itself()

    async def blocking(self, work: Callable[[Sync], R]) -> R:
        raise refusals.not_in_a_transaction("a migration")

    async def _run(self, work: OnConnection[R], undo: Callable[[R], None] | None = None) -> R:
        lent = self._lent
        return await self._outer.hops.run(
            lambda hop: hop.watched(lambda _: lent.use(work), lent.connection), undo
        )

    def _check(self, *, read_only: bool) -> None:
        if not self._open:
            raise refusals.ended()
        if self._read_only and not read_only:
            raise refusals.read_only()


class Lane:
    """A pool's connections for tasks: who has a place finds one free."""

    def __init__(self, pool: Pool[SqliteConnection], hops: Hops) -> None:
        self._pool = pool
        self._hops = hops
        self._places = asyncio.Semaphore(pool.capacity)
        self._closed = False

    def close(self) -> None:
        """Refuse whoever comes from now on."""
        self._closed = True

    async def run(self, work: OnConnection[R]) -> R:
        """Do the work on a connection, in a thread.  Raises Unavailable, UsageError (closed)."""
        pool = self._pool

        def visit(hop: Hop[R]) -> R:
            connection = pool.take()
            try:
                return hop.watched(work, connection)
            finally:
                pool.give(connection)

        await self._enter()
        try:
            return await self._hops.run(visit)
        finally:
            self._places.release()

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[SqliteConnection]:
        """A connection for the block."""
        await self._enter()
        try:
            connection = await self._hops.run(lambda _: self._pool.take(), undo=self._pool.give)
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
            raise refusals.closed()
