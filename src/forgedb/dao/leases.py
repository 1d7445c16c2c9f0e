"""Write leases: one holder a repository, 72 hours at most, and a fencing token for each.

Every decision is made under the lock on the repository's row, by a clock read after the lock was
taken: a check before it, or one conditional UPDATE, grants twice where transactions overlap.
The token is Martin Kleppmann's fencing token ("How to do distributed locking", 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import IO, Any, TypeAlias

from msgspec.structs import asdict, replace

from forgedb.audit.stream import Stream, changed, created
from forgedb.dao.held import HeldLease, held_from, this_moment
from forgedb.dao.holding import Hold
from forgedb.dao.identity import ASK_STANDING, next_token, settled
from forgedb.dao.paging import after_id, after_number, page
from forgedb.dao.repositories import LockedRepository, advanced, lock_and_select, stream_of
from forgedb.dao.telling import tell
from forgedb.errors import (
    ActorRequired,
    Conflict,
    InvalidValue,
    LeaseHeld,
    LeaseLost,
    Unavailable,
    named,
)
from forgedb.ids import Ulid, check_ulid, new_ulid
from forgedb.models import (
    LEASE_DURATION_MAX,
    EndReason,
    Lease,
    LeaseImport,
    Page,
    RepositoryState,
)
from forgedb.operations.binding import Context, Dao, H_co, locking, read, snapshot, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, SelectOne, Steps, Together, lookup, many, now, one
from forgedb.sql.catalogue import sql
from forgedb.validation import (
    REASON_CHARS_MAX,
    check_duration,
    check_integer,
    check_limit,
    check_name,
    check_optional_text,
    check_reason,
    check_text,
    check_time,
)

HOLDER_CHARS_MAX = 200
PURPOSE_CHARS_MAX = 1000
KEY_CHARS_MAX = 200

CLOCK_BACKSTEP_MAX = timedelta(seconds=60)
"""How far a clock may be behind the repository's last lease before it is not believed."""

Leases: TypeAlias = list[Lease]

LEASE = columns(Lease)

SELECT_BY_ID = sql(f"SELECT {LEASE} FROM leases WHERE id = :id")

LAST = sql(f"""
SELECT {LEASE}
FROM leases
WHERE repository_id = :repository_id
ORDER BY fencing_token DESC
LIMIT 1
""")

ACTIVE = sql(f"""
SELECT {LEASE}
FROM leases
WHERE repository_id = :repository_id AND ended_at IS NULL AND expires_at > :now
LIMIT 1
""")

HISTORY = sql(f"""
SELECT {LEASE}
FROM leases
WHERE repository_id = :repository_id AND fencing_token > :after
ORDER BY fencing_token
LIMIT :limit
""")

_LIVE = f"SELECT {LEASE} FROM leases WHERE ended_at IS NULL AND expires_at > :now AND id > :after"
_PAGE = "ORDER BY id LIMIT :limit"

LIST = {
    (False, False): sql(f"{_LIVE} {_PAGE}"),
    (False, True): sql(f"{_LIVE} AND expires_at < :expiring_before {_PAGE}"),
    (True, False): sql(f"{_LIVE} AND holder = :holder {_PAGE}"),
    (True, True): sql(f"{_LIVE} AND holder = :holder AND expires_at < :expiring_before {_PAGE}"),
}
"""By whether a holder, and whether a time of expiry, is asked for."""

DUE = sql(f"""
SELECT {LEASE}
FROM leases
WHERE ended_at IS NULL AND expires_at <= :now
ORDER BY expires_at, id
LIMIT :limit
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


class LeasesDao(Dao[H_co]):
    """The right to write to a repository: acquire, release, and prove to hold it."""

    @write
    def acquire(
        self,
        repository_id: Ulid,
        holder: str | None = None,
        purpose: str = "",
        duration: timedelta = LEASE_DURATION_MAX,
        idempotency_key: str | None = None,
    ) -> Steps[Lease]:
        """Grant the repository's write lease, to the actor unless ``holder`` names another.

        A holder that asks again with the ``idempotency_key`` of its live lease gets that lease
        back: so a worker that crashed, or lost the reply, goes on where it was.

        Raises LeaseHeld (who holds it, and until when), InvalidValue, NotFound (deleted too),
        Conflict (the repository is archived or read-only), Unavailable (the clock is more than
        60 s behind the repository's last lease).
        """
        lease, _ = yield from _acquired(
            self.context, new_ulid(), repository_id, holder, purpose, duration, idempotency_key
        )
        return lease

    @write
    def release(self, lease_id: Ulid, holder: str | None = None) -> Steps[Lease]:
        """End one's own lease before its time.

        Raises LeaseLost (another's, expired, or ended already), InvalidValue, NotFound.
        """
        asked_by = _holder(self.context, holder)
        locked, lease, at, *_ = yield from _lock_lease(lease_id)
        _check_holder(lease, asked_by)
        _check_live(lease, at)
        return (yield from _end(self.context, locked, lease, at, EndReason.RELEASED, None))

    @write
    def handover(
        self, lease_id: Ulid, to: str, note: str = "", holder: str | None = None
    ) -> Steps[Lease]:
        """End one's own lease and give the rest of its term to another holder; the new lease.

        Nobody comes in between.  The new lease has a new fencing token, and the old one is good no
        more; ``note`` stays with the lease that ended.

        Raises LeaseLost (another's, expired, or ended already), InvalidValue (``to`` is the holder
        too), NotFound, Conflict (the repository is archived or read-only).
        """
        asked_by = _holder(self.context, holder)
        check_name("to", to, HOLDER_CHARS_MAX)
        check_text("note", note, REASON_CHARS_MAX)
        if to == asked_by:
            raise InvalidValue("to", to, "it holds the lease already: name another holder")
        locked, lease, at, standing = yield from _lock_lease(lease_id, ASK_STANDING)
        _check_holder(lease, asked_by)
        _check_live(lease, at)
        _check_active(lease.repository_id, locked)
        standing = yield from settled(self.context, standing)
        stream = stream_of(self.context, locked)
        ended = replace(
            lease,
            ended_at=at,
            end_reason=EndReason.TRANSFERRED,
            ended_by=self.context.actor,
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
        yield Together((*ending, *_grant_steps(locked, stream, granted)))
        return granted

    @write
    def force_release(self, lease_id: Ulid, reason: str) -> Steps[Lease]:
        """End a live lease on behalf of someone else.

        The next holder gets a higher fencing token, so the old holder's late writes fail with
        LeaseLost even while its process still runs.

        Raises NotFound, InvalidValue (also an empty reason), LeaseLost (ended or expired).
        """
        check_reason(reason)
        locked, lease, at, *_ = yield from _lock_lease(lease_id)
        _check_live(lease, at)
        return (yield from _end(self.context, locked, lease, at, EndReason.FORCED, reason))

    @write
    def rebase(self, repository_id: Ulid, reason: str) -> Steps[Lease]:
        """Let the repository's lease times begin anew now, after a clock that was ahead.

        Leases that it granted stay in the history, with their times; one that is still open is
        ended by force.  What it returns is a lease of the present, over at birth, whose token
        supersedes theirs.

        Raises Conflict (the clock is not behind the last lease by more than 60 s: there is nothing
        to rebase), InvalidValue (also an empty reason), NotFound.
        """
        from forgedb.dao.lease_rebase import rebased

        return rebased(self.context, repository_id, reason)

    @write
    def expire_due(self, limit: int = 100) -> Steps[Leases]:
        """Stamp leases whose time is over as expired, and return them as they are then.

        Nothing waits for this: a lease is over by time alone.  Raises InvalidValue.
        """
        count = check_limit(limit)
        asked_at = yield from now()
        due = yield from many(Lease, DUE, now=asked_at, limit=count)
        stamped: Leases = []
        # In the order in which everyone locks repositories, so that nobody waits in a circle.
        for found in sorted(due, key=lambda lease: lease.repository_id):
            locked, last, at, *_ = yield from _lock(found.repository_id, include_deleted=True)
            if last is not None and last.ended_at is None and last.expires_at <= at:
                stream = stream_of(self.context, locked)
                expired = expired_lease(self.context, last)
                ending = end_steps(stream, "expire", last, expired, at)
                yield Together((*ending, advanced(locked, stream)))
                stamped.append(expired)
        return stamped

    @locking
    def require(
        self, repository_id: Ulid, fencing_token: int, *, holder: str | None = None
    ) -> Steps[Lease]:
        """The live lease that the token was given for; the repository's row stays locked.

        In a transaction, what follows is done while the lease holds, or not at all.  Where a
        ``holder`` is given, the lease must be that one's.

        Raises LeaseLost (superseded, another's, ended, expired), InvalidValue, NotFound.
        """
        _, lease, _ = yield from required(repository_id, fencing_token, holder)
        return lease

    @read
    def get(self, lease_id: Ulid) -> Steps[Lease]:
        """The lease, live or ended.  Raises InvalidValue, NotFound."""
        check_ulid("lease_id", lease_id)
        return lookup(Lease, SELECT_BY_ID, "lease", lease_id, id=lease_id)

    @read
    def active(self, repository_id: Ulid) -> Steps[Lease | None]:
        """The repository's live lease, or None where nobody holds one.  Raises InvalidValue."""
        check_ulid("repository_id", repository_id)
        at = yield from now()
        return (yield from one(Lease, ACTIVE, repository_id=repository_id, now=at))

    @read
    def history(
        self, repository_id: Ulid, *, after: str | None = None, limit: int = 100
    ) -> Steps[Page[Lease]]:
        """A repository's leases in the order in which they were granted.  Raises InvalidValue."""
        return page(
            Lease,
            HISTORY,
            limit,
            lambda lease: lease.fencing_token,
            repository_id=check_ulid("repository_id", repository_id),
            after=after_number(after),
        )

    @read
    def list(
        self,
        holder: str | None = None,
        expiring_before: datetime | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[Lease]]:
        """Live leases in the order of their ids.  Raises InvalidValue."""
        filters: dict[str, object] = {}
        if holder is not None:
            filters["holder"] = check_text("holder", holder, HOLDER_CHARS_MAX, length_min=1)
        if expiring_before is not None:
            filters["expiring_before"] = check_time("expiring_before", expiring_before)
        first = after_id(after)
        at = yield from now()
        return (
            yield from page(
                Lease,
                LIST[holder is not None, expiring_before is not None],
                limit,
                lambda lease: lease.id,
                now=at,
                after=first,
                **filters,
            )
        )

    @write
    def import_jsonl(
        self, file: IO[bytes], source: str | None = None, create_missing: Ulid | None = None
    ) -> Steps[LeaseImport]:
        """Replay a lease log, a line of JSON an event, in order: all of it, or nothing.

        ``file`` is open for reading bytes; ``source`` is the log's name, else the file's.  Lines
        that were imported before are passed over.  Those of repositories that aren't there wait
        until they are, and are listed; with ``create_missing``, a project's id, the repositories
        are made in it.

        Raises LineRefused (which line, and why), InvalidValue, NotFound (the project).
        """
        from forgedb.dao.lease_import import import_log

        return import_log(self, file, source, create_missing)

    @snapshot
    def export_jsonl(self, file: IO[Any]) -> Steps[int]:
        """Write every lease that was held as a lease log, in the order of time; returns how many
        lines.

        ``file`` is open for writing, as text or as bytes.  Leases that were imported have the ids
        that they had in their log.
        """
        from forgedb.dao.lease_export import export_log

        return export_log(file)

    @write
    def _acquire_to_hold(
        self,
        lease_id: Ulid,
        repository_id: Ulid,
        holder: str | None,
        purpose: str,
        duration: timedelta,
        idempotency_key: str | None,
    ) -> Steps[HeldLease]:
        """As ``acquire``; the lease gets the id that is given, if it is a new one."""
        # Within the operation: where that is tried again, the attempt that succeeds counts.
        sent = this_moment()
        lease, at = yield from _acquired(
            self.context, lease_id, repository_id, holder, purpose, duration, idempotency_key
        )
        return held_from(sent, lease, at)

    @write
    def _let_go(self, lease_id: Ulid, repository_id: Ulid) -> Steps[None]:
        """End the lease if it is there and live: whoever asked for it can't tell.

        Where its grant is still being committed, the repository's lock is waited for.
        """
        locked, last, at = yield from _lock(repository_id, include_deleted=True)
        if last is None or last.id != lease_id or last.ended_at is not None:
            return
        if last.expires_at > at:
            yield from _end(self.context, locked, last, at, EndReason.RELEASED, None)

    def hold(
        self,
        repository_id: Ulid,
        *,
        holder: str | None = None,
        purpose: str = "",
        duration: timedelta = LEASE_DURATION_MAX,
        idempotency_key: str | None = None,
        wait: timedelta | float = 0,
    ) -> Hold[H_co]:
        """A context manager: the lease is acquired at its start and released at its end.

        On an AsyncDatabase it is an asynchronous one.  The lease is a HeldLease, which knows by
        when its holder must be done.

        While someone else holds the repository it tries again, for as long as ``wait``, a
        timedelta or seconds, up to 30 days; not in a transaction.  Raises what ``acquire`` raises,
        and at the end LeaseLost where the lease was lost meanwhile, unless the block raised by
        itself; UsageError where it is entered a second time before it was left.
        """
        if self.context.actor is None:
            raise ActorRequired("LeasesDao.hold")
        dao: Any = self
        return Hold(
            self._runner,
            repository_id,
            lambda lease_id: dao._acquire_to_hold(
                lease_id, repository_id, holder, purpose, duration, idempotency_key
            ),
            lambda lease_id: dao.release(lease_id, holder),
            lambda lease_id: dao._let_go(lease_id, repository_id),
            wait,
        )


def _acquired(
    context: Context,
    lease_id: Ulid,
    repository_id: Ulid,
    holder: str | None,
    purpose: str,
    duration: timedelta,
    idempotency_key: str | None,
) -> Steps[tuple[Lease, datetime]]:
    """Grant the lease, or give back the asker's own; it, and the time at which that was decided.

    The time is no earlier than the database's clock, so that no more is left of the lease than it
    says: after a backstep that the clock hasn't made up for, it is later.
    """
    granted_to = context.actor if holder is None else holder
    asked_by = check_name("holder", granted_to, HOLDER_CHARS_MAX)
    check_text("purpose", purpose, PURPOSE_CHARS_MAX)
    check_duration("duration", duration, greatest=LEASE_DURATION_MAX)
    check_optional_text("idempotency_key", idempotency_key, KEY_CHARS_MAX, length_min=1)
    locked, last, at, standing = yield from _lock(repository_id, ASK_STANDING)
    _check_active(repository_id, locked)
    stream = stream_of(context, locked)
    if last is not None and last.id == lease_id:
        # It was asked for before, and the answer was lost.
        _check_live(last, at)
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
    yield Together(_grant_steps(locked, stream, lease))
    return lease, at


def required(
    repository_id: Ulid, fencing_token: int, holder: str | None
) -> Steps[tuple[LockedRepository, Lease, datetime]]:
    """Lock the repository for the holder of the token: it, the lease, and the time.

    Raises LeaseLost, InvalidValue, NotFound.
    """
    check_integer("fencing_token", fencing_token, least=1)
    check_optional_text("holder", holder, HOLDER_CHARS_MAX, length_min=1)
    locked, last, at, *_ = yield from _lock(repository_id)
    if last is None or last.fencing_token < fencing_token:
        raise LeaseLost("not_holder", f"no lease was granted with fencing token {fencing_token}")
    if last.fencing_token > fencing_token:
        raise LeaseLost(
            "superseded", f"token {fencing_token}, and the newest is {last.fencing_token}"
        )
    if holder is not None:
        _check_holder(last, holder)
    _check_live(last, at)
    return locked, last, at


def _holder(context: Context, holder: str | None) -> str:
    """Whose lease it is meant to be: leases of a log have holders of any name."""
    return check_text(
        "holder", context.actor if holder is None else holder, HOLDER_CHARS_MAX, length_min=1
    )


def newest_time(last: Lease) -> datetime:
    """The latest time that the repository's newest lease tells of."""
    return max(last.acquired_at, last.ended_at or last.acquired_at)


def _lock(
    repository_id: Ulid, *then: SelectOne, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, Lease | None, datetime, *tuple[Any, ...]]]:
    """The repository, locked; its newest lease; and the time: never one before that lease's own.

    All is read when the lock is there, which is what keeps two from being granted one lease; behind
    it comes what is selected ``then``.
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


def _lock_lease(
    lease_id: Ulid, *then: SelectOne
) -> Steps[tuple[LockedRepository, Lease, datetime, *tuple[Any, ...]]]:
    """Lock the lease's repository, then read the lease again: it may have ended meanwhile."""
    check_ulid("lease_id", lease_id)
    seen = yield from lookup(Lease, SELECT_BY_ID, "lease", lease_id, id=lease_id)
    locked, lease, at, *more = yield from _lock(seen.repository_id, *then, include_deleted=True)
    if lease is None or lease.id != lease_id:
        lease = yield from one(Lease, SELECT_BY_ID, id=lease_id)
        assert lease is not None, "leases are never deleted"
    return locked, lease, at, *more


def _check_holder(lease: Lease, asked_by: str) -> None:
    if lease.holder != asked_by:
        raise LeaseLost("not_holder", f"it is {named(lease.holder)}'s, not {named(asked_by)}'s")


def _check_live(lease: Lease, at: datetime) -> None:
    if lease.end_reason is EndReason.EXPIRED or (lease.ended_at is None and lease.expires_at <= at):
        raise LeaseLost("expired", f"at {lease.expires_at}")
    if lease.ended_at is not None:
        raise LeaseLost(
            "ended", f"{lease.end_reason} by {named(lease.ended_by)} at {lease.ended_at}"
        )


def _check_active(repository_id: Ulid, locked: LockedRepository) -> None:
    if locked.state is not RepositoryState.ACTIVE:
        raise Conflict(
            "repositories.state",
            f"repository {repository_id} is {locked.state}: make it active to write to it",
        )


def _grant_steps(
    locked: LockedRepository, stream: Stream, lease: Lease
) -> tuple[Change, Change, Change]:
    entry = stream.entry(lease.acquired_at, "lease.acquire", lease.id, created(lease))
    epoch = advanced(locked, stream, lease_epoch=lease.fencing_token)
    return entry, epoch, Change(INSERT, asdict(lease))


def _end(
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
    """A lease whose time is over, as it ends: it ended then, whenever that is written down."""
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
    """The steps that end a lease: its entry, which also says what ``more`` does, and its row."""
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
