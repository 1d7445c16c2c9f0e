"""A driver's coroutines as plain calls, for threads: with blocking links they never suspend."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from forgedb.operations.binding import AsyncRunner, Dao, Mode, SyncRunner
from forgedb.operations.steps import Steps
from forgedb.operations.topics import Topic

R = TypeVar("R")


def finish(work: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never suspends, and return its result."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: R = stop.value
        return result
    raise AssertionError("it stands on links that never wait")


class SyncFacade(SyncRunner):
    """The same runner or transaction, each of its calls finished when it returns."""

    def __init__(self, inner: AsyncRunner) -> None:
        self._inner = inner
        self.dialect = inner.dialect
        self.first_write = inner.first_write
        self.is_transaction = inner.is_transaction

    def __repr__(self) -> str:
        return f"SyncFacade({self._inner!r})"

    def require_schema(self, mode: Mode) -> None:
        finish(self._inner.require_schema(mode))

    def read(self, steps: Steps[R]) -> R:
        return finish(self._inner.read(steps))

    def query(self, steps: Steps[R]) -> R:
        return finish(self._inner.query(steps))

    def snapshot(self, steps: Steps[R]) -> R:
        return finish(self._inner.snapshot(steps))

    def write(self, steps: Steps[R]) -> R:
        return finish(self._inner.write(steps))

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[SyncFacade]:
        block = self._inner.transaction(read_only=read_only)
        inner = finish(block.__aenter__())
        try:
            yield SyncFacade(inner)
        except BaseException as error:
            if not finish(block.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            finish(block.__aexit__(None, None, None))

    @contextmanager
    def listen(self, topic: Topic) -> Generator[Callable[[float], None]]:
        block = self._inner.listen(topic)
        wait = finish(block.__aenter__())
        try:
            yield lambda seconds: finish(wait(seconds))
        finally:
            finish(block.__aexit__(None, None, None))

    def backup(self, path: str) -> None:
        finish(self._inner.backup(path))

    def close(self) -> None:
        finish(self._inner.close())

    def bound(
        self,
        function: Callable[..., Steps[R]],
        dao: Dao[Any],
        mode: Mode,
        *,
        on_any_schema: bool = False,
        repeatable: bool = True,
    ) -> Callable[..., R]:
        inner = self._inner.bound(
            function, dao, mode, on_any_schema=on_any_schema, repeatable=repeatable
        )

        def bound(*args: Any, **kwargs: Any) -> R:
            return finish(inner(*args, **kwargs))

        return bound
