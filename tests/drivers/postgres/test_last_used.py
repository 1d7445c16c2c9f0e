"""The connection that is kept for the next: which one is, and that nobody waits for it in vain.

It is handed round by the real pool's ``take`` and ``give``, over connections that only remember.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from queue import Empty, LifoQueue
from types import SimpleNamespace, coroutine
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from forgedb.drivers.postgres import last_used
from forgedb.drivers.postgres.last_used import KEPT_SECONDS_MAX, LastUsed
from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.drivers.postgres.pool import Pool
from forgedb.drivers.postgres.timelines import Highest, Server
from forgedb.drivers.sync_facade import finish
from forgedb.errors import Unavailable

NOW = 1000.0
"""What the clock says when a test begins, in seconds."""

WAIT_SECONDS = 10.0
"""How long a thread waits for what must happen; only a failing test does."""

THREADS = 4
ROUNDS = 200


class FakeConnection:
    """Checkout a second ago and idle, unless a test says otherwise."""

    def __init__(self, lent_at: float = NOW - 1) -> None:
        self.lent_at = lent_at
        self.spent = self.is_late = self.is_silent = self.is_read_only = False
        self.server = Server("fake", 1, Highest())
        self.in_use = threading.Lock()
        self.status = TransactionStatus.IDLE
        self.while_looked_at: Callable[[], object] | None = None
        """What happens while it is looked at for the first time."""
        self.link = SimpleNamespace(raw=SimpleNamespace(pgconn=self), lost=False)

    @property
    def transaction_status(self) -> TransactionStatus:
        happens, self.while_looked_at = self.while_looked_at, None
        if happens is not None:
            happens()
        return self.status


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still at ``now``, until a test moves it."""
    clock = SimpleNamespace(now=NOW)
    monkeypatch.setattr(last_used, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def kept(clock: SimpleNamespace) -> Any:
    return LastUsed(enabled=True)


# Which one is kept.


def test_nothing_is_kept_at_first(kept: Any) -> None:
    assert kept.take() is None
    assert kept.ask() is None


def test_what_is_kept_is_given_to_the_next_and_to_nobody_else(kept: Any) -> None:
    connection = FakeConnection()
    assert kept.keep(connection) is None
    assert kept.take() is connection
    assert kept.take() is None


def test_a_connection_is_kept_again_and_again(kept: Any) -> None:
    connection = FakeConnection()
    for _ in range(3):
        assert kept.keep(connection) is None
        assert kept.take() is connection


def test_only_one_is_kept(kept: Any) -> None:
    first, second = FakeConnection(), FakeConnection()
    assert kept.keep(first) is None
    assert kept.keep(second) is second
    assert kept.take() is first
    assert kept.keep(second) is None
    assert kept.take() is second


def test_nothing_is_kept_while_somebody_asks(kept: Any) -> None:
    connection = FakeConnection()
    assert kept.ask() is None
    assert kept.ask() is None
    assert kept.keep(connection) is connection
    kept.answered()
    assert kept.keep(connection) is connection
    kept.answered()
    assert kept.keep(connection) is None


def test_who_asks_gets_what_was_kept_a_moment_ago(kept: Any) -> None:
    connection = FakeConnection()
    assert kept.take() is None
    assert kept.keep(connection) is None
    assert kept.ask() is connection
    kept.answered()
    assert kept.take() is None


def test_what_was_lent_before_all_was_renounced_is_not_kept(
    kept: Any, clock: SimpleNamespace
) -> None:
    before, at_once, after = (FakeConnection(lent_at) for lent_at in (NOW - 1, NOW, NOW + 0.001))
    kept.renounce()
    clock.now += 1
    assert kept.keep(before) is before
    assert kept.keep(at_once) is at_once
    assert kept.keep(after) is None


def test_what_is_here_when_all_is_renounced_is_there_to_be_given_back(kept: Any) -> None:
    connection = FakeConnection()
    kept.keep(connection)
    kept.renounce()
    assert kept.take() is connection
    assert kept.keep(connection) is connection
    assert kept.take() is None


def test_what_was_lent_too_long_ago_is_not_kept(kept: Any, clock: SimpleNamespace) -> None:
    connection = FakeConnection(lent_at=NOW)
    clock.now = NOW + KEPT_SECONDS_MAX - 0.001
    assert kept.keep(connection) is None
    assert kept.take() is connection
    clock.now = NOW + KEPT_SECONDS_MAX
    assert kept.keep(connection) is connection


@pytest.mark.parametrize("status", sorted({*TransactionStatus} - {TransactionStatus.IDLE}))
def test_what_is_not_idle_is_not_kept(kept: Any, status: TransactionStatus) -> None:
    connection = FakeConnection()
    connection.status = status
    assert kept.keep(connection) is connection
    assert kept.take() is None


def test_none_is_kept_where_none_is_to_be(clock: SimpleNamespace) -> None:
    kept: Any = LastUsed(enabled=False)
    connection = FakeConnection()
    assert kept.keep(connection) is connection
    assert kept.take() is None
    assert kept.ask() is None


def test_none_is_kept_once_all_is_renounced_for_good(kept: Any, clock: SimpleNamespace) -> None:
    kept.renounce(for_good=True)
    kept.renounce()
    clock.now += 2
    connection = FakeConnection(lent_at=NOW + 1)
    assert kept.keep(connection) is connection
    assert kept.take() is None


# What happens meanwhile.


@pytest.mark.parametrize("for_good", [False, True])
def test_what_is_kept_while_all_is_renounced_is_given_back(kept: Any, for_good: bool) -> None:

    def renounce() -> None:
        kept.renounce(for_good=for_good)
        assert kept.take() is None

    connection = FakeConnection()
    connection.while_looked_at = renounce
    assert kept.keep(connection) is connection
    assert kept.take() is None


def test_what_an_asker_takes_while_it_is_being_kept_is_not_given_back_as_well(kept: Any) -> None:
    taken = []

    class Watched(list[Any]):
        def append(self, connection: Any) -> None:
            super().append(connection)
            taken.append(kept.ask())

    kept._connections = Watched()
    connection = FakeConnection()
    assert kept.keep(connection) is None
    assert taken == [connection]
    assert kept.take() is None


# In the pool's hands.


class FakePool(Pool):
    """The pool's own ways in and out, over connections of which the idle ones wait in a queue."""

    def __init__(self, count: int, kept: type[LastUsed] = LastUsed) -> None:
        options = PostgresOptions(
            "", "fake", pool_max_size=count, pool_timeout_seconds=WAIT_SECONDS
        )
        super().__init__(options, None)
        self._last_used = kept(enabled=True)
        self.all = [FakeConnection() for _ in range(count)]
        self.lends = 0
        self.idle: LifoQueue[Any] = LifoQueue()
        for connection in self.all:
            self.idle.put(connection)

    async def _lend(self, timeout_seconds: float) -> Any:
        self.lends += 1
        return await self._next(timeout_seconds)

    async def _next(self, timeout_seconds: float) -> Any:
        try:
            return self.idle.get(timeout=timeout_seconds)
        except Empty:
            raise PoolTimeout from None

    async def _give(self, connection: Any) -> None:
        self.idle.put(connection)

    async def _check(self) -> None:
        """None is ever lost."""

    _drain = _open = _let_grow = _check

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")

    async def _close(self, wait_seconds: float) -> None:
        raise AssertionError("nobody closes it")

    @property
    def closed(self) -> bool:
        return False

    def all_given_back(self) -> list[Any]:
        """Every connection that nobody has, whether kept or in the queue."""
        found = []
        while (connection := self._last_used.take()) is not None:
            found.append(connection)
        while not self.idle.empty():
            found.append(self.idle.get())
        return found


class PoolByHand(FakePool):
    """Whoever asks it waits until the test goes on; if none is idle by then, it was in vain."""

    async def _next(self, timeout_seconds: float) -> Any:
        if self.idle.empty():
            await _waiting()
        return await super()._next(0)


@coroutine
def _waiting() -> Generator[None, None, None]:
    yield


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns after a few instructions, instead of after 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("connections", [1, 2])
def test_threads_never_share_nor_lose_a_connection_and_nobody_waits_in_vain(
    connections: int,
) -> None:
    pool = FakePool(connections)
    # At the end of each round nobody else gives back what the last one waits for.
    round_ends = threading.Barrier(THREADS, timeout=2 * WAIT_SECONDS)
    errors: list[BaseException] = []

    def use_one() -> None:
        connection: Any = finish(pool.take())
        assert connection.in_use.acquire(blocking=False), "two threads use it"
        time.sleep(0)
        connection.in_use.release()
        finish(pool.give(connection))

    def work(number: int) -> None:
        try:
            for each in range(ROUNDS):
                if each % THREADS == number:
                    finish(pool.renew())
                use_one()
                use_one()
                round_ends.wait()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)
            round_ends.abort()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * WAIT_SECONDS)
    assert errors == []
    assert sorted(map(id, pool.all_given_back())) == sorted(map(id, pool.all))
    # Or it would say nothing of what is kept.
    assert pool.lends < 2 * ROUNDS * THREADS


def ask_before(asking: Coroutine[Any, Any, Any], pool: PoolByHand, held: Any) -> None:
    """Somebody asks, and then the connection is given back."""
    asking.send(None)
    finish(pool.give(held))


def ask_meanwhile(asking: Coroutine[Any, Any, Any], pool: PoolByHand, held: Any) -> None:
    """Somebody asks after the one who gives back has seen that nobody does."""
    held.while_looked_at = lambda: asking.send(None)
    finish(pool.give(held))


def ask_having_looked(asking: Coroutine[Any, Any, Any], pool: PoolByHand, held: Any) -> None:
    """The connection is given back as somebody has found none here, and hasn't asked yet."""
    kept: Any = pool._last_used
    take = kept.take

    def look() -> Any:
        kept.take = take
        found = take()
        finish(pool.give(held))
        return found

    kept.take = look


def ask_afterwards(asking: Coroutine[Any, Any, Any], pool: PoolByHand, held: Any) -> None:
    """The connection is given back, and then somebody asks."""
    finish(pool.give(held))


Moment = Callable[[Coroutine[Any, Any, Any], PoolByHand, Any], None]


def one_asks_as_another_gives_back(pool: PoolByHand, moment: Moment) -> None:
    """Raises Unavailable where the one who asks waits in vain."""
    held: Any = finish(pool.take())
    asking = pool.take()
    moment(asking, pool, held)
    assert what_it_gets(asking) is held
    finish(pool.give(held))
    assert pool.all_given_back() == [held]


def what_it_gets(asking: Coroutine[Any, Any, Any]) -> Any:
    while True:
        try:
            asking.send(None)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("moment", [ask_before, ask_meanwhile, ask_having_looked, ask_afterwards])
def test_who_asks_gets_the_connection_whenever_it_is_given_back(moment: Moment) -> None:
    one_asks_as_another_gives_back(PoolByHand(1), moment)


class NeverLooks(LastUsed):
    """With a bug: it keeps what others wait for."""

    def keep(self, connection: Any) -> Any:
        if self._connections or not self._may_be_kept(connection):
            return connection
        self._connections.append(connection)
        return None


class NeverLooksAgain(NeverLooks):
    """With a bug: it doesn't see who asks meanwhile."""

    def keep(self, connection: Any) -> Any:
        return connection if self._asking else super().keep(connection)


class AsksWithoutLooking(LastUsed):
    """With a bug: it doesn't see what was kept a moment ago."""

    def ask(self) -> Any:
        self._asking.append(None)


@pytest.mark.parametrize(
    ("kept", "moment"),
    [
        (NeverLooks, ask_before),
        (NeverLooks, ask_meanwhile),
        (NeverLooksAgain, ask_meanwhile),
        (AsksWithoutLooking, ask_having_looked),
    ],
)
def test_where_one_of_the_looks_is_left_out_somebody_waits_in_vain(
    kept: type[LastUsed], moment: Moment
) -> None:
    pool = PoolByHand(1, kept)
    with pytest.raises(Unavailable):
        one_asks_as_another_gives_back(pool, moment)
    # All the while it was here.
    assert pool.idle.empty()
    assert pool.all_given_back() == pool.all


def test_what_is_being_lent_while_the_pool_is_drained_goes_back_to_it() -> None:
    pool = PoolByHand(1)
    held: Any = pool.idle.get()
    asking = pool.take()
    asking.send(None)
    finish(pool.drain())
    pool.idle.put(held)
    with pytest.raises(StopIteration) as ended:
        asking.send(None)
    finish(pool.give(ended.value.value))
    assert pool._last_used.take() is None
    assert pool.idle.get(block=False) is held


def test_a_task_that_waits_where_the_process_forks_ends_with_its_own_error() -> None:
    pool = PoolByHand(1)
    pool.idle.get()
    asking = pool.take()
    asking.send(None)
    pool.forked()
    with pytest.raises(KeyboardInterrupt):
        asking.throw(KeyboardInterrupt())
