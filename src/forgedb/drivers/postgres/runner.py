"""Operations on PostgreSQL, written once: for tasks as it is, for threads behind ``SyncFacade``."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Iterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any, TypeVar

from forgedb.drivers import misuse
from forgedb.drivers.postgres.connection import PostgresConnection
from forgedb.drivers.postgres.errors import is_lost, is_stale, is_transient
from forgedb.drivers.postgres.listener import Listener
from forgedb.drivers.postgres.pool import Pool
from forgedb.drivers.reentrant_locks import ReentrantLock
from forgedb.drivers.waiters import Waiter
from forgedb.errors import Unavailable, UsageError
from forgedb.operations.binding import AsyncRunner, Dao, FirstWrite, Mode, SchemaCheck, SyncRunner
from forgedb.operations.call_timeout import at_most
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps
from forgedb.operations.topics import Topic

R = TypeVar("R")

ATTEMPTS_MAX = 8
PAUSE_SECONDS_FIRST = 0.02
PAUSE_SECONDS_MAX = 1.0

LEAST_SECONDS = 1.0
"""The least timeout of a further attempt for each answer, however little of the call is left."""

WAKING_SECONDS = 0.005
"""Waiters for a lease that are woken at one moment spread their attempts over this time."""


class PostgresRunner(AsyncRunner):
    """A database: each operation on a connection of the pool's, tried again where that is safe."""

    dialect = "postgres"

    def __init__(
        self,
        pool: Pool,
        new_lock: Callable[[], ReentrantLock],
        new_waiter: Callable[[], Waiter],
        schema_check: SchemaCheck | None = None,
        first_write: FirstWrite | None = None,
        open_beside: Callable[[], MigrationRunner] | None = None,
    ) -> None:
        self.first_write = first_write or FirstWrite()
        self._open_beside = open_beside
        """Opens the same database for a thread that works for a task."""
        self._pool = pool
        self._new_lock = new_lock
        self._new_waiter = new_waiter
        self._listener = Listener(pool.options, pool.hosts)
        self._user = new_lock().user
        self._schema_check = schema_check
        self.schema_ready = schema_check is None
        self._in_transaction: set[Hashable] = set()
        """The threads or tasks that have a transaction open: they can't use the outer handle."""

    def __repr__(self) -> str:
        return f"PostgresRunner({self._pool.options.shown!r})"

    async def open(self) -> PostgresRunner:
        await self._pool.open()
        return self

    async def close(self) -> None:
        try:
            await self._listener.close(self._pool.sleep)
        finally:
            await self._pool.close()

    async def read(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        connection = await self._pool.take()
        try:
            return await connection.drive(steps)
        finally:
            await self._pool.give(connection)

    async def query(self, steps: Steps[R]) -> R:
        """As read, but the text is the caller's: a function that it calls may change something."""
        if self._in_transaction:
            self._refuse_outer_use()
        connection = await self._take_alive()
        try:
            return await connection.drive(steps)
        except Unavailable as error:
            if is_lost(error.__cause__):
                raise Unavailable(error.why, outcome="unknown") from error.__cause__
            raise
        finally:
            await self._pool.give(connection)

    async def snapshot(self, steps: Steps[R]) -> R:
        async with self.transaction(read_only=True) as transaction:
            return await transaction.read(steps)

    async def write(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        connection = await self._pool.take(to_write=True)
        try:
            connection.begin(read_only=False)
            try:
                result = await connection.drive(steps)
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()
            return result
        finally:
            await self._pool.give(connection)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncGenerator[PostgresTransaction]:
        """One connection for the block: committed at its end, rolled back if it raises."""
        if self._in_transaction:
            self._refuse_outer_use()
        connection = await self._take_alive(to_write=not read_only)
        try:
            connection.begin(read_only=read_only)
            transaction = PostgresTransaction(self, connection, read_only, self._new_lock())
            user = self._user()
            try:
                self._in_transaction.add(user)
                try:
                    yield transaction
                finally:
                    self._in_transaction.remove(user)
                await transaction.end()
            except BaseException:
                await transaction.give_up()
                raise
            await (connection.rollback() if read_only else connection.commit())
        finally:
            await self._pool.give(connection)

    @asynccontextmanager
    async def listen(
        self, topic: Topic
    ) -> AsyncGenerator[Callable[[float], Coroutine[Any, Any, None]]]:
        waiter = self._new_waiter()

        async def wait(seconds: float) -> None:
            self._listener.add(topic, waiter)
            if await waiter.wait(seconds):
                # Other waiters were woken too: they shouldn't all try at once.
                await self._pool.sleep(random.uniform(0, WAKING_SECONDS))  # noqa: S311

        try:
            yield wait
        finally:
            self._listener.remove(topic, waiter)

    async def _take_alive(self, *, to_write: bool = False) -> PostgresConnection:
        """A connection that was checked, for a block that can't be run again if it is lost."""
        while True:
            connection = await self._pool.take(to_write=to_write)
            alive = False
            try:
                alive = await connection.link.is_alive()
            finally:
                if not alive:
                    await self._pool.give(connection)
            if alive:
                if connection.is_late:
                    self._pool.as_usual(connection)
                return connection

    async def backup(self, path: str) -> None:
        raise UsageError(
            "a PostgreSQL database is copied by its own tools:"
            f" pg_dump --format=custom --file={path} DATABASE"
        )

    async def blocking(self, work: Callable[[SyncRunner], R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        if self._pool.closed:
            raise misuse.closed()
        from forgedb.drivers.task_threads import in_a_thread

        open_beside = self._open_beside
        assert open_beside is not None, "threads call it themselves"

        def call() -> R:
            runner = open_beside()
            try:
                return work(runner)
            finally:
                runner.close()

        return await in_a_thread(call)

    def bound(
        self,
        function: Callable[..., Steps[R]],
        dao: Dao[Any],
        mode: Mode,
        *,
        on_any_schema: bool = False,
        repeatable: bool = True,
    ) -> Callable[..., Coroutine[Any, Any, R]]:
        once = super().bound(function, dao, mode, on_any_schema=on_any_schema)
        if not repeatable:
            return once

        async def bound(*args: Any, **kwargs: Any) -> R:
            began = time.monotonic()
            try:
                return await once(*args, **kwargs)
            except Unavailable as error:
                if not is_transient(error) or _are_spent(args, kwargs):
                    raise
                if is_lost(error.__cause__):
                    await self._pool.renew()
                elif is_stale(error.__cause__):
                    await self._pool.drain()
                left_seconds = self._pool.options.call_timeout_seconds
                if left_seconds is None:
                    return await self._again(once, args, kwargs, inf)
                left_seconds -= time.monotonic() - began
                if left_seconds <= 0:
                    raise
                with at_most(max(left_seconds, LEAST_SECONDS)):
                    return await self._again(once, args, kwargs, left_seconds)

        return bound

    async def _again(
        self,
        once: Callable[..., Coroutine[Any, Any, R]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        left_seconds: float,
    ) -> R:
        """Retry an operation after a transient error, with growing pauses.

        It ends when ``left_seconds``, the rest of the call's time, are over.
        """
        from tenacity import (
            AsyncRetrying,
            retry_if_exception,
            stop_after_attempt,
            stop_before_delay,
        )
        from tenacity.wait import wait_random_exponential

        # Operations that conflicted a moment ago must not retry at the same moment.
        await self._pool.sleep(random.uniform(0, PAUSE_SECONDS_FIRST))  # noqa: S311
        retrying = AsyncRetrying(
            sleep=self._pool.sleep,
            stop=stop_after_attempt(ATTEMPTS_MAX - 1) | stop_before_delay(left_seconds),
            wait=wait_random_exponential(PAUSE_SECONDS_FIRST, PAUSE_SECONDS_MAX),
            retry=retry_if_exception(is_transient),
            reraise=True,
        )
        # ``once`` is an `async def`: tenacity wouldn't await the coroutine that a lambda gives.
        return await retrying(once, *args, **kwargs)

    def _refuse_outer_use(self) -> None:
        if self._user() in self._in_transaction:
            raise misuse.outer_use()


class PostgresTransaction(AsyncRunner):
    """An open transaction; threads or tasks that share it use it one at a time."""

    dialect = "postgres"
    is_transaction = True

    def __init__(
        self,
        outer: PostgresRunner,
        connection: PostgresConnection,
        read_only: bool,
        lock: ReentrantLock,
        whole: PostgresTransaction | None = None,
    ) -> None:
        self._outer = outer
        self.first_write = whole.first_write if whole else outer.first_write.of_transaction()
        self._connection = connection
        self._read_only = read_only
        self._lock = lock
        self._whole = whole or self
        self._open = True

    async def end(self) -> None:
        """End it when no other thread or task is in a savepoint of it any more."""
        async with self._lock:
            self._open = False

    async def give_up(self) -> None:
        """End it now and roll back.

        A thread or task that is still in it gets an error, and can't reach the connection's next
        transaction.
        """
        self._open = False
        if self._lock.is_taken():
            await self._connection.link.break_off()
        await self._connection.rollback()

    async def require_schema(self, mode: Mode) -> None:
        await self._outer.check_schema(self, mode)

    async def read(self, steps: Steps[R]) -> R:
        async with self._lock:
            self._check()
            return await self._connection.drive(steps)

    snapshot = read

    async def query(self, steps: Steps[R]) -> R:
        async with self.transaction(read_only=True):
            return await self._connection.drive(steps)

    async def write(self, steps: Steps[R]) -> R:
        async with self.transaction():
            return await self._connection.drive(steps)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncGenerator[PostgresTransaction]:
        """A savepoint: what the block did is undone if it raises, and only that."""
        async with self._lock:
            self._check()
            if self._read_only and not read_only:
                raise misuse.read_only()
            connection = self._connection
            connection.savepoint()
            inner = PostgresTransaction(self._outer, connection, read_only, self._lock, self._whole)
            try:
                yield inner
            except BaseException:
                await connection.rollback_to()
                raise
            finally:
                inner._open = False
            self._check()
            connection.release()

    async def backup(self, path: str) -> None:
        raise misuse.not_in_a_transaction("a backup")

    async def close(self) -> None:
        raise misuse.closes_by_itself()

    async def blocking(self, work: Callable[[SyncRunner], R]) -> R:
        raise misuse.not_in_a_transaction("a migration")

    def _check(self) -> None:
        if not (self._open and self._whole._open):
            raise misuse.ended()


def _are_spent(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an argument is an iterator, of which a second call would find nothing left."""
    return any(isinstance(each, Iterator) for each in (*args, *kwargs.values()))
