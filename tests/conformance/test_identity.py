"""Which database this is, and its eras: no fencing token is given a second time."""

from __future__ import annotations

from contextlib import suppress

import pytest

from forgedb import Database, InvalidValue, Lease, Repository
from tests.conformance.conftest import Clock

ERA = 1 << 32


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
    assert advanced.era == 1024

    first = db.leases.acquire(repository.id)
    assert 1024 * ERA <= first.fencing_token < 1024 * ERA + ERA // 2
    assert db.repositories.get(repository.id).lease_epoch == first.fencing_token
    given = db.leases.handover(first.id, "user:bob")
    assert given.fencing_token == first.fencing_token + 1
    assert db.leases.require(repository.id, given.fencing_token) == given


def test_a_handover_in_a_later_era_has_a_token_of_it(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    db.identity.advance_era("test")
    given = db.leases.handover(lease.id, "user:bob")
    assert given.fencing_token >= 1024 * ERA


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
    assert first.changes == {"era": [0, 1024]}
    assert second.changes == {"era": [1024, 2048]}
    assert db.audit.verify(identity.id).ok


@pytest.mark.parametrize("reason", ["", "  \t", "x" * 2001, None, 7])
def test_an_advance_says_why(db: Database, reason: object) -> None:
    with pytest.raises(InvalidValue) as refused:
        db.identity.advance_era(reason)  # type: ignore[arg-type]
    assert refused.value.field == "reason"
    assert db.identity.get().era == 0


def test_a_transaction_that_fails_begins_no_era(db: Database, repository: Repository) -> None:
    with suppress(ZeroDivisionError), db.transaction() as tx:
        tx.identity.advance_era("test")
        assert tx.leases.acquire(repository.id).fencing_token >= 1024 * ERA
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
