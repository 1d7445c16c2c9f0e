"""The rules for replaying a lease log: which events may follow which."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from forgedb.errors import InvalidValue, named, shown
from forgedb.lease_log.lines import Acquired, Ended, Event, Forced, Released
from forgedb.models import EndReason, Lease, Ulid


def check_order(event: Event, before: datetime | None, now: datetime, ahead: timedelta) -> None:
    """Check that times don't decrease from line to line, nor pass the database's clock.

    ``ahead`` is how far the two clocks may differ.  Raises InvalidValue.
    """
    if before is not None and event.at < before:
        raise InvalidValue(
            "at",
            text(event.at),
            f"the line before is of {text(before)}, and time goes backwards:"
            " put the lines in the order in which they happened",
        )
    if event.at > now + ahead:
        raise InvalidValue(
            "at",
            text(event.at),
            f"the database's clock says {text(now)}: set the clock right, or correct the line",
        )


def check_grant(event: Acquired, last: Lease | None, last_id: str | None = None) -> None:
    """Check that the repository is free when the lease begins.  Raises InvalidValue.

    ``last_id`` is the id of the last lease in the log, if it has another id here.
    """
    if last is None:
        return
    held = f"lease {last_id or last.id} of {named(last.holder)}"
    if last.ended_at is None and last.expires_at > event.at:
        raise InvalidValue(
            "lease_id",
            event.lease_id,
            f"it overlaps {held}, which is live until {text(last.expires_at)}:"
            " a repository has one live lease; correct the line, or end the other one before it",
        )
    until = last.ended_at or last.expires_at
    if until > event.at:
        raise InvalidValue(
            "at",
            text(event.at),
            f"the repository's history goes on to {text(until)} already, with {held}:"
            " nothing can be put in before it, so take the line out",
        )


def granted(
    event: Acquired, lease_id: str, repository_id: str, fencing_token: int, last: Lease | None
) -> Lease:
    """The lease as it begins."""
    return Lease(
        lease_id,
        repository_id,
        event.holder,
        event.purpose,
        fencing_token,
        None,
        event.at,
        event.expires_at,
        None,
        None,
        None if last is None else last.id,
        None,
        None,
    )


def check_end(event: Ended, lease: Lease) -> None:
    """Check that the lease is live when it is ended.  Raises InvalidValue."""
    if lease.ended_at is not None:
        raise InvalidValue(
            "lease_id",
            event.lease_id,
            f"it ended at {text(lease.ended_at)} already ({lease.end_reason} by"
            f" {named(lease.ended_by)}): a lease ends once, so take the line out",
        )
    if event.at >= lease.expires_at:
        raise InvalidValue(
            "at",
            text(event.at),
            f"lease {shown(event.lease_id)} was over by then, at {text(lease.expires_at)}:"
            " take the line out",
        )
    if event.at < lease.acquired_at:
        raise InvalidValue(
            "at",
            text(event.at),
            f"lease {shown(event.lease_id)} began later, at {text(lease.acquired_at)}:"
            " correct the line",
        )


def ended(event: Ended, lease: Lease) -> Lease:
    """The lease with its end."""
    forced = isinstance(event, Forced)
    return replace(
        lease,
        ended_at=event.at,
        end_reason=EndReason.FORCED if forced else EndReason.RELEASED,
        ended_by=event.by,
        end_note=event.reason if isinstance(event, Forced) else None,
    )


def is_told_by(event: Event, lease: Lease, repository_id: Ulid | None) -> bool:
    """Whether the lease already has all values of the event."""
    if isinstance(event, Acquired):
        return (lease.repository_id, lease.holder, lease.purpose) == (
            repository_id,
            event.holder,
            event.purpose,
        ) and (lease.acquired_at, lease.expires_at) == (event.at, event.expires_at)
    reasons = (
        (EndReason.RELEASED, EndReason.TRANSFERRED)
        if isinstance(event, Released)
        else (EndReason.FORCED,)
    )
    note = event.reason if isinstance(event, Forced) else lease.end_note
    return lease.end_reason in reasons and (lease.ended_at, lease.ended_by, lease.end_note) == (
        event.at,
        event.by,
        note,
    )


class Waiting:
    """The leases of repositories that aren't known yet: replayed in memory only.

    So an error in their lines is found at once, while it can still be corrected.
    """

    def __init__(self) -> None:
        self._last: dict[str, Lease] = {}
        """By the repository's id in the log."""
        self._repository_of: dict[str, str] = {}
        """By the id of the last lease of each repository."""

    def acquire(self, event: Acquired) -> None:
        """Replay the grant.  Raises InvalidValue."""
        last = self._last.get(event.repository_id)
        check_grant(event, last)
        if last is not None:
            del self._repository_of[last.id]
        self._last[event.repository_id] = granted(
            event, event.lease_id, event.repository_id, 1, None
        )
        self._repository_of[event.lease_id] = event.repository_id

    def end(self, event: Ended) -> str | None:
        """Replay the end; the repository, or None if the lease is unknown.  Raises InvalidValue."""
        repository_id = self._repository_of.get(event.lease_id)
        if repository_id is not None:
            last = self._last[repository_id]
            check_end(event, last)
            self._last[repository_id] = ended(event, last)
        return repository_id


def text(at: datetime) -> str:
    """The time as the log writes it."""
    return str(msgspec.to_builtins(at))
