"""SQLite's online backup: a copy as of one moment, while others go on reading and writing."""

from __future__ import annotations

import os
import stat

import apsw

from forgedb.drivers.sqlite.errors import DRIVER_ERRORS, translate
from forgedb.drivers.sqlite.files import make_file, remove, sync, temporary_beside
from forgedb.errors import Conflict, InvalidValue, Unavailable
from forgedb.models import A_BACKUP
from forgedb.operations.cancellation import stop_if_told

PAGES_AT_ONCE = 4096


def write_backup(source: apsw.Connection, path: str) -> None:
    """Copy the database to ``path``, which appears when it is complete, or is replaced then.

    A read transaction keeps the copy to one moment, so that it doesn't begin anew whenever
    another process writes.

    Raises InvalidValue (the path is the database itself), Conflict (the path is a database that is
    in use, or was left open by a process that died), Unavailable.
    """
    _refuse_live_database(source, path)
    temporary = temporary_beside(path)
    try:
        make_file(temporary)
        copy_pages(source, temporary)
        if os.path.exists(path):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        sync(temporary)
        os.replace(temporary, path)
        sync(os.path.dirname(os.path.abspath(path)))
    except DRIVER_ERRORS as error:
        raise translate(error, None, path) from error
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror}") from error
    finally:
        remove(temporary)


def _refuse_live_database(source: apsw.Connection, path: str) -> None:
    """Refuse to replace a database in use.

    Its log would be taken for the copy's, and its users would write to a deleted file.
    """
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


def copy_pages(source: apsw.Connection, path: str) -> None:
    """Copy the database, as it is at one moment, to a file that nobody else knows yet."""
    target = apsw.Connection(path)
    try:
        source.execute("BEGIN")
        try:
            # Without a statement the transaction would have seen nothing yet.
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            with target.backup("main", source, "main") as backup:
                while not backup.done:
                    stop_if_told()
                    backup.step(PAGES_AT_ONCE)
        finally:
            source.execute("ROLLBACK")
        # One file, without a log beside it.
        target.pragma("journal_mode", "delete")
        if target.table_exists("main", "database_identity"):
            # Marked as a copy, also where it is put in the place of the file that it was made of.
            # The trigger that would begin a new era is off: the copy's first write begins it.
            target.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            target.execute("UPDATE database_identity SET system_identifier = ?", [A_BACKUP])
    finally:
        target.close()
