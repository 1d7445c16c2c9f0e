"""Operations on SQLite, for threads: a pool of readers, one writer, and its transactions.

A file has one writer connection and a few that only read.  A database in memory is one
connection, which is both: whoever wants it waits until a transaction ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from forgedb.drivers import misuse
from forgedb.drivers.pool import Pool
from forgedb.drivers.python_calls import calling
from forgedb.drivers.sqlite.checkout import Checkout
from forgedb.drivers.sqlite.connection import RELEASE, SAVEPOINT, SqliteConnection
from forgedb.drivers.sqlite.files import Place
from forgedb.drivers.sqlite.options import SqliteOptions, sqlite_options
from forgedb.errors import LockTimeout
from forgedb.operations.binding import FirstWrite, Mode, SchemaCheck, SyncRunner
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps

if TYPE_CHECKING:
    pass

R = TypeVar("R")


class SqliteRunner(MigrationRunner):
    """A database; safe to use from many threads."""

    dialect = "sqlite"

    def __init__(
        self,
        options: SqliteOptions,
        clock: Callable[[], datetime] | None = None,
        schema_check: SchemaCheck | None = None,
        first_write: FirstWrite | None = None,
    ) -> None:
        self.first_write = first_write or FirstWrite()
        self.options = options
        self._clock = clock or _system_clock
        self._schema_check = schema_check
        self._schema_ready = schema_check is None
        self._in_transaction: dict[int, SqliteTransaction] = {}
        """The open transaction of each thread that has one: it can't use the outer handle."""
        self._place = Place(options.absolute)
        self._place.when_another = self.first_write.again
        timeout_seconds = options.lock_seconds
        self.writer = Pool(lambda: self._open(writes=True), 1, timeout_seconds)
        self.readers = self.writer
        if not options.in_memory:
            self.readers = Pool(lambda: self._open(writes=False), options.readers, timeout_seconds)
        # Opened now, so that a file that is no database is refused by connect().  A reader: many
        # programs write nothing.
        self.readers.give(self.readers.take())

    def _open(self, *, writes: bool) -> SqliteConnection:
        return SqliteConnection(self.options, self._clock, writes=writes, place=self._place)

    def __repr__(self) -> str:
        return f"SqliteRunner({self.options.path!r})"

    @contextmanager
    def scratch(self) -> Generator[SqliteRunner]:
        import os
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="forgedb-scratch-") as folder:
            path = os.path.join(folder, "scratch.db")
            options = sqlite_options(path, {"synchronous": "OFF"})
            other = SqliteRunner(replace(options, attaches=False))
            try:
                yield other
            finally:
                other.close()

    def close(self) -> None:
        """Close every connection; one in use, when it is given back.  May be called twice."""
        self.readers.close()
        self.writer.close()

    def require_schema(self, mode: Mode) -> None:
        self.check_schema(self, mode)

    def check_schema(self, through: SyncRunner, mode: Mode) -> None:
        """As require_schema, asked through an open transaction."""
        if not self._schema_ready and self._schema_check is not None:
            self._schema_ready = through.read(self._schema_check(self.dialect, mode))

    def read(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        readers = self.readers
        try:
            connection = readers.idle.pop()
        except IndexError:
            connection = readers.take()
        try:
            if monotonic() >= connection.follow_at:
                connection.follow()
            return connection.drive(steps)
        finally:
            if readers.attention:
                readers.give(connection)
            else:
                readers.idle.append(connection)

    query = read

    def snapshot(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        connection = self.readers.take()
        try:
            return connection.look(steps)
        finally:
            self.readers.give(connection)

    def write(self, steps: Steps[R]) -> R:
        if self._in_transaction:
            self._refuse_outer_use()
        connection = self.writer.take()
        try:
            return connection.write(steps)
        finally:
            self.writer.give(connection)

    def attempt(self, steps: Steps[R], wait_seconds: float, *, no_foreign_keys: bool = False) -> R:
        with self._writing(wait_seconds) as connection:
            was_changed = connection.session_changed
            try:
                with (
                    connection.no_foreign_keys() if no_foreign_keys else nullcontext(),
                    connection.guarded(),
                ):
                    return connection.write(calling(steps, partial(self._lent, connection)))
            except LockTimeout as error:
                from forgedb.drivers.sqlite.lock_owner import writer_of

                who = writer_of(self.options.path)
                if who is None:
                    raise
                raise LockTimeout(
                    f"{who} is writing to the database: {self.options.path}", retryable=True
                ) from error
            finally:
                # If it was changed before, then by a file that runs in no transaction, and still
                # needs its session.
                if not was_changed:
                    connection.renew()

    @contextmanager
    def _lent(self, connection: SqliteConnection) -> Generator[SqliteTransaction]:
        """A savepoint of the open transaction, for what a migration in Python does."""
        connection.guard()
        transaction = SqliteTransaction(self, Checkout(connection), read_only=False)
        thread = get_ident()
        self._in_transaction[thread] = transaction
        try:
            with transaction.transaction() as inner:
                yield inner
        finally:
            del self._in_transaction[thread]
            transaction.end()

    def autocommit(self, steps: Steps[R]) -> R:
        with self._writing() as connection:
            connection.follow()
            with connection.guarded():
                return connection.drive(steps)

    def end_session(self) -> None:
        with self._writing() as connection:
            connection.renew()

    @contextmanager
    def _writing(self, wait_seconds: float | None = None) -> Generator[SqliteConnection]:
        """The writer, for a block that may take long."""
        if self._in_transaction:
            self._refuse_outer_use()
        connection = self.writer.take()
        try:
            with connection.waiting.of_a_migration(wait_seconds):
                yield connection
        finally:
            self.writer.give(connection)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SqliteTransaction]:
        """One connection for the block: committed at its end, rolled back if it raises."""
        if self._in_transaction:
            self._refuse_outer_use()
        pool = self.readers if read_only else self.writer
        connection = pool.take()
        try:
            checkout = Checkout(connection)
            transaction = SqliteTransaction(self, checkout, read_only)
            thread = get_ident()
            try:
                connection.begin(read_only=read_only)
                self._in_transaction[thread] = transaction
                try:
                    yield transaction
                finally:
                    del self._in_transaction[thread]
                transaction.end()
                checkout.commit()
            except BaseException:
                checkout.rollback()
                raise
        finally:
            pool.give(connection)

    def backup(self, path: str) -> None:
        """Copy the database, as it is now, to a file.  Raises Unavailable, UsageError."""
        from forgedb.drivers.sqlite.backup import write_backup

        if self._in_transaction:
            self._refuse_outer_use()
        connection = self.readers.take()
        try:
            connection.follow()
            write_backup(connection.raw, path)
        finally:
            self.readers.give(connection)

    def _refuse_outer_use(self) -> None:
        if get_ident() in self._in_transaction:
            raise misuse.outer_use()


class SqliteTransaction(SyncRunner):
    """An open transaction; threads that share it use it one at a time."""

    dialect = "sqlite"
    is_transaction = True

    def __init__(
        self,
        outer: SqliteRunner,
        checkout: Checkout,
        read_only: bool,
        lock: threading.RLock | None = None,
    ) -> None:
        self._outer = outer
        self.first_write = outer.first_write.of_transaction()
        self._checkout = checkout
        self._read_only = read_only
        self._lock = lock or threading.RLock()
        self._open = True

    def end(self) -> None:
        """End it when no other thread is in a savepoint of it any more."""
        with self._lock:
            self._open = False

    def require_schema(self, mode: Mode) -> None:
        self._outer.check_schema(self, mode)

    def read(self, steps: Steps[R]) -> R:
        with self._lock:
            self._check(read_only=True)
            return self._checkout.use(lambda connection: connection.drive(steps))

    snapshot = query = read

    def write(self, steps: Steps[R]) -> R:
        with self._lock:
            self._check(read_only=False)
            return self._checkout.use(lambda connection: connection.nest(steps))

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SqliteTransaction]:
        """A savepoint: what the block did is undone if it raises, and only that."""
        with self._lock:
            self._check(read_only=read_only)
            checkout = self._checkout
            checkout.use(lambda connection: connection.execute(SAVEPOINT))
            inner = SqliteTransaction(self._outer, checkout, read_only, self._lock)
            inner.first_write = self.first_write
            try:
                yield inner
            except BaseException:
                checkout.undo_savepoint()
                raise
            finally:
                inner.end()
            checkout.use(lambda connection: connection.execute(RELEASE))

    def backup(self, path: str) -> None:
        raise misuse.not_in_a_transaction("a backup")

    def close(self) -> None:
        raise misuse.closes_by_itself()

    def _check(self, *, read_only: bool) -> None:
        if not self._open:
            raise misuse.ended()
        if self._read_only and not read_only:
            raise misuse.read_only()


def _system_clock() -> datetime:
    return datetime.now(UTC)
