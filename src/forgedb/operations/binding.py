"""How a DAO method is bound to a database: one generator, callable on sync and async handles.

On an instance, an operation runs on the instance's runner: ``db.projects.get(id)`` returns the
project, ``await adb.projects.get(id)`` awaits it.  On the class it is the raw generator, so that
one DAO builds on another: ``yield from LeasesDao.require(self, ...)``.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from functools import cached_property, partial, update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    overload,
)

import msgspec

from forgedb.errors import ActorRequired
from forgedb.operations.old_spellings import refuse_by_place
from forgedb.operations.steps import Steps

if TYPE_CHECKING:
    from datetime import datetime
    from inspect import Signature

    from forgedb.operations.topics import Topic
    from forgedb.sql.lexer import Dialect

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
D = TypeVar("D", bound="Dao[Any]")
H_co = TypeVar("H_co", bound="SyncRunner | AsyncRunner", covariant=True)

Mode: TypeAlias = Literal["read", "query", "snapshot", "write"]

Clock: TypeAlias = "Callable[[], datetime] | None"
"""What gives every time, in place of the database's own clock."""

SchemaCheck: TypeAlias = "Callable[[Dialect, Mode], Steps[bool]]"
"""Raises if the schema doesn't fit this code; True means that no further check is needed."""


class Context(msgspec.Struct, frozen=True):
    """On whose behalf a handle acts; each audit entry records it."""

    actor: str | None = None
    request_id: str | None = None
    source_ip: str | None = None
    reason: str | None = None


class FirstWrite:
    """The check before a database's first write, in the same transaction; all handles share it."""

    def __init__(self, check: Callable[[Context], Steps[bool]] | None = None) -> None:
        self._given = self._check = check
        """Returns True if the check needn't run again; None once that is so."""

    def again(self) -> None:
        """Check again before the next write: it is the first one to another database."""
        self._check = self._given

    def of_transaction(self) -> FirstWrite:
        """The same check for the writes of one transaction, which may be rolled back."""
        return self if self._check is None else _FirstOfTransaction(self)

    def ahead_of(self, steps: Steps[R], context: Context) -> Steps[R]:
        """The steps, with the check before them."""
        return steps if self._given is None else self._checked(steps, context)

    def _checked(self, steps: Steps[R], context: Context) -> Steps[R]:
        # Looked up only after the transaction has begun: it may be on another file than the last.
        if self._check is not None and (yield from self._check(context)):
            self._check = None
        return (yield from steps)


class _FirstOfTransaction(FirstWrite):
    """The check within a transaction: a new era that it begins may still be rolled back."""

    def __init__(self, whole: FirstWrite) -> None:
        super().__init__(whole._given)
        self._whole = whole
        self._did_something = False

    def _checked(self, steps: Steps[R], context: Context) -> Steps[R]:
        check = self._whole._check
        if check is not None:
            if not (yield from check(context)):
                self._did_something = True
            elif not self._did_something:
                self._whole._check = None
        return (yield from steps)


class SyncRunner(ABC):
    """Runs the steps of an operation and returns its result."""

    dialect: Dialect
    first_write = FirstWrite()
    is_transaction = False

    @abstractmethod
    def require_schema(self, mode: Mode) -> None:
        """Raise SchemaOutdated if the database lacks migrations that this code needs."""

    @abstractmethod
    def read(self, steps: Steps[R]) -> R:
        """Run each SELECT by itself."""

    def query(self, steps: Steps[R]) -> R:
        """Like read, for the caller's own SQL: if it fails, an open transaction stays usable."""
        return self.read(steps)

    @abstractmethod
    def snapshot(self, steps: Steps[R]) -> R:
        """Run all SELECTs on one snapshot of the database."""

    @abstractmethod
    def write(self, steps: Steps[R]) -> R:
        """Make all of the changes, or none."""

    @abstractmethod
    def transaction(self, *, read_only: bool = False) -> AbstractContextManager[SyncRunner]:
        """One connection for the block; in a transaction, a savepoint."""

    @contextmanager
    def listen(self, topic: Topic) -> Generator[Callable[[float], None]]:
        """Listen during the block; yields a function that waits, for so many seconds at most.

        A wait ends early when the database sends a notice of the topic, which SQLite can't.
        """
        yield time.sleep

    @abstractmethod
    def backup(self, path: str) -> None:
        """Copy the database, as it is now, to a file."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def bound(
        self,
        function: Callable[..., Steps[R]],
        dao: Dao[Any],
        mode: Mode,
        *,
        on_any_schema: bool = False,
        repeatable: bool = True,
    ) -> Callable[..., R]:
        """The operation as callers call it: it runs its steps on this runner.

        Each call checks the schema, until a check succeeds.  A ``repeatable`` operation may be
        retried if its transaction was rolled back for a reason outside it, such as a deadlock.
        """
        run: Callable[[Steps[R]], R] = getattr(self, mode)
        will_do = on_any_schema

        def bound(*args: Any, **kwargs: Any) -> R:
            nonlocal will_do
            if not will_do:
                self.require_schema(mode)
                will_do = True
            try:
                steps = function(dao, *args, **kwargs)
            except TypeError:
                refuse_by_place(function, args)
                raise
            return run(steps)

        return bound


class AsyncRunner(ABC):
    """Like SyncRunner, for asyncio."""

    dialect: Dialect
    first_write = FirstWrite()
    is_transaction = False
    schema_ready = False
    """Whether require_schema needn't be called any more."""
    _schema_check: SchemaCheck | None = None

    async def require_schema(self, mode: Mode) -> None:
        await self.check_schema(self, mode)

    async def check_schema(self, through: AsyncRunner, mode: Mode) -> None:
        """As require_schema, asked through an open transaction."""
        if not self.schema_ready and self._schema_check is not None:
            self.schema_ready = await through.read(self._schema_check(self.dialect, mode))

    @abstractmethod
    async def read(self, steps: Steps[R]) -> R: ...

    async def query(self, steps: Steps[R]) -> R:
        return await self.read(steps)

    @abstractmethod
    async def snapshot(self, steps: Steps[R]) -> R: ...

    @abstractmethod
    async def write(self, steps: Steps[R]) -> R: ...

    @abstractmethod
    def transaction(
        self, *, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncRunner, bool | None]: ...

    @asynccontextmanager
    async def listen(
        self, topic: Topic
    ) -> AsyncGenerator[Callable[[float], Coroutine[Any, Any, None]]]:
        import asyncio

        yield asyncio.sleep

    @abstractmethod
    async def backup(self, path: str) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def blocking(self, work: Callable[[SyncRunner], R]) -> R:
        """Call a function in a thread, with a SyncRunner on the same database."""

    def bound(
        self,
        function: Callable[..., Steps[R]],
        dao: Dao[Any],
        mode: Mode,
        *,
        on_any_schema: bool = False,
        repeatable: bool = True,
    ) -> Callable[..., Coroutine[Any, Any, R]]:
        run: Callable[[Steps[R]], Coroutine[Any, Any, R]] = getattr(self, mode)
        will_do = on_any_schema or self.schema_ready

        async def bound(*args: Any, **kwargs: Any) -> R:
            nonlocal will_do
            if not will_do:
                await self.require_schema(mode)
                will_do = True
            try:
                steps = function(dao, *args, **kwargs)
            except TypeError:
                refuse_by_place(function, args)
                raise
            return await run(steps)

        return bound


class Dao(Generic[H_co]):
    """The base of all DAOs: operations, bound to a runner and a context."""

    def __init__(self, runner: H_co, context: Context) -> None:
        self._runner = runner
        self.context = context


class Operation(Generic[P, R_co]):
    """A DAO method: a generator function and the kind of transaction it needs."""

    def __init__(
        self,
        function: Callable[Concatenate[Any, P], Steps[R_co]],
        mode: Mode,
        needs_actor: bool,
        repeatable: bool = True,
    ) -> None:
        self.function = function
        self.mode: Mode = mode
        self.needs_actor = needs_actor
        self.repeatable = repeatable
        self.name = function.__name__
        update_wrapper(cast("Any", self), function)

    @overload
    def __get__(
        self, dao: None, owner: type[Any]
    ) -> Callable[Concatenate[Dao[Any], P], Steps[R_co]]: ...
    @overload
    def __get__(self, dao: Dao[SyncRunner], owner: type[Any]) -> Callable[P, R_co]: ...
    @overload
    def __get__(
        self, dao: Dao[AsyncRunner], owner: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, R_co]]: ...
    def __get__(self, dao: Dao[Any] | None, owner: type[Any]) -> Any:
        if dao is None:
            return self.function
        bound = self._bind(dao)
        # Not a data descriptor: from now on the instance's own attribute is found first.
        dao.__dict__[self.name] = bound
        return bound

    def _bind(self, dao: Dao[Any]) -> Callable[..., Any]:
        function = self.function
        if self.needs_actor and dao.context.actor is None:
            function = _refused(function.__qualname__)
        elif self.needs_actor:
            function = _after_first(function, dao._runner.first_write)
        return self._shown(dao._runner.bound(function, dao, self.mode, repeatable=self.repeatable))

    def _shown(self, bound: Callable[..., Any]) -> Callable[..., Any]:
        """The same callable with the operation's name, docstring and types, for introspection."""
        update_wrapper(bound, cast("Any", self), updated=())
        bound.__annotations__ = self._annotations
        return bound

    @cached_property
    def _annotations(self) -> dict[str, Any]:
        given = {**self.function.__annotations__}
        if "return" in given:
            given["return"] = _result_of(given["return"])
        return given

    @property
    def __signature__(self) -> Signature:
        """The signature for callers; ``inspect.signature`` finds it through each bound method."""
        # Imported only when a signature is asked for.
        from inspect import signature

        found = signature(self.function)
        _self, *parameters = found.parameters.values()
        result = _result_of(found.return_annotation)
        return found.replace(parameters=parameters, return_annotation=result)


def _result_of(annotation: Any) -> Any:
    """The type that a caller gets from a generator annotated ``Steps[Lease]``: ``Lease``."""
    if isinstance(annotation, str):
        is_steps = annotation.startswith("Steps[")
        return annotation.removeprefix("Steps[").removesuffix("]") if is_steps else annotation
    arguments = get_args(annotation)
    return arguments[-1] if arguments else annotation


def _after_first(function: Callable[..., Steps[R]], first: FirstWrite) -> Callable[..., Steps[R]]:
    def steps(dao: Dao[Any], *args: Any, **kwargs: Any) -> Steps[R]:
        return first.ahead_of(function(dao, *args, **kwargs), dao.context)

    return steps


def _refused(operation: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise ActorRequired(operation)

    return refuse


def read(function: Callable[Concatenate[D, P], Steps[R]]) -> Operation[P, R]:
    """An operation of one SELECT, or of several that need not agree."""
    return Operation(function, "read", needs_actor=False)


class Decorator(Protocol):
    """A decorator that turns a DAO's method into an operation."""

    def __call__(self, function: Callable[Concatenate[D, P], Steps[R]], /) -> Operation[P, R]: ...


@overload
def snapshot(function: Callable[Concatenate[D, P], Steps[R]], /) -> Operation[P, R]: ...
@overload
def snapshot(*, repeatable: bool) -> Decorator: ...
def snapshot(function: Any = None, /, *, repeatable: bool = True) -> Any:
    """A read of several SELECTs on one snapshot of the database.

    An operation that writes to the caller's file is not ``repeatable``: a retry would write twice.
    """
    if function is None:
        return partial(Operation, mode="snapshot", needs_actor=False, repeatable=repeatable)
    return Operation(function, "snapshot", needs_actor=False)


@overload
def write(function: Callable[Concatenate[D, P], Steps[R]], /) -> Operation[P, R]: ...
@overload
def write(*, repeatable: bool) -> Decorator: ...
def write(function: Any = None, /, *, repeatable: bool = True) -> Any:
    """An operation in a transaction, its own or the caller's; it needs an actor.

    An operation that reads the caller's file is not ``repeatable``: it can't be read twice.
    """
    if function is None:
        return partial(Operation, mode="write", needs_actor=True, repeatable=repeatable)
    return Operation(function, "write", needs_actor=True)


def locking(function: Callable[Concatenate[D, P], Steps[R]]) -> Operation[P, R]:
    """An operation that takes a lock but changes nothing: a write's transaction, no actor."""
    return Operation(function, "write", needs_actor=False)
