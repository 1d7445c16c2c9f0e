"""The steps of an operation: what a DAO asks of the database, without doing any I/O itself.

A DAO method is a generator.  It yields steps and is sent their results; a driver carries them
out, on whichever database and in whichever style (the idea is psycopg's, whose protocol code is
generators that thin sync and async surfaces drive).  A step that fails is thrown into the
generator as one of forgedb's own errors.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import msgspec

from forgedb.errors import NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from forgedb.sql.catalogue import Sql

T = TypeVar("T")


class Select(msgspec.Struct, gc=False):
    """Rows, as ``model`` or as tuples where it is None; the result is a list."""

    statement: Sql
    params: dict[str, Any]
    model: type[Any] | None


class SelectOne(msgspec.Struct, gc=False):
    """The first row as ``model``, or None; for statements that give no more than one."""

    statement: Sql
    params: dict[str, Any]
    model: type[Any]


class Lookup(msgspec.Struct, gc=False):
    """A whole operation: the row that a key names, as ``model``.

    A driver that knows it sends the statement, and that is all.  To others, and to an operation
    that builds on it, it is the generator of one SelectOne: making and resuming a real one would
    take a tenth of a read by id.  Raises NotFound(entity, key) where there is no row.
    """

    statement: Sql
    params: dict[str, Any]
    model: type[Any]
    entity: str
    key: str
    begun: bool = False

    def __iter__(self) -> Lookup:
        return self

    def __next__(self) -> Step:
        return self.send(None)

    def send(self, row: Any) -> Step:
        """The step at first; then its result, as a generator returns it."""
        if self.begun:
            raise StopIteration(self.there(row))
        self.begun = True
        return SelectOne(self.statement, self.params, self.model)

    def throw(self, error: BaseException) -> NoReturn:
        raise error

    def close(self) -> None:
        """Nothing is open."""

    def there(self, row: T | None) -> T:
        """The row.  Raises NotFound."""
        if row is None:
            raise NotFound(self.entity, self.key)
        return row


class Change(msgspec.Struct, gc=False):
    """A statement that changes rows; the result is how many."""

    statement: Sql
    params: dict[str, Any]


class Copy(msgspec.Struct, frozen=True):
    """How rows go into a table of PostgreSQL's by ``COPY``: its text, and the columns' types."""

    text: str
    types: tuple[str, ...]


class ChangeMany(msgspec.Struct, gc=False):
    """One statement over many rows, given in batches, each of a column for each of its names.

    SQLite runs its text once for each row; PostgreSQL runs its text once for each batch, with an
    array for each name.  Where all rows are known to be new, ``copy`` is a shorter way.
    """

    statement: Sql
    batches: Iterable[Sequence[Sequence[Any]]]
    copy: Copy | None = None


class Together(msgspec.Struct, gc=False):
    """Several steps in this order, in one round trip; the result is the list of their results.

    How many rows a change changed is told only where it is a step by itself.  Where one fails, its
    error is raised, and those after it may not have run.
    """

    steps: tuple[Select | SelectOne | Change | Now, ...]


class Native(msgspec.Struct, gc=False):
    """A value as the database keeps it, made once where it goes into many rows."""

    value: Any


class Ending(msgspec.Struct, frozen=True):
    """What comes behind the last statement of a file: its session is as a new one again.

    On PostgreSQL, which does it in the same round trip.  What is still done in the transaction
    queues for a lock no longer than so many seconds.
    """

    lock_wait_seconds: float
    checks: bool = True
    """Whether first to check what waits for the COMMIT."""


class Run(msgspec.Struct, gc=False):
    """Statements of a migration, sent as they are; they have no parameters, and no rows.

    The result is whether SQLite's connection is changed, so that what follows would see it.  On
    PostgreSQL several go in one round trip.  What is raised says by ``number`` which of them
    failed, those before it having been run; a number above them all is the ending's.
    """

    texts: tuple[str, ...]
    ending: Ending | None = None
    tell: Callable[[str, str], None] | None = None
    """Hears what the server says of them, such as a WARNING: its severity, and the words."""


class Call(msgspec.Struct, gc=False):
    """A function of a migration's, called with the open transaction as a SyncRunner; its result."""

    function: Callable[[Any], Any]


class Now(msgspec.Struct, gc=False):
    """The authority's clock, read when the step is carried out: an aware UTC datetime."""


Step: TypeAlias = Select | SelectOne | Change | ChangeMany | Together | Native | Run | Call | Now
Steps: TypeAlias = Generator[Step, Any, T]

NOW = Now()


def one(model: type[T], statement: Sql, **params: Any) -> Steps[T | None]:
    """The first row as a ``model``, or None."""
    found: T | None = yield SelectOne(statement, params, model)
    return found


def lookup(model: type[T], statement: Sql, entity: str, key: str, **params: Any) -> Steps[T]:
    """The row that ``key`` names, as a ``model``.  Raises NotFound(entity, key)."""
    steps: Any = Lookup(statement, params, model, entity, key)
    found: Steps[T] = steps
    return found


def many(model: type[T], statement: Sql, **params: Any) -> Steps[list[T]]:
    """Every row as a ``model``."""
    found: list[T] = yield Select(statement, params, model)
    return found


def rows(statement: Sql, **params: Any) -> Steps[list[tuple[Any, ...]]]:
    """Every row as the driver's own tuple."""
    found: list[tuple[Any, ...]] = yield Select(statement, params, None)
    return found


def change(statement: Sql, **params: Any) -> Steps[int]:
    """How many rows the statement changed."""
    changed: int = yield Change(statement, params)
    return changed


def change_many(
    statement: Sql, batches: Iterable[Sequence[Sequence[Any]]], copy: Copy | None = None
) -> Steps[int]:
    """How many rows the statement changed in all."""
    changed: int = yield ChangeMany(statement, batches, copy)
    return changed


def together(*several: Select | SelectOne | Now) -> Steps[list[Any]]:
    """What each of the steps gives."""
    results: list[Any] = yield Together(several)
    return results


def native(value: object) -> Steps[Any]:
    """The value in the driver's own type, for the rows of ``change_many``."""
    return (yield Native(value))


def run(*texts: str) -> Steps[bool]:
    """Send the text as it is; whether SQLite's connection is changed by it, and not only data."""
    return bool((yield Run(texts)))


def call(function: Callable[[Any], Any]) -> Steps[Any]:
    """What the function gives, called with the transaction."""
    return (yield Call(function))


def now() -> Steps[datetime]:
    """The time, from the database's side; ask for it after taking the lock it must follow."""
    at: datetime = yield NOW
    return at
