"""One client of a soak: it waits for a lease, writes under it, and releases it or doesn't."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from forgedb import Lease, LeaseHeld, LeaseLost, NewObject, ObjectType, Ulid, Unavailable
from forgedb.testing.history import Grant, Held, Lost, Observation, Refused, Write
from forgedb.testing.soak.orders import TERM_SECONDS

SAFETY_SECONDS = 0.001
"""By how much a holder stops before its term is over."""

PAUSE_SECONDS_MAX = 0.05
"""Between attempts to get a lease, and after Unavailable."""

WAIT_SECONDS_MAX = 2.0
REST_SECONDS_MAX = 1.0

OBJECTS_A_WRITE_MAX = 3


class Client:
    """A client; ``keep`` gets each answer at once, ``count`` counts the events of each kind.

    ``leases`` and ``objects`` are a database's; ``steps`` returns how often the clock of the leases
    was set.  ``terms`` are the shortest and the longest lease, in seconds.  ``rest`` is the longest
    rest after each lease, as a multiple of the time that the answer took: without rest, many
    clients on a slow machine would get their answers only after their leases are over.
    """

    def __init__(
        self,
        name: str,
        leases: Any,
        objects: Any,
        repository_ids: Sequence[Ulid],
        chance: random.Random,
        keep: Callable[[Observation], None],
        *,
        count: Counter[str] | None = None,
        steps: Callable[[], int] = lambda: 0,
        terms: tuple[float, float] = TERM_SECONDS,
        rest: float = 0.0,
    ) -> None:
        self.name = name
        self._leases = leases
        self._objects = objects
        self._repository_ids = repository_ids
        self._chance = chance
        self._keep = keep
        self._count: Counter[str] = Counter() if count is None else count
        self._steps = steps
        self._terms = terms
        self._rest = rest
        self._old_token: dict[Ulid, int] = {}

    def live(self, until: float) -> None:
        """Take one lease after the other until then, a time of ``time.monotonic()``.

        Raises the errors that no client may get.
        """
        while time.monotonic() < until:
            try:
                self._turn(self._chance.choice(self._repository_ids), until)
            except Unavailable as error:
                self._count["unavailable"] += 1
                if error.outcome != "not_committed":
                    self._count["lost"] += 1
                    self._keep(Lost(self.name))
                time.sleep(self._chance.uniform(0, PAUSE_SECONDS_MAX))

    def _turn(self, repository_id: Ulid, until: float) -> None:
        shortest, longest = map(math.log, self._terms)
        term = math.exp(self._chance.uniform(shortest, longest))
        steps = self._steps()
        got = self._wait(repository_id, term, min(until, time.monotonic() + WAIT_SECONDS_MAX))
        if got is None:
            return
        lease, asked_at, answered_at = got
        # Sleep in half of the cases, maybe past the lease's end; the attacker may stop us here too.
        time.sleep(self._chance.uniform(0, 1.5 * term) if self._chance.random() < 0.5 else 0)
        if self._chance.random() < 0.1 and repository_id in self._old_token:
            self._write(repository_id, self._old_token[repository_id])
        if self._chance.random() < 0.7:
            self._write(repository_id, lease.fencing_token)
        let_go_at = min(time.monotonic(), asked_at + term - SAFETY_SECONDS)
        if self._steps() == steps:
            self._keep(Held(repository_id, lease.id, answered_at, max(answered_at, let_go_at)))
        self._finish(lease)
        self._old_token[repository_id] = lease.fencing_token
        rest = self._rest * (answered_at - asked_at)
        time.sleep(self._chance.uniform(0, min(rest, REST_SECONDS_MAX)))

    def _wait(
        self, repository_id: Ulid, term: float, give_up_at: float
    ) -> tuple[Lease, float, float] | None:
        """The lease, when it was asked for, and when the answer came; None if it takes too long."""
        last: Refused | None = None
        while True:
            asked_at = time.monotonic()
            try:
                lease = self._leases.acquire(repository_id, duration=timedelta(seconds=term))
            except LeaseHeld as held:
                self._count["held"] += 1
                left = held.retry_after.total_seconds()
                refused = Refused(repository_id, held.lease.id, asked_at, time.monotonic(), left)
            else:
                answered_at = time.monotonic()
                self._keep(Grant(repository_id, self.name, lease.id, lease.fencing_token))
                self._count["granted"] += 1
                if last is not None:
                    self._keep(last)
                return lease, asked_at, answered_at
            # Of the refusals because of one lease the first and the last are enough for the check.
            if last is None or last.lease_id != refused.lease_id:
                if last is not None:
                    self._keep(last)
                self._keep(refused)
            last = refused
            if refused.answered_at > give_up_at:
                self._keep(last)
                return None
            if self._chance.random() < 0.01:
                self._force(refused.lease_id)
            time.sleep(min(left, self._chance.uniform(0, PAUSE_SECONDS_MAX)))

    def _write(self, repository_id: Ulid, fencing_token: int) -> None:
        new = [
            NewObject(self._chance.randbytes(20), ObjectType.BLOB, self._chance.randrange(1000))
            for _ in range(self._chance.randint(1, OBJECTS_A_WRITE_MAX))
        ]
        try:
            self._objects.add_many(repository_id, new, fencing_token)
        except LeaseLost:
            self._count["late"] += 1
        else:
            self._keep(Write(repository_id, self.name, fencing_token))
            self._count["written"] += 1

    def _force(self, lease_id: Ulid) -> None:
        try:
            self._leases.force_release(lease_id, "the soak goes on")
            self._count["forced"] += 1
        except LeaseLost:
            pass

    def _finish(self, lease: Lease) -> None:
        """End the lease in one of several ways, or leave it to expire."""
        choice = self._chance.random()
        try:
            if choice < 0.4:
                self._leases.release(lease.id)
                self._count["released"] += 1
            elif choice < 0.5:
                self._force(lease.id)
            elif choice < 0.6:
                self._count["expired"] += len(self._leases.expire_due())
            elif choice < 0.75:
                self._hand_over(lease)
        except LeaseLost:
            self._count["too late to end"] += 1

    def _hand_over(self, lease: Lease) -> None:
        given = self._leases.handover(lease.id, f"{self.name}'s heir")
        self._keep(Grant(given.repository_id, self.name, given.id, given.fencing_token))
        self._count["handed over"] += 1
        if self._chance.random() < 0.5:
            self._leases.release(given.id, given.holder)
