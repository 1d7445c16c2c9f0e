"""Leases with a bug each: what a race must not forgive.

They pause where the bug opens a gap, so that a short race falls into it, and run on a schema
without the unique indexes and the triggers that would stop them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from msgspec.structs import asdict

from forgedb import Database, Lease, LeaseHeld, NewObject
from forgedb.audit.stream import created
from forgedb.dao.leases.dao import LeasesDao
from forgedb.dao.leases.steps import INSERT, LAST, end_steps, expired_lease
from forgedb.dao.objects import ObjectsDao
from forgedb.dao.repositories import advanced, lock_repository, stream_of
from forgedb.ids import new_ulid
from forgedb.operations.binding import write
from forgedb.operations.steps import Change, Steps, Together, change, now, one
from forgedb.sql.catalogue import Sql

GAP_SECONDS = 0.005

BACKSTOPS = (
    "DROP INDEX leases_one_open_per_repository",
    "DROP INDEX leases_one_per_fencing_token",
)

TRIGGERS = (
    ("leases_begin", "leases"),
    ("leases_end", "leases"),
    ("repositories_lease_epoch_moves", "repositories"),
)

# Not by sql(): the catalogue is of statements that are right.
TAKE_IF_FREE = Sql(
    *[
        """
    UPDATE repositories
    SET lease_epoch = lease_epoch + 1
    WHERE id = :repository_id
      AND NOT EXISTS (
        SELECT 1
        FROM leases
        WHERE repository_id = :repository_id AND ended_at IS NULL AND expires_at > :now)
    """
    ]
    * 2,
    own=True,
)


def without_backstops(db: Database) -> None:
    """Leave the leases to the code alone."""
    for drop in BACKSTOPS:
        db.client.execute(drop)
    for name, table in TRIGGERS:
        on = f" ON {table}" if db.client.dialect == "postgres" else ""
        db.client.execute(f"DROP TRIGGER {name}{on}")
    if db.client.dialect == "sqlite":
        db.client.execute("DROP TRIGGER leases_insert_keeps_others")


class Plain(LeasesDao[Any]):
    """No bug yet: the steps of ``acquire`` in few words, for the mutants to vary."""

    checks_under_the_lock: ClassVar = True
    ends_what_is_over: ClassVar = True
    token_step: ClassVar = 1
    entries_a_grant: ClassVar = 1

    def acquire(self, repository_id: str, *, duration: timedelta) -> Lease:  # type: ignore[override]
        time.sleep(GAP_SECONDS)
        return self.grant(repository_id, duration)

    @write
    def grant(
        self, repository_id: str, duration: timedelta, by_clock: datetime | None = None
    ) -> Steps[Lease]:
        locked, locked_at = yield from lock_repository(repository_id)
        at = by_clock or locked_at
        last = yield from one(Lease, LAST, repository_id=repository_id)
        stream = stream_of(self.context, locked)
        if last is not None and last.ended_at is None:
            if last.expires_at <= at and self.ends_what_is_over:
                expired = expired_lease(self.context, last)
                yield Together(end_steps(stream, "expire", last, expired, at))
            elif self.checks_under_the_lock:
                raise _held(last)
        lease = Lease(
            new_ulid(),
            repository_id,
            self.context.actor or "",
            "",
            max(1, locked.lease_epoch + self.token_step),
            None,
            at,
            at + duration,
            None,
            None,
            None if last is None else last.id,
            None,
            None,
        )
        for _ in range(self.entries_a_grant):
            yield stream.entry(at, "lease.acquire", lease.id, created(lease))
        yield advanced(locked, stream, lease_epoch=lease.fencing_token)
        yield Change(INSERT, asdict(lease))
        return lease


class ChecksBeforeTheLock(Plain):
    """Looks whether the repository is free, and takes the lock only to insert."""

    checks_under_the_lock = False

    def acquire(self, repository_id: str, *, duration: timedelta) -> Lease:  # type: ignore[override]
        held = self.active(repository_id)
        if held is not None:
            raise _held(held)
        return super().acquire(repository_id, duration=duration)


class TakesByOneStatement(Plain):
    """Takes the repository by an UPDATE that looks for leases itself, in a sub-select.

    Where it waits for another's lock on the row, PostgreSQL looks at the row again, but not at what
    the sub-select reads: the other's lease isn't there yet.  SQLite has one writer at a time, so
    that there is nothing to wait for within the statement, and it is right.
    """

    checks_under_the_lock = False
    token_step = 0

    @write
    def grant(
        self, repository_id: str, duration: timedelta, by_clock: datetime | None = None
    ) -> Steps[Lease]:
        at = yield from now()
        if not (yield from change(TAKE_IF_FREE, repository_id=repository_id, now=at)):
            held = yield from one(Lease, LAST, repository_id=repository_id)
            assert held is not None
            raise _held(held)
        return (yield from Plain.grant(self, repository_id, duration))


class ReadsTheClockBeforeTheLock(Plain):
    """Decides under the lock, but by the time at which it began to wait for it."""

    def acquire(self, repository_id: str, *, duration: timedelta) -> Lease:  # type: ignore[override]
        began = datetime.now(UTC)
        time.sleep(GAP_SECONDS)
        return self.grant(repository_id, duration, began)


class WaitsForTheStamp(Plain):
    """Takes a lease that is over by time for one that is live, until somebody has stamped it."""

    ends_what_is_over = False


class KeepsTheToken(Plain):
    """Grants every lease the same token."""

    token_step = 0


class AsksForNoLease(ObjectsDao[Any]):
    """Writes objects with whatever token it is given."""

    @write
    def add_many(  # type: ignore[override]
        self, repository_id: str, objects: list[NewObject], fencing_token: int
    ) -> Steps[None]:
        locked, at = yield from lock_repository(repository_id)
        stream = stream_of(self.context, locked)
        changes = {"added": (None, 0), "fencing_token": (None, fencing_token)}
        yield stream.entry(at, "objects.add", repository_id, changes)
        yield advanced(locked, stream)


class AuditsTwice(Plain):
    entries_a_grant = 2


class AuditsNothing(Plain):
    entries_a_grant = 0


def _held(lease: Lease) -> LeaseHeld:
    left = lease.expires_at - datetime.now(UTC)
    return LeaseHeld(lease, max(left, timedelta(0)), is_mine=False)
