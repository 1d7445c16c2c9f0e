"""An AsyncDatabase that answers as a Database does, so that one suite tests both.

An event loop runs in a thread of its own.  Each thread that calls has one task there, which runs
all of its calls: what forgedb knows of a task, it then knows of the calling thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from inspect import isawaitable
from types import TracebackType
from typing import Any

from forgedb import AsyncDatabase
from forgedb.operations.binding import Dao


class Tasks:
    """A context manager: the loop and its thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")
        self._of_thread = threading.local()
        self._running: list[asyncio.Task[None]] = []

    def __enter__(self) -> Tasks:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def run(self, call: Callable[[], Any]) -> Any:
        """What the call gives, awaited in the calling thread's task if it must be."""
        calls: asyncio.Queue[tuple[Callable[[], Any], Future[Any]]] | None
        calls = getattr(self._of_thread, "calls", None)
        if calls is None:
            self._of_thread.calls = calls = asyncio.Queue()
            asyncio.run_coroutine_threadsafe(self._start(calls), self._loop).result()
        result: Future[Any] = Future()
        self._loop.call_soon_threadsafe(calls.put_nowait, (call, result))
        return result.result()

    async def _start(self, calls: asyncio.Queue[Any]) -> None:
        self._running.append(asyncio.create_task(_answer(calls)))


async def _answer(calls: asyncio.Queue[tuple[Callable[[], Any], Future[Any]]]) -> None:
    while True:
        call, result = await calls.get()
        try:
            value = call()
            result.set_result(await value if isawaitable(value) else value)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            result.set_exception(error)
        del call, result


class Waited:
    """An object of the asynchronous surface, each of whose calls waits for its result."""

    def __init__(self, inner: Any, tasks: Tasks) -> None:
        self._inner = inner
        self._tasks = tasks

    @property
    def __class__(self) -> type[Any]:  # type: ignore[override]
        return type(self._inner)

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return self._waited(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._waited(self._tasks.run(lambda: value(*args, **kwargs)))

        return call

    def __enter__(self) -> Any:
        return self._waited(self._tasks.run(self._inner.__aenter__))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        return self._tasks.run(lambda: self._inner.__aexit__(kind, error, traceback))

    def _waited(self, value: Any) -> Any:
        asynchronous = isinstance(value, AsyncDatabase | Dao) or hasattr(value, "__aenter__")
        return Waited(value, self._tasks) if asynchronous else value
