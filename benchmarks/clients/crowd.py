"""Client processes that work at the same time, like a fleet of workers: each has connections of its
own, and all begin and stop together."""

from __future__ import annotations

import multiprocessing
import traceback
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import perf_counter, sleep
from typing import NamedTuple

from benchmarks.clients.work import WORK, Operations, Place

WARM_UP = 30
"""Untimed operations of each client, so that statements are prepared and pages are cached."""

HEAD_START_SECONDS = 0.1
"""The longest time until all clients have read when to begin."""

LATE_SECONDS_MAX = 60.0
"""How long a client may take to get ready, or to end its last operation."""


class Order(NamedTuple):
    work: str
    seconds: float


class Done(NamedTuple):
    """What one client did in a turn."""

    seconds: float
    latencies: dict[str, array[float]]
    """Seconds of every operation, by its kind."""


class ClientFailed(Exception):
    """A client's error, with its traceback."""


class Crowd:
    """Clients that wait for orders."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def turn(self, works: Sequence[str], seconds: float) -> list[Done]:
        """Let each client do its work for so long.  Raises ClientFailed with the first error."""
        for pipe, work in zip(self._pipes, works, strict=True):
            pipe.send(Order(work, seconds))
        for pipe in self._pipes:
            _answer(pipe, LATE_SECONDS_MAX)
        # perf_counter() is the same clock in all processes of the machine.
        start = perf_counter() + HEAD_START_SECONDS
        for pipe in self._pipes:
            pipe.send(start)
        return [_answer(pipe, seconds + LATE_SECONDS_MAX) for pipe in self._pipes]


@contextmanager
def crowd(places: Sequence[Place]) -> Iterator[Crowd]:
    """A process for each place, for as long as the block runs."""
    # The clients are forked from a server that has imported everything and opened nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    pipes: list[Connection] = []
    processes: list[BaseProcess] = []
    try:
        for place in places:
            ours, theirs = context.Pipe()
            process = context.Process(target=_client, args=(place, theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield Crowd(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(LATE_SECONDS_MAX)
            process.kill()


def _answer(pipe: Connection, seconds: float) -> Done:
    if not pipe.poll(seconds):
        raise ClientFailed(f"a client said nothing for {seconds:.0f} s")
    try:
        answer = pipe.recv()
    except EOFError:
        raise ClientFailed("a client's process ended") from None
    if isinstance(answer, str):
        raise ClientFailed(answer)
    return answer


def _client(place: Place, pipe: Connection) -> None:
    """Carry out orders until the pipe is closed."""
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_carry_out(order, place, pipe))
        except BrokenPipeError:
            return
        except Exception:  # noqa: BLE001 - whatever it is ends the run, with its text
            pipe.send(traceback.format_exc())


def _carry_out(order: Order, place: Place, pipe: Connection) -> Done:
    with closing(WORK[order.work](place)) as operations:
        for _, operation in islice(operations, WARM_UP):
            operation()
        pipe.send(None)
        start = pipe.recv()
        sleep(max(0.0, start - perf_counter()))
        return _timed(operations, order.seconds)


def _timed(operations: Operations, seconds: float) -> Done:
    latencies: dict[str, array[float]] = defaultdict(lambda: array("d"))
    start = before = perf_counter()
    stop = start + seconds
    for kind, operation in operations:
        before = perf_counter()
        operation()
        after = perf_counter()
        latencies[kind].append(after - before)
        if after >= stop:
            break
    return Done(perf_counter() - start, dict(latencies))
