"""What apsw raises, as forgedb's errors."""

from __future__ import annotations

import re
from typing import Any, cast

import apsw

from forgedb.drivers import violations
from forgedb.errors import ForgeDbError, InvalidValue, LockTimeout, Unavailable, UsageError, said


class RefusedError(apsw.Error):
    """A migration's statement was refused before SQLite ran any of it."""


DRIVER_ERRORS = (apsw.Error, OverflowError, TypeError, UnicodeError)
"""What a call of apsw can raise: its own errors, and Python's about a parameter's value."""

_UNIQUE_INDEXES = """
SELECT list.name, group_concat(:table || '.' || info.name, ', ' ORDER BY info.seqno)
FROM pragma_index_list(:table) AS list, pragma_index_info(list.name) AS info
WHERE list."unique"
GROUP BY list.name
"""

# Compiled when first matched: most programs start, and end, without any of these.
_UNIQUE_COLUMNS = r"UNIQUE constraint failed: ((\w+)\.\w+(?:, \w+\.\w+)*)"
_UNIQUE_INDEX = r"UNIQUE constraint failed: index '(.+)'"

_UNAVAILABLE: dict[type[Exception], tuple[str, bool]] = {
    apsw.BusyError: ("the database is locked by another process past the timeout", True),
    apsw.LockedError: ("a table of the database is locked", True),
    apsw.FullError: ("the disk is full, or the database is at its size limit", False),
    apsw.ReadOnlyError: ("the database is read-only", False),
    apsw.CantOpenError: ("the database file can't be opened", False),
    apsw.NotADBError: ("the file is not an SQLite database", False),
    apsw.CorruptError: ("the database file is corrupt: restore a backup", False),
    apsw.IOError: ("reading or writing the database file failed", False),
    apsw.PermissionsError: ("the system denies access to the database file", False),
    apsw.InterruptError: ("the statement was interrupted", True),
    apsw.NoMemError: ("SQLite is out of memory", False),
    apsw.SchemaChangeError: ("the schema changed while the statement ran", True),
    apsw.ProtocolError: ("the database's lock protocol failed", True),
    apsw.AbortError: ("the statement was aborted by a rollback", True),
}

_LOCKED = (apsw.BusyError, apsw.LockedError)


def translate(
    error: Exception, connection: apsw.Connection | None, where: str, step: object = None
) -> ForgeDbError:
    """The error to raise in its place; ``where`` names the database without its password."""
    if isinstance(error, apsw.ConstraintError):
        return _constraint(error, connection, step)
    for kind, (why, retryable) in _UNAVAILABLE.items():
        if isinstance(error, kind):
            raised = LockTimeout if isinstance(error, _LOCKED) else Unavailable
            return raised(f"{why}: {where}", retryable=retryable)
    if isinstance(error, UnicodeDecodeError):
        return violations.undecodable(step, error)
    if isinstance(error, OverflowError | UnicodeError | apsw.TooBigError):
        return violations.unfit(step, f"SQLite can't hold it ({error})")
    if isinstance(error, TypeError):
        return violations.unfit(step, f"it is of no type that can be kept ({error})")
    if isinstance(error, RefusedError):
        return UsageError(str(error))
    return UsageError(f"SQLite refused the statement: {said(str(error))}")


def overdue(seconds: float, where: str) -> Unavailable:
    """What to raise where a statement was given up, since it took longer than that."""
    return Unavailable(
        f"a statement wasn't done within {seconds:g} s, and was interrupted: {where}; it reads too"
        " much, or call_timeout must be more",
        retryable=True,
    )


def _constraint(
    error: apsw.ConstraintError, connection: apsw.Connection | None, step: object
) -> ForgeDbError:
    code = cast("Any", error).extendedresult
    text = str(error)
    if code in (apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY):
        return violations.taken(_unique_name(text, connection))
    if code == apsw.SQLITE_CONSTRAINT_FOREIGNKEY:
        return violations.referenced()
    _, _, rule = text.partition("failed: ")
    if code == apsw.SQLITE_CONSTRAINT_NOTNULL:
        return InvalidValue(rule, None, text)
    return violations.by_trigger(text) or violations.against(rule or None, step, text)


def _unique_name(text: str, connection: apsw.Connection | None) -> str:
    """The index's own name, as the schema has it: SQLite tells only its columns."""
    by_name = re.fullmatch(_UNIQUE_INDEX, text)
    if by_name:
        return by_name[1]
    by_columns = re.fullmatch(_UNIQUE_COLUMNS, text)
    if by_columns and connection is not None:
        for name, columns in connection.execute(_UNIQUE_INDEXES, {"table": by_columns[2]}):
            if columns == by_columns[1] and not str(name).startswith("sqlite_autoindex"):
                return str(name)
    return text.removeprefix("UNIQUE constraint failed: ")
