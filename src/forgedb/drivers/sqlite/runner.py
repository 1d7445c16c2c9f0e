"""Operations on SQLite, for threads: a pool of readers, one writer, and its transactions.

A file has one writer connection and a few that only read.  A database in memory is one
connection, which is both: whoever wants it waits until a transaction ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import get_ident
from typing import TypeVar

from forgedb.drivers.pool import Pool
from forgedb.drivers.sqlite.connection import SqliteConnection
from forgedb.drivers.sqlite.options import SqliteOptions
from forgedb.errors import UsageError
from forgedb.operations.binding import Mode, Sync
from forgedb.operations.steps import Steps

R = TypeVar("R")

SchemaCheck = Callable[[Sync, Mode], bool]
"""Raises where the schema won't do; True means that it need not be asked again."""


class SqliteRunner(Sync):
    """A database; safe to use from many threads."""

    dialect = "sqlite"

    def __init__(
        self,
        options: SqliteOptions,
        clock: Callable[[], datetime] | None = None,
        schema_check: SchemaCheck | None = None,
    ) -> None:
        self.options = options
        self._clock = clock or _system_clock
        self._schema_check = schema_check
        self._schema_ready = schema_check is None
        self._in_transaction: dict[int, SqliteTransaction] = {}
        """The open transaction of each thread that has one: its outer handle is out of use."""
        timeout_seconds = options.busy_timeout_seconds
        self._writer = Pool(lambda: self._open(writes=True), 1, timeout_seconds)
        self._readers = self._writer
        if not options.in_memory:
            self._readers = Pool(lambda: self._open(writes=False), options.readers, timeout_seconds)
        # Opened now, so that a file that is no database is refused by connect().  A reader: many
        # programs write nothing.
        self._readers.give(self._readers.take())

    def _open(self, *, writes: bool) -> SqliteConnection:
        return SqliteConnection(self.options, self._clock, writes=writes)

    def __repr__(self) -> str:
        return f"SqliteRunner({self.options.path!r})"

    def close(self) -> None:
        """Close every connection; in use, when it is given back.  Twice is as good as once."""
        self._readers.close()
        self._writer.close()

    def require_schema(self, mode: Mode) -> None:
        self.check_schema(self, mode)

    def check_schema(self, through: Sync, mode: Mode) -> None:
        """As require_schema, asked through an open transaction."""
        if not self._schema_ready and self._schema_check is not None:
            self._schema_ready = self._schema_check(through, mode)

    def read(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        readers = self._readers
        try:
            connection = readers.idle.pop()
        except IndexError:
            connection = readers.take()
        try:
            return connection.drive(steps)
        finally:
            if readers.attention:
                readers.give(connection)
            else:
                readers.idle.append(connection)

    def snapshot(self, steps: Steps[R]) -> R:
        with self.transaction(read_only=True) as transaction:
            return transaction.read(steps)

    def write(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        connection = self._writer.take()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = connection.drive(steps)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            return result
        finally:
            self._writer.give(connection)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SqliteTransaction]:
        """One connection for the block: committed at its end, rolled back if it raises."""
        if self._in_transaction:
            self._refuse_outer_use()
        pool = self._readers if read_only else self._writer
        connection = pool.take()
        try:
            connection.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
            transaction = SqliteTransaction(self, connection, read_only)
            thread = get_ident()
            self._in_transaction[thread] = transaction
            try:
                yield transaction
            except BaseException:
                transaction.end()
                connection.rollback()
                raise
            else:
                transaction.end()
                connection.commit()
            finally:
                del self._in_transaction[thread]
        finally:
            pool.give(connection)

    def backup(self, path: str) -> None:
        """Copy the database, as it is now, to a file.  Raises Unavailable, UsageError."""
        from forgedb.drivers.sqlite.backup import write_backup

        if self._in_transaction:
            self._refuse_outer_use()
        connection = self._readers.take()
        try:
            write_backup(connection.raw, path)
        finally:
            self._readers.give(connection)

    def _refuse_outer_use(self) -> None:
        if get_ident() in self._in_transaction:
            raise UsageError(
                "this thread has a transaction open on the database, and the outer handle would"
                " wait for it for ever: use the handle that transaction() gave"
            )


class SqliteTransaction(Sync):
    """An open transaction; other threads that use it take turns."""

    dialect = "sqlite"

    def __init__(
        self,
        outer: SqliteRunner,
        connection: SqliteConnection,
        read_only: bool,
        lock: threading.RLock | None = None,
    ) -> None:
        self._outer = outer
        self._connection = connection
        self._read_only = read_only
        self._lock = lock or threading.RLock()
        self._open = True

    def end(self) -> None:
        with self._lock:
            self._open = False

    def require_schema(self, mode: Mode) -> None:
        self._outer.check_schema(self, mode)

    def read(self, steps: Steps[R]) -> R:
        with self._lock:
            self._check()
            return self._connection.drive(steps)

    snapshot = read

    def write(self, steps: Steps[R]) -> R:
        with self.transaction():
            return self._connection.drive(steps)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SqliteTransaction]:
        """A savepoint: what the block did is undone if it raises, and only that."""
        with self._lock:
            self._check()
            if self._read_only and not read_only:
                raise UsageError(
                    "the transaction was opened with read_only=True: open one that can write"
                )
            connection = self._connection
            connection.execute("SAVEPOINT forgedb")
            inner = SqliteTransaction(self._outer, connection, read_only, self._lock)
            try:
                yield inner
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK TO forgedb")
                    connection.execute("RELEASE forgedb")
                raise
            finally:
                inner.end()
            connection.execute("RELEASE forgedb")

    def backup(self, path: str) -> None:
        raise UsageError("a backup isn't part of a transaction: make it from the database's handle")

    def close(self) -> None:
        raise UsageError("a transaction ends with its block: close the database after it")

    def _check(self) -> None:
        if not self._open:
            raise UsageError("this transaction has ended: start another with transaction()")
        self._connection.require_transaction()


def _system_clock() -> datetime:
    return datetime.now(UTC)
