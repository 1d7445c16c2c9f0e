"""The answers that clients got, recorded where no server can lose them."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from forgedb import Ulid
from forgedb.testing.history import Fault, Grant, Observation


class Granted(NamedTuple):
    """A client, through a handle, was granted a lease.

    Times are seconds of ``time.monotonic()``: when it asked, and when it had the answer.
    """

    handle: str
    client: str
    repository_id: Ulid
    lease_id: Ulid
    fencing_token: int
    asked_at: float
    answered_at: float


class Written(NamedTuple):
    """A client was told that an object is recorded."""

    repository_id: Ulid
    oid: str
    answered_at: float


class Ended(NamedTuple):
    """A client was told that a lease has ended: released, handed over or forced."""

    repository_id: Ulid
    lease_id: Ulid
    answered_at: float


class Anchored(NamedTuple):
    """A checkpoint's line that a client keeps; ``crowd`` names its group of clients."""

    crowd: str
    line: str
    asked_at: float
    answered_at: float


class Ledger:
    """Lists that are only appended to, an item at a time: threads share them without a lock."""

    def __init__(self) -> None:
        self.granted: list[Granted] = []
        self.written: list[Written] = []
        self.ended: list[Ended] = []
        self.anchored: list[Anchored] = []
        self.observed: list[Observation] = []
        """The same and more, in the form that ``forgedb.testing.history`` checks."""
        self.faults: list[Fault] = []
        """Answers that no client may get, and calls that took too long."""
        self.unavailable: list[str] = []
        """The messages of Unavailable, which clients got instead of an answer."""
        self.harmed_at: list[float] = []
        """When something was done to the primary."""
        self.risked_at: list[float] = []
        """When acknowledged transactions began to be at risk, because of a failure or a backup."""
        self.replaced_at: list[float] = []
        """When another server was about to become the primary."""
        self.whole_at: list[float] = []
        """When the old primary could acknowledge nothing any more: from then until the next
        replacement one server alone acknowledges transactions."""

    def grant(self, granted: Granted) -> None:
        """Record that a client was granted a lease."""
        self.granted.append(granted)
        self.observed.append(
            Grant(granted.repository_id, granted.client, granted.lease_id, granted.fencing_token)
        )

    def risk(self) -> float:
        """Record that what is acknowledged from now on may be lost; return the time."""
        now = time.monotonic()
        self.risked_at.append(now)
        return now

    def harm(self) -> float:
        """Record that the primary is harmed now; return the time."""
        now = self.risk()
        self.harmed_at.append(now)
        return now

    def replace_primary(self) -> None:
        """Record that another server is about to become the primary."""
        self.replaced_at.append(time.monotonic())

    def whole(self) -> None:
        """Record that there is one primary again, and no other server that takes writes."""
        self.whole_at.append(time.monotonic())

    def gap_seconds(self, since: float) -> float:
        """The longest time without a grant since then."""
        times = [since, *sorted(it.answered_at for it in self.granted if it.answered_at > since)]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def counts(self) -> Counter[str]:
        """How many answers there were of each kind."""
        return Counter(
            grants=len(self.granted),
            writes=len(self.written),
            ends=len(self.ended),
            checkpoints=len(self.anchored),
            unavailable=len(self.unavailable),
        )
