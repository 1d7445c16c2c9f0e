"""SQLite's online backup: a copy as of one moment, while others go on reading and writing."""

from __future__ import annotations

import os
import tempfile

import apsw

from forgedb.drivers.sqlite.errors import DRIVER_ERRORS, translate
from forgedb.errors import Conflict, InvalidValue, Unavailable


def write_backup(source: apsw.Connection, path: str) -> None:
    """Copy the database to ``path``, which appears when it is complete, or is replaced then.

    A read transaction keeps the copy to one moment, so that it doesn't begin anew whenever
    another process writes.

    Raises InvalidValue (the path is the database itself), Conflict (the path is a database that is
    in use, or was left open by a process that died), Unavailable.
    """
    _refuse_live_database(source, path)
    folder = os.path.dirname(path) or "."
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror}") from error
    os.close(handle)
    try:
        _copy(source, temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except DRIVER_ERRORS as error:
        raise translate(error, None, path) from error
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror}") from error
    finally:
        for leftover in (temporary, f"{temporary}-journal", f"{temporary}-wal"):
            if os.path.exists(leftover):
                os.unlink(leftover)


def _refuse_live_database(source: apsw.Connection, path: str) -> None:
    """Replaced, its log would be taken for the copy's, and its users would write to a lost file."""
    here = os.path.realpath(path)
    if os.path.exists(here) and not os.path.isfile(here):
        raise InvalidValue("path", path, "it is a folder or a device: name a file")
    if source.filename and here == os.path.realpath(source.filename):
        raise InvalidValue("path", path, "it is the database itself: choose another file")
    for log in (f"{here}-wal", f"{here}-journal"):
        if os.path.exists(log):
            raise Conflict(
                "backup_path",
                f"{path} can't be replaced: its log {log} says that it is in use, or was left by a"
                " process that died; choose another file",
            )


def _copy(source: apsw.Connection, path: str) -> None:
    target = apsw.Connection(path)
    try:
        source.execute("BEGIN")
        try:
            # Without a statement the transaction would have seen nothing yet.
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with target.backup("main", source, "main") as backup:
                backup.step(-1)
        finally:
            source.execute("ROLLBACK")
        # A file by itself, not one of a pair with its log.
        target.pragma("journal_mode", "delete")
    finally:
        target.close()
