"""Restarting a repository's lease times, after a clock that was ahead was set right.

Leases granted by the wrong clock stay in the history with their times.  A new lease is added after
them, dated now and ended at once; from then on times are compared with that lease.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import asdict, replace

from forgedb.audit.stream import created
from forgedb.dao.identity import ASK_STANDING, next_token, settled
from forgedb.dao.leases.notice import tell
from forgedb.dao.leases.steps import INSERT, LAST, end_steps, newest_time
from forgedb.dao.repositories import advanced, lock_and_select, stream_of
from forgedb.errors import Conflict
from forgedb.ids import new_ulid
from forgedb.limits import CLOCK_BACKSTEP_MAX
from forgedb.models import EndReason, Lease, Ulid
from forgedb.operations.binding import Context
from forgedb.operations.steps import Change, SelectOne, Steps, Together
from forgedb.validation import check_reason

PURPOSE = "the clock is right again: lease times begin anew here"

SHORTEST = timedelta(microseconds=1)
"""A lease must expire after it begins."""


def rebased(context: Context, repository_id: Ulid, reason: str) -> Steps[Lease]:
    """What ``leases.rebase`` does."""
    check_reason(reason)
    newest_lease = SelectOne(LAST, {"repository_id": repository_id}, Lease)
    locked, at, (last, standing) = yield from lock_and_select(
        repository_id, newest_lease, ASK_STANDING, include_deleted=True
    )
    if last is None:
        raise _needless(f"repository {repository_id} never had a lease")
    newest = newest_time(last)
    if at >= newest - CLOCK_BACKSTEP_MAX:
        raise _needless(
            f"the clock says {at}, and the last lease of repository {repository_id} is of"
            f" {newest}, which is no more than {CLOCK_BACKSTEP_MAX.seconds} s later"
        )
    standing = yield from settled(context, standing)
    stream = stream_of(context, locked)
    steps: list[Change] = []
    if last.ended_at is None:
        # The lease begins later than now, and a lease can't end before it begins.
        ended = replace(
            last,
            ended_at=last.acquired_at,
            end_reason=EndReason.FORCED,
            ended_by=context.actor,
            end_note=reason,
        )
        steps += end_steps(stream, "force_release", last, ended, last.acquired_at)
    assert context.actor is not None, "a write is bound only for an actor"
    mark = Lease(
        new_ulid(),
        repository_id,
        context.actor,
        PURPOSE,
        next_token(locked.lease_epoch, standing),
        None,
        at,
        at + SHORTEST,
        at,
        EndReason.FORCED,
        last.id,
        context.actor,
        reason,
    )
    steps += (
        stream.entry(at, "lease.rebase", mark.id, created(mark), reason=reason),
        advanced(locked, stream, lease_epoch=mark.fencing_token),
        Change(INSERT, asdict(mark)),
    )
    yield Together((*steps, tell(repository_id)))
    return mark


def _needless(why: str) -> Conflict:
    return Conflict("leases.acquired_at", f"{why}: there is nothing to rebase")
