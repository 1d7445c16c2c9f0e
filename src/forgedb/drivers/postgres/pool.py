"""The connection pool, on psycopg_pool: for threads or for tasks, behind the same coroutines."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, LiteralString
from weakref import WeakSet

import psycopg
import psycopg_pool
from psycopg.pq import TransactionStatus

from forgedb.drivers import forks, misuse
from forgedb.drivers.postgres.connection import PostgresConnection
from forgedb.drivers.postgres.hosts import (
    AwaitedDialer,
    BlockingDialer,
    Dialer,
    Hosts,
    is_starting,
    may_pass,
)
from forgedb.drivers.postgres.last_used import LastUsed
from forgedb.drivers.postgres.link import AwaitedLink, BlockingLink, Link
from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.drivers.postgres.prepared import NOT_BY_ITSELF, Preparing
from forgedb.drivers.postgres.timelines import Server, Timelines
from forgedb.drivers.postgres.timeouts import Patient, PatientAsyncConnection, PatientConnection
from forgedb.drivers.postgres.values import ADAPTERS
from forgedb.drivers.sync_facade import finish
from forgedb.errors import Unavailable
from forgedb.operations.binding import Clock
from forgedb.operations.call_timeout import LEAVING_SECONDS, at_most, for_a_turn
from forgedb.operations.cancellation import stop_if_told

TIMES_AS_READ = "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'"
"""Set whatever the role's or database's own default is.  PgBouncer keeps both for each client."""

ONE_PLAN = "SET plan_cache_mode TO force_generic_plan"
"""Statements find rows by key, with the same plan for all values; planning for a partitioned table
anew with each value costs more than the search."""

WARNINGS_TOLD = "SET client_min_messages TO warning"
"""The server warns where a COMMIT didn't wait for its standby; a role's default may hide that."""

CLOSE_SECONDS = 2.0

WAITING_COUNTS = 0.1
"""A call that waited for a connection for more than this part of its timeout has less time left."""

PRIMARY_SECONDS_FIRST = 0.02
PRIMARY_SECONDS_MAX = 1.0
"""The pauses between two searches for a primary, while only standbys are found."""

FIRST_LOOK_SECONDS = 0.02
"""How long the first connection is waited for before looking whether it was refused."""

RECONNECT_SECONDS = 1.0
"""How long the pool tries to replace a connection before it begins anew, if a call waits for one.
In one long attempt it would pause longer and longer, and still sleep when the server is back."""

# The pool reports each failed attempt to connect; without a handler Python would print them.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class Pool(ABC):
    """The pool; ``refused`` is why the last attempt to connect failed, until one succeeds."""

    def __init__(
        self, options: PostgresOptions, clock: Clock, timelines: Timelines | None = None
    ) -> None:
        self.options = options
        self.clock = clock
        self.hosts = Hosts(options, timelines)
        self.refused: psycopg.Error | None = None
        self._connected = False
        self._is_silent = False
        """Whether a connection was given up as the server didn't answer, and none opened since."""
        self._forked = False
        self._links: WeakSet[Link[Any]] = WeakSet()
        # A pool that may shrink to nothing can only close connections that are given back.
        self._last_used = LastUsed(enabled=options.pool_min_size > 0)
        forks.watch(self)

    async def open(self) -> None:
        """Open the first connection.  Raises Unavailable, with the reason, where there is none."""
        try:
            await self._open()
            await self.give(await self._first())
            await self._let_grow()
        except BaseException:
            # Attempts to connect that still run aren't waited for: they give up by themselves.
            await self._close(0)
            raise

    async def _first(self) -> PostgresConnection:
        give_up_at = time.monotonic() + self.options.pool_timeout_seconds
        while True:
            stop_if_told()
            try:
                return await self._lend(FIRST_LOOK_SECONDS)
            except psycopg_pool.PoolTimeout as error:
                if self._is_refused_for_good() or time.monotonic() > give_up_at:
                    raise self._exhausted() from (self.refused or error)

    def _is_refused_for_good(self) -> bool:
        """Whether it is of no use to wait for the first connection."""
        if self.refused is None:
            return False
        # Of several hosts the primary may have died, and a standby may soon be promoted.
        waited_for = may_pass if self.hosts.are_several else is_starting
        return not waited_for(self.refused)

    async def take(self, *, to_write: bool = False) -> PostgresConnection:
        """An idle connection, a new one, or the next one given back.

        Of several hosts the primary's is given to write, and to read where there is one.

        Raises Unavailable (none was free in time, or no host is a primary), UsageError (closed, or
        of another process).
        """
        connection = self._last_used.take()
        if connection is None:
            connection = await self._asked_for()
        if not self._is_fit(connection.server, to_write):
            return await self._exchanged(connection, to_write)
        return connection

    def _is_fit(self, server: Server, to_write: bool) -> bool:
        if server.timeline < server.highest.timeline:
            return False
        hosts = self.hosts
        return not (hosts.seeks_primary and server.in_recovery and (to_write or hosts.has_primary))

    async def _exchanged(
        self, connection: PostgresConnection, to_write: bool
    ) -> PostgresConnection:
        """Another connection in the place of one that isn't fit for the call."""
        began = time.monotonic()
        give_up_at = began + self._wait_seconds()
        pause = 0.0
        while not self._is_fit(connection.server, to_write):
            if time.monotonic() > give_up_at:
                await self.give(connection)
                raise Unavailable(
                    f"no host of {self.options.shown} takes writes: {self.hosts.passed_over}",
                    retryable=True,
                )
            connection.spent = True
            await self.give(connection)
            if connection.server.is_overtaken:
                # The pool's other connections may lead to the same old primary.
                await self.drain()
            elif connection.server.in_recovery:
                # The standby may be about to be promoted.
                await self.sleep(pause)
                pause = min(2 * pause or PRIMARY_SECONDS_FIRST, PRIMARY_SECONDS_MAX)
            connection = self._last_used.take() or await self._asked_for()
        self._count_waiting(connection, time.monotonic() - began)
        return connection

    async def _asked_for(self) -> PostgresConnection:
        """A connection of psycopg_pool's."""
        if self._forked:
            raise misuse.forked()
        # The time before psycopg_pool gives it: if the pool is drained meanwhile, it must go back.
        asked_at = time.monotonic()
        connection = self._last_used.ask()
        try:
            if connection is None:
                connection = await self._lend(self._wait_seconds())
                connection.lent_at = asked_at
                self._count_waiting(connection, time.monotonic() - asked_at)
            return connection
        except psycopg_pool.PoolTimeout as error:
            raise self._exhausted() from error
        except psycopg_pool.PoolClosed as error:
            raise misuse.closed() from error
        finally:
            self._last_used.answered()

    def _count_waiting(self, connection: PostgresConnection, waited_seconds: float) -> None:
        """Take the time that a call has waited for the connection off its timeout."""
        usual = self.options.call_timeout_seconds
        if usual is not None and waited_seconds > usual * WAITING_COUNTS:
            connection.link.raw.call_seconds = max(usual - waited_seconds, min(usual, 1.0))
            connection.is_late = True

    def as_usual(self, connection: PostgresConnection) -> None:
        """Give its calls the usual timeout again."""
        connection.link.raw.call_seconds = self.options.call_timeout_seconds
        connection.is_late = False

    def _wait_seconds(self) -> float:
        """How long to wait for a connection: no longer than for an answer."""
        seconds = self.options.pool_timeout_seconds
        if self.options.call_timeout_seconds is not None:
            seconds = min(seconds, self.options.call_timeout_seconds)
        return for_a_turn(seconds)

    async def give(self, connection: PostgresConnection) -> None:
        """Give back what ``take`` gave; one that is lost, or spent, is replaced."""
        if connection.spent:
            await connection.link.close()
        if connection.is_late:
            self.as_usual(connection)
        if not self._forked and (left := self._last_used.keep(connection)) is not None:
            if left.link.lost:
                self.hosts.look_again()
            await self._give(left)
        if connection.is_silent or connection.is_read_only:
            self._is_silent = self._is_silent or connection.is_silent
            # The other connections lead to the same server, and would fail in the same way.
            await self.drain()

    async def close(self) -> None:
        if not self._forked:
            await self._let_go(for_good=True)
            await self._close(CLOSE_SECONDS)

    async def renew(self) -> None:
        """Replace the idle connections that are lost, after one was found so."""
        self.hosts.look_again()
        await self._let_go()
        with at_most(LEAVING_SECONDS):
            await self._check()

    async def drain(self) -> None:
        """Replace all connections, those in use when they are given back."""
        self.hosts.look_again()
        await self._drain()
        await self._let_go()

    async def _let_go(self, *, for_good: bool = False) -> None:
        self._last_used.renounce(for_good=for_good)
        while (connection := self._last_used.take()) is not None:
            await self._give(connection)

    def forked(self) -> None:
        """Let go of all connections, in a child process: they are the parent's."""
        self._forked = True
        self._last_used.forget()
        for link in self._links:
            link.sever()

    @abstractmethod
    async def _give(self, connection: PostgresConnection) -> None: ...

    @abstractmethod
    async def _check(self) -> None: ...

    @abstractmethod
    async def _drain(self) -> None: ...

    @abstractmethod
    async def sleep(self, seconds: float) -> None: ...

    @abstractmethod
    async def _close(self, wait_seconds: float) -> None:
        """Close the connections; wait so long for those that are being opened."""

    @property
    @abstractmethod
    def closed(self) -> bool: ...

    @abstractmethod
    async def _open(self) -> None: ...

    @abstractmethod
    async def _let_grow(self) -> None:
        """Let it open as many connections as the options allow."""

    @abstractmethod
    async def _lend(self, timeout_seconds: float) -> PostgresConnection: ...

    def limit(self, raw: Patient) -> None:
        """Let none of its calls last for ever."""
        raw.call_seconds, raw.conninfo = self.options.call_timeout_seconds, self.options.conninfo
        raw.listen_for_warnings()

    def settings(self) -> LiteralString:
        """What is set on a new connection, in one round trip."""
        if self.options.prepare_threshold is None:
            return TIMES_AS_READ
        return f"{TIMES_AS_READ}; {WARNINGS_TOLD}; {ONE_PLAN}"

    async def connect(self, dialer: Dialer[Any], link: type[Link[Any]], given: Any) -> Any:
        """A new connection of psycopg's, and in its ``wrapper`` the PostgresConnection."""
        given.pop("connect_timeout", None)
        try:
            raw, server = await self.hosts.connect(dialer, self.settings(), given)
        except psycopg.Error as error:
            self.refused = error
            raise
        self.refused = None
        self._connected = True
        self._is_silent = False
        self.limit(raw)
        opened = link(raw, Preparing(self.options.prepare_threshold))
        self._links.add(opened)
        is_own = self.options.prepare_threshold is not None
        raw.wrapper = PostgresConnection(
            opened,
            self.options.shown,
            self.clock,
            server,
            settings=self.settings(),
            has_own_session=is_own,
        )
        return raw

    def _settings(self) -> dict[str, Any]:
        options = self.options
        return {
            "conninfo": options.conninfo,
            "min_size": options.pool_min_size,
            # Until the first one is open: a request before that would have a second opened.
            "max_size": max(1, options.pool_min_size),
            "reconnect_timeout": RECONNECT_SECONDS,
            "open": False,
            "kwargs": {
                "autocommit": True,
                "client_encoding": "UTF8",
                "context": ADAPTERS,
                "prepare_threshold": None if options.prepare_threshold is None else NOT_BY_ITSELF,
                "lender": self,
            },
        }

    def _exhausted(self) -> Unavailable:
        options = self.options
        if self.refused is not None:
            words = " ".join(str(self.refused).split())
            return Unavailable(
                f"{options.shown} can't be reached: {words}", retryable=may_pass(self.refused)
            )
        if self._is_silent or not self._connected:
            return Unavailable(
                f"{options.shown} didn't answer within {options.pool_timeout_seconds:g} s",
                retryable=True,
            )
        return Unavailable(
            f"all {options.pool_max_size} connections of the pool stayed busy for"
            f" {options.pool_timeout_seconds:g} s: {options.shown}; end transactions sooner, or"
            " set pool_max_size or pool_timeout higher",
            retryable=True,
        )


class _BlockingConnection(PatientConnection):
    wrapper: PostgresConnection

    @classmethod
    def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, lender: Pool | None = None, **kwargs: Any
    ) -> Any:
        if lender is None:
            return super().connect(conninfo, **kwargs)
        return finish(lender.connect(BlockingDialer(cls), BlockingLink, kwargs))


class BlockingPool(Pool):
    """For threads."""

    def __init__(
        self, options: PostgresOptions, clock: Clock, timelines: Timelines | None = None
    ) -> None:
        super().__init__(options, clock, timelines)
        self._pool = psycopg_pool.ConnectionPool(
            connection_class=_BlockingConnection,
            reconnect_failed=self._keep_trying,
            **self._settings(),
        )

    def _keep_trying(self, pool: psycopg_pool.ConnectionPool[Any]) -> None:
        if pool.get_stats()["requests_waiting"]:
            with at_most(LEAVING_SECONDS):
                pool.check()

    async def _open(self) -> None:
        self._pool.open()

    async def _let_grow(self) -> None:
        self._pool.resize(self.options.pool_min_size, self.options.pool_max_size)

    async def _lend(self, timeout_seconds: float) -> PostgresConnection:
        return self._pool.getconn(timeout_seconds).wrapper

    async def _give(self, connection: PostgresConnection) -> None:
        self._pool.putconn(connection.link.raw)

    async def _check(self) -> None:
        self._pool.check()

    async def _drain(self) -> None:
        self._pool.drain()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def _close(self, wait_seconds: float) -> None:
        self._pool.close(wait_seconds)

    @property
    def closed(self) -> bool:
        return self._pool.closed


class _AwaitedConnection(PatientAsyncConnection):
    wrapper: PostgresConnection

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, lender: Pool | None = None, **kwargs: Any
    ) -> Any:
        if lender is None:
            return await super().connect(conninfo, **kwargs)
        return await lender.connect(AwaitedDialer(cls), AwaitedLink, kwargs)


class AwaitedPool(Pool):
    """For tasks of one event loop."""

    def __init__(
        self, options: PostgresOptions, clock: Clock, timelines: Timelines | None = None
    ) -> None:
        super().__init__(options, clock, timelines)
        self._pool = psycopg_pool.AsyncConnectionPool(
            connection_class=_AwaitedConnection,
            reconnect_failed=self._keep_trying,
            **self._settings(),
        )

    async def _keep_trying(self, pool: psycopg_pool.AsyncConnectionPool[Any]) -> None:
        if pool.get_stats()["requests_waiting"]:
            with at_most(LEAVING_SECONDS):
                await pool.check()

    async def _open(self) -> None:
        await self._pool.open()

    async def _let_grow(self) -> None:
        await self._pool.resize(self.options.pool_min_size, self.options.pool_max_size)

    async def _lend(self, timeout_seconds: float) -> PostgresConnection:
        return (await self._pool.getconn(timeout_seconds)).wrapper

    async def _give(self, connection: PostgresConnection) -> None:
        raw = connection.link.raw
        work = self._pool.putconn(raw)
        if raw.pgconn.transaction_status == TransactionStatus.IDLE:
            try:
                # With no transaction open it hardly ever waits, and a task would cost more.
                waits_for = work.send(None)
            except StopIteration:
                return
            work = _going_on(work, waits_for)
        await _to_the_end(work)

    async def _check(self) -> None:
        await _to_the_end(self._pool.check())

    async def _drain(self) -> None:
        await _to_the_end(self._pool.drain())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _close(self, wait_seconds: float) -> None:
        await self._pool.close(wait_seconds)

    @property
    def closed(self) -> bool:
        return self._pool.closed


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that holds connections of the pool: it goes on where the task is cancelled."""
    await asyncio.shield(asyncio.ensure_future(work))


async def _going_on(work: Coroutine[Any, Any, None], waits_for: object) -> None:
    await _after(work, waits_for)


@coroutine
def _after(work: Coroutine[Any, Any, None], waits_for: object) -> Generator[object, None, None]:
    yield waits_for
    yield from work
