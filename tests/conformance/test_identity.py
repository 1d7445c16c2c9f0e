"""Which database this is, and its eras: no fencing token is given a second time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

import forgedb
from forgedb import Conflict, Database, InvalidValue, Lease, Repository
from forgedb.dao.identity import ERA_CLOCK_MAX, later_era
from forgedb.limits import ERA_MAX
from tests.conformance.conftest import Clock

ERA = 1 << 32

SECOND = timedelta(seconds=1)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
"""Eras count the seconds since."""


def test_the_first_tokens_are_1_2_3(db: Database, repository: Repository) -> None:
    tokens = []
    for _ in range(3):
        lease = db.leases.acquire(repository.id)
        tokens.append(lease.fencing_token)
        db.leases.release(lease.id)
    assert tokens == [1, 2, 3]


def test_a_database_has_an_identity_that_stays(db: Database, repository: Repository) -> None:
    before = db.identity.get()
    db.leases.acquire(repository.id)
    after = db.identity.get()
    assert (after.id, after.era, after.created_at) == (before.id, before.era, before.created_at)
    assert len(before.id) == 26
    assert before.era == 0


def test_the_first_token_of_a_later_era_is_above_all_that_can_have_been_given(
    db: Database, repository: Repository
) -> None:
    db.leases.release(db.leases.acquire(repository.id).id)
    advanced = db.identity.advance_era("the machine was put back to a snapshot")
    assert advanced == db.identity.get()
    assert advanced.era > 0

    first = db.leases.acquire(repository.id)
    assert 0 <= first.fencing_token - advanced.era * ERA < ERA // 2
    assert db.repositories.get(repository.id).lease_epoch == first.fencing_token
    given = db.leases.handover(first.id, "user:bob")
    assert given.fencing_token == first.fencing_token + 1
    assert db.leases.require(repository.id, given.fencing_token) == given


def test_a_history_pages_on_after_the_longest_tokens(db: Database, repository: Repository) -> None:
    db.identity.advance_era("test", above=250_000_000)
    held = [db.leases.release(db.leases.acquire(repository.id).id) for _ in range(3)]
    assert len(str(held[0].fencing_token)) == 19
    assert [*forgedb.every(db.leases.history, repository.id, limit=1)] == held


def test_a_handover_in_a_later_era_has_a_token_of_it(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    era = db.identity.advance_era("test").era
    given = db.leases.handover(lease.id, "user:bob")
    assert given.fencing_token >= era * ERA


def test_two_that_begin_the_same_era_apart_give_different_tokens(
    db: Database, repository: Repository
) -> None:
    db.identity.advance_era("test")
    others = [db.repositories.create(repository.project_id, f"r{number}") for number in range(8)]
    tokens = {db.leases.acquire(each.id).fencing_token for each in others}
    assert len(tokens) == len(others)


def test_an_advance_is_an_entry_of_the_database_s_own_stream(db: Database, clock: Clock) -> None:
    identity = db.identity.get()
    bob = db.acting_as("user:bob", request_id="req-7")
    bob.identity.advance_era("a snapshot was put back")
    bob.identity.advance_era("and once more")
    first, second = db.audit.list(stream=identity.id).items
    assert (first.actor, first.action, first.target_id) == (
        "user:bob",
        "database.advance_era",
        identity.id,
    )
    assert (first.reason, first.at, first.request_id) == (
        "a snapshot was put back",
        clock.now,
        "req-7",
    )
    seconds = (clock.now - BEGAN) // SECOND
    assert first.changes == {"era": [0, seconds]}
    assert second.changes == {"era": [seconds, seconds + 1]}
    assert db.audit.verify(identity.id).ok


@pytest.mark.parametrize("reason", ["", "  \t", "x" * 2001, None, 7])
def test_an_advance_says_why(db: Database, reason: object) -> None:
    with pytest.raises(InvalidValue) as refused:
        db.identity.advance_era(reason)  # type: ignore[arg-type]
    assert refused.value.field == "reason"
    assert db.identity.get().era == 0


def test_a_transaction_that_fails_begins_no_era(db: Database, repository: Repository) -> None:
    with suppress(ZeroDivisionError), db.transaction() as tx:
        era = tx.identity.advance_era("test").era
        assert tx.leases.acquire(repository.id).fencing_token >= era * ERA
        raise ZeroDivisionError
    assert db.identity.get().era == 0
    assert db.leases.acquire(repository.id).fencing_token == 1


def test_a_history_over_several_eras_proves_itself(db: Database, repository: Repository) -> None:
    def leased() -> Lease:
        lease = db.leases.acquire(repository.id)
        return db.leases.release(lease.id)

    leases = []
    for era in range(3):
        leases += [leased(), leased()]
        db.identity.advance_era(f"era {era} is over")
    assert db.leases.history(repository.id).items == leases
    tokens = [lease.fencing_token for lease in leases]
    assert tokens == sorted(set(tokens))
    assert db.audit.verify().ok


# What is lost with one life of a database, and what the clock knows of it.


def test_a_life_that_begins_a_second_later_is_above_one_that_is_lost(
    db: Database, repository: Repository, clock: Clock
) -> None:
    """What is undone is as lost as what a backup doesn't know that is restored once more."""
    lost = []
    with suppress(ZeroDivisionError), db.transaction() as tx:
        # Begun by itself, and then once more by hand.
        tx.identity.advance_era("restored")
        tx.identity.advance_era("to be safe")
        for _ in range(3):
            lease = tx.leases.acquire(repository.id)
            lost.append(lease.fencing_token)
            tx.leases.release(lease.id)
        raise ZeroDivisionError
    clock.pass_by(2 * SECOND)
    db.identity.advance_era("restored again")
    first = db.leases.acquire(repository.id).fencing_token
    assert first >> 32 > max(lost) >> 32 > 0


def test_what_is_known_to_have_begun_is_counted_from(db: Database, clock: Clock) -> None:
    seconds = (clock.now - BEGAN) // SECOND
    assert db.identity.advance_era("test", above=seconds + 7).era == seconds + 8
    assert db.identity.advance_era("test", above=seconds + 10**6).era == seconds + 10**6 + 1024
    for above in (-1, ERA_MAX + 1, "7", None):
        with pytest.raises(InvalidValue) as refused:
            db.identity.advance_era("test", above=above)  # type: ignore[arg-type]
        assert refused.value.field == "above"


@pytest.mark.parametrize(
    ("era", "at", "later"),
    [
        (0, "2026-01-01T00:00:07Z", 7),
        (3, "2026-11-29T12:00:00Z", 28728000),
        (28728000, "2026-11-29T12:00:00Z", 28728001),
        # Eras that began within one second are ahead of the clock, and it soon is again.
        (28728500, "2026-11-29T12:00:00Z", 28728501),
        (28729023, "2026-11-29T12:00:00Z", 28729024),
        (28729024, "2026-11-29T12:00:00Z", 28730048),
        # The clock was a year ahead once, and is right again.
        (28728000 + 31536000, "2026-11-29T12:00:00Z", 28728000 + 31536000 + 1024),
        # It was never set: before eras began, or where nobody will come to.
        (0, "1970-01-01T00:00:07Z", 1024),
        (7, "2025-12-31T23:00:00Z", 7 + 1024),
        (0, "0001-01-01T00:00:00Z", 1024),
        (5, "9999-12-31T23:59:59Z", 5 + 1024),
        (ERA_CLOCK_MAX, "2073-08-01T00:00:00Z", ERA_CLOCK_MAX + 1024),
    ],
)
def test_an_era_is_the_clock_s_where_it_makes_sense_and_a_step_on_where_it_doesn_t(
    era: int, at: str, later: int
) -> None:
    assert later_era(era, datetime.fromisoformat(at)) == later


def test_beyond_the_last_era_is_none(db: Database) -> None:
    with pytest.raises(Conflict, match="is the last there can be") as refused:
        db.identity.advance_era("test", above=ERA_MAX)
    assert refused.value.constraint == "database_identity_era_check"
    assert db.identity.get().era == 0
