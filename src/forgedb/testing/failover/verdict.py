"""Whether the answers that clients got, and the data that survived, keep the promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Final, NamedTuple

from forgedb import Database, SigningKey, Ulid, every
from forgedb.testing.failover.ledger import Anchored, Granted, Ledger
from forgedb.testing.history import Fault, Observation, Refused, check

RULES: Final = {
    "twice": "no token of a repository is ever given to two leases, whether they survived or not",
    "backwards": "through one handle, what is granted later has a higher token",
    "lost": "under synchronous replication what was acknowledged survives",
    "anchor": "a checkpoint that a client keeps agrees with what survived, unless that lacks"
    " what the checkpoint covers: then `audit.verify` says so",
    "answer": "every call ends in its time, with an answer or an error that is documented",
    "back": "leases are granted again soon after there is a primary",
    "era": "a database that was restored or upgraded is known by itself, at its first write",
}
"""The rules for a failover; the history that survives must also follow ``history.RULES``."""

SETTLED_SECONDS: Final = 1.0
"""What was acknowledged this long before the risk began has reached the standbys, which nothing
had delayed until then."""

LEASES_A_READ: Final = 1000


class Survived(NamedTuple):
    """What the database has: each lease's repository and token, the ended leases, the objects."""

    tokens: dict[Ulid, tuple[Ulid, int]]
    ended: set[Ulid]
    oids: set[tuple[Ulid, str]]


def judge(
    db: Database,
    repository_ids: Sequence[Ulid],
    ledger: Ledger,
    *,
    keeps: bool,
    key: SigningKey | None,
) -> tuple[list[Fault], int]:
    """The faults, and how many acknowledged changes are lost.

    ``keeps``: none may be lost, and all of them were made in this database.
    """
    survived = read_survived(db, repository_ids)
    missing = [*lost(ledger, survived)]
    missing_grants = [each for each in ledger.granted if each.lease_id not in survived.tokens]
    faults = [*twice(ledger.granted, survived)]
    faults += backwards(ledger.granted)
    if keeps:
        faults += [Fault("lost", repository_id, what) for repository_id, what, _ in missing]
    observed = [each for each in ledger.observed if keeps and not _by_unfinished(each, survived)]
    faults += check(db, repository_ids, observed, complete=keeps)
    problems = db.audit.verify().problems
    faults += [Fault("audit", None, str(problem)) for problem in problems]
    if key is not None:
        faults += anchors(db, ledger, missing_grants, key, whole=not missing)
    return faults, len(missing)


def _by_unfinished(each: Observation, survived: Survived) -> bool:
    """Whether a client was refused because of a lease that did not survive.

    That is no fault: when a COMMIT that waits for a standby is cancelled, the primary shows its
    changes to others, though no client was told that they are committed.
    """
    return isinstance(each, Refused) and each.lease_id not in survived.tokens


def read_survived(db: Database, repository_ids: Iterable[Ulid]) -> Survived:
    """Read what the database has of these repositories."""
    survived = Survived({}, set(), set())
    for repository_id in repository_ids:
        for lease in every(db.leases.history, repository_id, limit=LEASES_A_READ):
            survived.tokens[lease.id] = repository_id, lease.fencing_token
            if lease.ended_at is not None:
                survived.ended.add(lease.id)
        for each in every(db.objects.list, repository_id, limit=LEASES_A_READ):
            survived.oids.add((repository_id, each.oid.hex()))
    return survived


def lost(ledger: Ledger, survived: Survived) -> Iterator[tuple[Ulid, str, float]]:
    """Each acknowledged change that is missing: its repository, what it was, and when it was
    acknowledged."""
    for granted in ledger.granted:
        token = granted.repository_id, granted.fencing_token
        if survived.tokens.get(granted.lease_id) != token:
            what = f"{granted.client} was granted {granted.lease_id}, {granted.fencing_token}"
            yield granted.repository_id, what, granted.answered_at
    for written in ledger.written:
        if (written.repository_id, written.oid) not in survived.oids:
            yield written.repository_id, f"{written.oid} was added", written.answered_at
    for ended in ledger.ended:
        if ended.lease_id not in survived.ended:
            yield ended.repository_id, f"{ended.lease_id} was ended", ended.answered_at


def twice(granted: Iterable[Granted], survived: Survived) -> Iterator[Fault]:
    """Tokens that two leases have."""
    leases: defaultdict[tuple[Ulid, int], set[Ulid]] = defaultdict(set)
    for each in granted:
        leases[each.repository_id, each.fencing_token].add(each.lease_id)
    for lease_id, key in survived.tokens.items():
        leases[key].add(lease_id)
    for (repository_id, token), ids in leases.items():
        if len(ids) > 1:
            what = f"token {token} is that of {', '.join(sorted(ids))}"
            yield Fault("twice", repository_id, what)


def backwards(granted: Iterable[Granted]) -> Iterator[Fault]:
    """Grants through a handle whose token is not above one that the handle had before it asked."""
    of_handle: defaultdict[tuple[str, Ulid], list[Granted]] = defaultdict(list)
    for each in granted:
        of_handle[each.handle, each.repository_id].append(each)
    for (handle, repository_id), grants in of_handle.items():
        known = sorted(grants, key=lambda it: it.answered_at)
        position, highest = 0, 0
        for each in sorted(grants, key=lambda it: it.asked_at):
            while known[position].answered_at < each.asked_at:
                highest = max(highest, known[position].fencing_token)
                position += 1
            if each.fencing_token <= highest:
                what = f"{handle} were granted {each.fencing_token} after {highest}"
                yield Fault("backwards", repository_id, what)


def anchors(
    db: Database, ledger: Ledger, lost: Sequence[Granted], key: SigningKey, *, whole: bool
) -> Iterator[Fault]:
    """Checkpoints that are wrong: they show a loss where there is none, or miss one they cover."""

    def problems(lines: list[str]) -> list[str]:
        if not lines:
            return []
        report = db.audit.verify(public_keys=[key.public_key], anchors=lines)
        return [str(problem) for problem in report.problems]

    sound_until = inf if whole else min(ledger.risked_at) - SETTLED_SECONDS
    sound = [it.line for it in ledger.anchored if it.answered_at < sound_until]
    for problem in problems(sound):
        yield Fault("anchor", None, f"nothing is lost, and a checkpoint says: {problem}")
    covering = (it for it in ledger.anchored if any(_covers(it, each, ledger) for each in lost))
    first = next(covering, None)
    if first is not None and not problems([first.line]):
        what = f"a lease that {first.line} covers is lost, and verify says nothing of it"
        yield Fault("anchor", None, what)


def _covers(anchored: Anchored, granted: Granted, ledger: Ledger) -> bool:
    """Whether the checkpoint was taken after the grant, and surely on the server that made that."""
    replaced_before = max((at for at in ledger.replaced_at if at < granted.answered_at), default=0)
    by_the_only_one = replaced_before == 0 or any(
        replaced_before < at < granted.asked_at for at in ledger.whole_at
    )
    return (
        by_the_only_one
        and granted.client.startswith(f"{anchored.crowd}:")
        and granted.answered_at < anchored.asked_at
        and not any(granted.answered_at < at < anchored.answered_at for at in ledger.replaced_at)
    )
