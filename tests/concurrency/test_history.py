"""The check of a history takes what may happen, and finds each fault that it names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

import forgedb
from forgedb import Database, EndReason, Lease, NewObject, Repository
from forgedb.testing import history
from forgedb.testing.history import RULES, Fault, Grant, Held, Lost, Refused, Write, check
from tests.conformance.conftest import START
from tests.conformance.values import FREE

SECOND = timedelta(seconds=1)


# Each rule by itself.


def _lease(token: int, begins: int, ends: int | None, reason: EndReason | None = None) -> Lease:
    at = START + begins * SECOND
    return Lease(
        f"{FREE[:-2]}{token:02}",
        FREE,
        "worker:1",
        "",
        token,
        None,
        at,
        at + 9 * SECOND,
        None if ends is None else START + ends * SECOND,
        None if ends is None else reason or EndReason.RELEASED,
        None,
        None if ends is None else "worker:1",
        None,
    )


def _held(token: int, since: float, until: float) -> Held:
    return Held(FREE, f"{FREE[:-2]}{token:02}", since, until)


def test_leases_that_touch_do_not_overlap() -> None:
    assert history.overlaps([_lease(1, 0, 5), _lease(2, 5, 6), _lease(3, 9, 9)]) == []
    assert len(history.overlaps([_lease(1, 0, 5), _lease(2, 4, 6)])) == 1
    # Also one that lies within another, with a third between their ends.
    inside = [_lease(1, 0, 9), _lease(2, 2, 3), _lease(3, 5, 6)]
    assert [what.split()[1] for what in history.overlaps(inside)] == ["1", "1"]
    # What was never ended lasts for its term.
    assert history.overlaps([_lease(1, 0, None), _lease(2, 9, 10)]) == []
    assert len(history.overlaps([_lease(1, 0, None), _lease(2, 8, 10)])) == 1


def test_tokens_grow_up_to_the_repositorys_epoch() -> None:
    assert history.tokens([]) == []
    assert history.tokens([_lease(1, 0, 1), _lease(3, 2, 3)]) == []
    assert history.tokens([_lease(2, 0, 1), _lease(1, 2, 3)]) == ["2 and then 1"]
    assert history.epochs([], 0) == history.epochs([_lease(1, 0, 1), _lease(3, 2, 3)], 3) == []
    assert len(history.epochs([_lease(1, 0, 1)], 2)) == 1


def test_every_lease_but_the_last_has_ended_within_its_time() -> None:
    assert history.ends([_lease(1, 0, 9), _lease(2, 9, None)]) == []
    assert len(history.ends([_lease(1, 0, None), _lease(2, 9, None)])) == 1
    assert len(history.ends([_lease(1, 0, 10)])) == 1
    assert len(history.ends([_lease(1, 2, 1)])) == 1


def test_clients_that_held_one_repository_in_turn_were_alone() -> None:
    leases = [_lease(1, 0, 5), _lease(2, 5, 6)]
    assert history.alone(leases, [_held(1, 0.0, 5.0), _held(2, 5.0, 6.0)]) == []
    assert len(history.alone(leases, [_held(1, 0.0, 5.0), _held(2, 4.9, 6.0)])) == 1
    # Who never acted met nobody.
    assert history.alone(leases, [_held(1, 0.0, 5.0), _held(2, 3.0, 3.0)]) == []


def test_who_lost_a_lease_by_force_may_not_know_it_yet() -> None:
    forced = [_lease(1, 0, 5, EndReason.FORCED), _lease(2, 5, 6)]
    assert history.alone(forced, [_held(1, 0.0, 9.0), _held(2, 5.0, 6.0)]) == []


def test_a_lease_keeps_nobody_out_who_asks_when_it_has_to_be_over() -> None:
    first = Refused(FREE, FREE, asked_at=0.0, answered_at=1.0, retry_after=2.0)
    again = Refused(FREE, FREE, asked_at=3.2, answered_at=9.0, retry_after=1.0)
    assert history.stuck([first, again], 0.25) == []
    assert len(history.stuck([first, again], 0.1)) == 1
    assert len(history.stuck([again, first], 0.1)) == 1
    other = again.__class__(FREE, FREE[::-1], 9.0, 9.0, 1.0)
    assert history.stuck([first, other], 0.1) == []


# A whole database.


@pytest.fixture
def db() -> Iterator[Database]:
    with forgedb.connect("sqlite://", actor="worker:1") as db:
        db.migrate()
        yield db


@pytest.fixture
def repository(db: Database) -> Repository:
    return db.repositories.create(db.projects.create("p", "P").id, "a")


def _worked(db: Database, repository: Repository) -> list[history.Observation]:
    """A lease, a write with it, its end; and what the client was told."""
    lease = db.leases.acquire(repository.id)
    blob = NewObject(bytes([lease.fencing_token] * 20), 3, 1)
    db.objects.add_many(repository.id, [blob], lease.fencing_token)
    db.leases.release(lease.id)
    return [
        Grant(repository.id, "worker:1", lease.id, lease.fencing_token),
        Write(repository.id, "worker:1", lease.fencing_token),
    ]


def test_what_clients_were_told_is_there(db: Database, repository: Repository) -> None:
    told = [*_worked(db, repository), *_worked(db, repository)]
    assert check(db, observed=told, complete=True) == []
    assert check(db, [repository.id], told[:2]) == []
    assert check(db) == []


def test_what_clients_were_told_and_isnt_there_is_a_fault(
    db: Database, repository: Repository
) -> None:
    grant, write = _worked(db, repository)
    assert isinstance(grant, Grant)
    for wrong in (
        [grant, Grant(repository.id, "worker:1", grant.lease_id, 2)],
        [grant, Grant(repository.id, "worker:2", grant.lease_id, 1)],
        [write, write],
        [Write(repository.id, "worker:2", 1)],
        [Refused(repository.id, repository.id, 0.0, 0.0, 1.0)],
    ):
        assert [fault.rule for fault in check(db, observed=wrong)] == ["told"]


def test_what_nobody_was_told_of_is_one_lost_reply_each(
    db: Database, repository: Repository
) -> None:
    told = _worked(db, repository)
    assert check(db, observed=told[1:]) == []
    for missing in (told[1:], told[:1]):
        assert [fault.rule for fault in check(db, observed=missing, complete=True)] == ["told"]
        assert check(db, observed=[*missing, Lost("worker:1")], complete=True) == []
        of_another = [*missing, Lost("worker:2")]
        assert [fault.rule for fault in check(db, observed=of_another, complete=True)] == ["told"]
    assert check(db, observed=[Lost("worker:1"), Lost("worker:1")], complete=True) == []
    assert len(check(db, observed=[Lost("worker:1")], complete=True)) == 1


def test_a_repository_that_is_deleted_is_checked_too(db: Database, repository: Repository) -> None:
    _worked(db, repository)
    db.repositories.delete(repository.id)
    db.client.execute("UPDATE repositories SET lease_epoch = lease_epoch + 1")
    assert {fault.rule for fault in check(db)} == {"token", "audit"}


def test_a_clock_that_is_set_back_leaves_a_history_without_faults() -> None:
    now = [START]
    with forgedb.connect("sqlite://", actor="worker:1", clock=lambda: now[0]) as db:
        db.migrate()
        repository = db.repositories.create(db.projects.create("p", "P").id, "a")
        lease = db.leases.acquire(repository.id)
        now[0] += 10 * SECOND
        blob = NewObject(bytes(20), 3, 1)
        db.objects.add_many(repository.id, [blob], lease.fencing_token)
        now[0] -= 5 * SECOND
        ended = db.leases.release(lease.id)
        (wrote,) = db.audit.list(action="objects.add").items
        assert ended.ended_at is not None
        assert ended.ended_at < wrote.at
        now[0] -= 30 * SECOND
        assert db.leases.acquire(repository.id).acquired_at == ended.ended_at
        assert check(db) == []


def test_a_fault_reads_as_its_rule_its_repository_and_what_is_wrong() -> None:
    assert str(Fault("token", FREE, "2 and then 1")) == f"token: repository {FREE}: 2 and then 1"
    assert str(Fault("answer", None, "it ended")) == "answer: it ended"
    assert {"token", "answer"} <= RULES.keys()
