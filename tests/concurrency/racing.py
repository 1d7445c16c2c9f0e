"""A competitor for one repository's lease, in a process or a thread, and what it was told."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import forgedb
from forgedb import LeaseHeld, LeaseLost

DURATION_SECONDS = (0.002, 0.02)


class Grant(NamedTuple):
    """A lease as its holder lived it: between the two times it believed to be alone."""

    lease_id: str
    fencing_token: int
    since: datetime
    until: datetime


def compete(leases: Any, repository_id: str, seconds: float, seed: int) -> list[Grant]:
    """Acquire again and again, and then release, force, stamp, or let the time run out."""
    chance = random.Random(seed)
    grants: list[Grant] = []
    over_at = time.monotonic() + seconds
    while time.monotonic() < over_at:
        span = chance.uniform(*DURATION_SECONDS)
        try:
            lease = leases.acquire(repository_id, duration=timedelta(seconds=span))
        except LeaseHeld as held:
            time.sleep(min(held.retry_after.total_seconds(), DURATION_SECONDS[0]))
            continue
        since = datetime.now(UTC)
        time.sleep(chance.uniform(0, 1.5 * span))
        until = max(since, min(datetime.now(UTC), lease.expires_at))
        grants.append(Grant(lease.id, lease.fencing_token, since, until))
        _finish(leases, lease.id, chance.random())
    return grants


def _finish(leases: Any, lease_id: str, choice: float) -> None:
    try:
        if choice < 0.4:
            leases.release(lease_id)
        elif choice < 0.6:
            leases.force_release(lease_id, "the race goes on")
        elif choice < 0.7:
            leases.expire_due()
    except LeaseLost:
        pass


def compete_as_a_process(
    url: str, repository_id: str, start_at: float, seconds: float, seed: int
) -> list[Grant]:
    """``compete`` on a database of its own, from the same moment as the others."""
    with forgedb.connect(url, actor=f"worker:{seed}") as db:
        db.leases.active(repository_id)
        time.sleep(max(0.0, start_at - time.time()))
        return compete(db.leases, repository_id, seconds, seed)
