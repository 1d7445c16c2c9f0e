"""SQLite's online backup: a copy as of one moment, while others go on reading and writing."""

from __future__ import annotations

import os
import tempfile

import apsw

from forgedb.drivers.sqlite.errors import DRIVER_ERRORS, translate
from forgedb.errors import Unavailable


def write_backup(source: apsw.Connection, path: str) -> None:
    """Copy the database to ``path``, which appears when it is complete, or is replaced then.

    A read transaction keeps the copy to one moment, so that it doesn't begin anew whenever
    another process writes.  Raises Unavailable.
    """
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
