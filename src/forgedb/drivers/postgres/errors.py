"""What psycopg raises, as forgedb's errors: by SQLSTATE, and by the rule's name in the schema."""

from __future__ import annotations

import re
from struct import error as struct_error

import psycopg
import psycopg_pool

from forgedb.drivers import violations
from forgedb.drivers.postgres.timeouts import NotReplicated, Overdue
from forgedb.errors import ForgeDbError, InvalidValue, LockTimeout, Unavailable, UsageError, said

DRIVER_ERRORS = (psycopg.Error, OverflowError, TypeError, UnicodeError, struct_error)
"""What a call of psycopg can raise: its own errors, and Python's about a parameter's value."""

RETRIED = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: the same transaction, run again, may well succeed."""

_UNAVAILABLE = {
    "25006": ("the server is read-only", False),
    "25P02": ("an earlier statement of this transaction failed: begin it again", False),
    "40001": ("another transaction changed the same rows", True),
    "40P01": ("this transaction and another waited for each other", True),
    "42501": ("the role isn't allowed to: see `forgedb grants`", False),
    "53100": ("the server's disk is full", False),
    "53200": ("the server is out of memory", True),
    "53300": ("the server has no connection left", True),
    "55P03": ("a lock was held by someone else past lock_timeout", True),
    "57014": ("the statement was cancelled, or ran into statement_timeout", True),
}

DUPLICATE_PREPARED = "42P05"

_LOCKED = frozenset({"40P01", "55P03"})

_LOST = ("08", "57P", "25P03", "25P04")
"""Prefixes of the SQLSTATEs that end the connection: connection exceptions, a server that shuts
down, and a session that was idle, or its transaction open, past the server's limit."""

_DATA_CLASS = "22"


def translate(error: Exception, where: str, step: object = None) -> ForgeDbError:
    """The error to raise in its place; ``where`` names the database without its password."""
    if isinstance(error, UnicodeDecodeError):
        return violations.undecodable(step, error)
    if isinstance(error, OverflowError | struct_error | UnicodeError):
        return violations.unfit(step, f"PostgreSQL can't hold it ({error})")
    if isinstance(error, TypeError):
        return violations.unfit(step, f"it is of no type that can be kept ({error})")
    if not isinstance(error, psycopg.Error):
        raise error
    code = error.sqlstate or ""
    words = _words(error)
    if isinstance(error, Overdue):
        return _overdue(error, where)
    if isinstance(error, NotReplicated):
        return Unavailable(
            f"the change is on the primary, but may not be on any standby: {where} ({words}); if"
            " the primary is lost now, it is lost as well: look whether it is there before doing it"
            " again",
            outcome="unknown",
        )
    if is_lost(error):
        return Unavailable(f"the connection was lost: {where} ({words})", retryable=True)
    if is_stale(error):
        return Unavailable(f"someone changed a table: {where} ({words})", retryable=True)
    if code in _UNAVAILABLE:
        why, retryable = _UNAVAILABLE[code]
        raised = LockTimeout if code in _LOCKED else Unavailable
        return raised(f"{why}: {where} ({words})", retryable=retryable)
    if code.startswith("23"):
        return _constraint(error, words, step)
    if code.startswith(_DATA_CLASS) or (not code and isinstance(error, psycopg.DataError)):
        return violations.unfit(step, f"PostgreSQL says: {words}")
    if not code and words.startswith("cannot adapt"):
        return violations.unfit(step, f"it is of no type that can be kept ({words})")
    if code == DUPLICATE_PREPARED and "_pg3_" in words:
        return UsageError(
            f"{where} shares its connections with others, who prepare statements of the same name"
            f" ({words}): behind such a pooler connect with ?prepare_threshold=never"
        )
    return UsageError(f"PostgreSQL refused the statement: {said(words)}")


def is_transient(error: BaseException) -> bool:
    """Whether the same work, run again, may well succeed; nothing of it has been committed."""
    if not isinstance(error, Unavailable) or error.outcome != "not_committed":
        return False
    cause = error.__cause__
    # A statement that timed out has used up the call's time.
    if isinstance(cause, Overdue):
        return False
    return isinstance(cause, psycopg.Error) and (
        cause.sqlstate in RETRIED
        or is_lost(cause)
        or is_stale(cause)
        # Retryable only if another host may take the write.
        or (is_read_only(cause) and error.retryable)
    )


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone: the outcome of the statement that it ran is unknown."""
    if not isinstance(error, psycopg.Error) or isinstance(error, NotReplicated):
        return False
    if isinstance(error, Overdue):
        return error.is_cut
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError) and not isinstance(
            error, psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed
        )
    return error.sqlstate.startswith(_LOST)


def is_read_only(error: BaseException | None) -> bool:
    """Whether the server takes no writes, or the transaction was begun read-only."""
    return isinstance(error, psycopg.errors.ReadOnlySqlTransaction)


def is_stale(error: BaseException | None) -> bool:
    """Whether a statement was refused only because it was prepared before its table changed."""
    if isinstance(error, psycopg.errors.FeatureNotSupported):
        # Messages may come in any language.
        return error.diag.source_function == "RevalidateCachedQuery"
    return isinstance(error, psycopg.errors.InvalidSqlStatementName) and "_pg3_" in str(error)


def _overdue(error: Overdue, where: str) -> Unavailable:
    seconds = f"{round(error.seconds, 2):g} s"
    if error.is_cut:
        return Unavailable(
            f"the server gave no answer within {seconds}, and the connection was given"
            f" up: {where}; look whether the server is well",
            retryable=True,
        )
    return Unavailable(
        f"a statement wasn't done within {seconds}, and was cancelled: {where}; someone"
        " may hold a lock that it needs, or call_timeout must be more",
        retryable=True,
    )


def _constraint(error: psycopg.Error, words: str, step: object) -> ForgeDbError:
    rule = _of_the_whole(error.diag.constraint_name)
    if isinstance(error, psycopg.errors.UniqueViolation | psycopg.errors.ExclusionViolation):
        return violations.taken(rule or words)
    if isinstance(error, psycopg.errors.ForeignKeyViolation | psycopg.errors.RestrictViolation):
        return violations.referenced()
    if isinstance(error, psycopg.errors.NotNullViolation):
        rule = f"{_of_the_whole(error.diag.table_name)}.{error.diag.column_name}"
        return InvalidValue(rule, None, words)
    return violations.by_trigger(words) or violations.against(rule, step, words)


def _of_the_whole(name: str | None) -> str | None:
    """The name without a partition's number, which means nothing to callers."""
    return name and re.sub(r"^object_metadata_\d\d\b", "object_metadata", name)


def _words(error: psycopg.Error) -> str:
    """The server's own sentence, or the library's, on one line."""
    return error.diag.message_primary or " ".join(str(error).split())
