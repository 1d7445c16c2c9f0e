"""Restoring a backup: it is first copied beside the database, then over it in one transaction.

The database stays the same file, so that its log stays its own, and connections that have it open
see the new content from the next transaction on.  Only a file that SQLite can't read as a database
is itself replaced.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress

import apsw
from msgspec.structs import replace

from forgedb.drivers.sqlite.backup import copy_pages, write_backup
from forgedb.drivers.sqlite.errors import DRIVER_ERRORS, translate
from forgedb.drivers.sqlite.file_identity import identifier
from forgedb.drivers.sqlite.files import (
    file_id,
    folder_locked,
    make_file,
    remove,
    sync,
    temporary_beside,
)
from forgedb.drivers.sqlite.lock_owner import writer_of
from forgedb.drivers.sqlite.options import sqlite_options
from forgedb.drivers.sqlite.runner import SqliteRunner
from forgedb.errors import InvalidValue, LockTimeout, Unavailable

BUSY_MILLISECONDS = 10_000

_UNREADABLE = (apsw.NotADBError, apsw.CorruptError)


@contextmanager
def copy_beside(backup: str, path: str) -> Generator[str]:
    """A sound copy of the backup in the folder of the database, for the block; its path.

    Raises InvalidValue (the backup is the database, or no forgedb database), Unavailable.
    """
    if not os.path.isfile(backup):
        raise InvalidValue("backup", backup, "there is no such file")
    if os.path.realpath(backup) == os.path.realpath(path):
        raise InvalidValue("backup", backup, "it is the database itself")
    temporary = temporary_beside(os.path.realpath(path))
    try:
        with _translated(backup):
            make_file(temporary)
            with closing(apsw.Connection(backup, flags=apsw.SQLITE_OPEN_READONLY)) as source:
                copy_pages(source, temporary)
            with closing(apsw.Connection(temporary)) as raw:
                _refuse_unsound(raw, backup)
        yield temporary
    finally:
        remove(temporary)


def _refuse_unsound(raw: apsw.Connection, backup: str) -> None:
    if not raw.table_exists("main", "schema_migrations"):
        raise InvalidValue("backup", backup, "it is an SQLite database, but not forgedb's")
    found = raw.execute("PRAGMA quick_check(1)").get
    if found != "ok":
        raise Unavailable(f"{backup} is damaged, and isn't put in place: {found}; take another")


def identifier_at(path: str) -> str | None:
    """The identifier of the database at the path; None where there is none that can be read."""
    found = file_id(path)
    if found is None:
        return None
    try:
        with _translated(path), closing(apsw.Connection(path)) as raw:
            raw.execute("SELECT 1 FROM sqlite_schema").fetchall()
    except (InvalidValue, Unavailable) as error:
        if isinstance(error.__cause__, _UNREADABLE):
            return None
        raise
    return identifier(path, found)


def open_copy(path: str, identifier: str | None) -> SqliteRunner:
    """Open the copy with the identifier that it will have in its place.

    Nothing is done ahead of its first write.
    """
    return SqliteRunner(replace(sqlite_options(path, {"mode": "rw"}), identifier=identifier))


def put_in_place(new: str, path: str, kept: str) -> str | None:
    """Give the database at the path the content of ``new``: all of it, or it stays as it is.

    Returns where a copy of what was there is kept, ``kept``, or None where nothing was.

    Raises LockTimeout (another process writes to it), Unavailable.
    """
    path = os.path.realpath(path)
    with _translated(path):
        with closing(apsw.Connection(new)) as raw:
            raw.pragma("journal_mode", "delete")
        sync(new)
        if not os.path.exists(path):
            return _take_free_place(new, path, kept)
        try:
            _write_over(new, path, kept)
        except _UNREADABLE:
            with folder_locked(os.path.dirname(path)):
                os.link(path, kept)
                _set_log_aside(path, kept)
                os.replace(new, path)
        sync(os.path.dirname(path))
    return kept


def _take_free_place(new: str, path: str, kept: str) -> str | None:
    with folder_locked(os.path.dirname(path)):
        has_log = _set_log_aside(path, kept)
        os.link(new, path)
    sync(os.path.dirname(path))
    return f"{kept}-wal" if has_log else None


def _set_log_aside(path: str, kept: str) -> bool:
    """Keep a log that was left there from being taken for the new file's."""
    has_log = os.path.exists(f"{path}-wal")
    if has_log:
        os.rename(f"{path}-wal", f"{kept}-wal")
    with suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    return has_log


def _write_over(new: str, path: str, kept: str) -> None:
    access = apsw.SQLITE_OPEN_READWRITE
    with closing(apsw.Connection(path, flags=access)) as target:
        target.set_busy_timeout(BUSY_MILLISECONDS)
        target.pragma("journal_mode", "wal")
        target.pragma("synchronous", "FULL")
        _fit_pages(new, target.pragma("page_size"))
        with (
            closing(apsw.Connection(new)) as source,
            target.backup("main", source, "main") as over,
        ):
            # From here on nobody else writes; others read the old content until this is done.
            over.step(1)
            with closing(apsw.Connection(path, flags=access)) as before:
                write_backup(before, kept)
            over.step(-1)
        with suppress(apsw.Error):
            target.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _fit_pages(new: str, page_size: int) -> None:
    """Give it the page size of the database that it is written over: a log has only one."""
    with closing(apsw.Connection(new)) as raw:
        if raw.pragma("page_size") != page_size:
            raw.pragma("page_size", page_size)
            raw.execute("VACUUM")


@contextmanager
def _translated(path: str) -> Generator[None]:
    try:
        yield
    except apsw.NotADBError as error:
        raise InvalidValue("backup", path, "it is no SQLite database") from error
    except apsw.BusyError as error:
        who = writer_of(path) or "another process"
        raise LockTimeout(
            f"{who} is writing to the database: {path}; end it, or wait", retryable=True
        ) from error
    except DRIVER_ERRORS as error:
        raise translate(error, None, path) from error
    except OSError as error:
        raise Unavailable(f"{error.filename or path}: {error.strerror}") from error
