"""How long a connection waits for the server, and what happens where no answer comes.

psycopg waits for ever, and where it is interrupted, for ten seconds more.  Here every wait ends:
the statement is cancelled, and where the server doesn't react to that either, the connection is
cut.
"""

from __future__ import annotations

import os
import socket
import time
from asyncio import CancelledError
from collections.abc import Generator
from contextlib import suppress
from math import ceil, inf
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.conninfo import make_conninfo
from psycopg.errors import Diagnostic, QueryCanceled, _WaitTimeout
from psycopg.pq import ConnStatus, TransactionStatus

from forgedb.drivers.sync_facade import finish
from forgedb.operations.call_timeout import LIMIT, at_most, for_an_answer
from forgedb.operations.cancellation import STOP, stop_if_told

R = TypeVar("R")

INTERVAL_SECONDS = 0.1
"""How often psycopg checks for Ctrl-C while it waits."""

STOP_SECONDS = 0.7
"""How long the server has to cancel a statement before the connection is cut."""

PROBE_SECONDS = 5.0

WATCHED = 0.1
"""In the last part of a wait's time, this share of it, any data that comes prolongs the wait.
Watching for data all along would make a read by id take 2 % longer."""

NOT_REPLICATED = "SyncRepWaitForLSN"
"""The server's function that warns of it; the message may be in any language."""


class Overdue(psycopg.OperationalError):
    """No answer came within ``seconds``; ``is_cut`` where the server didn't stop when asked to."""

    def __init__(self, seconds: float, *, is_cut: bool) -> None:
        super().__init__(f"no answer within {seconds:g} s")
        self.seconds = seconds
        self.is_cut = is_cut


class NotReplicated(psycopg.OperationalError):
    """What was committed is on the primary, and the wait for its standby was cancelled."""


class Patient:
    """A connection of psycopg's whose waits end.

    What it does at a timeout is written once, with ``await``: on a blocking connection that never
    suspends.
    """

    call_seconds: float | None = None
    """How long an answer is waited for; None is for ever."""
    conninfo = ""
    """Where to connect to check whether the server still answers others."""
    has_warned = False
    """Whether a COMMIT didn't wait for its standby, since this was last set to False."""

    told: list[tuple[str, str]] | None = None
    """The server's other notices, each with its severity; None while nobody asks for them."""

    def listen_for_warnings(self: Any) -> None:
        """Note it when the server says that a standby may lack what was committed."""
        self.add_notice_handler(self._noticed)

    def _noticed(self, diagnostic: Diagnostic) -> None:
        if diagnostic.source_function == NOT_REPLICATED:
            self.has_warned = True
        elif self.told is not None:
            words = (
                diagnostic.message_primary,
                diagnostic.message_detail,
                diagnostic.message_hint,
            )
            severity = diagnostic.severity_nonlocalized or diagnostic.severity or ""
            self.told.append((severity, "; ".join(each for each in words if each)))

    def require_replicated(self) -> None:
        """Raise NotReplicated where the server has warned of it."""
        if self.has_warned:
            raise NotReplicated("the wait for a synchronous standby was cancelled")

    def cut(self: Any) -> None:
        """Shut the socket down; whoever waits for it gets a lost connection."""
        # Not closed at once: psycopg would wait for ever on a socket that is closed under it.
        # In a child process the descriptor is no socket any more.
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)

    async def _late(self: Any, gen: Generator[Any, Any, R], seconds: float) -> R:
        """Wait on for an answer that didn't come in most of its time.  Raises Overdue."""
        left = seconds * WATCHED
        while True:
            with suppress(_Silence):
                result: R = await self._answer(_while_heard(gen, left, seconds), None)
                return result
            if LIMIT.get() != inf or not await self._answers_others():
                break
            left = seconds
        try:
            result = await self._end(gen)
        except QueryCanceled as error:
            raise Overdue(seconds, is_cut=False) from error
        except psycopg.OperationalError as error:
            if self.pgconn.status == ConnStatus.OK:
                raise
            raise Overdue(seconds, is_cut=True) from error
        # The answer came after all.
        return result

    async def _end(self: Any, gen: Generator[Any, Any, R]) -> R:
        """Cancel the statement, or cut the connection; returns the result, or raises the error."""
        give_up_at = time.monotonic() + STOP_SECONDS
        interruption: BaseException | None = None
        try:
            await self.ask_to_stop(STOP_SECONDS)
            result: R = await self._answer(gen, max(0.0, give_up_at - time.monotonic()))
            return result
        except psycopg.Error as error:
            if error.sqlstate is not None or self.pgconn.status != ConnStatus.OK:
                raise
        except BaseException as error:  # noqa: BLE001 - raised below, when nothing is left running
            interruption = error
        self.cut()
        try:
            result = await self._answer(gen, STOP_SECONDS)
        except _WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the line was cut") from interruption
        except psycopg.Error as error:
            raise interruption or error from None
        if interruption is not None:
            raise interruption
        return result

    async def _interrupted(self: Any, gen: Generator[Any, Any, Any]) -> None:
        """Leave no statement running on the server that nobody waits for any more."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):
                await self._end(gen)

    def _probe(self: Any) -> dict[str, Any]:
        """How to connect to this same server again: the URL may have other hosts."""
        there = {"host": self.info.host, "port": self.info.port}
        if hostaddr := self.info.hostaddr:
            there["hostaddr"] = hostaddr
        return {
            "conninfo": make_conninfo(self.conninfo, **there, connect_timeout=ceil(PROBE_SECONDS)),
            "autocommit": True,
        }


class PatientConnection(Patient, psycopg.Connection[Any]):
    """For threads."""

    def wait(
        self,
        gen: Generator[Any, Any, R],
        interval: float = INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> R:
        seconds = for_an_answer(self.call_seconds)
        heard = gen if STOP.get() is None else _until_stopped(gen)
        try:
            try:
                return waiting.wait(
                    heard,
                    self.pgconn.socket,
                    interval=interval,
                    timeout=None if seconds is None else seconds * (1 - WATCHED),
                )
            except _WaitTimeout:
                assert seconds is not None
                return finish(self._late(heard, seconds))
        except psycopg.Error:
            raise
        except BaseException:
            # Whatever a signal's handler raises, not KeyboardInterrupt alone.
            finish(self._interrupted(gen))
            raise

    async def _answer(self, gen: Generator[Any, Any, R], seconds: float | None) -> R:
        return waiting.wait(gen, self.pgconn.socket, interval=INTERVAL_SECONDS, timeout=seconds)

    async def ask_to_stop(self, seconds: float) -> None:
        self.cancel_safe(timeout=seconds)

    async def _answers_others(self) -> bool:
        try:
            with at_most(PROBE_SECONDS), PatientConnection.connect(**self._probe()) as other:
                other.execute(b"SELECT 1")
        except psycopg.Error as error:
            return is_answered(error)
        return True


class PatientAsyncConnection(Patient, psycopg.AsyncConnection[Any]):
    """For tasks."""

    async def wait(
        self,
        gen: Generator[Any, Any, R],
        interval: float = INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> R:
        seconds = for_an_answer(self.call_seconds)
        try:
            try:
                return await waiting.wait_async(
                    gen,
                    self.pgconn.socket,
                    interval=interval,
                    timeout=None if seconds is None else seconds * (1 - WATCHED),
                )
            except _WaitTimeout:
                assert seconds is not None
                return await self._late(gen, seconds)
        except (CancelledError, KeyboardInterrupt, SystemExit):
            await self._interrupted(gen)
            raise

    async def _answer(self, gen: Generator[Any, Any, R], seconds: float | None) -> R:
        return await waiting.wait_async(
            gen, self.pgconn.socket, interval=INTERVAL_SECONDS, timeout=seconds
        )

    async def ask_to_stop(self, seconds: float) -> None:
        await self.cancel_safe(timeout=seconds)

    async def _answers_others(self) -> bool:
        try:
            with at_most(PROBE_SECONDS):
                async with await PatientAsyncConnection.connect(**self._probe()) as other:
                    await other.execute(b"SELECT 1")
        except psycopg.Error as error:
            return is_answered(error)
        return True


def is_answered(error: psycopg.Error) -> bool:
    """Whether it was the server that refused a connection: one that is full is alive."""
    return "FATAL:" in str(error)


class _Silence(Exception):
    """Nothing came for as long as a wait was watched."""


def _while_heard(
    gen: Generator[Any, Any, R], left: float, seconds: float
) -> Generator[Any, Any, R]:
    """psycopg's generator, until no data comes for ``left`` seconds; after any, for ``seconds``."""
    silent_at = time.monotonic() + left
    try:
        waits_for = gen.send(None)
        while True:
            ready = yield waits_for
            now = time.monotonic()
            if ready:
                silent_at = now + seconds
            elif now > silent_at:
                raise _Silence
            waits_for = gen.send(ready)
    except StopIteration as stop:
        result: R = stop.value
        return result


def _until_stopped(gen: Generator[Any, Any, R]) -> Generator[Any, Any, R]:
    """psycopg's generator as it is, until the task that waits for it is cancelled."""
    stop_if_told()
    try:
        waits_for = gen.send(None)
        while True:
            ready = yield waits_for
            stop_if_told()
            waits_for = gen.send(ready)
    except StopIteration as stop:
        result: R = stop.value
        return result
