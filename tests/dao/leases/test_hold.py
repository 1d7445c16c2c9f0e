"""How a hold asks, waits and lets go, seen from what it calls, and wherever it is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from forgedb import (
    AlreadyExists,
    ForgeDbError,
    HeldLease,
    InvalidValue,
    Lease,
    LeaseHeld,
    LeaseLost,
    NotFound,
    Unavailable,
    UsageError,
)
from forgedb.dao.leases import hold
from forgedb.dao.leases.deadline import held_from, this_moment
from forgedb.dao.leases.hold import POLL_SECONDS_MAX, POLL_SECONDS_MIN, Hold
from forgedb.dao.leases.notice import ends_of
from forgedb.operations.topics import Topic

REPOSITORY = "01JD" + "0" * 22
AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TERM = timedelta(hours=72)


def lease_of(lease_id: str) -> HeldLease:
    lease = Lease(
        id=lease_id,
        repository_id=REPOSITORY,
        holder="user:ada",
        purpose="",
        fencing_token=1,
        idempotency_key=None,
        acquired_at=AT,
        expires_at=AT + TERM,
        ended_at=None,
        end_reason=None,
        previous_lease_id=None,
        ended_by=None,
        end_note=None,
    )
    return held_from(this_moment(), lease, AT)


HELD = LeaseHeld(lease_of(REPOSITORY), TERM, is_mine=False)


class Desk:
    """Where leases are asked for and given back; each answer is given once, the last for ever."""

    is_transaction = False

    def __init__(self, *answers: BaseException | None, wait: float = 0) -> None:
        self.answers = [*answers]
        self.releasing: BaseException | None = None
        self.asked: list[str] = []
        self.released: list[str] = []
        self.paused: list[float] = []
        self.pauses_open = 0
        self.now = 0.0
        self.woken_after: list[float] = []
        runner: Any = self
        self.hold: Hold[Any] = Hold(
            runner, REPOSITORY, self.acquire, self.release, self.release, wait
        )

    def acquire(self, lease_id: str) -> HeldLease:
        self.asked.append(lease_id)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer
        return lease_of(lease_id)

    def release(self, lease_id: str) -> None:
        self.released.append(lease_id)
        if self.releasing is not None:
            raise self.releasing

    @contextmanager
    def listen(self, topic: Topic) -> Generator[Callable[[float], None]]:
        assert topic == ends_of(REPOSITORY)
        self.pauses_open += 1
        try:
            yield self.pause
        finally:
            self.pauses_open -= 1

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += min(seconds, *self.woken_after[:1]) if self.woken_after else seconds
        del self.woken_after[:1]


def test_a_hold_has_one_block_at_a_time_and_another_after_it() -> None:
    desk = Desk(None)
    with desk.hold as lease:
        with pytest.raises(UsageError, match="entered already"), desk.hold:
            pytest.fail("the block must not be entered")
        assert (len(desk.asked), desk.released) == (1, [])
    assert desk.released == [lease.id]
    with desk.hold as another:
        assert another.id != lease.id
    assert desk.released == [lease.id, another.id]


def test_a_hold_that_was_refused_can_be_tried_again() -> None:
    desk = Desk(HELD, None)
    with pytest.raises(LeaseHeld), desk.hold:
        pytest.fail("the block must not be entered")
    with desk.hold as lease:
        assert desk.released == []
    assert desk.released == [lease.id]


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt(), SystemExit(), Unavailable("lost", outcome="unknown")]
)
def test_who_is_interrupted_while_asking_lets_go_of_what_it_may_have_got(
    interruption: BaseException,
) -> None:
    desk = Desk(interruption)
    with pytest.raises(type(interruption)), desk.hold:
        pytest.fail("the block must not be entered")
    assert desk.released == desk.asked
    assert len(desk.asked) == 1
    assert desk.pauses_open == 0


def test_who_asked_for_a_repository_that_isnt_there_has_nothing_to_let_go_of() -> None:
    desk = Desk(KeyboardInterrupt())
    desk.releasing = NotFound("repository", REPOSITORY)
    with pytest.raises(KeyboardInterrupt) as raised, desk.hold:
        pytest.fail("the block must not be entered")
    assert not hasattr(raised.value, "__notes__")


def test_who_cant_let_go_is_told_of_which_lease() -> None:
    desk = Desk(KeyboardInterrupt())
    desk.releasing = Unavailable("the server is gone")
    with pytest.raises(KeyboardInterrupt) as raised, desk.hold:
        pytest.fail("the block must not be entered")
    (note,) = raised.value.__notes__
    assert desk.asked[0] in note
    assert "the server is gone" in note


@pytest.mark.parametrize("refusal", [InvalidValue("purpose", 1, "no"), Unavailable("full"), HELD])
def test_who_is_refused_lets_go_of_nothing(refusal: ForgeDbError) -> None:
    desk = Desk(refusal)
    with pytest.raises(type(refusal)), desk.hold:
        pytest.fail("the block must not be entered")
    assert desk.released == []


def test_who_is_interrupted_in_a_pause_lets_go_of_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(HELD, wait=60)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk, "pause", interrupted)
    with pytest.raises(KeyboardInterrupt), desk.hold:
        pytest.fail("the block must not be entered")
    assert (len(desk.asked), desk.released, desk.pauses_open) == (1, [], 0)


def test_who_is_interrupted_while_letting_go_does_it_again() -> None:
    desk = Desk(None)

    def release(lease_id: str) -> None:
        desk.released.append(lease_id)
        raise KeyboardInterrupt

    desk.hold._release = release
    with pytest.raises(KeyboardInterrupt), desk.hold:
        pass
    assert desk.released == 2 * desk.asked


# Pauses


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The lease is another's for a minute, by a clock that moves in pauses alone."""
    desk = Desk(HELD, wait=60)
    monkeypatch.setattr(hold, "time", SimpleNamespace(monotonic=lambda: desk.now))
    return desk


def _gives_up(desk: Desk) -> None:
    with pytest.raises(LeaseHeld), desk.hold:
        pytest.fail("the block must not be entered")


def test_pauses_grow_with_jitter_and_end_with_the_wait(desk: Desk) -> None:
    _gives_up(desk)
    longest = POLL_SECONDS_MIN
    for pause in desk.paused[:-1]:
        assert longest / 2 <= pause <= longest
        longest = min(2 * longest, POLL_SECONDS_MAX)
    assert desk.now == pytest.approx(60)
    assert len(desk.asked) == len(desk.paused) + 1
    assert len(set(desk.asked)) == len(desk.asked)


def test_who_is_woken_early_looks_no_later_than_who_isnt(desk: Desk) -> None:
    desk.woken_after = [0.001] * 400
    looked_at: list[float] = []
    pause = desk.pause

    def noted(seconds: float) -> None:
        looked_at.append(round(desk.now + seconds, 6))
        pause(seconds)

    desk.pause = noted  # type: ignore[method-assign]
    _gives_up(desk)
    # Each time it is woken it means to look when it already did: 0.4 s of wakes are few pauses.
    assert len(set(looked_at[:400])) <= 5
    assert looked_at == sorted(looked_at)


def test_no_pause_is_longer_than_the_lease_lasts(desk: Desk) -> None:
    desk.answers = [LeaseHeld(lease_of(REPOSITORY), timedelta(seconds=0.01), is_mine=False)]
    _gives_up(desk)
    assert max(desk.paused) == 0.01


# Where the database can't be used


GONE = Unavailable("the server is gone", retryable=True)
UNKNOWN = Unavailable("the reply was lost", outcome="unknown")


def test_a_database_that_cant_be_used_for_now_is_waited_for_up_to_the_wait(desk: Desk) -> None:
    desk.answers = [GONE, HELD, GONE]
    with pytest.raises(Unavailable, match="the server is gone"), desk.hold:
        pytest.fail("the block must not be entered")
    assert desk.now == pytest.approx(60)
    assert desk.released == []
    desk.answers = [GONE, GONE, HELD, None]
    with desk.hold as lease:
        assert lease.id == desk.asked[-1]
    assert desk.released == [lease.id]


def test_what_wont_pass_by_waiting_is_told_at_once(desk: Desk) -> None:
    desk.answers = [Unavailable("the disk is full")]
    with pytest.raises(Unavailable, match="the disk is full"), desk.hold:
        pytest.fail("the block must not be entered")
    assert (desk.paused, desk.released) == ([], [])


def test_who_cant_tell_whether_the_lease_was_granted_asks_for_that_same_lease(desk: Desk) -> None:
    desk.answers = [GONE, UNKNOWN, GONE, GONE, None]
    with desk.hold as lease:
        assert desk.released == []
    assert lease.id == desk.asked[1]
    assert desk.asked[1:] == [lease.id] * 4
    assert desk.released == [lease.id]


@pytest.mark.parametrize("answer", [HELD, LeaseLost("ended"), AlreadyExists("leases_pkey")])
def test_who_is_told_that_the_lease_isnt_there_asks_for_another(
    desk: Desk, answer: ForgeDbError
) -> None:
    desk.answers = [UNKNOWN, answer, None]
    with desk.hold as lease:
        assert lease.id == desk.asked[2]
    first, same, other = desk.asked
    assert first == same != other
    assert desk.released == [other]


@pytest.mark.parametrize("at_the_end", [GONE, KeyboardInterrupt(), InvalidValue("purpose", 1, "")])
def test_who_never_learns_whether_the_lease_was_granted_lets_go_of_it(
    desk: Desk, at_the_end: BaseException
) -> None:
    desk.answers = [UNKNOWN, at_the_end]
    with pytest.raises(type(at_the_end)), desk.hold:
        pytest.fail("the block must not be entered")
    assert set(desk.asked) == set(desk.released)
    assert len(desk.released) == 1


def test_who_is_interrupted_while_nothing_was_granted_asks_nothing_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.answers = [GONE]

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk, "pause", interrupted)
    with pytest.raises(KeyboardInterrupt), desk.hold:
        pytest.fail("the block must not be entered")
    assert desk.released == []
