"""How a DAO method meets a database: one generator, callable on sync and on async handles.

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
    from inspect import Signature

    from forgedb.operations.topics import Topic
    from forgedb.sql.lexer import Dialect

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
D = TypeVar("D", bound="Dao[Any]")
H_co = TypeVar("H_co", bound="SyncRunner | AsyncRunner", covariant=True)

Mode: TypeAlias = Literal["read", "query", "snapshot", "write"]

SchemaCheck: TypeAlias = "Callable[[Dialect, Mode], Steps[bool]]"
"""Raises where the schema won't do; True means that it need not be asked again."""


class Context(msgspec.Struct, frozen=True):
    """On whose behalf a handle acts; it goes into each audit entry."""

    actor: str | None = None
    request_id: str | None = None
    source_ip: str | None = None
    reason: str | None = None


class FirstWrite:
    """What is done ahead of a database's first write, in that transaction, by all its handles."""

    def __init__(self, check: Callable[[Context], Steps[bool]] | None = None) -> None:
        self._given = self._check = check
        """Returns whether it needn't be asked again."""

    def again(self) -> None:
        """Do it ahead of the next write, too: that is another database's first."""
        self._check = self._given

    def of_transaction(self) -> FirstWrite:
        """The same for the writes of one transaction, which may all be undone."""
        return self if self._check is None else _FirstOfTransaction(self)

    def ahead_of(self, steps: Steps[R], context: Context) -> Steps[R]:
        """The steps, with what is to be done ahead of them."""
        return steps if self._given is None else self._checked(steps, context)

    def _checked(self, steps: Steps[R], context: Context) -> Steps[R]:
        # Asked only here, when the transaction has begun: it may be on another file than the last.
        if self._check is not None and (yield from self._check(context)):
            self._check = None
        return (yield from steps)


class _FirstOfTransaction(FirstWrite):
    """What is done in the transaction, or a savepoint of it, is not known to stay."""

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
    """What carries out an operation's steps and returns its result."""

    dialect: Dialect
    first_write = FirstWrite()

    @abstractmethod
    def require_schema(self, mode: Mode) -> None:
        """Raise SchemaOutdated where the database lacks migrations that this code counts on."""

    @abstractmethod
    def read(self, steps: Steps[R]) -> R:
        """Each SELECT by itself."""

    def query(self, steps: Steps[R]) -> R:
        """As read, for text of the caller's own: where it fails, an open transaction goes on."""
        return self.read(steps)

    @abstractmethod
    def snapshot(self, steps: Steps[R]) -> R:
        """All SELECTs at one moment of the database."""

    @abstractmethod
    def write(self, steps: Steps[R]) -> R:
        """All of the changes, or none."""

    @abstractmethod
    def transaction(self, *, read_only: bool = False) -> AbstractContextManager[SyncRunner]:
        """One connection for the block; in a transaction, a savepoint."""

    @contextmanager
    def listen(self, topic: Topic) -> Generator[Callable[[float], None]]:
        """Listen for the length of the block; what is yielded waits, for so many seconds at most.

        A wait may end early, where the database can tell of the topic: SQLite can't.
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
        """The operation as a caller calls it: its steps carried out here.

        The schema is asked for when it is called, until it will do.  One that is ``repeatable`` may
        be tried again where its transaction was undone through no fault of its own.
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
    """As SyncRunner, awaited."""

    dialect: Dialect
    first_write = FirstWrite()
    is_transaction = False
    schema_ready = False
    """Whether require_schema needn't be asked any more."""

    @abstractmethod
    async def require_schema(self, mode: Mode) -> None: ...

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
        """Call in a thread what is written for threads, on this same database."""

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
        """The same, as who looks at it has to see it: with the operation's name, text and types."""
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
        """What a caller gives and gets; ``inspect.signature`` finds it behind each bound method."""
        # Imported by who looks.
        from inspect import signature

        found = signature(self.function)
        _self, *parameters = found.parameters.values()
        result = _result_of(found.return_annotation)
        return found.replace(parameters=parameters, return_annotation=result)


def _result_of(annotation: Any) -> Any:
    """What a generator that is annotated ``Steps[Lease]`` gives to a caller: ``Lease``."""
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
    """What makes an operation of a DAO's method."""

    def __call__(self, function: Callable[Concatenate[D, P], Steps[R]], /) -> Operation[P, R]: ...


@overload
def snapshot(function: Callable[Concatenate[D, P], Steps[R]], /) -> Operation[P, R]: ...
@overload
def snapshot(*, repeatable: bool) -> Decorator: ...
def snapshot(function: Any = None, /, *, repeatable: bool = True) -> Any:
    """A read of several SELECTs that all see the database at one moment.

    One that writes to a file of the caller's is not ``repeatable``: what it wrote stays written.
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

    One that reads a file of the caller's is not ``repeatable``: what it read isn't read twice.
    """
    if function is None:
        return partial(Operation, mode="write", needs_actor=True, repeatable=repeatable)
    return Operation(function, "write", needs_actor=True)


def locking(function: Callable[Concatenate[D, P], Steps[R]]) -> Operation[P, R]:
    """An operation that takes a lock but changes nothing: a write's transaction, no actor."""
    return Operation(function, "write", needs_actor=False)
