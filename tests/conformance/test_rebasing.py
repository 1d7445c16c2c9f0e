"""A clock that was ahead for a while: what it leaves behind, and how leases go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest

from forgedb import (
    ActorRequired,
    Conflict,
    Database,
    EndReason,
    InvalidValue,
    Lease,
    LeaseLost,
    LineRefused,
    NewObject,
    NotFound,
    Project,
    Repository,
    Unavailable,
)
from forgedb.dao.leases.rebase import PURPOSE
from forgedb.testing.history import check
from tests.conformance.conftest import START, Clock
from tests.conformance.values import BAD_TEXTS, BAD_ULIDS, FREE, count_of_entries, history

YEAR = timedelta(days=365)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
BLOB = NewObject("8ab686eafeb1f44702738c8b0f24f2567c36da6d", 3, size=14)


@pytest.fixture
def bob(db: Database) -> Database:
    """The same database on behalf of ``user:bob``."""
    return db.acting_as("user:bob")


@pytest.fixture
def early(db: Database, clock: Clock, repository: Repository) -> Lease:
    """A lease that was granted while the clock was a year ahead, and is open; it is right again."""
    clock.pass_by(YEAR)
    lease = db.leases.acquire(repository.id, purpose="gc")
    clock.now = START + HOUR
    return lease


def test_a_year_of_waiting_ends_with_a_rebase(
    db: Database, bob: Database, repository: Repository, early: Lease
) -> None:
    calls: list[Callable[[], object]] = [
        lambda: bob.leases.acquire(repository.id),
        lambda: bob.leases.force_release(early.id, "the clock was wrong"),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match=r"leases.rebase\(\) or `forgedb lease rebase`"):
            call()
    mark = bob.leases.rebase(repository.id, "ntpd was down")
    lease = bob.leases.acquire(repository.id, duration=HOUR)
    assert (lease.acquired_at, lease.expires_at) == (START + HOUR, START + 2 * HOUR)
    assert early.fencing_token < mark.fencing_token < lease.fencing_token
    assert lease.previous_lease_id == mark.id
    with pytest.raises(LeaseLost) as lost:
        db.objects.add_many(repository.id, [BLOB], early.fencing_token)
    assert lost.value.why == "superseded"
    bob.objects.add_many(repository.id, [BLOB], lease.fencing_token)
    bob.leases.release(lease.id)
    assert check(db, [repository.id]) == []
    bob.repositories.delete(repository.id)


def test_the_rebase_is_a_lease_that_nobody_holds_and_a_forced_end(
    db: Database, bob: Database, repository: Repository, early: Lease
) -> None:
    mark = bob.leases.rebase(repository.id, "ntpd was down")
    assert mark == Lease(
        id=mark.id,
        repository_id=repository.id,
        holder="user:bob",
        purpose=PURPOSE,
        fencing_token=early.fencing_token + 1,
        idempotency_key=None,
        acquired_at=START + HOUR,
        expires_at=START + HOUR + TICK,
        ended_at=START + HOUR,
        end_reason=EndReason.FORCED,
        previous_lease_id=early.id,
        ended_by="user:bob",
        end_note="ntpd was down",
    )
    assert db.leases.active(repository.id) is None
    ended, found = db.leases.history(repository.id).items
    assert found == mark
    assert (ended.ended_at, ended.end_reason) == (early.acquired_at, EndReason.FORCED)
    assert (ended.ended_by, ended.end_note) == ("user:bob", "ntpd was down")
    assert [(it.action, it.at, it.actor, it.reason) for it in history(db, early.id)[1:]] == [
        ("lease.force_release", early.acquired_at, "user:bob", "ntpd was down")
    ]
    (entry,) = history(db, mark.id)
    assert (entry.action, entry.at, entry.reason) == ("lease.rebase", START + HOUR, "ntpd was down")
    assert entry.changes["fencing_token"] == [None, mark.fencing_token]
    assert db.repositories.get(repository.id).lease_epoch == mark.fencing_token
    assert check(db, [repository.id]) == []


def test_a_lease_of_the_wrong_clock_that_has_ended_stays_as_it_is(
    db: Database, clock: Clock, repository: Repository
) -> None:
    clock.pass_by(YEAR)
    early = db.leases.release(db.leases.acquire(repository.id).id)
    clock.now = START + HOUR
    db.leases.rebase(repository.id, "it was set by hand")
    assert db.leases.get(early.id) == early
    with db.leases.hold(repository.id) as lease:
        assert lease.acquired_at == START + HOUR
    # The year goes by, and the times of that lease come again.
    clock.now = early.acquired_at
    db.leases.acquire(repository.id)
    assert check(db, [repository.id]) == []


def test_a_clock_may_be_wrong_again_and_so_may_the_one_that_was_believed(
    db: Database, clock: Clock, repository: Repository
) -> None:
    for _ in range(3):
        clock.pass_by(YEAR)
        db.leases.acquire(repository.id)
        clock.pass_by(HOUR - YEAR)
        db.leases.rebase(repository.id, "again")
    assert len(db.leases.history(repository.id).items) == 6
    assert check(db, [repository.id]) == []


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=60), -HOUR])
def test_there_is_nothing_to_rebase_where_the_clock_is_believed(
    db: Database, clock: Clock, repository: Repository, ahead: timedelta
) -> None:
    with pytest.raises(Conflict, match="never had a lease: there is nothing to rebase"):
        db.leases.rebase(repository.id, "just so")
    clock.now = START + ahead
    lease = db.leases.acquire(repository.id)
    clock.now = START
    before = count_of_entries(db)
    with pytest.raises(Conflict, match="no more than 60 s later: there is nothing to rebase"):
        db.leases.rebase(repository.id, "to end somebody's lease")
    assert count_of_entries(db) == before
    assert db.leases.get(lease.id) == lease
    clock.now = max(START, START + ahead)


def test_a_rebase_needs_an_actor_a_reason_and_a_repository(
    db: Database, repository: Repository, early: Lease
) -> None:
    with pytest.raises(ActorRequired):
        db.acting_as(None).leases.rebase(repository.id, "x")
    for bad in ["", " \t", "x" * 2001, *BAD_TEXTS]:
        with pytest.raises(InvalidValue) as refused:
            db.leases.rebase(repository.id, bad)  # type: ignore[arg-type]
        assert refused.value.field == "reason"
    for bad_id in BAD_ULIDS:
        with pytest.raises(InvalidValue):
            db.leases.rebase(bad_id, "x")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        db.leases.rebase(FREE, "x")
    assert len(history(db, early.id)) == 1


@pytest.mark.parametrize("state", ["archived", "read_only", "deleted"])
def test_a_repository_that_takes_no_lease_is_rebased_all_the_same(
    db: Database, clock: Clock, repository: Repository, state: str
) -> None:
    clock.pass_by(YEAR)
    lease = db.leases.acquire(repository.id)
    if state == "deleted":
        db.leases.release(lease.id)
        db.repositories.delete(repository.id)
    else:
        db.repositories.update(repository.id, state=state)
    clock.now = START
    db.leases.rebase(repository.id, "wrong")
    if state == "deleted":
        db.repositories.restore(repository.id)
    else:
        db.repositories.update(repository.id, state="active")
    assert db.leases.acquire(repository.id).acquired_at == START
    assert check(db, [repository.id]) == []


def test_a_rebase_in_a_transaction_that_fails_changes_nothing(
    db: Database, repository: Repository, early: Lease
) -> None:
    def rebase_and_fail() -> None:
        with db.transaction() as tx:
            tx.leases.rebase(repository.id, "wrong")
            tx.leases.acquire(repository.id, duration=timedelta(0))

    before = count_of_entries(db)
    with pytest.raises(InvalidValue):
        rebase_and_fail()
    assert count_of_entries(db) == before
    assert db.leases.get(early.id) == early


def test_a_log_of_it_is_imported_when_its_time_has_come(
    db: Database, clock: Clock, repository: Repository, early: Lease, project: Project
) -> None:
    db.leases.rebase(repository.id, "wrong")
    last = db.leases.release(db.leases.acquire(repository.id).id)
    log = BytesIO()
    # Events in the order of their times; the mark is nobody's lease.
    assert db.leases.export(log) == 4
    ids = [line.split(b'"lease_id":"')[1][:26].decode() for line in log.getvalue().splitlines()]
    assert ids == [last.id, last.id, early.id, early.id]
    log.seek(0)
    with pytest.raises(LineRefused, match="the database's clock says") as refused:
        db.leases.import_jsonl(log, "log")
    assert refused.value.line == 3
    clock.now = early.expires_at
    log.seek(0)
    assert db.leases.import_jsonl(log, "log").already_there == 4


# What else has times.


def test_a_row_that_was_changed_by_the_wrong_clock_is_changed_and_deleted_by_the_right_one(
    db: Database, clock: Clock
) -> None:
    clock.pass_by(YEAR)
    project = db.projects.create("late", "Late")
    repository = db.repositories.create(project.id, "late")
    mirror = db.mirrors.create(repository.id, "pull", "https://code.example/x", HOUR)
    edge = db.relationships.create(repository.id, "fork", target_url="https://code.example/y")
    clock.now = START
    assert db.mirrors.update(mirror.id, enabled=False).updated_at == mirror.updated_at + TICK
    db.mirrors.delete(mirror.id)
    db.relationships.delete(edge.id)
    deleted = db.repositories.delete(repository.id)
    assert deleted.deleted_at == START
    assert deleted.updated_at == repository.updated_at + TICK
    assert db.projects.delete(project.id).deleted_at == START
    db.projects.restore(project.id)
    db.repositories.restore(repository.id)


def test_a_mirror_of_the_wrong_clock_is_brought_forward_by_hand(
    db: Database, clock: Clock, repository: Repository
) -> None:
    url = "https://code.example/x"
    mirrors = [
        db.mirrors.create(repository.id, "push", f"{url}{number}", HOUR) for number in range(2)
    ]
    clock.pass_by(YEAR)
    done, died = db.mirrors.claim_due(2, timedelta(days=7))
    assert done.run_token is not None
    db.mirrors.finish(done.id, done.run_token)
    clock.now = START + HOUR
    assert db.mirrors.claim_due(2, HOUR) == []
    db.mirrors.update(done.id, next_run_at=clock.now)
    # Whoever looks at it may finish it for the worker that died.
    running = db.mirrors.get(died.id)
    assert running.run_token is not None
    db.mirrors.finish(died.id, running.run_token, "the clock was wrong, and its worker is gone")
    clock.pass_by(HOUR)
    assert {mirror.id for mirror in db.mirrors.claim_due(2, HOUR)} == {each.id for each in mirrors}
