"""Opening a PostgreSQL database, for threads or for tasks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TypeVar

from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.drivers.postgres.pool import AwaitedPool, BlockingPool
from forgedb.drivers.postgres.runner import PostgresRunner
from forgedb.drivers.postgres.timelines import Timelines
from forgedb.drivers.python_calls import calling
from forgedb.drivers.reentrant_locks import TaskLock, ThreadLock
from forgedb.drivers.sync_facade import SyncFacade, finish
from forgedb.drivers.waiters import TaskWaiter, ThreadWaiter
from forgedb.operations.binding import Clock, FirstWrite, SchemaCheck
from forgedb.operations.call_timeout import as_long_as_it_lives
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps

R = TypeVar("R")


class BlockingDatabase(SyncFacade, MigrationRunner):
    """A database for threads, which can open another one beside it."""

    def __init__(self, inner: PostgresRunner, options: PostgresOptions) -> None:
        super().__init__(inner)
        self._options = options

    def attempt(self, steps: Steps[R], wait_seconds: float, *, no_foreign_keys: bool = False) -> R:
        with as_long_as_it_lives(), self.transaction() as transaction:
            return transaction.read(calling(steps, transaction.transaction))

    def autocommit(self, steps: Steps[R]) -> R:
        with as_long_as_it_lives():
            return self.query(steps)

    def end_session(self) -> None:
        """Each connection is given back as it was taken."""

    def scratch(self) -> AbstractContextManager[BlockingDatabase]:
        from forgedb.drivers.postgres.scratch import scratch_beside

        return scratch_beside(self, self._options, lambda there: open_blocking(there, None, None))


def open_blocking(
    options: PostgresOptions,
    clock: Clock,
    schema_check: SchemaCheck | None,
    first_write: FirstWrite | None = None,
    *,
    timelines: Timelines | None = None,
) -> BlockingDatabase:
    """A runner for threads; ``timelines`` are what its handle has seen already.

    Raises Unavailable where the server can't be reached.
    """
    pool = BlockingPool(options, clock, timelines)
    runner = PostgresRunner(pool, ThreadLock, ThreadWaiter, schema_check, first_write)
    finish(runner.open())
    return BlockingDatabase(runner, options)


async def open_awaited(
    options: PostgresOptions,
    clock: Clock,
    schema_check: SchemaCheck | None,
    first_write: FirstWrite | None = None,
) -> PostgresRunner:
    """A runner for the tasks of one event loop.  Raises Unavailable."""
    pool = AwaitedPool(options, clock)

    def beside() -> BlockingDatabase:
        return open_blocking(options, clock, None, timelines=pool.hosts.timelines)

    runner = PostgresRunner(pool, TaskLock, TaskWaiter, schema_check, first_write, beside)
    return await runner.open()
