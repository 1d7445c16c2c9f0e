"""The pool of connections by itself, with connections that only count."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from forgedb.drivers.pool import Pool
from forgedb.errors import Unavailable, UsageError

WAIT_SECONDS = 10.0
"""How long a test waits for what must happen; only a failing one does."""


class FakeConnection:
    def __init__(self) -> None:
        self.closes = 0

    def close(self) -> None:
        self.closes += 1


class Opened:
    """Opens connections and remembers them."""

    def __init__(self) -> None:
        self.all: list[FakeConnection] = []

    def __call__(self) -> FakeConnection:
        self.all.append(FakeConnection())
        return self.all[-1]


@pytest.fixture
def opened() -> Opened:
    return Opened()


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start the action in a thread; the list gets its result, or the error it raised."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(action())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


def test_a_connection_is_opened_when_it_is_first_needed(opened: Opened) -> None:
    pool = Pool(opened, 2, WAIT_SECONDS)
    assert opened.all == []
    first = pool.take()
    assert opened.all == [first]


def test_a_connection_given_back_is_taken_again_the_most_recent_first(opened: Opened) -> None:
    pool = Pool(opened, 2, WAIT_SECONDS)
    first, second = pool.take(), pool.take()
    pool.give(first)
    pool.give(second)
    assert pool.take() is second
    assert pool.take() is first
    assert len(opened.all) == 2


def test_no_more_connections_than_the_capacity_are_ever_open(opened: Opened) -> None:
    pool = Pool(opened, 3, WAIT_SECONDS)
    in_use: set[int] = set()
    shared: list[int] = []

    def work() -> None:
        for _ in range(200):
            connection = pool.take()
            if id(connection) in in_use:
                shared.append(id(connection))
            in_use.add(id(connection))
            time.sleep(0)
            in_use.discard(id(connection))
            pool.give(connection)

    threads = [in_thread(work) for _ in range(12)]
    for thread, results in threads:
        thread.join(WAIT_SECONDS)
        assert results == [None]
    assert shared == []
    assert 1 <= len(opened.all) <= 3


def test_a_waiter_gets_the_connection_that_is_given_back(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    held = pool.take()
    thread, results = in_thread(pool.take)
    wait_until(lambda: pool.attention)
    assert results == []
    began = time.monotonic()
    pool.give(held)
    thread.join(WAIT_SECONDS)
    assert results == [held]
    assert time.monotonic() - began < WAIT_SECONDS / 2
    assert not pool.attention


def test_each_of_many_waiters_gets_its_turn(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    held = pool.take()

    def use() -> FakeConnection:
        connection = pool.take()
        pool.give(connection)
        return connection

    threads = [in_thread(use) for _ in range(8)]
    wait_until(lambda: pool._waiting == 8)
    pool.give(held)
    for thread, results in threads:
        thread.join(WAIT_SECONDS)
        assert results == [held]


def test_who_waits_too_long_is_told_how_many_were_busy_and_for_how_long(opened: Opened) -> None:
    pool = Pool(opened, 2, 0.05)
    pool.take()
    pool.take()
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"all 2 connections stayed busy for 0\.05 s") as raised:
        pool.take()
    assert time.monotonic() - began >= 0.05
    assert raised.value.retryable
    assert raised.value.outcome == "not_committed"


def test_who_waits_is_interrupted_also_where_the_signal_comes_to_another_thread(
    opened: Opened,
) -> None:
    pool = Pool(opened, 1, 60)
    taken = pool.take()
    interrupting = threading.Timer(
        0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            pool.take()
    finally:
        interrupting.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 10
    pool.give(taken)
    assert pool.take() is taken


def test_after_a_timeout_the_pool_goes_on(opened: Opened) -> None:
    pool = Pool(opened, 1, 0.01)
    held = pool.take()
    with pytest.raises(Unavailable):
        pool.take()
    assert not pool.attention
    pool.give(held)
    assert pool.take() is held


def test_a_connection_that_could_not_be_opened_takes_no_place(opened: Opened) -> None:

    def open_one() -> FakeConnection:
        if fails.pop():
            raise Unavailable("the disk is gone")
        return opened()

    fails = [False, True]
    pool = Pool(open_one, 1, 0.01)
    with pytest.raises(Unavailable, match="the disk is gone"):
        pool.take()
    assert pool.take() is opened.all[0]


def test_closing_closes_what_is_idle(opened: Opened) -> None:
    pool = Pool(opened, 2, WAIT_SECONDS)
    first, second = pool.take(), pool.take()
    pool.give(first)
    pool.give(second)
    pool.close()
    assert (first.closes, second.closes) == (1, 1)


def test_a_connection_in_use_at_the_close_is_closed_when_it_is_given_back(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    held = pool.take()
    pool.close()
    assert held.closes == 0
    pool.give(held)
    assert held.closes == 1


def test_closing_twice_is_as_good_as_once(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    pool.give(pool.take())
    pool.close()
    pool.close()
    assert opened.all[0].closes == 1


def test_a_closed_pool_gives_nothing_and_says_what_to_do(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    pool.close()
    with pytest.raises(UsageError, match="this database is closed: connect again"):
        pool.take()
    assert opened.all == []


def test_who_waits_while_the_pool_is_closed_is_told_at_once(opened: Opened) -> None:
    pool = Pool(opened, 1, WAIT_SECONDS)
    held = pool.take()
    waiting = [in_thread(pool.take) for _ in range(3)]
    wait_until(lambda: pool._waiting == 3)
    pool.close()
    for thread, results in waiting:
        thread.join(WAIT_SECONDS / 2)
        assert [type(result) for result in results] == [UsageError]
    pool.give(held)
    assert held.closes == 1
