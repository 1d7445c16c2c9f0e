"""Blocking work of a task, done in a thread of its own while the task waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from forgedb.operations.cancellation import STOP

R = TypeVar("R")


def carry_out(
    work: Callable[[], R],
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[R | None, BaseException | None], None],
) -> None:
    """Do the work in this thread, and settle its result or error in the event loop."""
    value: R | None = None
    raised: BaseException | None = None
    try:
        value = work()
    except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
        raised = error
    # If the loop was closed meanwhile, nothing waits for the result.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle, value, raised)


def settle(waiting: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    """Let the work's result, or its error, be what the future gives."""
    if error is None:
        waiting.set_result(value)
    else:
        waiting.set_exception(error)


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

    given = (partial(context.run, work), loop, partial(settle, ended))
    threading.Thread(target=carry_out, args=given, name="forgedb", daemon=True).start()
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
