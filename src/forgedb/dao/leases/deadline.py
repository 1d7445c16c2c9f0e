"""The lease that ``hold`` gives, with its holder's deadline by the holder's own clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import asdict, astuple

from forgedb.models import Lease

MARGIN_DIVISOR = 100
MARGIN_MAX = timedelta(minutes=5)
"""How much a deadline is before the expiry: a hundredth of the time left, and at most MARGIN_MAX.

The holder's clock and the database's drift apart.  Each may be slewed by 500 millionths while its
time is corrected: in 72 hours that makes 130 s, and 260 s for both.
"""

_UNSETTABLE = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""CLOCK_BOOTTIME, on Linux, counts while the machine sleeps; elsewhere CLOCK_MONOTONIC may too."""


class HeldLease(Lease, frozen=True):
    """A lease and its holder's deadline; it is equal to the Lease of the same fields.

    ``deadline`` is by this machine's clock, in UTC.  ``deadline_uptime`` is the same moment by the
    seconds that this machine has been up, which nobody can set.
    """

    deadline: datetime
    deadline_uptime: float

    def time_left(self) -> timedelta:
        """How long the holder has, by whichever of its clocks says less; never negative.

        This only helps the holder to stop in time: the fencing token keeps late writes out.
        """
        by_wall_clock = self.deadline - wall_clock()
        by_uptime = timedelta(seconds=self.deadline_uptime - uptime())
        return max(timedelta(0), min(by_wall_clock, by_uptime))

    def __eq__(self, other: object) -> bool:
        return _plain(self) == _plain(other) if isinstance(other, Lease) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other if isinstance(other, Lease) else NotImplemented

    def __hash__(self) -> int:
        return hash(_plain(self))


def _plain(lease: Lease) -> Lease:
    return Lease(*astuple(lease)[: len(Lease.__struct_fields__)])


class Moment(NamedTuple):
    """The same moment by both of the holder's clocks."""

    at: datetime
    up: float


def this_moment() -> Moment:
    """The moment that a deadline is counted from, read before the request is sent."""
    return Moment(wall_clock(), uptime())


def held_from(sent: Moment, lease: Lease, granted_at: datetime) -> HeldLease:
    """The lease with its deadline; ``granted_at`` is the database's time, and later than ``sent``.

    Counted from ``sent``, the time left ends no later than the lease does.
    """
    left = lease.expires_at - granted_at
    left -= min(left / MARGIN_DIVISOR, MARGIN_MAX)
    return HeldLease(
        **asdict(lease), deadline=sent.at + left, deadline_uptime=sent.up + left.total_seconds()
    )


def wall_clock() -> datetime:
    """This machine's clock, which can be set."""
    return datetime.now(UTC)


def uptime() -> float:
    """Seconds by this machine's clock that can't be set."""
    return time.monotonic() if _UNSETTABLE is None else time.clock_gettime(_UNSETTABLE)
