"""The handle on a database for asyncio: like ``Database``, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from forgedb.drivers.startup import Start
from forgedb.errors import Unavailable
from forgedb.handle import (
    Handle,
    checked_clock,
    first_write,
    make_context,
    read_url,
)
from forgedb.operations.binding import AsyncRunner
from forgedb.validation import check_path

if TYPE_CHECKING:
    from forgedb.client import AsyncClient
    from forgedb.drivers.connect import ConnectOptions
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.files import MigrationFile


class AsyncDatabase(Handle[AsyncRunner]):
    """Projects, repositories, leases and the rest, on behalf of ``actor``, for the tasks of a loop.

    Handles are cheap: derive one for each request with ``acting_as``.  They share connections,
    and may be used by many tasks; a transaction's handle is bound to its one connection.
    """

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; closing twice does no harm."""
        await self._runner.close()

    @cached_property
    def client(self) -> AsyncClient:
        """A client for the caller's own SQL."""
        from forgedb.client import AsyncClient

        return AsyncClient(self._runner, self._context)

    def acting_as(
        self,
        actor: str | None,
        *,
        request_id: str | None = None,
        source_ip: str | None = None,
        reason: str | None = None,
    ) -> AsyncDatabase:
        """A handle on the same connections for another actor; audit entries record the rest too.

        Raises InvalidValue.
        """
        context = make_context(actor, request_id, source_ip, reason)
        return AsyncDatabase(self._runner, context, self._url)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncGenerator[AsyncDatabase]:
        """A handle whose changes are committed at the block's end, or rolled back if it raises.

        A transaction inside another is a savepoint.  With ``read_only`` all reads see one
        snapshot, and writes raise UsageError.  Until the block ends, the outer handle raises
        UsageError in this task.
        """
        async with self._runner.transaction(read_only=read_only) as runner:
            yield AsyncDatabase(runner, self._context, self._url)

    async def migrate(self, target: int | None = None) -> list[AppliedMigration]:
        """Bring the schema up to date and return what was applied, an empty list if it was already.

        It runs in a thread.  Raises MigrationError, MigrationDrift, Unavailable.
        """
        from forgedb.migrations.async_migrator import AsyncMigrator

        return await AsyncMigrator(self._runner).migrate(target)

    async def pending_migrations(self, target: int | None = None) -> list[MigrationFile]:
        """What ``migrate`` would apply, in order.  Raises MigrationError, MigrationDrift."""
        from forgedb.migrations.async_migrator import AsyncMigrator

        return await AsyncMigrator(self._runner).pending(target)

    async def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the database, as it is at one moment, to a file, while others go on writing.

        The file appears, or is replaced, when the copy is complete.

        Raises InvalidValue (it is the database itself), Conflict (it is a database in use),
        Unavailable, UsageError (PostgreSQL has tools of its own for it).
        """
        await self._runner.backup(check_path("path", path))


async def connect_async(
    url: str | None = None,
    *,
    actor: str | None = None,
    wait: timedelta | float = 0,
    **options: Unpack[ConnectOptions],
) -> AsyncDatabase:
    """Open a database for the tasks of the running event loop; the arguments are ``connect``'s.

    Raises InvalidValue (the URL, the actor, an option), Unavailable (it can't be opened),
    UsageError (PostgreSQL's driver isn't installed).
    """
    start = Start(wait)
    while True:
        try:
            return await _opened(url, actor, options)
        except Unavailable as error:
            await asyncio.sleep(start.pause(error))


async def _opened(url: str | None, actor: str | None, options: Mapping[str, Any]) -> AsyncDatabase:
    from forgedb.drivers.connect import open_for_tasks
    from forgedb.migrations.required_schema import schema_check

    parsed, context, given = read_url(url), make_context(actor), dict(options)
    clock = checked_clock(given.pop("clock", None))
    runner = await open_for_tasks(parsed, given, clock, schema_check, first_write())
    return AsyncDatabase(runner, context, parsed)
