"""Steps that call a function with the transaction that they run in: migrations in Python."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from forgedb.operations.binding import SyncRunner
from forgedb.operations.steps import Call, Steps

R = TypeVar("R")


def calling(
    steps: Steps[R], savepoint: Callable[[], AbstractContextManager[SyncRunner]]
) -> Steps[R]:
    """The same steps, with each Call made here, in a savepoint whose handle ends with it."""
    answer: Any = None
    raised: BaseException | None = None
    try:
        while True:
            step = steps.send(answer) if raised is None else steps.throw(raised)
            answer = raised = None
            try:
                if isinstance(step, Call):
                    with savepoint() as inner:
                        answer = step.function(inner)
                else:
                    answer = yield step
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                raised = error
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        steps.close()
