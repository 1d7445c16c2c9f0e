"""A process of a soak: its clients, each in a thread, and the log of the answers they get.

It reads two lines of JSON from its standard input: its orders and, when it has begun its log, the
time until which its clients go on.
"""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

import forgedb
from forgedb import Database, Unavailable
from forgedb.testing.history import Observation
from forgedb.testing.soak.client import PAUSE_SECONDS_MAX, Client
from forgedb.testing.soak.clocks import MachineClock, step_own_clock
from forgedb.testing.soak.orders import START_SECONDS_MAX, Orders

COUNT_SECONDS = 0.2

CONNECTIONS_MAX = 6
"""Of one process: many fit into the default ``max_connections`` of a server."""


class Counts(msgspec.Struct, frozen=True, tag=True):
    """The number of events of each kind since the last of these lines."""

    of: dict[str, int]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A client raised an error that no client may get."""

    client: str
    error: str


Line: TypeAlias = Observation | Counts | Failed


class Log:
    """A file of lines: when ``keep`` returns, the line outlives a SIGKILL of the process."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def keep(self, line: Line) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def work(orders: Orders, told_until: Callable[[], float]) -> None:
    """Run the clients until the time that ``told_until`` returns once they are ready to begin."""
    chance = random.Random(orders.seed)
    clock = None if orders.clock is None else MachineClock(Path(orders.clock))
    step_own_clock(random.Random(chance.random()))
    with _connected(orders, clock) as db, ThreadPoolExecutor(orders.clients) as threads:
        log = Log(orders.log)
        until = told_until()
        counts = [Counter[str]() for _ in range(orders.clients)]
        running: list[Future[None]] = []
        for number, count in enumerate(counts):
            name = orders.client(number)
            acting = db.acting_as(name)
            client = Client(
                name,
                acting.leases,
                acting.objects,
                orders.repository_ids,
                random.Random(chance.random()),
                log.keep,
                count=count,
                rest=orders.clients,
                steps=(lambda: 0) if clock is None else (lambda: clock.steps),
            )
            running.append(threads.submit(_live, client, until, log))
        told = Counter[str]()
        while not all(each.done() for each in running):
            time.sleep(COUNT_SECONDS)
            told = _tell(counts, told, log)
        _tell(counts, told, log)


def _connected(orders: Orders, clock: MachineClock | None) -> Database:
    """The database; tries again while the server is down."""
    options: dict[str, Any] = {"pool_max_size": CONNECTIONS_MAX}
    if clock is not None:
        options = {"mode": "rw", "clock": clock.now}
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return forgedb.connect(orders.url, **options)
        except Unavailable as error:
            if not error.retryable or time.monotonic() > give_up_at:
                raise
            time.sleep(PAUSE_SECONDS_MAX)


def _live(client: Client, until: float, log: Log) -> None:
    try:
        client.live(until)
    except Exception:  # noqa: BLE001 - whatever it is, the soak is to report it
        log.keep(Failed(client.name, traceback.format_exc()))


def _tell(counts: list[Counter[str]], told: Counter[str], log: Log) -> Counter[str]:
    """Log the events since ``told``; return the counts of all events so far."""
    total = sum(map(Counter, counts), Counter[str]())
    log.keep(Counts(dict(total - told)))
    return total


if __name__ == "__main__":
    lines = sys.stdin.buffer
    work(
        msgspec.json.decode(lines.readline(), type=Orders),
        lambda: msgspec.json.decode(lines.readline(), type=float),
    )
