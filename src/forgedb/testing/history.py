"""Checks a history of leases against the rules that leases must follow.

``check`` compares the leases and the audit trail of the database with the answers that clients
recorded.  ``python -m forgedb.testing.history`` checks the database alone.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from forgedb import AuditEntry, Database, EndReason, ForgeDbError, Lease, Ulid, connect, every
from forgedb.audit.kinds import ACTIONS, Effect
from forgedb.drivers.url import parse_url, url_from_environment

__all__ = [
    "MARGIN",
    "RULES",
    "Fault",
    "Grant",
    "Held",
    "Lost",
    "Observation",
    "Refused",
    "Write",
    "check",
]

_T = TypeVar("_T", float, datetime)
_S = TypeVar("_S")

RULES: Final = {
    "overlap": "no lease begins before every earlier one of its repository has ended",
    "token": "tokens strictly grow from lease to lease, and the last is the repository's epoch",
    "end": "every lease but the last has ended, and no later than its time",
    "audit": "each grant has one entry, and so has each end; the chain of entries proves itself",
    "write": "each write had the token of the lease that was live then",
    "told": "each grant and write that a client was told of is there, and none that nobody was",
    "alone": "no two clients ever believed at one time to hold one repository",
    "stuck": "a lease whose time is over keeps nobody waiting",
    "answer": "every call is answered, and by nothing but what its documentation names",
}
"""The rules that a history must follow."""

MARGIN: Final = timedelta(milliseconds=250)
"""By how much the clients' clock and the database's may drift apart while a lease lasts."""

ENDS: Final = frozenset(
    action for action, told in ACTIONS.items() if told == ("lease", Effect.ENDS)
)
REBASE: Final = "lease.rebase"
WRITES: Final = frozenset({"objects.add", "objects.remove"})

LEASES_A_READ: Final = 1000


class Grant(msgspec.Struct, frozen=True, tag=True):
    """A client was granted a lease, or handed one over to an heir; the client is the actor."""

    repository_id: Ulid
    client: str
    lease_id: Ulid
    fencing_token: int


class Held(msgspec.Struct, frozen=True, tag=True):
    """A client acted as the only writer, from ``since`` until ``until``.

    ``until`` is when it began to release the lease, and no later than a term after it sent the
    request for it.  All times of observations are seconds of one clock that all clients share and
    nobody sets: on one machine, ``time.monotonic()``.
    """

    repository_id: Ulid
    lease_id: Ulid
    since: float
    until: float


class Write(msgspec.Struct, frozen=True, tag=True):
    """A write of a client, with this token, was acknowledged."""

    repository_id: Ulid
    client: str
    fencing_token: int


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A client asked for a lease, and was told who holds it and for how many seconds at most."""

    repository_id: Ulid
    lease_id: Ulid
    asked_at: float
    answered_at: float
    retry_after: float


class Lost(msgspec.Struct, frozen=True, tag=True):
    """A client never got the answer to one call: it was killed, or the reply was lost."""

    client: str


Observation: TypeAlias = Grant | Held | Write | Refused | Lost


class Fault(NamedTuple):
    """What is wrong with one repository's history, and which of the ``RULES`` it breaks."""

    rule: str
    repository_id: Ulid | None
    what: str

    def __str__(self) -> str:
        where = f"repository {self.repository_id}: " if self.repository_id else ""
        return f"{self.rule}: {where}{self.what}"


class _Unclaimed(NamedTuple):
    """A grant or a write in the database that no client recorded."""

    actor: str
    repository_id: Ulid
    what: str


def check(
    db: Database,
    repository_ids: Iterable[Ulid] | None = None,
    observed: Iterable[Observation] = (),
    *,
    complete: bool = False,
    margin: timedelta = MARGIN,
) -> list[Fault]:
    """The faults in the leases of these repositories, or of all; an empty list if there are none.

    ``observed`` adds the checks of what clients saw.  ``complete`` says that nobody else used the
    repositories: then each grant and write must be among the observations, except one for each
    ``Lost`` of its actor.  ``margin`` is how long a lease may outlast its term; if a clock was set
    back, add the time by which it was.

    Each repository is read in one snapshot, wholly into memory.  Raises NotFound.
    """
    told: defaultdict[Ulid, list[Observation]] = defaultdict(list)
    lost: Counter[str] = Counter()
    for each in observed:
        if isinstance(each, Lost):
            lost[each.client] += 1
        else:
            told[each.repository_id].append(each)
    faults: list[Fault] = []
    unclaimed: list[_Unclaimed] = []
    for repository_id in _all_repositories(db) if repository_ids is None else repository_ids:
        with db.transaction(read_only=True) as tx:
            leases = [*every(tx.leases.history, repository_id, limit=LEASES_A_READ)]
            entries = [*every(tx.audit.list, stream=repository_id, limit=LEASES_A_READ)]
            epoch = tx.repositories.get(repository_id).lease_epoch
            problems = tx.audit.verify(repository_id).problems
        about = told[repository_id]
        times = stretches(leases, entries)
        found = {
            "overlap": [what for stretch in times for what in overlaps(stretch)],
            "token": [
                *(what for stretch in times for what in tokens(stretch)),
                *epochs(leases, epoch),
            ],
            "end": ends(leases),
            "audit": [*audited_once(leases, entries), *map(str, problems)],
            "write": written_while_live(leases, entries),
            "told": told_as_it_is(leases, entries, about),
            "alone": alone(leases, about),
            "stuck": stuck(about, margin.total_seconds()),
        }
        faults += [Fault(rule, repository_id, what) for rule in found for what in found[rule]]
        if complete:
            unclaimed += _unclaimed(repository_id, entries, about)
    for actor, repository_id, what in unclaimed:
        if lost[actor]:
            lost[actor] -= 1
        else:
            faults.append(Fault("told", repository_id, f"nobody was told of {what}, by {actor}"))
    return faults


# Checks of the database alone.


def stretches(leases: Sequence[Lease], entries: Sequence[AuditEntry]) -> list[list[Lease]]:
    """The leases in the order of their tokens, divided at each ``rebase``: times begin anew."""
    rebased = {entry.target_id for entry in entries if entry.action == REBASE}
    found: list[list[Lease]] = [[]]
    for lease in sorted(leases, key=lambda lease: (lease.fencing_token, lease.id)):
        if lease.id in rebased:
            found.append([])
        found[-1].append(lease)
    return found


def overlaps(leases: Sequence[Lease]) -> list[str]:
    """Leases that began before an earlier one had ended."""
    spans = ((it.acquired_at, it.ended_at or it.expires_at, it) for it in leases)
    return [
        f"token {before.fencing_token} lasts until {until}, and token {lease.fencing_token}"
        f" begins at {since}"
        for before, until, lease, since in _overlapping(spans)
    ]


def tokens(leases: Sequence[Lease]) -> list[str]:
    """Tokens that don't grow with time."""
    in_time = sorted(leases, key=lambda lease: lease.acquired_at)
    return [
        f"{before.fencing_token} and then {after.fencing_token}"
        for before, after in pairwise(in_time)
        if after.fencing_token <= before.fencing_token
    ]


def epochs(leases: Sequence[Lease], epoch: int) -> list[str]:
    """The repository's ``lease_epoch``, if it isn't the token of its newest lease."""
    last = max((lease.fencing_token for lease in leases), default=0)
    return (
        [] if last == epoch else [f"the last lease's is {last}, and the repository's epoch {epoch}"]
    )


def ends(leases: Sequence[Lease]) -> list[str]:
    """Leases that were left open when the next one began, or that ended outside their term."""
    in_order = sorted(leases, key=lambda lease: (lease.fencing_token, lease.id))
    return [
        *(
            f"token {lease.fencing_token} never ended, and there is a later one"
            for lease in in_order[:-1]
            if lease.ended_at is None
        ),
        *(
            f"token {lease.fencing_token} ended at {lease.ended_at}, which is not between"
            f" {lease.acquired_at} and {lease.expires_at}"
            for lease in in_order
            if lease.ended_at is not None
            and not lease.acquired_at <= lease.ended_at <= lease.expires_at
        ),
    ]


def audited_once(leases: Sequence[Lease], entries: Sequence[AuditEntry]) -> list[str]:
    """Grants and ends that have no entry or several, and entries that have no grant or end."""
    told = Counter(
        (entry.target_id, "end" if entry.action in ENDS else entry.action)
        for entry in entries
        if entry.action.startswith("lease.")
    )
    # A rebase makes a lease that begins and ends with the same entry.
    rebased = {entry.target_id for entry in entries if entry.action == REBASE}
    granted = [lease for lease in leases if lease.id not in rebased]
    expected = Counter((lease.id, "lease.acquire") for lease in granted)
    expected.update((lease.id, "end") for lease in granted if lease.ended_at is not None)
    expected.update((lease.id, REBASE) for lease in leases if lease.id in rebased)
    return [
        f"{told[key]} entries of {key[1]} of lease {key[0]}, and there should be {expected[key]}"
        for key in {**told, **expected}
        if told[key] != expected[key]
    ]


def written_while_live(leases: Sequence[Lease], entries: Sequence[AuditEntry]) -> list[str]:
    """Writes whose token isn't that of the live lease, by the order of the stream and by time."""
    of_token = {lease.fencing_token: lease for lease in leases}
    found: list[str] = []
    live: int | None = None
    for entry in entries:
        if entry.action == "lease.acquire":
            live = entry.changes["fencing_token"][1]
        elif entry.action in ENDS or entry.action == REBASE:
            live = None
        elif entry.action in WRITES:
            token = entry.changes["fencing_token"][1]
            if token != live:
                found.append(f"entry {entry.seq} has token {token}, and {live or 'none'} was live")
            elif not _is_within(of_token.get(token), entry.at):
                found.append(f"entry {entry.seq}, at {entry.at}, is outside the time of {token}")
    return found


def _is_within(lease: Lease | None, at: datetime) -> bool:
    # Not compared with ended_at: if the clock was set back, that may be earlier than the write.
    return lease is not None and lease.acquired_at <= at < lease.expires_at


# Checks of the answers that clients recorded.


def told_as_it_is(
    leases: Sequence[Lease], entries: Sequence[AuditEntry], observed: Iterable[Observation]
) -> list[str]:
    """Answers that the database contradicts, and leases that were granted to several clients."""
    grants = {(lease.id, lease.fencing_token) for lease in leases}
    ids = {lease.id for lease in leases}
    writes = Counter(_writes(entries))
    owner: dict[Ulid, str] = {}
    found: list[str] = []
    for each in observed:
        if isinstance(each, Grant):
            if (each.lease_id, each.fencing_token) not in grants:
                found.append(f"{each.client} was granted a lease that isn't there: {each}")
            elif owner.setdefault(each.lease_id, each.client) != each.client:
                found.append(f"{each.client} and {owner[each.lease_id]} were granted one lease")
        elif isinstance(each, Write):
            key = each.client, each.fencing_token
            if not writes[key]:
                found.append(f"{each.client} was told that a write is kept that isn't: {each}")
            else:
                writes[key] -= 1
        elif isinstance(each, Refused) and each.lease_id not in ids:
            found.append(f"a lease that isn't there kept someone out: {each}")
    return found


def alone(leases: Sequence[Lease], observed: Iterable[Observation]) -> list[str]:
    """Pairs of clients that acted as the only writer at one time.

    Leases that were ended by force are left out: their holders didn't know, and the fencing token
    keeps them from writing.
    """
    forced = {lease.id for lease in leases if lease.end_reason is EndReason.FORCED}
    held = (each for each in observed if isinstance(each, Held))
    spans = (
        (it.since, it.until, it) for it in held if it.since < it.until and it.lease_id not in forced
    )
    return [
        f"{before.lease_id} was held until {until}, and {after.lease_id} from {since}"
        for before, until, after, since in _overlapping(spans)
    ]


def stuck(observed: Iterable[Observation], margin_seconds: float) -> list[str]:
    """Leases that kept a client out though by then they should have been over."""
    refused = [each for each in observed if isinstance(each, Refused)]
    over_at: dict[Ulid, float] = {}
    for each in refused:
        over = each.answered_at + each.retry_after
        over_at[each.lease_id] = min(over, over_at.get(each.lease_id, over))
    late: dict[Ulid, float] = {}
    for each in refused:
        beyond = each.asked_at - over_at[each.lease_id]
        if beyond > margin_seconds:
            late[each.lease_id] = max(beyond, late.get(each.lease_id, 0.0))
    return [
        f"lease {lease_id} kept someone out {beyond:.3f} s after it had to be over"
        for lease_id, beyond in late.items()
    ]


def _unclaimed(
    repository_id: Ulid, entries: Sequence[AuditEntry], observed: Iterable[Observation]
) -> Iterator[_Unclaimed]:
    claimed: set[Ulid] = set()
    writes = Counter(_writes(entries))
    for each in observed:
        if isinstance(each, Grant):
            claimed.add(each.lease_id)
        elif isinstance(each, Write):
            writes[each.client, each.fencing_token] -= 1
    for entry in entries:
        if entry.action == "lease.acquire" and entry.target_id not in claimed:
            yield _Unclaimed(entry.actor, repository_id, f"lease {entry.target_id}")
    for (actor, token), count in writes.items():
        for _ in range(count):
            yield _Unclaimed(actor, repository_id, f"a write with token {token}")


def _writes(entries: Iterable[AuditEntry]) -> Iterator[tuple[str, int]]:
    """The actor of each write, and the token."""
    for entry in entries:
        if entry.action in WRITES:
            yield entry.actor, entry.changes["fencing_token"][1]


def _overlapping(spans: Iterable[tuple[_T, _T, _S]]) -> Iterator[tuple[_S, _T, _S, _T]]:
    """Spans that overlap, in pairs: the earlier one, its end, the later one and its beginning."""
    latest: tuple[_S, _T] | None = None
    for since, until, what in sorted(spans, key=lambda span: span[:2]):
        if latest is not None and since < latest[1]:
            yield latest[0], latest[1], what, since
        if latest is None or until > latest[1]:
            latest = what, until


def _all_repositories(db: Database) -> Iterator[Ulid]:
    for project in every(db.projects.list, include_deleted=True):
        for repository in every(db.repositories.list, project.id, include_deleted=True):
            yield repository.id


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a database's leases, print what is wrong, and return 1 if anything is."""
    parser = argparse.ArgumentParser(
        prog="python -m forgedb.testing.history",
        description="Check the history of leases: " + "; ".join(RULES.values()) + ".",
    )
    parser.add_argument("--url", help="the database; without it, as for the forgedb command")
    parser.add_argument("repository_ids", nargs="*", metavar="REPOSITORY_ID", help="only of these")
    given = parser.parse_args(arguments)
    try:
        url = parse_url(url_from_environment() if given.url is None else given.url)
        # A mistyped name must not make a new file.
        options: dict[str, Any] = {"mode": "rw"} if url.makes_its_file else {}
        with connect(given.url, **options) as db:
            faults = check(db, given.repository_ids or None)
    except ForgeDbError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    sys.stdout.write(f"{len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
