"""Blocking work of a task, done in a thread of its own while the task waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

from forgedb.operations.cancellation import STOP

R = TypeVar("R")


async def in_a_thread(work: Callable[[], R]) -> R:
    """Do the work and return what it gives, or raise what it raises.

    Where the task is cancelled, the work is told to stop, and waited for: once the task goes on,
    nothing more is done to the database.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[R] = loop.create_future()
    stop = threading.Event()
    context = copy_context()
    context.run(STOP.set, stop)

    def settle(value: Any, error: BaseException | None) -> None:
        if error is None:
            ended.set_result(value)
        else:
            ended.set_exception(error)

    def run() -> None:
        value: Any = None
        raised: BaseException | None = None
        try:
            value = context.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            raised = error
        # If the loop was closed meanwhile, nothing waits for the result.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, raised)

    threading.Thread(target=run, name="forgedb", daemon=True).start()
    try:
        await asyncio.wait([ended])
    except asyncio.CancelledError:
        stop.set()
        while not ended.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([ended])
        # Retrieved, or asyncio would log that the exception never was.
        ended.exception()
        raise
    return ended.result()
