"""Interleaved timing: contenders take turns in small slices, so that whatever slows the machine for
a while slows all of them.  Ratios are of neighbouring slices."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import perf_counter
from typing import NamedTuple, TypeAlias

Slice: TypeAlias = Callable[[], object]
"""Work that is timed, as a whole."""

Contender: TypeAlias = Callable[[], Slice]
"""Prepares the next slice, untimed, and returns it."""


class Times(NamedTuple):
    """Seconds of each slice: wall-clock time and CPU time."""

    wall: list[float]
    cpu: list[float]


class Row(NamedTuple):
    """A line of the table: the times of ``raw`` and ``ours``, which took turns at the same work."""

    name: str
    work: str
    against: str
    operations: int
    """How many operations a slice has; times are shown for one."""
    bound: float | None
    """The highest ratio that is allowed; None for a row that only informs."""
    raw: Times
    ours: Times

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring slices."""
        return median(self._ratios())

    @property
    def cpu_ratio(self) -> float:
        return sum(self.ours.cpu) / sum(self.raw.cpu)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles around the ratio."""
        return quartiles(self._ratios())

    @property
    def raw_seconds(self) -> float:
        return median(self.raw.wall) / self.operations

    @property
    def our_seconds(self) -> float:
        return median(self.ours.wall) / self.operations

    @property
    def is_within(self) -> bool | None:
        return None if self.bound is None else self.ratio <= self.bound

    def _ratios(self) -> list[float]:
        return [ours / raw for raw, ours in zip(self.raw.wall, self.ours.wall, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third, of two values or more."""
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


def interleave(
    contenders: Sequence[Contender], rounds: int, *, warm_up: bool = True
) -> list[Times]:
    """Each contender's times over ``rounds`` (2 or more) in which every one has a turn."""
    times = [Times([], []) for _ in contenders]
    if warm_up:
        for prepare in contenders:
            prepare()()
    # Keep prepared objects out of garbage collections during the slices.
    gc.collect()
    gc.freeze()
    try:
        for _ in range(rounds):
            for prepare, taken in zip(contenders, times, strict=True):
                run = prepare()
                cpu, wall = _cpu_seconds(), perf_counter()
                run()
                taken.wall.append(perf_counter() - wall)
                taken.cpu.append(_cpu_seconds() - cpu)
    finally:
        gc.unfreeze()
    return times


def _cpu_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
