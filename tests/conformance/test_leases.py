"""Write leases: granted, ended and proven, by one holder at a time and by the clock alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from forgedb import (
    ActorRequired,
    AlreadyExists,
    Conflict,
    Database,
    EndReason,
    InvalidValue,
    Lease,
    LeaseHeld,
    LeaseLost,
    NewObject,
    NotFound,
    Project,
    Repository,
    StillReferenced,
    Unavailable,
    UsageError,
)
from forgedb.ids import new_ulid
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import on_every_pair
from tests.conformance.values import (
    BAD_LIMITS,
    BAD_TEXTS,
    BAD_ULIDS,
    FREE,
    actions,
    count_of_entries,
    every_page,
    history,
)

pytestmark = on_every_pair

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
DURATION_MAX = timedelta(hours=72)
BLOB = NewObject("8ab686eafeb1f44702738c8b0f24f2567c36da6d", 3, size=14)


@pytest.fixture
def bob(db: Database) -> Database:
    """The same database on behalf of ``user:bob``."""
    return db.acting_as("user:bob")


# Acquiring.


def test_a_lease_says_who_holds_what_for_which_purpose_and_until_when(
    db: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(
        repository.id, purpose="nightly import", duration=2 * HOUR, idempotency_key="run-7"
    )
    assert lease == Lease(
        id=lease.id,
        repository_id=repository.id,
        holder="user:ada",
        purpose="nightly import",
        fencing_token=1,
        idempotency_key="run-7",
        acquired_at=START,
        expires_at=START + 2 * HOUR,
        ended_at=None,
        end_reason=None,
        previous_lease_id=None,
        ended_by=None,
        end_note=None,
    )
    assert db.leases.get(lease.id) == lease
    assert db.leases.active(repository.id) == lease


def test_a_lease_may_be_taken_for_another_holder_than_the_actor(
    db: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, holder="worker:9")
    assert lease.holder == "worker:9"
    (*_, entry) = history(db, lease.id)
    assert (entry.actor, entry.changes["holder"]) == ("user:ada", [None, "worker:9"])


def test_a_lease_lasts_72_hours_unless_a_shorter_time_is_asked_for(
    db: Database, repository: Repository
) -> None:
    assert db.leases.acquire(repository.id).expires_at == START + DURATION_MAX


def test_a_lease_may_last_from_a_microsecond_to_72_hours(
    db: Database, repository: Repository
) -> None:
    for duration in (TICK, timedelta(seconds=1), DURATION_MAX - TICK, DURATION_MAX):
        lease = db.leases.acquire(repository.id, duration=duration)
        assert lease.expires_at - lease.acquired_at == duration
        assert db.leases.get(lease.id) == lease
        db.leases.release(lease.id)


def test_no_lease_lasts_longer_than_72_hours_or_no_time_at_all(
    db: Database, repository: Repository
) -> None:
    before = count_of_entries(db)
    too_long = [DURATION_MAX + TICK, timedelta.max]
    too_short = [timedelta(0), -TICK, timedelta.min]
    for bad in [*too_long, *too_short, 3600, "1 hour", None]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.acquire(repository.id, duration=bad)
        assert (refused.value.field, refused.value.value) == ("duration", bad)
    assert count_of_entries(db) == before
    assert db.leases.active(repository.id) is None


def test_a_second_holder_is_told_who_holds_the_lease_and_until_when(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, purpose="import", duration=HOUR)
    clock.pass_by(20 * MINUTE)
    with pytest.raises(LeaseHeld) as refused:
        bob.leases.acquire(repository.id)
    assert refused.value.lease == lease
    assert refused.value.retry_after == 40 * MINUTE
    assert not refused.value.is_mine
    assert refused.value.constraint == "leases_one_open_per_repository"
    for told in ("user:ada", "import", "2026-11-22 10:00:00", "2026-11-22 11:00:00", repository.id):
        assert told in str(refused.value)


def test_the_holder_is_told_that_the_lease_is_its_own(db: Database, repository: Repository) -> None:
    db.leases.acquire(repository.id)
    with pytest.raises(LeaseHeld, match=r"held by you \(user:ada\)") as refused:
        db.leases.acquire(repository.id)
    assert refused.value.is_mine


def test_a_refused_acquire_leaves_no_trace(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    before = count_of_entries(db)
    with pytest.raises(LeaseHeld):
        bob.leases.acquire(repository.id)
    assert count_of_entries(db) == before
    assert db.leases.history(repository.id).items == [lease]
    assert db.repositories.get(repository.id).lease_epoch == 1


def test_leases_of_two_repositories_have_nothing_to_do_with_each_other(
    db: Database, bob: Database, project: Project, repository: Repository
) -> None:
    other = db.repositories.create(project.id, "web")
    mine, theirs = db.leases.acquire(repository.id), bob.leases.acquire(other.id)
    assert (mine.fencing_token, theirs.fencing_token) == (1, 1)
    assert db.leases.active(repository.id) == mine
    assert db.leases.active(other.id) == theirs


def test_fencing_tokens_grow_with_each_lease_and_each_names_the_one_before(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    first = db.leases.acquire(repository.id)
    db.leases.release(first.id)
    second = bob.leases.acquire(repository.id, duration=MINUTE)
    clock.pass_by(HOUR)
    third = db.leases.acquire(repository.id)
    db.leases.force_release(third.id, "stuck")
    fourth = db.leases.acquire(repository.id)
    granted = [first, second, third, fourth]
    assert [lease.fencing_token for lease in granted] == [1, 2, 3, 4]
    assert [lease.previous_lease_id for lease in granted] == [None, first.id, second.id, third.id]
    assert db.repositories.get(repository.id).lease_epoch == 4


def test_an_acquire_that_was_rolled_back_used_up_no_token(
    db: Database, repository: Repository
) -> None:
    def acquire_and_fail() -> None:
        with db.transaction() as tx:
            assert tx.leases.acquire(repository.id).fencing_token == 1
            raise KeyError("the block fails")

    with pytest.raises(KeyError):
        acquire_and_fail()
    assert db.leases.active(repository.id) is None
    assert db.leases.acquire(repository.id).fencing_token == 1


# The idempotency key.


def test_the_same_holder_and_key_get_the_live_lease_back(
    db: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="run-7")
    before = count_of_entries(db)
    clock.pass_by(HOUR - TICK)
    again = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="run-7")
    assert again == lease
    assert count_of_entries(db) == before


def test_another_key_is_refused_while_the_lease_lives(db: Database, repository: Repository) -> None:
    db.leases.acquire(repository.id, idempotency_key="run-7")
    for key in (None, "run-8", "RUN-7", "run-7 "):
        with pytest.raises(LeaseHeld) as refused:
            db.leases.acquire(repository.id, idempotency_key=key)
        assert refused.value.is_mine


def test_a_lease_without_a_key_is_never_given_back(db: Database, repository: Repository) -> None:
    db.leases.acquire(repository.id)
    for key in (None, "run-7"):
        with pytest.raises(LeaseHeld):
            db.leases.acquire(repository.id, idempotency_key=key)


def test_another_holder_with_the_same_key_is_refused(
    db: Database, bob: Database, repository: Repository
) -> None:
    db.leases.acquire(repository.id, idempotency_key="run-7")
    with pytest.raises(LeaseHeld) as refused:
        bob.leases.acquire(repository.id, idempotency_key="run-7")
    assert not refused.value.is_mine


def test_a_key_matters_only_while_its_lease_is_live(
    db: Database, clock: Clock, repository: Repository
) -> None:
    first = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="run-7")
    clock.pass_by(HOUR)
    second = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="run-7")
    db.leases.release(second.id)
    third = db.leases.acquire(repository.id, idempotency_key="run-7")
    assert [lease.fencing_token for lease in (first, second, third)] == [1, 2, 3]


# Expiry.


def test_a_lease_is_over_by_time_alone_to_the_microsecond(
    db: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    clock.pass_by(HOUR - TICK)
    assert db.leases.active(repository.id) == lease
    assert db.leases.require(repository.id, lease.fencing_token) == lease
    assert db.leases.list().items == [lease]
    clock.pass_by(TICK)
    assert db.leases.active(repository.id) is None
    assert db.leases.list().items == []
    with pytest.raises(LeaseLost) as lost:
        db.leases.require(repository.id, lease.fencing_token)
    assert lost.value.why == "expired"
    assert db.leases.get(lease.id).ended_at is None


def test_the_next_acquire_stamps_the_expired_lease_and_audits_it(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    at = clock.pass_by(HOUR)
    taken = bob.leases.acquire(repository.id)
    assert taken.acquired_at == at
    ended = db.leases.get(lease.id)
    assert (ended.ended_at, ended.end_reason, ended.ended_by) == (
        lease.expires_at,
        EndReason.EXPIRED,
        "user:bob",
    )
    assert actions(db, lease.id) == ["lease.acquire", "lease.expire"]
    assert history(db, lease.id)[1].changes["holder"] == ["user:ada", "user:ada"]


def test_expire_due_stamps_what_is_over_and_nothing_else(
    db: Database, clock: Clock, project: Project
) -> None:
    repositories = [db.repositories.create(project.id, f"r{n}") for n in range(4)]
    leases = [
        db.leases.acquire(found.id, duration=span)
        for found, span in zip(repositories, [HOUR, 2 * HOUR, 3 * HOUR, HOUR], strict=True)
    ]
    clock.pass_by(2 * HOUR)
    stamped = db.leases.expire_due()
    assert {lease.id for lease in stamped} == {leases[0].id, leases[1].id, leases[3].id}
    for lease in stamped:
        assert lease == db.leases.get(lease.id)
        assert (lease.ended_at, lease.end_reason) == (lease.expires_at, EndReason.EXPIRED)
        assert actions(db, lease.id) == ["lease.acquire", "lease.expire"]
    assert db.leases.active(repositories[2].id) == leases[2]
    assert db.leases.expire_due() == []


def test_expire_due_takes_the_longest_overdue_first_and_no_more_than_its_limit(
    db: Database, clock: Clock, project: Project
) -> None:
    leases = [
        db.leases.acquire(db.repositories.create(project.id, f"r{n}").id, duration=span)
        for n, span in enumerate([3 * MINUTE, MINUTE, 2 * MINUTE])
    ]
    clock.pass_by(HOUR)
    assert [lease.id for lease in db.leases.expire_due(1)] == [leases[1].id]
    assert [lease.id for lease in db.leases.expire_due(1)] == [leases[2].id]
    assert [lease.id for lease in db.leases.expire_due(9)] == [leases[0].id]


def test_an_overdue_lease_of_a_deleted_repository_is_stamped_too(
    db: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    clock.pass_by(HOUR)
    db.repositories.delete(repository.id)
    assert [stamped.id for stamped in db.leases.expire_due()] == [lease.id]


def test_expire_due_refuses_a_limit_out_of_range(db: Database) -> None:
    for limit in BAD_LIMITS:
        with pytest.raises(InvalidValue) as refused:
            db.leases.expire_due(limit)
        assert refused.value.field == "limit"


# Releasing.


def test_the_holder_ends_its_lease_before_its_time(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    at = clock.pass_by(MINUTE)
    released = db.leases.release(lease.id)
    assert released == db.leases.get(lease.id)
    assert (released.ended_at, released.end_reason, released.ended_by, released.end_note) == (
        at,
        EndReason.RELEASED,
        "user:ada",
        None,
    )
    assert db.leases.active(repository.id) is None
    assert bob.leases.acquire(repository.id).acquired_at == at
    assert actions(db, lease.id) == ["lease.acquire", "lease.release"]
    assert history(db, lease.id)[1].changes == {
        "holder": ["user:ada", "user:ada"],
        "ended_at": [None, "2026-11-22T10:01:00.123456Z"],
        "end_reason": [None, "released"],
        "ended_by": [None, "user:ada"],
    }


def test_a_lease_may_be_released_at_the_very_moment_it_was_acquired(
    db: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    assert db.leases.release(lease.id).ended_at == lease.acquired_at


def test_anyone_else_who_releases_it_is_refused(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    before = count_of_entries(db)
    with pytest.raises(LeaseLost, match="user:ada's, not user:bob's") as lost:
        bob.leases.release(lease.id)
    assert lost.value.why == "not_holder"
    with pytest.raises(LeaseLost):
        db.leases.release(lease.id, holder="user:bob")
    assert db.leases.active(repository.id) == lease
    assert count_of_entries(db) == before


def test_an_actor_may_release_for_the_holder_it_names(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, holder="worker:9")
    with pytest.raises(LeaseLost):
        db.leases.release(lease.id)
    assert bob.leases.release(lease.id, holder="worker:9").ended_by == "user:bob"


def test_a_lease_is_released_once(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    db.leases.release(lease.id)
    before = count_of_entries(db)
    with pytest.raises(LeaseLost, match="released by user:ada") as lost:
        db.leases.release(lease.id)
    assert lost.value.why == "ended"
    assert count_of_entries(db) == before


def test_an_expired_lease_cannot_be_released_stamped_or_not(
    db: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    clock.pass_by(HOUR)
    for _ in range(2):
        with pytest.raises(LeaseLost) as lost:
            db.leases.release(lease.id)
        assert lost.value.why == "expired"
        db.leases.expire_due()


def test_an_ended_lease_stays_lost_when_the_repository_has_a_newer_one(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    db.leases.release(lease.id)
    newer = bob.leases.acquire(repository.id)
    for end in (db.leases.release, lambda it: db.leases.force_release(it, "x")):
        with pytest.raises(LeaseLost) as lost:
            end(lease.id)
        assert lost.value.why == "ended"
    assert db.leases.active(repository.id) == newer


# Handing over.


def test_a_lease_is_handed_over_for_the_rest_of_its_term_under_a_new_token(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, purpose="import", idempotency_key="key")
    at = clock.pass_by(MINUTE)
    given = db.leases.handover(lease.id, "user:bob", "half of it is done")
    assert given == bob.leases.active(repository.id)
    assert (given.holder, given.purpose, given.fencing_token) == ("user:bob", "import", 2)
    assert (given.acquired_at, given.expires_at) == (at, lease.expires_at)
    assert (given.idempotency_key, given.previous_lease_id) == (None, lease.id)
    ended = db.leases.get(lease.id)
    assert (ended.ended_at, ended.end_reason, ended.ended_by, ended.end_note) == (
        at,
        EndReason.TRANSFERRED,
        "user:ada",
        "half of it is done",
    )
    assert [entry.action for entry in history(db, lease.id)] == ["lease.acquire", "lease.handover"]
    assert [entry.action for entry in history(db, given.id)] == ["lease.acquire"]
    with pytest.raises(LeaseLost) as lost:
        db.leases.require(repository.id, lease.fencing_token)
    assert lost.value.why == "superseded"
    assert bob.leases.release(given.id).end_reason is EndReason.RELEASED
    assert db.audit.verify().ok


def test_only_the_holder_hands_over_what_is_live_and_to_another(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    with pytest.raises(LeaseLost) as lost:
        bob.leases.handover(lease.id, "user:eve")
    assert lost.value.why == "not_holder"
    for bad in ["user:ada", "", "x" * 201, *BAD_TEXTS]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.handover(lease.id, bad)
        assert (refused.value.field, refused.value.value) == ("to", bad)
    with pytest.raises(InvalidValue, match="note"):
        db.leases.handover(lease.id, "user:bob", "x" * 2001)
    db.repositories.update(repository.id, state="read_only")
    with pytest.raises(Conflict, match="read_only"):
        db.leases.handover(lease.id, "user:bob")
    db.repositories.update(repository.id, state="active")
    assert db.leases.active(repository.id) == lease
    given = bob.leases.handover(lease.id, "user:bob", holder="user:ada")
    with pytest.raises(LeaseLost) as lost:
        db.leases.handover(lease.id, "user:bob")
    assert lost.value.why == "ended"
    clock.pass_by(HOUR)
    with pytest.raises(LeaseLost) as lost:
        bob.leases.handover(given.id, "user:ada")
    assert lost.value.why == "expired"


# Forcing.


def test_a_lease_is_ended_by_force_for_a_reason_and_audited_with_who_held_it(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id, purpose="import")
    at = clock.pass_by(MINUTE)
    forced = bob.leases.force_release(lease.id, "the worker is gone")
    assert forced == db.leases.get(lease.id)
    assert (forced.ended_at, forced.end_reason, forced.ended_by, forced.end_note) == (
        at,
        EndReason.FORCED,
        "user:bob",
        "the worker is gone",
    )
    entry = history(db, lease.id)[1]
    assert (entry.action, entry.actor, entry.reason) == (
        "lease.force_release",
        "user:bob",
        "the worker is gone",
    )
    assert entry.changes["holder"] == ["user:ada", "user:ada"]
    assert entry.changes["end_note"] == [None, "the worker is gone"]


def test_after_a_force_the_old_holders_late_writes_fail(
    db: Database, bob: Database, repository: Repository
) -> None:
    old = db.leases.acquire(repository.id)
    bob.leases.force_release(old.id, "stuck")
    new = bob.leases.acquire(repository.id)
    assert new.fencing_token > old.fencing_token
    with pytest.raises(LeaseLost) as lost:
        db.objects.add_many(repository.id, [NewObject(b"\1" * 20, 3, 1)], old.fencing_token)
    assert lost.value.why == "superseded"
    assert db.objects.list(repository.id).items == []


def test_a_force_needs_a_reason(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    for bad in ["", "x" * 2001, *BAD_TEXTS]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.force_release(lease.id, bad)
        assert (refused.value.field, refused.value.value) == ("reason", bad)
    assert db.leases.active(repository.id) == lease


def test_what_is_over_cannot_be_forced(db: Database, clock: Clock, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR)
    clock.pass_by(HOUR)
    with pytest.raises(LeaseLost) as lost:
        db.leases.force_release(lease.id, "stuck")
    assert lost.value.why == "expired"


# Proving.


def test_require_gives_the_lease_that_the_token_was_granted_for(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    assert bob.leases.require(repository.id, lease.fencing_token) == lease


def test_require_needs_no_actor_and_leaves_no_entry(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    before = count_of_entries(db)
    assert db.acting_as(None).leases.require(repository.id, 1) == lease
    assert count_of_entries(db) == before


def test_require_says_why_a_token_is_no_longer_good(
    db: Database, clock: Clock, repository: Repository
) -> None:
    def why(token: int) -> str:
        with pytest.raises(LeaseLost) as lost:
            db.leases.require(repository.id, token)
        return lost.value.why

    assert why(1) == "not_holder"
    first = db.leases.acquire(repository.id)
    assert why(2) == "not_holder"
    db.leases.release(first.id)
    assert why(1) == "ended"
    db.leases.acquire(repository.id, duration=HOUR)
    assert why(1) == "superseded"
    clock.pass_by(HOUR)
    assert why(2) == "expired"
    db.leases.expire_due()
    assert why(2) == "expired"


def test_a_guarded_write_may_say_whose_lease_it_must_be(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    guarded: list[Callable[..., object]] = [
        lambda **who: db.leases.require(repository.id, lease.fencing_token, **who),
        lambda **who: db.objects.add_many(repository.id, [BLOB], lease.fencing_token, **who),
        lambda **who: db.objects.remove_many(repository.id, [BLOB.oid], lease.fencing_token, **who),
    ]
    for call in guarded:
        for who in ({"holder": "user:ada"}, {"holder": None}, {}):
            call(**who)
        before = count_of_entries(db)
        # Whose token it is decides, not who asks.
        for other in ("user:bob", "user:ad", "USER:ADA"):
            with pytest.raises(LeaseLost, match=f"it is user:ada's, not {other}'s") as lost:
                call(holder=other)
            assert lost.value.why == "not_holder"
        for bad in ["", "x" * 201, *BAD_TEXTS]:
            if bad is not None:
                with pytest.raises(InvalidValue, match="holder "):
                    call(holder=bad)
        assert count_of_entries(db) == before
    assert bob.leases.require(repository.id, lease.fencing_token, holder="user:ada") == lease


def test_a_token_is_a_whole_number_from_one(db: Database, repository: Repository) -> None:
    db.leases.acquire(repository.id)
    bad_tokens: list[Any] = [0, -1, True, "1", 1.0, None, 2**63]
    for bad in bad_tokens:
        with pytest.raises(InvalidValue) as refused:
            db.leases.require(repository.id, bad)
        assert refused.value.field == "fencing_token"


# The repository's own state.


@pytest.mark.parametrize("state", ["archived", "read_only"])
def test_a_repository_that_is_not_active_grants_no_lease(
    db: Database, repository: Repository, state: str
) -> None:
    db.repositories.update(repository.id, state=state)
    with pytest.raises(Conflict, match=f"is {state}: make it active") as refused:
        db.leases.acquire(repository.id)
    assert refused.value.constraint == "repositories.state"
    assert not isinstance(refused.value, LeaseHeld)
    db.repositories.update(repository.id, state="active")
    assert db.leases.acquire(repository.id).fencing_token == 1


def test_a_repository_made_read_only_lets_its_lease_be_released(
    db: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    db.repositories.update(repository.id, state="read_only")
    assert db.leases.release(lease.id).end_reason is EndReason.RELEASED


def test_a_deleted_repository_grants_no_lease_and_proves_none(
    db: Database, repository: Repository
) -> None:
    db.repositories.delete(repository.id)
    for ask in (db.leases.acquire, lambda it: db.leases.require(it, 1)):
        with pytest.raises(NotFound) as missing:
            ask(repository.id)
        assert (missing.value.entity, missing.value.key) == ("repository", repository.id)


def test_a_repository_under_a_live_lease_is_not_deleted_until_the_lease_is_over(
    db: Database, clock: Clock, repository: Repository
) -> None:
    db.leases.acquire(repository.id, duration=HOUR)
    with pytest.raises(StillReferenced, match="user:ada"):
        db.repositories.delete(repository.id)
    clock.pass_by(HOUR)
    assert db.repositories.delete(repository.id).deleted_at == clock.now


def test_history_outlives_the_repository(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    released = db.leases.release(lease.id)
    db.repositories.delete(repository.id)
    assert db.leases.get(lease.id) == released
    assert db.leases.history(repository.id).items == [released]


# Clocks that step back.


def test_a_clock_up_to_60_s_behind_is_taken_for_the_last_leases_time(
    db: Database, clock: Clock, repository: Repository
) -> None:
    first = db.leases.acquire(repository.id)
    clock.pass_by(-timedelta(seconds=60))
    released = db.leases.release(first.id)
    assert released.ended_at == first.acquired_at
    second = db.leases.acquire(repository.id, duration=HOUR)
    assert second.acquired_at == first.acquired_at
    assert second.expires_at == first.acquired_at + HOUR


def test_a_lease_begins_no_earlier_than_the_one_before_ended(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    first = db.leases.acquire(repository.id)
    ended_at = clock.pass_by(HOUR)
    db.leases.release(first.id)
    clock.pass_by(-timedelta(seconds=59))
    assert bob.leases.acquire(repository.id).acquired_at == ended_at


@pytest.mark.parametrize(
    "ask",
    [
        lambda db, lease: db.leases.acquire(lease.repository_id),
        lambda db, lease: db.leases.release(lease.id),
        lambda db, lease: db.leases.force_release(lease.id, "stuck"),
        lambda db, lease: db.leases.require(lease.repository_id, lease.fencing_token),
    ],
    ids=["acquire", "release", "force_release", "require"],
)
def test_a_clock_further_behind_is_not_believed_and_both_times_are_named(
    db: Database, clock: Clock, repository: Repository, ask: Callable[[Database, Lease], object]
) -> None:
    lease = db.leases.acquire(repository.id)
    before = count_of_entries(db)
    behind = clock.pass_by(-timedelta(seconds=60) - TICK)
    with pytest.raises(Unavailable) as refused:
        ask(db, lease)
    assert refused.value.retryable
    for named in (str(behind), str(lease.acquired_at), repository.id, "set the clock right"):
        assert named in str(refused.value)
    assert count_of_entries(db) == before
    clock.now = START
    assert db.leases.active(repository.id) == lease


def test_a_clock_in_another_zone_gives_the_same_times_in_utc(
    db: Database, clock: Clock, repository: Repository
) -> None:
    clock.now = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    lease = db.leases.acquire(repository.id)
    assert lease.acquired_at == START
    assert lease.acquired_at.tzinfo is UTC
    assert db.leases.get(lease.id) == lease


# Reading.


def test_a_lease_that_was_never_granted_is_not_found(db: Database) -> None:
    for ask in (db.leases.get, db.leases.release, lambda it: db.leases.force_release(it, "x")):
        with pytest.raises(NotFound) as missing:
            ask(FREE)
        assert (missing.value.entity, missing.value.key) == ("lease", FREE)


def test_history_is_in_the_order_of_the_grants_and_pages_through_all(
    db: Database, clock: Clock, repository: Repository
) -> None:
    granted = []
    for _ in range(7):
        lease = db.leases.acquire(repository.id)
        clock.pass_by(MINUTE)
        granted.append(db.leases.release(lease.id))
    assert db.leases.history(repository.id).items == granted
    for limit in (1, 2, 3, 6, 7, 8):
        pages = every_page(lambda **page: db.leases.history(repository.id, **page), limit)
        assert [lease for page in pages for lease in page] == granted
        assert {len(page) for page in pages[:-1]} <= {limit}
        assert pages[-1] != []


def test_history_of_a_repository_without_leases_is_empty(
    db: Database, repository: Repository
) -> None:
    page = db.leases.history(repository.id)
    assert (page.items, page.next) == ([], None)


def test_history_goes_on_only_from_a_page_before(db: Database, repository: Repository) -> None:
    for after in ["", "x", "-1", "1.5", "١", "1" * 30, 1, b"1", FREE]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.history(repository.id, after=after)
        assert refused.value.field == "after"


def test_list_finds_live_leases_by_holder_and_by_expiry(
    db: Database, clock: Clock, project: Project
) -> None:
    leases = [
        db.leases.acquire(repository.id, f"worker:{n % 3}", duration=(n + 1) * HOUR)
        for n, repository in enumerate(
            db.repositories.create(project.id, f"r{n}") for n in range(12)
        )
    ]
    db.leases.release(leases[7].id, holder="worker:1")
    clock.pass_by(2 * HOUR)
    live = [lease for lease in leases[2:] if lease != leases[7]]
    for holder in (None, "worker:1", "worker:2", "nobody"):
        for before in (None, START + 6 * HOUR, START + 6 * HOUR + TICK, START):
            expected = [
                lease
                for lease in sorted(live, key=lambda lease: lease.id)
                if holder in (None, lease.holder) and (before is None or lease.expires_at < before)
            ]
            for limit in (1, 3, 100):
                pages = every_page(
                    lambda holder=holder, before=before, **page: db.leases.list(
                        holder=holder, expiring_before=before, **page
                    ),
                    limit,
                )
                assert [lease for page in pages for lease in page] == expected


def test_a_page_has_from_1_to_1000_leases(db: Database) -> None:
    for limit in BAD_LIMITS:
        for ask in (db.leases.list, lambda **page: db.leases.history(FREE, **page)):
            with pytest.raises(InvalidValue) as refused:
                ask(limit=limit)
            assert refused.value.field == "limit"


def test_list_takes_an_aware_time(db: Database) -> None:
    for before in [START.replace(tzinfo=None), "2026-11-22", 0, timedelta(1)]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.list(expiring_before=before)
        assert refused.value.field == "expiring_before"


# Bad input.


def test_what_is_no_ulid_is_refused_by_every_method(db: Database) -> None:
    asked: list[Callable[[Any], object]] = [
        db.leases.acquire,
        db.leases.active,
        db.leases.history,
        lambda bad: db.leases.require(bad, 1),
        db.leases.get,
        db.leases.release,
        lambda bad: db.leases.force_release(bad, "x"),
    ]
    for call in asked:
        for bad in BAD_ULIDS:
            with pytest.raises(InvalidValue, match="an id is a ULID") as refused:
                call(bad)
            assert refused.value.field in ("repository_id", "lease_id")
            assert refused.value.value is bad


def test_texts_are_bounded_and_clean(db: Database, repository: Repository) -> None:
    before = count_of_entries(db)
    refusals: dict[str, list[Any]] = {
        "holder": ["", "h" * 201, *filter(None, BAD_TEXTS)],
        "purpose": ["p" * 1001, *BAD_TEXTS],
        "idempotency_key": ["", "k" * 201, *filter(None, BAD_TEXTS)],
    }
    for field, values in refusals.items():
        for bad in values:
            with pytest.raises(InvalidValue) as refused:
                db.leases.acquire(repository.id, **{field: bad})
            assert (refused.value.field, refused.value.value) == (field, bad)
    assert count_of_entries(db) == before


def test_the_longest_texts_are_kept_whole(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(
        repository.id, holder="é" * 200, purpose="—" * 1000, idempotency_key="鍵" * 200
    )
    assert db.leases.get(lease.id) == lease
    ended = db.leases.force_release(lease.id, "☃" * 2000)
    assert db.leases.get(lease.id) == ended


def test_an_unknown_repository_is_not_found(db: Database) -> None:
    for ask in (db.leases.acquire, lambda it: db.leases.require(it, 1)):
        with pytest.raises(NotFound) as missing:
            ask(FREE)
        assert (missing.value.entity, missing.value.key) == ("repository", FREE)
    assert db.leases.active(FREE) is None


def test_nobody_changes_a_lease(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    nobody = db.acting_as(None)
    for change in (
        lambda: nobody.leases.acquire(repository.id),
        lambda: nobody.leases.acquire(repository.id, holder="user:eve"),
        lambda: nobody.leases.release(lease.id, holder="user:ada"),
        lambda: nobody.leases.force_release(lease.id, "x"),
        nobody.leases.expire_due,
    ):
        with pytest.raises(ActorRequired, match=r"acting_as"):
            change()
    assert nobody.leases.active(repository.id) == lease


# In a transaction.


def test_a_lease_acquired_in_a_transaction_is_seen_when_it_commits(
    db: Database, repository: Repository
) -> None:
    with db.transaction() as tx:
        lease = tx.leases.acquire(repository.id)
        assert tx.leases.active(repository.id) == lease
        tx.objects.add_many(repository.id, [NewObject(b"\1" * 20, 3, 1)], lease.fencing_token)
        released = tx.leases.release(lease.id)
    assert db.leases.history(repository.id).items == [released]
    assert db.objects.get(repository.id, b"\1" * 20).size == 1


def test_a_refusal_in_a_transaction_undoes_only_itself(
    db: Database, repository: Repository
) -> None:
    with db.transaction() as tx:
        lease = tx.leases.acquire(repository.id)
        with pytest.raises(LeaseHeld):
            tx.acting_as("user:bob").leases.acquire(repository.id)
        with pytest.raises(LeaseLost):
            tx.leases.require(repository.id, 9)
    assert db.leases.active(repository.id) == lease


def test_a_read_only_transaction_grants_nothing(db: Database, repository: Repository) -> None:
    with db.transaction(read_only=True) as tx:
        assert tx.leases.active(repository.id) is None
        with pytest.raises(UsageError):
            tx.leases.acquire(repository.id)
    assert db.leases.active(repository.id) is None


# Holding for a block.


def test_hold_acquires_at_its_start_and_releases_at_its_end(
    db: Database, repository: Repository
) -> None:
    with db.leases.hold(repository.id, purpose="gc", duration=HOUR, idempotency_key="k") as lease:
        assert db.leases.active(repository.id) == lease
        assert (lease.purpose, lease.holder, lease.idempotency_key) == ("gc", "user:ada", "k")
        assert lease.expires_at == START + HOUR
    assert db.leases.active(repository.id) is None
    assert db.leases.get(lease.id).end_reason is EndReason.RELEASED


def test_hold_takes_nothing_before_its_block(db: Database, repository: Repository) -> None:
    held = db.leases.hold(repository.id)
    assert db.leases.active(repository.id) is None
    with held:
        assert db.leases.active(repository.id) is not None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_still_releases(
    db: Database, repository: Repository, kind: type[BaseException]
) -> None:
    with pytest.raises(kind, match="from the block"), db.leases.hold(repository.id):
        raise kind("from the block")
    assert db.leases.active(repository.id) is None
    (lease,) = db.leases.history(repository.id).items
    assert lease.end_reason is EndReason.RELEASED


def test_a_lease_lost_during_the_block_is_told_at_its_end(
    db: Database, bob: Database, repository: Repository
) -> None:
    with pytest.raises(LeaseLost) as lost, db.leases.hold(repository.id) as lease:
        bob.leases.force_release(lease.id, "maintenance")
    assert lost.value.why == "ended"


def test_the_blocks_own_error_comes_first_and_notes_the_loss(
    db: Database, clock: Clock, repository: Repository
) -> None:
    def overstay() -> None:
        with db.leases.hold(repository.id, duration=HOUR):
            clock.pass_by(HOUR)
            raise KeyError("from the block")

    with pytest.raises(KeyError, match="from the block") as raised:
        overstay()
    (note,) = raised.value.__notes__
    assert db.leases.history(repository.id).items[0].id in note
    assert "its time is over" in note


def test_hold_refuses_at_once_unless_told_to_wait(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    with pytest.raises(LeaseHeld) as refused, bob.leases.hold(repository.id):
        pytest.fail("the block must not be entered")
    assert refused.value.lease == lease


def test_hold_gives_up_after_its_wait_with_who_holds_it(
    db: Database, bob: Database, repository: Repository
) -> None:
    db.leases.acquire(repository.id)
    wait = timedelta(milliseconds=80)
    began = datetime.now(UTC)
    with pytest.raises(LeaseHeld, match="user:ada"), bob.leases.hold(repository.id, wait=wait):
        pytest.fail("the block must not be entered")
    assert datetime.now(UTC) - began >= wait


def test_hold_waits_until_the_other_lets_go(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    letting_go = threading.Timer(0.1, lambda: db.leases.release(lease.id))
    letting_go.start()
    with bob.leases.hold(repository.id, wait=timedelta(seconds=20)) as mine:
        assert mine.holder == "user:bob"
        assert mine.fencing_token == 2
    letting_go.join()


def test_a_hold_that_asks_twice_for_one_lease_is_granted_it_once(
    db: Database, bob: Database, repository: Repository
) -> None:
    asking: Any = db.leases
    asked = (new_ulid(), repository.id, None, "gc", HOUR, None)
    lease = asking._acquire_to_hold(*asked)
    assert asking._acquire_to_hold(*asked) == lease
    assert [each.id for each in db.leases.history(repository.id).items] == [lease.id]
    with pytest.raises(LeaseHeld):
        asking._acquire_to_hold(new_ulid(), *asked[1:])
    db.leases.release(lease.id)
    # It has ended: another one must be asked for.
    with pytest.raises(LeaseLost):
        asking._acquire_to_hold(*asked)
    with db.leases.hold(repository.id), pytest.raises(LeaseHeld):
        asking._acquire_to_hold(*asked)
    with pytest.raises(AlreadyExists):
        asking._acquire_to_hold(*asked)


def test_who_lets_go_of_a_lease_ends_it_only_where_it_is_there_and_live(
    db: Database, bob: Database, clock: Clock, repository: Repository
) -> None:
    asking: Any = db.leases
    asking._let_go(new_ulid(), repository.id)
    lease = db.leases.acquire(repository.id, duration=HOUR)
    asking._let_go(new_ulid(), repository.id)
    assert db.leases.active(repository.id) == lease
    for _ in range(2):
        asking._let_go(lease.id, repository.id)
    assert db.leases.get(lease.id).end_reason is EndReason.RELEASED
    over = bob.leases.acquire(repository.id, duration=HOUR)
    clock.pass_by(HOUR)
    asking._let_go(over.id, repository.id)
    assert db.leases.get(over.id).ended_at is None
    actions = [each.action for each in db.audit.list(stream=repository.id).items]
    assert actions.count("lease.release") == 1


def test_hold_in_a_transaction_is_part_of_it(db: Database, repository: Repository) -> None:
    with db.transaction() as tx, tx.leases.hold(repository.id) as lease:
        assert tx.leases.active(repository.id) == lease
    assert db.leases.get(lease.id).end_reason is EndReason.RELEASED


def test_hold_in_a_transaction_does_not_wait(
    db: Database, bob: Database, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    with bob.transaction() as tx:
        for wait in (1, timedelta(seconds=1)):
            with (
                pytest.raises(UsageError, match="isn't part of a transaction"),
                tx.leases.hold(repository.id, wait=wait),
            ):
                pytest.fail("the block must not be entered")
        with pytest.raises(LeaseHeld), tx.leases.hold(repository.id):
            pytest.fail("the block must not be entered")
    assert db.leases.active(repository.id) == lease


def test_a_hold_is_entered_once_at_a_time(db: Database, repository: Repository) -> None:
    hold = db.leases.hold(repository.id)
    with hold as lease:
        with pytest.raises(UsageError, match=repository.id), hold:
            pytest.fail("the block must not be entered")
        assert db.leases.active(repository.id) == lease
    with hold as another:
        assert another.fencing_token == 2
    assert db.leases.active(repository.id) is None


def test_what_hold_raises_is_what_acquire_raises(db: Database) -> None:
    with pytest.raises(NotFound), db.leases.hold(FREE):
        pytest.fail("the block must not be entered")
    with pytest.raises(InvalidValue), db.leases.hold(FREE, duration=timedelta(0)):
        pytest.fail("the block must not be entered")
