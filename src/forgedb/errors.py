"""Every error that forgedb raises, and how each one reads.

Nothing here depends on a database: the drivers translate what their library raises into these
errors, and keep the original as ``__cause__``.  An error's ``args`` are its constructor's
arguments, so that it survives pickling on its way back from a worker process.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from forgedb.durations import rounded_up, span_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forgedb.models import Lease

VALUE_CHARS_MAX = 80
VALUE_BITS_MAX = 500
WORDS_CHARS_MAX = 500
NAMES_MAX = 5

_PLAIN = (str, bytes, int, float, bool, datetime, Enum, type, type(None))

Outcome = Literal["not_committed", "committed", "unknown"]
"""The outcome of the transaction; after a lost reply to COMMIT it is ``unknown``."""

LossReason = Literal["not_holder", "expired", "ended", "superseded"]


class ForgeDbError(Exception):
    """The base of every error that forgedb raises."""

    def __repr__(self) -> str:
        # Of bounded length, like the message: a refused value may have any size and any type.
        return f"{type(self).__name__}({', '.join(map(shown, self.args))})"

    position: int | None = None
    """Where in a script's statement the database reports the error: in characters, from 0."""

    number: int = 0
    """Which of the statements of a script that were sent together failed, from 0."""


class InvalidValue(ForgeDbError, ValueError):
    """A value was refused before anything was written."""

    def __init__(self, field: str, value: object, why: str) -> None:
        super().__init__(field, value, why)
        self.field = field
        self.value = value
        self.why = why

    def __str__(self) -> str:
        return f"{named(self.field)} {shown(self.value)} is refused: {self.why}"


class LineRefused(InvalidValue):
    """A line of a file to import is refused, and with it the whole file."""

    def __init__(self, source: str, line: int, field: str, value: object, why: str) -> None:
        super().__init__(field, value, why)
        self.args = (source, line, field, value, why)
        self.source = source
        self.line = line

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {super().__str__()}"


class NotFound(ForgeDbError, LookupError):
    """No such row."""

    def __init__(self, entity: str, key: object) -> None:
        super().__init__(entity, key)
        self.entity = entity
        self.key = key

    def __str__(self) -> str:
        return f"no {self.entity} {shown(self.key)}: check the key, or list what there is"


class Conflict(ForgeDbError):
    """The database's present state forbids the change; ``constraint`` names the rule."""

    def __init__(self, constraint: str, why: str = "") -> None:
        super().__init__(constraint, why)
        self.constraint = constraint
        self.why = why

    def __str__(self) -> str:
        return self.why or f"the change breaks {self.constraint}"


class AlreadyExists(Conflict):
    """Another row has this value, and it must be unique."""


class StillReferenced(Conflict):
    """Live rows depend on this one: delete or end them first."""


class Cycle(Conflict):
    """The relationship would make a repository its own ancestor."""


class LeaseHeld(Conflict):
    """Someone holds the repository's write lease; ``retry_after`` says for how long at most."""

    def __init__(self, lease: Lease, retry_after: timedelta, is_mine: bool) -> None:
        super().__init__("leases_one_open_per_repository")
        self.args = (lease, retry_after, is_mine)
        self.lease = lease
        self.retry_after = retry_after
        self.is_mine = is_mine

    def __str__(self) -> str:
        lease = self.lease
        holder = named(lease.holder)
        held_by = f"you ({holder})" if self.is_mine else holder
        purpose = f" for {shown(lease.purpose)}" if lease.purpose else ""
        return (
            f"the write lease on repository {lease.repository_id} is held by {held_by}{purpose}"
            f" since {lease.acquired_at:%Y-%m-%d %H:%M:%S} UTC, and for"
            f" {span_text(rounded_up(self.retry_after))} more at most: wait until it is released,"
            f" or until it expires at {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        )


class LeaseLost(ForgeDbError):
    """The caller doesn't hold the lease that the call needs."""

    _READS: ClassVar[dict[LossReason, str]] = {
        "not_holder": "it isn't the caller's",
        "expired": "its time is over",
        "ended": "it has ended",
        "superseded": "a newer lease has been granted",
    }

    def __init__(self, why: LossReason, detail: str = "") -> None:
        super().__init__(why, detail)
        self.why: LossReason = why
        self.detail = detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"the lease is lost: {self._READS[self.why]}{detail}; acquire a new one"


class ActorRequired(ForgeDbError):
    """A change was requested on a handle without an actor."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.operation = operation

    def __str__(self) -> str:
        return (
            f"{self.operation} changes data and needs an actor:"
            " use connect(..., actor=...) or db.acting_as(...)"
        )


class UsageError(ForgeDbError):
    """The library was called in a way that can't work."""


class SchemaOutdated(ForgeDbError):
    """The database lacks migrations; ``pending`` names them."""

    def __init__(self, pending: Sequence[str]) -> None:
        super().__init__(tuple(pending))
        self.pending = tuple(pending)

    def __str__(self) -> str:
        listed = ", ".join(self.pending) or "unknown"
        return (
            f"the database's schema is not up to date (pending: {listed}):"
            " run `forgedb migrate`, or db.migrate()"
        )


class MigrationError(ForgeDbError):
    """A migration could not be read or run; everything of its file was rolled back."""

    def __init__(
        self,
        file: str,
        line: int,
        statement: str,
        applied: Sequence[str],
        pending: Sequence[str],
        why: str = "",
        column: int = 0,
    ) -> None:
        super().__init__(file, line, statement, tuple(applied), tuple(pending), why, column)
        self.file = file
        self.line = line
        self.column = column
        self.statement = statement
        self.applied = tuple(applied)
        self.pending = tuple(pending)
        self.why = why

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.column else f":{self.line}"
        where = f"{self.file}{place}" if self.line else self.file
        parts = [f"{where}: {self.why or 'the migration failed'}"]
        if self.statement:
            parts.append(f"in {shown(' '.join(self.statement.split()))}")
        if self.applied or self.pending:
            parts.append(f"applied before: {_last(self.applied)}")
            parts.append(f"still pending: {_listed(self.pending)}")
        return "; ".join(parts)


class MigrationDrift(ForgeDbError):
    """An applied migration differs from its file, or a part of the schema from what was made.

    ``file`` names the file or the part; ``advice`` says what to do if it isn't about a file.
    """

    def __init__(self, file: str, expected: str, found: str, advice: str = "") -> None:
        super().__init__(file, expected, found, advice)
        self.file = file
        self.expected = expected
        self.found = found
        self.advice = advice

    def __str__(self) -> str:
        advice = self.advice or "put the applied text back, and make the change in a new migration"
        return (
            f"{self.file} is not what was applied (expected {self.expected}, found {self.found}):"
            f" {advice}"
        )


class Unavailable(ForgeDbError):
    """The database can't be used now; ``outcome`` says what became of the transaction."""

    def __init__(
        self, why: str, *, retryable: bool = False, outcome: Outcome = "not_committed"
    ) -> None:
        super().__init__(why)
        self.why = why
        self.retryable = retryable
        self.outcome: Outcome = outcome

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"retryable": self.retryable, "outcome": self.outcome}
        return (type(self), (self.why,), state)

    def __str__(self) -> str:
        advice = "; trying again may work" if self.retryable else ""
        known = {"unknown": "; it is unknown whether the change was made"}.get(self.outcome, "")
        return f"{self.why}{known}{advice}"


class LockTimeout(Unavailable):
    """Another client held a lock for longer than the call may wait; nothing was done."""


class AuditViolation(ForgeDbError):
    """The audit trail doesn't prove the history it holds."""


def _last(names: Sequence[str]) -> str:
    """The number of other names, then the last few names."""
    more = len(names) - NAMES_MAX
    return ", ".join([*([f"{more} others"] if more > 0 else []), *names[-NAMES_MAX:]]) or "none"


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = len(names) - NAMES_MAX
    return ", ".join([*names[:NAMES_MAX], *([f"{more} more"] if more > 0 else [])]) or "none"


def shown(value: object) -> str:
    """Any value as text for a message: quoted, and of bounded length."""
    if isinstance(value, timedelta):
        return span_text(value)
    if isinstance(value, str | bytes | bytearray) and len(value) > VALUE_CHARS_MAX:
        return f"{value[:VALUE_CHARS_MAX]!r}... ({len(value)} long)"
    if isinstance(value, int) and value.bit_length() > VALUE_BITS_MAX:
        return f"a number of {value.bit_length()} bits"
    try:
        text = repr(value) if isinstance(value, _PLAIN) else _briefly(value)
    except Exception:  # noqa: BLE001 - whatever its own repr makes of it
        return f"<{type(value).__name__}>"
    return text if len(text) <= 2 * VALUE_CHARS_MAX else text[: 2 * VALUE_CHARS_MAX] + "..."


def named(name: object) -> str:
    """A name that a caller gave, such as a field's; quoted if it is long or unprintable."""
    return name if isinstance(name, str) and name.isprintable() and len(name) < 80 else shown(name)


def said(words: str) -> str:
    """A message of the database, which may quote input: of bounded length, and all printable."""
    if len(words) > WORDS_CHARS_MAX:
        words = f"{words[:WORDS_CHARS_MAX]}..."
    if words.isprintable():
        return words
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in words)


def _briefly(value: object) -> str:
    """The first few items of a container: a text of all of them may not fit into memory."""
    # Imported where it is needed: most errors are about a text or a number.
    from reprlib import Repr

    brief = Repr()
    brief.maxstring = brief.maxother = 2 * VALUE_CHARS_MAX
    return brief.repr(value)
