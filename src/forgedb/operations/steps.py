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
    """Rows, as ``model``, or as tuples if it is None; the result is a list."""

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

    A driver that knows Lookup only sends the statement.  For other drivers, and for an operation
    that builds on it, it acts as a generator of one SelectOne: a real generator would take a tenth
    of the time of a read by id.  Raises NotFound(entity, key) if there is no row.
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
        """Gives the step at first; then ends with its result, as a generator does."""
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
    """A ``COPY`` into a table of PostgreSQL: its text, and the types of the columns."""

    text: str
    types: tuple[str, ...]


class ChangeMany(msgspec.Struct, gc=False):
    """One statement for many rows, given in batches: a list of values for each parameter.

    SQLite runs its text once for each row; PostgreSQL runs its text once for each batch, with an
    array for each parameter.  If all rows are known to be new, ``copy`` is faster.
    """

    statement: Sql
    batches: Iterable[Sequence[Sequence[Any]]]
    copy: Copy | None = None


class Together(msgspec.Struct, gc=False):
    """Several steps in this order, in one round trip; the result is the list of their results.

    A Change among them gives no row count; only a Change on its own does.  If a step fails, its
    error is raised, and the steps after it may not have run.
    """

    steps: tuple[Select | SelectOne | Change | Now, ...]


class Native(msgspec.Struct, gc=False):
    """A value in the driver's own type, converted once for use in many rows."""

    value: Any


class Ending(msgspec.Struct, frozen=True):
    """After the last statement of a file: reset the session to the state of a new one.

    For PostgreSQL, in the same round trip.  The rest of the transaction waits for a lock for at
    most ``lock_wait_seconds``.
    """

    lock_wait_seconds: float
    checks: bool = True
    """Whether to check deferred constraints first, which otherwise wait for the COMMIT."""


class Run(msgspec.Struct, gc=False):
    """Statements of a migration, sent as they are; they have no parameters, and no rows.

    The result is whether they changed settings of SQLite's connection, which later statements
    would see.  On PostgreSQL several go in one round trip.  The ``number`` of an error says which
    statement failed; those before it were run.  A number above them all means the ``ending``.
    """

    texts: tuple[str, ...]
    ending: Ending | None = None
    tell: Callable[[str, str], None] | None = None
    """Called with each message of the server, such as a WARNING: its severity and its text."""


class Call(msgspec.Struct, gc=False):
    """A function of a migration, called with the transaction as a SyncRunner; gives its result."""

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
    """The results of the steps."""
    results: list[Any] = yield Together(several)
    return results


def native(value: object) -> Steps[Any]:
    """The value in the driver's own type, for the rows of ``change_many``."""
    return (yield Native(value))


def run(*texts: str) -> Steps[bool]:
    """Send the texts as they are; returns whether they changed SQLite's connection settings."""
    return bool((yield Run(texts)))


def call(function: Callable[[Any], Any]) -> Steps[Any]:
    """Call the function with the transaction; returns its result."""
    return (yield Call(function))


def now() -> Steps[datetime]:
    """The time of the authority's clock; read it after taking the lock that it must follow."""
    at: datetime = yield NOW
    return at
