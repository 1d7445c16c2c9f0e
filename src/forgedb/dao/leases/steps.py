"""The steps of the lease operations: locking, granting, ending, and checking that it is held.

Every decision is made under the lock on the repository's row, with the clock read after the lock
was taken.  A check before the lock, or a single conditional UPDATE, would grant a lease twice when
transactions overlap.
The token is Martin Kleppmann's fencing token ("How to do distributed locking", 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import asdict, replace

from forgedb.audit.stream import Stream, changed, created
from forgedb.dao.identity import ASK_STANDING, next_token, settled
from forgedb.dao.leases.notice import tell
from forgedb.dao.repositories import LockedRepository, advanced, lock_and_select, stream_of
from forgedb.errors import (
    Conflict,
    InvalidValue,
    LeaseHeld,
    LeaseLost,
    Unavailable,
    named,
)
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import (
    CLOCK_BACKSTEP_MAX,
    HOLDER_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    LEASE_DURATION_MAX,
    PURPOSE_CHARS_MAX,
    REASON_CHARS_MAX,
)
from forgedb.models import EndReason, Lease, RepositoryState, Ulid
from forgedb.operations.binding import Context
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, SelectOne, Steps, Together, lookup, one
from forgedb.sql.catalogue import sql
from forgedb.validation import (
    check_duration,
    check_integer,
    check_name,
    check_optional_text,
    check_text,
)

LEASE = columns(Lease)

SELECT_BY_ID = sql(f"SELECT {LEASE} FROM leases WHERE id = :id")

LAST = sql(f"""
SELECT {LEASE}
FROM leases
WHERE repository_id = :repository_id
ORDER BY fencing_token DESC
LIMIT 1
""")

INSERT = sql(f"""
INSERT INTO leases ({LEASE})
VALUES (
    :id, :repository_id, :holder, :purpose, :fencing_token, :idempotency_key, :acquired_at,
    :expires_at, :ended_at, :end_reason, :previous_lease_id, :ended_by, :end_note)
""")

END = sql("""
UPDATE leases
SET ended_at = :ended_at, end_reason = :end_reason, ended_by = :ended_by, end_note = :end_note
WHERE id = :id AND ended_at IS NULL
""")


def acquired(
    context: Context,
    lease_id: Ulid,
    repository_id: Ulid,
    holder: str | None,
    purpose: str,
    duration: timedelta,
    idempotency_key: str | None,
) -> Steps[tuple[Lease, datetime]]:
    """Grant the lease, or find the holder's own; returns it, and the time of the decision.

    The time is never earlier than the database's clock, so the time left that follows from it is
    never too long.  After the clock was set back, it may be later than the clock.
    """
    granted_to = context.actor if holder is None else holder
    asked_by = check_name("holder", granted_to, HOLDER_CHARS_MAX)
    check_text("purpose", purpose, PURPOSE_CHARS_MAX)
    check_duration("duration", duration, greatest=LEASE_DURATION_MAX)
    check_optional_text("idempotency_key", idempotency_key, IDEMPOTENCY_KEY_CHARS_MAX, length_min=1)
    locked, last, at, standing = yield from lock_and_read(repository_id, ASK_STANDING)
    check_active(repository_id, locked)
    stream = stream_of(context, locked)
    if last is not None and last.id == lease_id:
        # It was granted before, and the answer was lost.
        check_live(last, at)
        return last, at
    if last is not None and last.ended_at is None:
        if last.expires_at > at:
            is_mine = last.holder == asked_by
            if is_mine and idempotency_key and last.idempotency_key == idempotency_key:
                return last, at
            raise LeaseHeld(last, last.expires_at - at, is_mine)
        expired = expired_lease(context, last)
        yield Together(end_steps(stream, "expire", last, expired, at))
    standing = yield from settled(context, standing)
    lease = Lease(
        lease_id,
        repository_id,
        asked_by,
        purpose,
        next_token(locked.lease_epoch, standing),
        idempotency_key,
        at,
        at + duration,
        None,
        None,
        None if last is None else last.id,
        None,
        None,
    )
    yield Together(grant_steps(locked, stream, lease))
    return lease, at


def handed_over(
    context: Context, lease_id: Ulid, to: str, note: str, holder: str | None
) -> Steps[Lease]:
    """End the lease, grant the rest of its term to another holder, and return the new lease."""
    asked_by = holder_of(context, holder)
    check_name("to", to, HOLDER_CHARS_MAX)
    check_text("note", note, REASON_CHARS_MAX)
    if to == asked_by:
        raise InvalidValue("to", to, "it holds the lease already: name another holder")
    locked, lease, at, standing = yield from lock_lease(lease_id, ASK_STANDING)
    check_holder(lease, asked_by)
    check_live(lease, at)
    check_active(lease.repository_id, locked)
    standing = yield from settled(context, standing)
    stream = stream_of(context, locked)
    ended = replace(
        lease,
        ended_at=at,
        end_reason=EndReason.TRANSFERRED,
        ended_by=context.actor,
        end_note=note or None,
    )
    granted = replace(
        lease,
        id=new_ulid(),
        holder=to,
        fencing_token=next_token(locked.lease_epoch, standing),
        idempotency_key=None,
        acquired_at=at,
        previous_lease_id=lease.id,
    )
    ending = end_steps(stream, "handover", lease, ended, at)
    yield Together((*ending, *grant_steps(locked, stream, granted)))
    return granted


def required(
    repository_id: Ulid, fencing_token: int, holder: str | None
) -> Steps[tuple[LockedRepository, Lease, datetime]]:
    """Lock the repository of a live lease; returns the repository, the lease and the time.

    Raises LeaseLost, InvalidValue, NotFound.
    """
    check_integer("fencing_token", fencing_token, least=1)
    check_optional_text("holder", holder, HOLDER_CHARS_MAX, length_min=1)
    locked, last, at, *_ = yield from lock_and_read(repository_id)
    if last is None or last.fencing_token < fencing_token:
        raise LeaseLost("not_holder", f"no lease was granted with fencing token {fencing_token}")
    if last.fencing_token > fencing_token:
        raise LeaseLost(
            "superseded", f"token {fencing_token}, and the newest is {last.fencing_token}"
        )
    if holder is not None:
        check_holder(last, holder)
    check_live(last, at)
    return locked, last, at


def holder_of(context: Context, holder: str | None) -> str:
    """The holder that is expected.  Its name may be any text: a lease log allows all."""
    return check_text(
        "holder", context.actor if holder is None else holder, HOLDER_CHARS_MAX, length_min=1
    )


def newest_time(last: Lease) -> datetime:
    """The latest time in the repository's newest lease."""
    return max(last.acquired_at, last.ended_at or last.acquired_at)


def lock_and_read(
    repository_id: Ulid, *then: SelectOne, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, Lease | None, datetime, *tuple[Any, ...]]]:
    """Lock the repository; returns it, its newest lease, and the time, never before that lease's.

    All is read after the lock was taken, so that a lease can't be granted twice.  The rows of the
    selects in ``then`` follow.
    """
    newest_lease = SelectOne(LAST, {"repository_id": repository_id}, Lease)
    locked, at, (last, *more) = yield from lock_and_select(
        repository_id, newest_lease, *then, include_deleted=include_deleted
    )
    if last is None:
        return locked, None, at, *more
    newest = newest_time(last)
    if at < newest - CLOCK_BACKSTEP_MAX:
        raise Unavailable(
            f"the clock says {at}, more than {CLOCK_BACKSTEP_MAX.seconds} s before the last"
            f" lease of repository {repository_id}, of {newest}: set the clock right, or where it"
            " was wrong then and is right now, use leases.rebase() or `forgedb lease rebase`",
            retryable=True,
        )
    return locked, last, max(at, newest), *more


def lock_lease(
    lease_id: Ulid, *then: SelectOne
) -> Steps[tuple[LockedRepository, Lease, datetime, *tuple[Any, ...]]]:
    """Lock the lease's repository, then read the lease again: it may have ended meanwhile."""
    check_ulid("lease_id", lease_id)
    seen = yield from lookup(Lease, SELECT_BY_ID, "lease", lease_id, id=lease_id)
    locked, lease, at, *more = yield from lock_and_read(
        seen.repository_id, *then, include_deleted=True
    )
    if lease is None or lease.id != lease_id:
        lease = yield from one(Lease, SELECT_BY_ID, id=lease_id)
        assert lease is not None, "leases are never deleted"
    return locked, lease, at, *more


def check_holder(lease: Lease, asked_by: str) -> None:
    if lease.holder != asked_by:
        raise LeaseLost("not_holder", f"it is {named(lease.holder)}'s, not {named(asked_by)}'s")


def check_live(lease: Lease, at: datetime) -> None:
    if lease.end_reason is EndReason.EXPIRED or (lease.ended_at is None and lease.expires_at <= at):
        raise LeaseLost("expired", f"at {lease.expires_at}")
    if lease.ended_at is not None:
        raise LeaseLost(
            "ended", f"{lease.end_reason} by {named(lease.ended_by)} at {lease.ended_at}"
        )


def check_active(repository_id: Ulid, locked: LockedRepository) -> None:
    if locked.state is not RepositoryState.ACTIVE:
        raise Conflict(
            "repositories.state",
            f"repository {repository_id} is {locked.state}: make it active to write to it",
        )


def grant_steps(
    locked: LockedRepository, stream: Stream, lease: Lease
) -> tuple[Change, Change, Change]:
    entry = stream.entry(lease.acquired_at, "lease.acquire", lease.id, created(lease))
    epoch = advanced(locked, stream, lease_epoch=lease.fencing_token)
    return entry, epoch, Change(INSERT, asdict(lease))


def end(
    context: Context,
    locked: LockedRepository,
    lease: Lease,
    at: datetime,
    end_reason: EndReason,
    note: str | None,
) -> Steps[Lease]:
    verb = "release" if end_reason is EndReason.RELEASED else "force_release"
    ended = replace(
        lease, ended_at=at, end_reason=end_reason, ended_by=context.actor, end_note=note
    )
    stream = stream_of(context, locked)
    ending = end_steps(stream, verb, lease, ended, at)
    yield Together((*ending, advanced(locked, stream), tell(lease.repository_id)))
    return ended


def expired_lease(context: Context, lease: Lease) -> Lease:
    """The lease with its end: the time of its expiry, whenever that is recorded."""
    return replace(
        lease,
        ended_at=lease.expires_at,
        end_reason=EndReason.EXPIRED,
        ended_by=context.actor,
    )


def end_steps(
    stream: Stream,
    verb: str,
    before: Lease,
    ended: Lease,
    at: datetime,
    more: Mapping[str, Any] | None = None,
) -> tuple[Change, Change]:
    """The steps that end a lease: its audit entry, with ``more`` among the changes, and its row."""
    changes = {"holder": (before.holder, ended.holder), **changed(before, ended), **(more or {})}
    entry = stream.entry(at, f"lease.{verb}", ended.id, changes, reason=ended.end_note)
    end = {
        "id": ended.id,
        "ended_at": ended.ended_at,
        "end_reason": ended.end_reason,
        "ended_by": ended.ended_by,
        "end_note": ended.end_note,
    }
    return entry, Change(END, end)
