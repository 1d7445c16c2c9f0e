"""The handle on a database: the DAOs on one connection URL, on behalf of one actor."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
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
from forgedb.operations.binding import SyncRunner
from forgedb.validation import check_path

if TYPE_CHECKING:
    from forgedb.client import SyncClient
    from forgedb.drivers.connect import ConnectOptions
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.files import MigrationFile


class Database(Handle[SyncRunner]):
    """Projects, repositories, leases and the rest, on behalf of ``actor``.

    Handles are cheap: derive one for each request with ``acting_as``.  They share connections,
    and may be used by many threads; a transaction's handle is bound to its one connection.
    """

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; closing twice does no harm."""
        self._runner.close()

    @cached_property
    def client(self) -> SyncClient:
        """A client for the caller's own SQL."""
        from forgedb.client import SyncClient

        return SyncClient(self._runner, self._context)

    def acting_as(
        self,
        actor: str | None,
        *,
        request_id: str | None = None,
        source_ip: str | None = None,
        reason: str | None = None,
    ) -> Database:
        """A handle on the same connections for another actor; audit entries record the rest too.

        Raises InvalidValue.
        """
        context = make_context(actor, request_id, source_ip, reason)
        return Database(self._runner, context, self._url)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[Database]:
        """A handle whose changes are committed at the block's end, or rolled back if it raises.

        A transaction inside another is a savepoint.  With ``read_only`` all reads see one
        snapshot, and writes raise UsageError.  Until the block ends, the outer handle raises
        UsageError in this thread.
        """
        with self._runner.transaction(read_only=read_only) as runner:
            yield Database(runner, self._context, self._url)

    def migrate(self, target: int | None = None) -> list[AppliedMigration]:
        """Bring the schema up to date and return what was applied, an empty list if it was already.

        Raises MigrationError, MigrationDrift, Unavailable.
        """
        from forgedb.migrations import Migrator

        return Migrator(self._runner).migrate(target)

    def pending_migrations(self, target: int | None = None) -> list[MigrationFile]:
        """What ``migrate`` would apply, in order.  Raises MigrationError, MigrationDrift."""
        from forgedb.migrations import Migrator

        return Migrator(self._runner).pending(target)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the database, as it is at one moment, to a file, while others go on writing.

        The file appears, or is replaced, when the copy is complete.

        Raises InvalidValue (it is the database itself), Conflict (it is a database in use),
        Unavailable.
        """
        self._runner.backup(check_path("path", path))


def connect(
    url: str | None = None,
    *,
    actor: str | None = None,
    wait: timedelta | float = 0,
    **options: Unpack[ConnectOptions],
) -> Database:
    """Open a database: ``sqlite://`` in memory, ``sqlite:///file.db``, ``postgresql://…``.

    Without a URL the environment's is used, or else ``sqlite:///forge.db``.  If the database isn't
    there yet, it retries for up to ``wait``, a timedelta or seconds: while a server starts, or
    until its name, the database or the folder exists.

    Options of SQLite, also after a ``?`` in the URL: ``mode`` (ro, rw, rwc: rw doesn't make a new
    file), ``synchronous`` (FULL; OFF, NORMAL, EXTRA), ``busy_timeout`` (a timedelta, or seconds),
    ``readers`` (connections that read).  Of PostgreSQL, likewise: ``pool_min_size``,
    ``pool_max_size``, ``pool_timeout`` (a timedelta, or seconds), ``prepare_threshold`` (uses
    after which a statement is prepared on the server; ``never`` behind a PgBouncer that can't
    keep them).  Of both, ``call_timeout``: how long a call waits for an answer, a timedelta,
    seconds, or ``never``; 30 s.  ``clock`` is a function that gives every time, an aware UTC
    datetime, for tests and replays.

    Raises InvalidValue (the URL, the actor, an option), Unavailable (it can't be opened),
    UsageError (PostgreSQL's driver isn't installed).
    """
    start = Start(wait)
    while True:
        try:
            return _opened(url, actor, options)
        except Unavailable as error:
            time.sleep(start.pause(error))


def _opened(url: str | None, actor: str | None, options: Mapping[str, Any]) -> Database:
    from forgedb.drivers.connect import open_for_threads
    from forgedb.migrations.required_schema import schema_check

    parsed, context, given = read_url(url), make_context(actor), dict(options)
    clock = checked_clock(given.pop("clock", None))
    runner = open_for_threads(parsed, given, clock, schema_check, first_write())
    return Database(runner, context, parsed)
