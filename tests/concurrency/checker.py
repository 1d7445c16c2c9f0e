"""Whether a history of one repository's leases could have come from leases that work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from forgedb import AuditEntry, Database, Lease
from tests.concurrency.racing import Grant
from tests.conformance.values import every_page

ENDS = ("lease.release", "lease.force_release", "lease.handover", "lease.expire")


def faults_of(db: Database, repository_id: str, grants: Sequence[Grant]) -> list[str]:
    """What is wrong with all that the database and the competitors know of the race."""
    leases = _all(every_page(lambda **page: db.leases.history(repository_id, **page), 1000))
    entries = _all(every_page(lambda **page: db.audit.list(repository_id, **page), 1000))
    return [
        *overlaps(leases),
        *tokens(leases),
        *audited_once(leases, entries),
        *told_once(leases, grants),
        *written_while_live(leases, entries),
        *believed_alone(grants),
        *(f"audit: {problem}" for problem in db.audit.verify(repository_id).problems),
    ]


def overlaps(leases: Sequence[Lease]) -> list[str]:
    """No lease begins before every earlier one has ended."""
    spans = ((it.acquired_at, it.ended_at or it.expires_at, it.fencing_token) for it in leases)
    return _overlapping("overlap", spans)


def tokens(leases: Sequence[Lease]) -> list[str]:
    """Tokens strictly grow from each lease to the next."""
    in_time = sorted(leases, key=lambda lease: lease.acquired_at)
    return [
        f"token: {before.fencing_token} and then {after.fencing_token}"
        for before, after in pairwise(in_time)
        if after.fencing_token <= before.fencing_token
    ]


def audited_once(leases: Sequence[Lease], entries: Sequence[AuditEntry]) -> list[str]:
    """Each grant has one entry, and so has each end; nothing else has."""
    told = Counter(
        (entry.target_id, "end" if entry.action in ENDS else entry.action)
        for entry in entries
        if entry.action.startswith("lease.")
    )
    expected = Counter((lease.id, "lease.acquire") for lease in leases)
    expected.update((lease.id, "end") for lease in leases if lease.ended_at is not None)
    wrong = (told - expected) + (expected - told)
    return [f"entries: {what} of {lease_id}" for lease_id, what in wrong]


def written_while_live(leases: Sequence[Lease], entries: Sequence[AuditEntry]) -> list[str]:
    """Each write had the newest token, and its lease was neither over nor ended."""
    span = {it.fencing_token: (it.acquired_at, it.ended_at or it.expires_at) for it in leases}
    found = []
    newest = 0
    for entry in entries:
        if entry.action == "lease.acquire":
            newest = entry.changes["fencing_token"][1]
        if entry.action == "objects.add":
            token = entry.changes["fencing_token"][1]
            begins, ends = span[token]
            if token != newest or not begins <= entry.at <= ends:
                found.append(f"write: with token {token} at {entry.at}")
    return found


def told_once(leases: Sequence[Lease], grants: Sequence[Grant]) -> list[str]:
    """Each lease was given to one competitor, with its token, and no competitor made one up."""
    told = Counter((grant.lease_id, grant.fencing_token) for grant in grants)
    expected = Counter((lease.id, lease.fencing_token) for lease in leases)
    return [f"told: {lease}" for lease in (told - expected) + (expected - told)]


def believed_alone(grants: Sequence[Grant]) -> list[str]:
    """No two competitors ever believed at one time that the lease was theirs."""
    spans = ((it.since, it.until, it.fencing_token) for it in grants if it.since < it.until)
    return _overlapping("two at once", spans)


def _overlapping(what: str, spans: Iterable[tuple[datetime, datetime, int]]) -> list[str]:
    found = []
    ended, holder = None, 0
    for since, until, token in sorted(spans):
        if ended is not None and since < ended:
            found.append(f"{what}: {holder} and {token}")
        if ended is None or until > ended:
            ended, holder = until, token
    return found


def _all(pages: list[list[Any]]) -> list[Any]:
    return [each for page in pages for each in page]
