"""By when the holder of a lease must be done: by its own clocks, whatever those of others say."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import asdict, replace

import forgedb.dao.leases.deadline
from forgedb import ActorRequired, Database, HeldLease, InvalidValue, Lease, LeaseHeld, Repository
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import Connect, on_each_database

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)

OWN = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class HoldersClocks:
    """The clocks of the machine that holds leases: one that can be set, and one that can't."""

    def __init__(self) -> None:
        self.wall = OWN
        self.up = 5000.0

    def pass_by(self, span: timedelta) -> None:
        self.wall += span
        self.up += span.total_seconds()

    def step(self, span: timedelta) -> None:
        """Set the one that can be set."""
        self.wall += span


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> HoldersClocks:
    own = HoldersClocks()
    monkeypatch.setattr(forgedb.dao.leases.deadline, "wall_clock", lambda: own.wall)
    monkeypatch.setattr(forgedb.dao.leases.deadline, "uptime", lambda: own.up)
    return own


# What is held is a lease.


def test_a_held_lease_is_equal_to_the_lease_that_others_see(
    db: Database, repository: Repository
) -> None:
    with db.leases.hold(repository.id) as held:
        seen = db.leases.active(repository.id)
        assert isinstance(held, HeldLease)
        assert type(seen) is Lease
        assert (held == seen, seen == held) == (True, True)
        assert (held != seen, seen != held) == (False, False)
        assert hash(held) == hash(seen)
        assert len({held, seen}) == 1


@pytest.fixture
def held(db: Database, repository: Repository) -> Iterator[HeldLease]:
    with db.leases.hold(repository.id, purpose="gc") as held:
        yield held


def test_a_held_lease_differs_from_every_other(held: HeldLease) -> None:
    plain = Lease(**{name: getattr(held, name) for name in Lease.__struct_fields__})
    later = replace(held, deadline=held.deadline + HOUR)
    assert later == held
    for other in (replace(plain, purpose="repack"), replace(held, purpose="repack")):
        assert (held == other, other == held) == (False, False)
        assert (held != other, other != held) == (True, True)
    assert held != plain.id
    assert (held == plain.id, plain.id == held) == (False, False)


def test_a_held_lease_can_be_sent_to_another_process(held: HeldLease) -> None:
    copy = pickle.loads(pickle.dumps(held))
    assert isinstance(copy, HeldLease)
    assert asdict(copy) == asdict(held)
    assert msgspec.json.decode(msgspec.json.encode(held), type=Lease) == held


# Its deadline.


@pytest.mark.parametrize(
    "is_ahead_by", [timedelta(0), timedelta(days=400), timedelta(days=-400), -SECOND]
)
def test_a_deadline_is_by_the_holders_own_clock_whatever_it_says(
    db: Database, repository: Repository, own: HoldersClocks, is_ahead_by: timedelta
) -> None:
    own.step(is_ahead_by)
    with db.leases.hold(repository.id, duration=100 * SECOND) as lease:
        assert lease.expires_at == START + 100 * SECOND
        assert lease.deadline == OWN + is_ahead_by + 99 * SECOND
        assert lease.deadline.tzinfo is UTC
        assert lease.time_left() == 99 * SECOND


@pytest.mark.parametrize(
    ("duration", "margin"),
    [
        (timedelta(hours=72), 5 * MINUTE),
        (500 * MINUTE + MINUTE, 5 * MINUTE),
        (500 * MINUTE, 5 * MINUTE),
        (499 * MINUTE, 4.99 * MINUTE),
        (HOUR, 36 * SECOND),
        (SECOND, SECOND / 100),
        (TICK, timedelta(0)),
    ],
)
def test_a_deadline_is_a_hundredth_early_and_five_minutes_at_most(
    db: Database,
    repository: Repository,
    own: HoldersClocks,
    duration: timedelta,
    margin: timedelta,
) -> None:
    with db.leases.hold(repository.id, duration=duration) as lease:
        assert lease.deadline == own.wall + duration - margin


def test_the_time_left_passes_with_the_holders_clocks_and_is_never_negative(
    db: Database, repository: Repository, own: HoldersClocks
) -> None:
    with db.leases.hold(repository.id, duration=100 * SECOND) as lease:
        own.pass_by(30 * SECOND)
        assert lease.time_left() == 69 * SECOND
        own.pass_by(69 * SECOND - TICK)
        assert lease.time_left() == TICK
        own.pass_by(TICK)
        assert lease.time_left() == timedelta(0)
        own.pass_by(HOUR)
        assert lease.time_left() == timedelta(0)


def test_a_clock_that_is_set_back_gives_nobody_more_time(
    db: Database, repository: Repository, own: HoldersClocks
) -> None:
    with db.leases.hold(repository.id, duration=100 * SECOND) as lease:
        own.step(-HOUR)
        assert lease.time_left() == 99 * SECOND
        own.pass_by(99 * SECOND)
        assert lease.time_left() == timedelta(0)


def test_a_clock_that_is_set_ahead_is_believed(
    db: Database, repository: Repository, own: HoldersClocks
) -> None:
    with db.leases.hold(repository.id, duration=100 * SECOND) as lease:
        own.step(90 * SECOND)
        assert lease.time_left() == 9 * SECOND
        own.step(HOUR)
        assert lease.time_left() == timedelta(0)


def test_a_slow_request_is_at_the_holders_cost(connect: Connect, own: HoldersClocks) -> None:
    took = [timedelta(0)]

    def asked_late_and_answered_late() -> datetime:
        own.pass_by(took[0])
        return START

    db = connect.migrated(actor="user:ada", clock=asked_late_and_answered_late)
    repository = db.repositories.create(db.projects.create("platform", "Platform").id, "api")
    began = own.wall
    took[0] = 20 * SECOND
    with db.leases.hold(repository.id, duration=100 * SECOND) as lease:
        took[0] = timedelta(0)
        assert own.wall >= began + 20 * SECOND
        assert lease.deadline == began + 99 * SECOND
        assert lease.time_left() == lease.deadline - own.wall


def test_a_lease_that_is_given_back_by_its_key_has_the_rest_of_its_time(
    db: Database, repository: Repository, clock: Clock, own: HoldersClocks
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="job")
    clock.pass_by(40 * MINUTE)
    own.step(timedelta(days=3))
    with db.leases.hold(repository.id, duration=HOUR, idempotency_key="job") as held:
        assert held == lease
        assert held.deadline == own.wall + 20 * MINUTE - 12 * SECOND


def test_a_database_clock_that_stepped_back_gives_the_holder_no_more_time(
    db: Database, repository: Repository, clock: Clock, own: HoldersClocks
) -> None:
    lease = db.leases.acquire(repository.id, duration=HOUR, idempotency_key="job")
    clock.pass_by(-50 * SECOND)
    with db.leases.hold(repository.id, duration=HOUR, idempotency_key="job") as held:
        assert held == lease
        assert held.deadline == own.wall + HOUR - 36 * SECOND
    with db.leases.hold(repository.id, duration=100 * SECOND) as held:
        assert held.acquired_at == START
        assert held.deadline == own.wall + 99 * SECOND


def test_a_deadline_is_counted_from_the_attempt_that_was_granted(
    db: Database,
    repository: Repository,
    clock: Clock,
    own: HoldersClocks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[datetime] = []

    def wall_clock() -> datetime:
        """Each attempt finds that an hour has passed since the last."""
        asked.append(own.wall)
        own.pass_by(HOUR)
        clock.pass_by(HOUR)
        return asked[-1]

    monkeypatch.setattr(forgedb.dao.leases.deadline, "wall_clock", wall_clock)
    db.leases.acquire(repository.id, duration=2 * HOUR)
    bob = db.acting_as("user:bob")
    with bob.leases.hold(repository.id, duration=100 * SECOND, wait=20) as lease:
        assert len(asked) == 2
        assert lease.deadline == asked[-1] + 99 * SECOND


def test_the_clocks_are_the_machines_own() -> None:
    before, up = datetime.now(UTC), forgedb.dao.leases.deadline.uptime()
    assert before <= forgedb.dao.leases.deadline.wall_clock() <= before + HOUR
    assert up <= forgedb.dao.leases.deadline.uptime() <= up + HOUR.total_seconds()


# Its wait.


def test_a_wait_may_be_in_seconds(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    bob = db.acting_as("user:bob")
    for wait in (0, 0.0, 0.03, timedelta(0), timedelta(seconds=0.03)):
        began = datetime.now(UTC)
        with pytest.raises(LeaseHeld) as refused, bob.leases.hold(repository.id, wait=wait):
            pytest.fail("the block must not be entered")
        assert refused.value.lease == lease
        seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
        assert datetime.now(UTC) - began >= timedelta(seconds=seconds)


@on_each_database
@pytest.mark.parametrize(
    "wait",
    [
        -TICK,
        timedelta(days=30, microseconds=1),
        timedelta.max,
        -1,
        -0.001,
        30 * 86400 + 1,
        30 * 86400 + 0.001,
        10**400,
        float("inf"),
        float("nan"),
        True,
        False,
        None,
        "1 s",
        "5",
        1j,
    ],
    ids=repr,
)
def test_a_wait_is_from_nothing_to_30_days(
    db: Database, repository: Repository, wait: object
) -> None:
    hold: Callable[..., object] = db.leases.hold
    with pytest.raises(InvalidValue) as refused:
        hold(repository.id, wait=wait)
    assert refused.value.field == "wait"


@pytest.mark.parametrize("wait", [30 * 86400, 30 * 86400.0, timedelta(days=30)], ids=repr)
def test_a_wait_of_30_days_is_none_too_long(
    db: Database, repository: Repository, wait: timedelta | float
) -> None:
    with db.leases.hold(repository.id, wait=wait) as lease:
        assert lease.holder == "user:ada"


def test_nobody_holds_a_lease(db: Database, repository: Repository) -> None:
    with pytest.raises(ActorRequired, match="hold"):
        db.acting_as(None).leases.hold(repository.id, holder="user:ada")
