"""One SQLite connection: its settings, its transactions, and the carrying out of steps.

It isn't guarded against a second thread: whoever took it from the pool has it alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import apsw

from forgedb.drivers import misuse
from forgedb.drivers.sqlite.checkpoints import CUT_SECONDS, LOG_BYTES_MAX, Checkpoints
from forgedb.drivers.sqlite.errors import DRIVER_ERRORS, overdue, translate
from forgedb.drivers.sqlite.files import FileId, Place, file_id, make_file
from forgedb.drivers.sqlite.guarded_words import may_need_guard
from forgedb.drivers.sqlite.options import SqliteOptions
from forgedb.drivers.sqlite.timeouts import Waiting
from forgedb.drivers.sqlite.values import DECODERS, bind, kept
from forgedb.errors import ForgeDbError, InvalidValue, Unavailable
from forgedb.operations.steps import (
    Change,
    ChangeMany,
    Lookup,
    Native,
    Now,
    Run,
    Select,
    SelectOne,
    Step,
    Steps,
    Together,
)

if TYPE_CHECKING:
    from forgedb.drivers.sqlite.guard import Guard

R = TypeVar("R")

WRITER_CACHE_KIB = 64 * 1024
READER_CACHE_KIB = 8 * 1024

WAL_POLL_SECONDS = 0.01

FOLLOW_SECONDS = 1.0
"""For so long a read may still use a file that was replaced; a write goes to the one there now."""

SAVEPOINT = "SAVEPOINT forgedb"
RELEASE = "RELEASE forgedb"


class SqliteConnection:
    """An open connection; ``clock`` gives the time to operations."""

    def __init__(
        self,
        options: SqliteOptions,
        clock: Callable[[], datetime],
        *,
        writes: bool,
        place: Place | None = None,
    ) -> None:
        self.where = options.path
        self._options = options
        self._clock = clock
        self._writes = writes
        self._place = place or Place(options.absolute)
        self.file: FileId | None = None
        self.follow_at = inf
        """When a read is to check whether the path still leads to the file."""
        self._is_guarded = False
        self._guard: Guard | None = None
        self.session_changed = False
        """Whether a migration's file has left something that a new connection wouldn't have."""
        self._open()

    def _open(self) -> None:
        options, place = self._options, self._place
        if options.in_memory:
            self._open_file()
            return
        if options.mode == "rwc" and place.file is None:
            # If it can't be made, opening it fails and says why.
            with suppress(OSError):
                make_file(options.absolute)
        try:
            with place.opening(self):
                self._open_file()
        except FileNotFoundError as error:
            raise Unavailable(
                f"there is no database at {self.where} any more, it was renamed or removed while it"
                " was open: put it back",
                retryable=True,
            ) from error
        except OSError as error:
            raise Unavailable(
                f"another file is at {self.where} now, and the log of the one before can't be taken"
                f" from its side: {error.strerror}",
                retryable=isinstance(error, BlockingIOError),
            ) from error
        self.follow_at = time.monotonic() + FOLLOW_SECONDS

    def _open_file(self) -> None:
        options = self._options
        # Without SQLITE_OPEN_CREATE, which would make the file anew where it was just removed.
        access = apsw.SQLITE_OPEN_READONLY if options.mode == "ro" else apsw.SQLITE_OPEN_READWRITE
        try:
            while True:
                file = None if options.in_memory else file_id(options.absolute)
                # The pool hands a connection to one thread at a time: SQLite's own mutex is not
                # needed.
                raw = apsw.Connection(options.absolute, flags=access | apsw.SQLITE_OPEN_NOMUTEX)
                if options.in_memory or file == file_id(options.absolute):
                    break
            raw.convert_binding = bind
            waiting = self._configure(raw, file)
        except apsw.CantOpenError as error:
            raise Unavailable(_why_not_opened(options)) from error
        except DRIVER_ERRORS as error:
            raise translate(error, None, self.where) from error
        # A thread that is interrupting the connection before this one holds a reference to it.
        self.raw, self.waiting, self.file = raw, waiting, file
        self._cursor: apsw.Cursor | Guard = raw.cursor()

    def _configure(self, raw: apsw.Connection, file: FileId | None) -> Waiting:
        options, writes = self._options, self._writes
        waiting = Waiting(raw, options.lock_seconds, options.call_timeout_seconds)
        # PostgreSQL has a function of this name in the schema.
        raw.create_scalar_function("forgedb_system_identifier", _identifier(options, file), 0)
        raw.pragma("foreign_keys", True)
        raw.pragma("recursive_triggers", True)
        raw.pragma("trusted_schema", False)
        # Without it SQLite, built with STAT4, prepares some statements anew for every value bound.
        raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        raw.pragma("cache_size", -(WRITER_CACHE_KIB if writes else READER_CACHE_KIB))
        # Read even where the file can't be written: this fails early if it is no SQLite database.
        journal = raw.pragma("journal_mode")
        if writes and journal not in ("wal", "memory") and not raw.readonly("main"):
            _enter_wal(raw, options.lock_seconds)
        raw.pragma("synchronous", options.synchronous)
        leaves_alone = options.checkpoint == "never"
        raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leaves_alone)
        if not writes:
            raw.pragma("query_only", True)
            return waiting
        raw.set_wal_hook(Checkpoints(self.where, waiting, leaves_alone=leaves_alone))
        if not leaves_alone:
            # Where another program has checkpointed all of the log, SQLite writes over it: this
            # limits its size, as no truncation is tried then.
            raw.pragma("journal_size_limit", LOG_BYTES_MAX)
        return waiting

    def _leads_away(self) -> bool:
        """Whether the path leads to another file than the open one, or to none."""
        return self.file is not None and file_id(self._options.absolute) != self.file

    def follow(self) -> None:
        """Open the file that the path leads to now, if that is another; outside transactions only.

        Raises Unavailable (there is none, or no database).
        """
        if not self._leads_away():
            if self.file is not None:
                self.follow_at = time.monotonic() + FOLLOW_SECONDS
            return
        self._place.tell()
        if self._place.file == self.file:
            # The log is copied into the old file, wherever that is now, if nobody reads the log.
            with suppress(apsw.Error), self.waiting.for_locks(CUT_SECONDS):
                self.raw.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._open()

    def close(self) -> None:
        self.raw.close()

    def sever(self) -> None:
        """Make it unusable in a child process; there the file is never closed either."""
        _of_the_parent.append((self.raw, self._cursor))
        severed: Any = _Severed()
        self.raw = self._cursor = severed

    def drive(self, steps: Steps[R]) -> R:
        """Carry out an operation's steps; a step's error is raised inside the operation."""
        # These stand here, not in perform: most operations are one of them,
        # and a call's cost shows beside SQLite's own few microseconds.
        execute = self._cursor.execute
        waiting = self.waiting
        waiting.due = 0.0
        lookup: Any = steps
        if type(lookup) is Lookup:
            try:
                row = execute(lookup.statement.sqlite, lookup.params).get
            except DRIVER_ERRORS as error:
                raise self._translated(error, lookup) from error
            decode = DECODERS[lookup.model][0]
            found: R = lookup.there(None if row is None else decode(row))
            return found
        try:
            step = steps.send(None)
            result: Any
            while True:
                waiting.due = 0.0
                try:
                    if type(step) is SelectOne:
                        # ``get`` takes the one row and ends the statement: no snapshot stays open.
                        row = execute(step.statement.sqlite, step.params).get
                        result = None if row is None else DECODERS[step.model][0](row)
                    elif type(step) is Select:
                        result = execute(step.statement.sqlite, step.params).fetchall()
                        if step.model is not None:
                            result = DECODERS[step.model][1](result)
                    elif type(step) is Together:
                        result = []
                        for each in step.steps:
                            if type(each) is Change:
                                execute(each.statement.sqlite, each.params)
                                result.append(None)
                            else:
                                result.append(self.perform(each))
                    else:
                        result = self.perform(step)
                except InvalidValue as error:
                    # From a row's decoder; the operation may handle it.
                    step = steps.throw(error)
                except DRIVER_ERRORS as error:
                    step = steps.throw(self._translated(error, step))
                else:
                    step = steps.send(result)
        except StopIteration as stop:
            value: R = stop.value
            return value
        except BaseException:
            steps.close()
            raise

    def read(self, steps: Steps[R]) -> R:
        """Carry out an operation of a single SELECT."""
        if time.monotonic() >= self.follow_at:
            self.follow()
        return self.drive(steps)

    def begin(self, *, read_only: bool) -> None:
        """Begin a transaction on the file that the path leads to now."""
        if read_only:
            if time.monotonic() >= self.follow_at:
                self.follow()
            self.execute("BEGIN")
            return
        self.execute("BEGIN IMMEDIATE")
        # Checked only now: BEGIN IMMEDIATE may have waited long for the lock.
        while self._leads_away():
            self.rollback()
            self.follow()
            self.execute("BEGIN IMMEDIATE")

    def look(self, steps: Steps[R]) -> R:
        """Carry out an operation that sees the database at one moment."""
        try:
            self.begin(read_only=True)
            return self.drive(steps)
        finally:
            self.rollback()

    def write(self, steps: Steps[R]) -> R:
        """Carry out an operation in a transaction of its own."""
        try:
            # BEGIN and COMMIT too: an interruption may come just after one, or before the other.
            self.begin(read_only=False)
            result = self.drive(steps)
            self.commit()
            return result
        except BaseException:
            self.rollback()
            raise

    def nest(self, steps: Steps[R]) -> R:
        """Carry out an operation in a savepoint of the open transaction."""
        result = self.nest_open(steps)
        self.execute(RELEASE)
        return result

    def nest_open(self, steps: Steps[R]) -> R:
        """Carry out an operation in a savepoint that stays open if it goes well."""
        self.execute(SAVEPOINT)
        try:
            return self.drive(steps)
        except BaseException:
            self.rollback_to()
            raise

    def _change(self, step: Change) -> int:
        raw = self.raw
        before = raw.total_changes()
        self._cursor.execute(step.statement.sqlite, step.params)
        # changes() leaves out what triggers changed, but keeps the count of an earlier
        # statement where this one changes nothing.
        return raw.changes() if raw.total_changes() > before else 0

    def perform(self, step: Step) -> Any:
        if type(step) is Now:
            return self._clock()
        if type(step) is Change:
            return self._change(step)
        if type(step) is SelectOne:
            row = self._cursor.execute(step.statement.sqlite, step.params).get
            return None if row is None else DECODERS[step.model][0](row)
        if type(step) is Select:
            found = self._cursor.execute(step.statement.sqlite, step.params).fetchall()
            return found if step.model is None else DECODERS[step.model][1](found)
        if type(step) is ChangeMany:
            before = self.raw.total_changes()
            for columns in step.batches:
                self.waiting.due = 0.0
                self._cursor.executemany(step.statement.sqlite, zip(*columns, strict=True))
            return self.raw.total_changes() - before
        if type(step) is Native:
            return kept(step.value)
        assert type(step) is Run, f"a {type(step).__name__} is carried out by whoever drives it"
        return self._run(step)

    def _run(self, step: Run) -> bool:
        if self.raw.in_transaction:
            # It is the whole file, which must not see the last_insert_rowid() of the one before.
            self.raw.set_last_insert_rowid(0)
        if self._is_guarded and may_need_guard(step.texts):
            self.guard()
        for number, text in enumerate(step.texts):
            try:
                for _ in self._cursor.execute(text):
                    # Some do a part of their work for each row, such as PRAGMA incremental_vacuum.
                    pass
            except DRIVER_ERRORS as error:
                failed: Any = error
                failed.number = number
                raise
        return self._changes_session()

    def execute(self, text: str) -> None:
        """A statement without parameters or result, such as BEGIN."""
        try:
            self._cursor.execute(text)
        except DRIVER_ERRORS as error:
            raise self._translated(error) from error

    def require_transaction(self) -> None:
        """Raise Unavailable where SQLite rolled the transaction back by itself."""
        if not self.raw.in_transaction:
            raise Unavailable(
                "the transaction was rolled back when one of its statements was cut short:"
                " begin it again",
                retryable=True,
            )

    def commit(self) -> None:
        """Commit.  Raises Unavailable, and nothing is kept, where that can't be done."""
        self.require_transaction()
        if self._writes and self._leads_away():
            self.rollback()
            self._place.tell()
            raise Unavailable(
                f"{self.where} was replaced, renamed or removed while the transaction was open:"
                " nothing of it is kept; begin it again",
                retryable=True,
            )
        try:
            self.execute("COMMIT")
        except ForgeDbError:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Undo the open transaction, if SQLite hasn't already."""
        if self.raw.in_transaction:
            self.execute("ROLLBACK")

    def rollback_to(self) -> None:
        """Undo what was done since the savepoint, if SQLite hasn't undone the whole already."""
        if self.raw.in_transaction:
            self.execute("ROLLBACK TO forgedb")
            self.execute(RELEASE)

    @contextmanager
    def no_foreign_keys(self) -> Generator[None]:
        """Leave foreign keys unchecked in the block; a transaction can't change that."""
        self.raw.pragma("foreign_keys", False)
        try:
            yield
        finally:
            self.raw.pragma("foreign_keys", True)

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Run the block's statements as a migration's: guarded, from the first that may need it."""
        self._is_guarded = True
        try:
            yield
        finally:
            self._is_guarded = False
            if self._guard is not None:
                self.session_changed = self._changes_session()
                self._guard = None
                self.raw.authorizer = None
                self._cursor = self.raw.cursor()

    def guard(self) -> None:
        """Have SQLite tell what the statements would do, to the end of the block."""
        if self._guard is None:
            # Most programs migrate nothing.
            from forgedb.drivers.sqlite.guard import Guard

            guard = Guard(self.raw, attaches=self._options.attaches)
            self._guard = self._cursor = guard
            self.raw.authorizer = guard.authorize

    def _changes_session(self) -> bool:
        return self.session_changed or (self._guard is not None and self._guard.session_changed)

    def renew(self) -> None:
        """Let the next file find a new connection, as it would in a process of its own."""
        if not self.session_changed:
            self.raw.set_last_insert_rowid(0)
            return
        before = self.raw
        self._open()
        if self._options.in_memory:
            # The database goes with its connection: so it is copied to the new one.
            self.raw.pragma("page_size", before.pragma("page_size"))
            with self.raw.backup("main", before, "main") as copying:
                copying.step()
        self.session_changed = False

    def _translated(self, error: Exception, step: Step | Lookup | None = None) -> ForgeDbError:
        translated = translate(error, self.raw, self.where, step)
        if self.waiting.gave_up:
            self.waiting.gave_up = False
            translated = overdue(self.waiting.call_seconds, self.where)
        translated.__cause__ = error
        if isinstance(step, Run):
            translated.number = number = getattr(error, "number", 0)
            offset = getattr(error, "error_offset", -1)
            if offset >= 0:
                # SQLite counts bytes.
                before = step.texts[number].encode()[:offset]
                translated.position = len(before.decode(errors="ignore"))
        return translated


class _Severed:
    """In the place of a connection that is another process's: any use but close() raises."""

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise misuse.forked()


_of_the_parent: list[Any] = []


def _identifier(options: SqliteOptions, file: FileId | None) -> Callable[..., str | None]:
    """A function that gives the file's identifier, which no copy has.  None in memory."""

    @cache
    def tell(*_: object) -> str | None:
        # Only what grants leases asks for it.
        from forgedb.drivers.sqlite.file_identity import identifier

        return options.identifier or (None if file is None else identifier(options.absolute, file))

    return tell


def _enter_wal(raw: apsw.Connection, timeout_seconds: float) -> None:
    """Switch a new file to WAL; SQLite doesn't call the busy handler for that, so wait here."""
    give_up_at = time.monotonic() + timeout_seconds
    while True:
        try:
            raw.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() >= give_up_at:
                raise
            time.sleep(WAL_POLL_SECONDS)
        else:
            # This read makes the log, so that the file's own log can be told from another's later.
            raw.execute("SELECT 1 FROM sqlite_schema").fetchall()
            return


def _why_not_opened(options: SqliteOptions) -> str:
    folder = os.path.dirname(options.path) or "."
    if os.path.isdir(options.path):
        return f"{options.path} is a folder: name a file in it"
    if not os.path.isdir(folder):
        return f"{options.path} can't be opened: there is no folder {folder}, make it first"
    if options.mode != "rwc" and not os.path.exists(options.path):
        return f"there is no database at {options.path}: make one with `forgedb migrate`"
    return f"{options.path} can't be opened: check who may read and write it"
