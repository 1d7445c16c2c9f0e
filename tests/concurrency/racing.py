"""A competitor for one repository's lease, in a process or a thread, and what it was told."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import forgedb
from forgedb import LeaseHeld, LeaseLost, NewObject, ObjectType

DURATION_SECONDS = (0.002, 0.02)


class Grant(NamedTuple):
    """A lease as its holder lived it: between the two times it believed to be alone."""

    lease_id: str
    fencing_token: int
    since: datetime
    until: datetime


def compete(
    leases: Any, objects: Any, repository_id: str, seconds: float, seed: int, slower: float = 1.0
) -> list[Grant]:
    """Acquire again and again, write, and then release, force, hand over, stamp, or let it run out.

    Some write when their time may be over: whether they still could is the database's to say.
    """
    chance = random.Random(seed)
    grants: list[Grant] = []
    over_at = time.monotonic() + seconds
    while time.monotonic() < over_at:
        span = slower * chance.uniform(*DURATION_SECONDS)
        try:
            lease = leases.acquire(repository_id, duration=timedelta(seconds=span))
        except LeaseHeld as held:
            time.sleep(min(held.retry_after.total_seconds(), DURATION_SECONDS[0]))
            continue
        since = datetime.now(UTC)
        time.sleep(chance.uniform(0, 1.5 * span))
        until = max(since, min(datetime.now(UTC), lease.expires_at))
        grants.append(Grant(lease.id, lease.fencing_token, since, until))
        if chance.random() < 0.5:
            _write(objects, repository_id, lease.fencing_token)
        given = _finish(leases, lease.id, chance.random())
        if given is not None:
            grants.append(given)
    return grants


def _write(objects: Any, repository_id: str, fencing_token: int) -> None:
    with suppress(LeaseLost):
        new = NewObject(os.urandom(20), ObjectType.BLOB, 1)
        objects.add_many(repository_id, [new], fencing_token)


def _finish(leases: Any, lease_id: str, choice: float) -> Grant | None:
    """End it, or not; what was granted to another by that."""
    try:
        if choice < 0.4:
            leases.release(lease_id)
        elif choice < 0.6:
            leases.force_release(lease_id, "the race goes on")
        elif choice < 0.7:
            leases.expire_due()
        elif choice < 0.8:
            given = leases.handover(lease_id, "worker:heir")
            at = min(datetime.now(UTC), given.expires_at)
            # Nobody acts for the heir: a lease that only runs out would keep the others waiting.
            with suppress(LeaseLost):
                leases.release(given.id, given.holder)
            return Grant(given.id, given.fencing_token, at, at)
    except LeaseLost:
        pass
    return None


def compete_as_a_process(
    url: str, repository_id: str, start_at: float, seconds: float, seed: int
) -> list[Grant]:
    """``compete`` on a database of its own, from the same moment as the others."""
    with forgedb.connect(url, actor=f"worker:{seed}") as db:
        db.leases.active(repository_id)
        time.sleep(max(0.0, start_at - time.time()))
        return compete(db.leases, db.objects, repository_id, seconds, seed)
