"""Write leases: one holder a repository, 72 hours at most, and a fencing token for each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from forgedb.dao.leases.deadline import HeldLease, held_from, this_moment
from forgedb.dao.leases.hold import Hold
from forgedb.dao.leases.steps import (
    LEASE,
    SELECT_BY_ID,
    acquired,
    check_holder,
    check_live,
    end,
    end_steps,
    expired_lease,
    handed_over,
    holder_of,
    lock_and_read,
    lock_lease,
    required,
)
from forgedb.dao.paging import BY_ID, by_number, page
from forgedb.dao.repositories import advanced, stream_of
from forgedb.errors import (
    ActorRequired,
)
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import HOLDER_CHARS_MAX, LEASE_DURATION_MAX
from forgedb.models import EndReason, Lease, LeaseImport, Page, Ulid
from forgedb.operations.binding import Dao, H_co, locking, read, snapshot, write
from forgedb.operations.old_spellings import Renamed
from forgedb.operations.steps import Steps, Together, lookup, many, now, one
from forgedb.sql.catalogue import sql
from forgedb.validation import (
    check_limit,
    check_reason,
    check_text,
    check_time,
)

BY_TOKEN = by_number("fencing_token")

Leases: TypeAlias = list[Lease]


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
"""Keyed by whether a holder is given, and whether a time of expiry is."""

DUE = sql(f"""
SELECT {LEASE}
FROM leases
WHERE ended_at IS NULL AND expires_at <= :now
ORDER BY expires_at, id
LIMIT :limit
""")


class LeasesDao(Dao[H_co]):
    """The right to write to a repository: acquire, release, and prove to hold it."""

    if not TYPE_CHECKING:
        # Checkers say themselves that there is no such method.
        export_jsonl = Renamed("export")

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
        back, so a worker that crashed or lost the reply can continue.

        Raises LeaseHeld (who holds it, and until when), InvalidValue, NotFound (deleted too),
        Conflict (the repository is archived or read-only), Unavailable (the clock is more than
        60 s behind the repository's last lease).
        """
        lease, _ = yield from acquired(
            self.context, new_ulid(), repository_id, holder, purpose, duration, idempotency_key
        )
        return lease

    @write
    def release(self, lease_id: Ulid, holder: str | None = None) -> Steps[Lease]:
        """End your own lease before it expires.

        Raises LeaseLost (another's, expired, or ended already), InvalidValue, NotFound.
        """
        asked_by = holder_of(self.context, holder)
        locked, lease, at, *_ = yield from lock_lease(lease_id)
        check_holder(lease, asked_by)
        check_live(lease, at)
        return (yield from end(self.context, locked, lease, at, EndReason.RELEASED, None))

    @write
    def handover(
        self, lease_id: Ulid, to: str, note: str = "", holder: str | None = None
    ) -> Steps[Lease]:
        """End your own lease, grant the rest of its term to another holder, return the new lease.

        No other holder can acquire it in between.  The new lease has a new fencing token, and the
        old token is no longer valid; ``note`` is kept with the lease that ended.

        Raises LeaseLost (another's, expired, or ended already), InvalidValue (``to`` is the holder
        too), NotFound, Conflict (the repository is archived or read-only).
        """
        return handed_over(self.context, lease_id, to, note, holder)

    @write
    def force_release(self, lease_id: Ulid, reason: str) -> Steps[Lease]:
        """End a live lease on behalf of someone else.

        The next holder gets a higher fencing token, so the old holder's late writes fail with
        LeaseLost even while its process still runs.

        Raises NotFound, InvalidValue (also an empty reason), LeaseLost (ended or expired).
        """
        check_reason(reason)
        locked, lease, at, *_ = yield from lock_lease(lease_id)
        check_live(lease, at)
        return (yield from end(self.context, locked, lease, at, EndReason.FORCED, reason))

    @write
    def rebase(self, repository_id: Ulid, reason: str) -> Steps[Lease]:
        """Restart the repository's lease times from now, once a clock that was ahead is right.

        Leases granted by the wrong clock stay in the history, with their times; one that is still
        open is ended by force.  Returns a new lease, dated now and ended at once, whose fencing
        token supersedes theirs.

        Raises Conflict (the clock is not behind the last lease by more than 60 s: there is nothing
        to rebase), InvalidValue (also an empty reason), NotFound.
        """
        from forgedb.dao.leases.rebase import rebased

        return rebased(self.context, repository_id, reason)

    @write
    def expire_due(self, limit: int = 100) -> Steps[Leases]:
        """Record expired leases as expired, and return them with their end.

        Nothing depends on this: a lease ends when it expires, recorded or not.  Raises
        InvalidValue.
        """
        count = check_limit(limit)
        asked_at = yield from now()
        due = yield from many(Lease, DUE, now=asked_at, limit=count)
        stamped: Leases = []
        # Repositories are always locked in the order of their ids, so that no deadlock arises.
        for found in sorted(due, key=lambda lease: lease.repository_id):
            locked, last, at, *_ = yield from lock_and_read(
                found.repository_id, include_deleted=True
            )
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
        """The live lease of this fencing token; the repository's row stays locked.

        In a transaction, no one else can end or replace the lease until the transaction ends.  If
        a ``holder`` is given, the lease must be that holder's.

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
            BY_TOKEN,
            after,
            repository_id=check_ulid("repository_id", repository_id),
        )

    @read
    def list(
        self,
        *,
        holder: str | None = None,
        expiring_before: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[Lease]]:
        """Live leases in the order of their ids.  Raises InvalidValue."""
        filters: dict[str, object] = {}
        if holder is not None:
            filters["holder"] = check_text("holder", holder, HOLDER_CHARS_MAX, length_min=1)
        if expiring_before is not None:
            filters["expiring_before"] = check_time("expiring_before", expiring_before)
        at = yield from now()
        return (
            yield from page(
                Lease,
                LIST[holder is not None, expiring_before is not None],
                limit,
                BY_ID,
                after,
                now=at,
                **filters,
            )
        )

    @write(repeatable=False)
    def import_jsonl(
        self, file: IO[bytes], source: str | None = None, create_missing: Ulid | None = None
    ) -> Steps[LeaseImport]:
        """Replay a lease log in order, one line of JSON for each event: all of it, or nothing.

        ``file`` is open for reading bytes; ``source`` is the log's name, by default the file's.
        Lines that were imported before are skipped.  Lines of unknown repositories wait for an
        import after the repositories were created, and are listed in the result.  With
        ``create_missing``, a project's id, those repositories are created in that project.

        Raises LineRefused (which line, and why), InvalidValue, NotFound (the project).
        """
        from forgedb.dao.leases.log_import import import_log

        return import_log(self, file, source, create_missing)

    @snapshot(repeatable=False)
    def export(self, file: IO[Any]) -> Steps[int]:
        """Write all leases as a lease log, in the order of time; returns how many lines.

        ``file`` is open for writing, as text or as bytes.  Leases that were imported have the ids
        that they had in their log.

        Raises InvalidValue (it isn't open for writing).
        """
        from forgedb.dao.leases.log_export import export_log

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
        """Like ``acquire``, but a new lease gets the id that is given."""
        # Read within the operation: if it is retried, the attempt that succeeds counts.
        sent = this_moment()
        lease, at = yield from acquired(
            self.context, lease_id, repository_id, holder, purpose, duration, idempotency_key
        )
        return held_from(sent, lease, at)

    @write
    def _let_go(self, lease_id: Ulid, repository_id: Ulid) -> Steps[None]:
        """End the lease if it was granted and is live: the caller doesn't know.

        If the grant is still being committed, this waits for the lock on the repository's row.
        """
        locked, last, at = yield from lock_and_read(repository_id, include_deleted=True)
        if last is None or last.id != lease_id or last.ended_at is not None:
            return
        if last.expires_at > at:
            yield from end(self.context, locked, last, at, EndReason.RELEASED, None)

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

        On an AsyncDatabase it is asynchronous.  The lease is a HeldLease, which has the deadline
        by which its holder must be done.

        While another holder has the lease, it retries for up to ``wait``, a timedelta or seconds,
        at most 30 days; not in a transaction.  Raises what ``acquire`` raises.  On leaving the
        block, raises LeaseLost if the lease was lost meanwhile, unless the block itself raised.
        Raises UsageError if it is entered again before the block was left.
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
