"""Clocks that are set while they are read: the machine's, and a client's own."""

from __future__ import annotations

import mmap
import random
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY_NANOSECONDS = 24 * 3600 * 10**9

READS_BETWEEN_STEPS = 50

_STATE = struct.Struct("=qq")


class MachineClock:
    """One machine's clock, shared by its processes through a file: the real one, and an offset.

    ``steps`` is how often it was set.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_STATE.pack(0, 0))
        with path.open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), _STATE.size)

    def now(self) -> datetime:
        """The machine's time, with the offset."""
        return datetime.now(UTC) + self.offset

    @property
    def offset(self) -> timedelta:
        return timedelta(microseconds=self._read()[0])

    @property
    def steps(self) -> int:
        return self._read()[1]

    def set(self, offset: timedelta) -> None:
        """Set the clock ahead of the real time by the offset, or behind it."""
        _STATE.pack_into(self._state, 0, offset // timedelta(microseconds=1), self.steps + 1)

    def _read(self) -> tuple[int, int]:
        offset, steps = _STATE.unpack_from(self._state)
        return offset, steps


def step_own_clock(chance: random.Random) -> None:
    """From now on let this process's own clock jump back and forth, by up to a day.

    For PostgreSQL, where no lease may depend on it: the server's clock decides.  At most ids are
    made by the process's own.
    """
    time.time_ns = _jumping(time.time_ns, chance)
    whole = time.time_ns
    time.time = lambda: whole() / 1e9


def _jumping(real: Callable[[], int], chance: random.Random) -> Callable[[], int]:
    offset = 0

    def read() -> int:
        nonlocal offset
        if chance.randrange(READS_BETWEEN_STEPS) == 0:
            offset = chance.randint(-DAY_NANOSECONDS, DAY_NANOSECONDS)
        return real() + offset

    return read
