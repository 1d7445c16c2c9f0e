"""What clients were told, kept where no server can lose it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from forgedb import Ulid
from forgedb.testing.history import Fault, Grant, Observation


class Granted(NamedTuple):
    """A client of a handle was told that a lease is its own.

    Times are seconds of ``time.monotonic()``: when it asked, and when it knew.
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
    """A checkpoint's line, which a client keeps; ``crowd`` is whom the client works beside."""

    crowd: str
    line: str
    asked_at: float
    answered_at: float


class Ledger:
    """Each list only grows, and by whole items: threads share it without a lock."""

    def __init__(self) -> None:
        self.granted: list[Granted] = []
        self.written: list[Written] = []
        self.ended: list[Ended] = []
        self.anchored: list[Anchored] = []
        self.observed: list[Observation] = []
        """The same and more, as ``forgedb.testing.history`` knows it."""
        self.faults: list[Fault] = []
        """What was no answer that a client may get."""
        self.unavailable: list[str] = []
        """What clients were told instead of an answer."""
        self.harmed_at: list[float] = []
        """When something was done to the primary."""
        self.risked_at: list[float] = []
        """From when on what was acknowledged may be lost, by way of a backup or of a failure."""
        self.replaced_at: list[float] = []
        """When another server was about to become the primary."""
        self.whole_at: list[float] = []
        """When the one before it could acknowledge nothing any more: from then until the next is
        to be replaced, one server acknowledges all."""

    def grant(self, granted: Granted) -> None:
        """A client was told of a lease."""
        self.granted.append(granted)
        self.observed.append(
            Grant(granted.repository_id, granted.client, granted.lease_id, granted.fencing_token)
        )

    def risk(self) -> float:
        """What is acknowledged from now on may be lost; the time."""
        now = time.monotonic()
        self.risked_at.append(now)
        return now

    def harm(self) -> float:
        """Something is done to the primary now; the time."""
        now = self.risk()
        self.harmed_at.append(now)
        return now

    def replace_primary(self) -> None:
        """Another server is about to become the primary."""
        self.replaced_at.append(time.monotonic())

    def whole(self) -> None:
        """There is one primary again, and no other server that takes what it is told."""
        self.whole_at.append(time.monotonic())

    def gap_seconds(self, since: float) -> float:
        """The longest time without a grant, from then on."""
        times = [since, *sorted(it.answered_at for it in self.granted if it.answered_at > since)]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def counts(self) -> Counter[str]:
        """How often what was told."""
        return Counter(
            grants=len(self.granted),
            writes=len(self.written),
            ends=len(self.ended),
            checkpoints=len(self.anchored),
            unavailable=len(self.unavailable),
        )
