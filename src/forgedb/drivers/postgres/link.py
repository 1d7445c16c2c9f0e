"""One connection of psycopg's, for threads or for tasks, behind the same coroutines.

The code that uses a link is written once, with ``await``.  A blocking link blocks until its work
is done, so that its coroutines never suspend; an awaited link's do, as usual.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from forgedb.drivers.postgres.prepared import Preparing
from forgedb.drivers.postgres.scripts import characters, joined, place
from forgedb.drivers.postgres.timeouts import (
    STOP_SECONDS,
    PatientAsyncConnection,
    PatientConnection,
)
from forgedb.operations.call_timeout import as_long_as_it_lives

C = TypeVar("C", bound=PatientConnection | PatientAsyncConnection)

Params = Mapping[str, Any]


class Sent(NamedTuple):
    """A statement to send, in psycopg's format; without parameters it goes as it is."""

    text: bytes
    params: Params | None = None


NOTICE_SECONDS = 0.001
"""How often to look whether a connection that was broken off is still in use."""

ALIVE = Sent(b"SELECT 1")


class Answer(NamedTuple):
    """A statement's result: its rows, how many it changed, and the server's command tag."""

    rows: list[tuple[Any, ...]]
    changed: int
    status: str


class Link(ABC, Generic[C]):
    """What the driver asks of a connection, ``raw``."""

    def __init__(self, raw: C, preparing: Preparing) -> None:
        self.raw = raw
        self._preparing = preparing
        self._is_severed = False

    async def ask(self, sent: Sent) -> Answer:
        """Send one statement."""
        prepare = sent.params is not None and self._preparing.is_due(sent.text)
        # It may be left from a statement that was interrupted.
        self.raw.has_warned = False
        answer = await self._ask(sent, prepare)
        self._note(sent, answer)
        self.raw.require_replicated()
        return answer

    async def first(self, text: bytes, params: Params) -> tuple[Any, ...] | None:
        """The first row of one statement: most calls are this, so it takes the shortest path."""
        if self._preparing.is_done(text):
            return await self._first(text, params)
        rows = (await self.ask(Sent(text, params))).rows
        return rows[0] if rows else None

    async def together(self, batch: Sequence[Sent]) -> list[Answer]:
        """Send several in one round trip; the first that fails is raised, the rest don't run."""
        if any(sent.params is not None and self._preparing.is_due(sent.text) for sent in batch):
            return [await self.ask(sent) for sent in batch]
        self.raw.has_warned = False
        answers = await self._pipeline(batch)
        for sent, answer in zip(batch, answers, strict=True):
            self._note(sent, answer)
        self.raw.require_replicated()
        return answers

    def _note(self, sent: Sent, answer: Answer) -> None:
        if answer.status == "ROLLBACK":
            self._preparing.forget()
        elif sent.params is not None:
            self._preparing.used(sent.text)

    async def script(
        self, texts: Sequence[str], tell: Callable[[str, str], None] | None = None
    ) -> list[str]:
        """Send several statements in one round trip; returns the command tag of each.

        ``tell`` is called with the server's notices, as for a Run.

        The error that is raised says which statement failed, as its ``number``, and where in it,
        from 0, as its ``position``, if the server said.
        """
        self.raw.has_warned = False
        self.raw.told = []
        try:
            results = await self._sent(joined(texts))
        finally:
            told, self.raw.told = self.raw.told, None
        if tell is not None:
            for severity, words in told:
                tell(severity, words)
        failed = _failed(results)
        if failed is not None:
            error: Any = failed
            error.number, error.position = await self._blamed(texts, failed, len(results) - 1)
            raise error
        self.raw.require_replicated()
        return [(result.command_status or b"").decode() for result in results]

    async def _sent(self, text: bytes) -> list[PGresult]:
        self.raw.pgconn.send_query(text)
        return await self._results(generators.execute(self.raw.pgconn))

    async def _blamed(
        self, texts: Sequence[str], error: psycopg.Error, number: int
    ) -> tuple[int, int | None]:
        """Which statement an error is about, and where in it; ``number`` results came before it."""
        told = error.diag.statement_position
        if told:
            encoding = self.raw.info.parameter_status("server_encoding")
            return place(texts, characters(texts, int(told), encoding))
        if number == 0 and len(texts) > 1 and self.has_failed:
            # The server may have failed to parse any of them.  In a failed transaction it parses
            # statements, but runs none: so each is sent alone, to see which it refuses.
            for each, text in enumerate(texts):
                again = _failed(await self._sent(text.encode()))
                if not isinstance(again, psycopg.errors.InFailedSqlTransaction):
                    return each, None
        return number, None

    @property
    def has_failed(self) -> bool:
        """Whether the transaction has failed, and can only be rolled back."""
        return self.raw.info.transaction_status == TransactionStatus.INERROR

    @abstractmethod
    async def _results(self, fetching: Any) -> list[PGresult]: ...

    @abstractmethod
    async def copy(self, text: bytes, blocks: Iterable[bytes]) -> int:
        """Stream the blocks into a ``COPY ... FROM STDIN``; returns how many rows they were."""

    async def close(self) -> None:
        """Close the connection, and leave no statement of it running on the server."""
        await self._stop_server()
        await self._close()

    async def _stop_server(self) -> None:
        """Have the server cancel the statement that it runs.

        While it runs one it doesn't notice that the client is gone, and would keep its locks.
        """
        if self._is_used and not self._is_severed:
            with suppress(psycopg.Error, asyncio.CancelledError):
                await self.raw.ask_to_stop(STOP_SECONDS)

    @abstractmethod
    async def _close(self) -> None: ...

    async def break_off(self) -> None:
        """Close it while it is in use: its user gets a lost connection or cancelled statement."""
        if self.lost:
            return
        await self._stop_server()
        self.raw.cut()
        give_up_at = time.monotonic() + STOP_SECONDS
        while self._is_used and time.monotonic() < give_up_at:
            await self._pause(NOTICE_SECONDS)
        await self.close()

    def sever(self) -> None:
        """Cut it off from the server, in a child process: the parent's session stays as it is."""
        if not self.lost:
            self._is_severed = True
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self.raw.pgconn.socket)
            os.close(nothing)

    @property
    def _is_used(self) -> bool:
        return self.raw.info.transaction_status == TransactionStatus.ACTIVE and not self.lost

    @property
    def lost(self) -> bool:
        return self.raw.closed

    async def is_alive(self) -> bool:
        """Whether the idle connection can be used; the server is asked only if data has arrived.

        A server that ends a session sends an error first; checking for data costs no round trip.
        """
        if self.lost:
            return False
        waiting = select.poll()
        waiting.register(self.raw.pgconn.socket, select.POLLIN)
        if not waiting.poll(0):
            return True
        try:
            await self._ask(ALIVE, prepare=False)
        except psycopg.Error:
            await self.close()
            return False
        return True

    @abstractmethod
    async def _pause(self, seconds: float) -> None:
        """Wait, also where the task is cancelled meanwhile."""

    @abstractmethod
    async def _ask(self, sent: Sent, prepare: bool) -> Answer: ...

    @abstractmethod
    async def _first(self, text: bytes, params: Params) -> tuple[Any, ...] | None: ...

    @abstractmethod
    async def _pipeline(self, batch: Sequence[Sent]) -> list[Answer]: ...


class BlockingLink(Link[PatientConnection]):
    """For threads."""

    def __init__(self, raw: PatientConnection, preparing: Preparing) -> None:
        super().__init__(raw, preparing)
        self._cursor = raw.cursor()

    async def _ask(self, sent: Sent, prepare: bool) -> Answer:
        cursor = self._cursor
        cursor.execute(sent.text, sent.params, prepare=prepare or None)
        return _answer(cursor, cursor.fetchall() if _has_rows(cursor) else [])

    async def _first(self, text: bytes, params: Params) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._cursor.execute(text, params).fetchone()
        return row

    async def _pipeline(self, batch: Sequence[Sent]) -> list[Answer]:
        cursors = [self.raw.cursor() for _ in batch]
        handled = sys.exc_info()[1]
        try:
            with self.raw.pipeline():
                for cursor, sent in zip(cursors, batch, strict=True):
                    cursor.execute(sent.text, sent.params)
        except psycopg.Error as error:
            _raise_interruption(error, handled)
            raise
        return [
            _answer(cursor, cursor.fetchall() if _has_rows(cursor) else []) for cursor in cursors
        ]

    async def copy(self, text: bytes, blocks: Iterable[bytes]) -> int:
        handled = sys.exc_info()[1]
        try:
            with ExitStack() as at_the_end, self._cursor.copy(text) as copy:
                for block in blocks:
                    copy.write(block)
                at_the_end.enter_context(as_long_as_it_lives())
        except psycopg.Error as error:
            _raise_interruption(error, handled)
            raise
        return self._cursor.rowcount

    async def _results(self, fetching: Any) -> list[PGresult]:
        with self.raw.lock:
            return self.raw.wait(fetching)

    async def _close(self) -> None:
        self.raw.close()

    async def _pause(self, seconds: float) -> None:
        time.sleep(seconds)


class AwaitedLink(Link[PatientAsyncConnection]):
    """For tasks."""

    def __init__(self, raw: PatientAsyncConnection, preparing: Preparing) -> None:
        super().__init__(raw, preparing)
        self._cursor = raw.cursor()

    async def _ask(self, sent: Sent, prepare: bool) -> Answer:
        cursor = self._cursor
        await cursor.execute(sent.text, sent.params, prepare=prepare or None)
        return _answer(cursor, await cursor.fetchall() if _has_rows(cursor) else [])

    async def _first(self, text: bytes, params: Params) -> tuple[Any, ...] | None:
        await self._cursor.execute(text, params)
        row: tuple[Any, ...] | None = await self._cursor.fetchone()
        return row

    async def _pipeline(self, batch: Sequence[Sent]) -> list[Answer]:
        # In a task of its own: a pipeline that is left in the middle can't be taken up again.
        sending = asyncio.ensure_future(self._send(batch))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await self._stop(sending)
            raise

    async def _send(self, batch: Sequence[Sent]) -> list[Answer]:
        cursors = [self.raw.cursor() for _ in batch]
        async with self.raw.pipeline():
            for cursor, sent in zip(cursors, batch, strict=True):
                await cursor.execute(sent.text, sent.params)
        return [
            _answer(cursor, await cursor.fetchall() if _has_rows(cursor) else [])
            for cursor in cursors
        ]

    async def _stop(self, sending: asyncio.Future[list[Answer]]) -> None:
        """Cancel what the server is doing and wait for that; give the connection up if it can't."""
        give_up_at = time.monotonic() + STOP_SECONDS
        with suppress(psycopg.Error, asyncio.CancelledError):
            if not sending.done():
                await self.raw.cancel_safe(timeout=STOP_SECONDS)
                await asyncio.wait([sending], timeout=give_up_at - time.monotonic())
        if not sending.done():
            self.raw.cut()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([sending], timeout=STOP_SECONDS)
        if sending.done():
            # Retrieved, or asyncio would log that the exception never was.
            sending.exception()
        else:
            sending.cancel()
            await self.close()

    async def copy(self, text: bytes, blocks: Iterable[bytes]) -> int:
        with ExitStack() as at_the_end:
            async with self._cursor.copy(text) as copy:
                for block in blocks:
                    await copy.write(block)
                at_the_end.enter_context(as_long_as_it_lives())
        return self._cursor.rowcount

    async def _results(self, fetching: Any) -> list[PGresult]:
        async with self.raw.lock:
            return await self.raw.wait(fetching)

    async def _close(self) -> None:
        await self.raw.close()

    async def _pause(self, seconds: float) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(seconds)


def _failed(results: Sequence[PGresult]) -> psycopg.Error | None:
    """The error of the last statement, if it failed: what came after it wasn't run."""
    is_error = bool(results) and results[-1].status == ExecStatus.FATAL_ERROR
    return psycopg.errors.error_from_result(results[-1]) if is_error else None


def _has_rows(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]) -> bool:
    # Not by cursor.description, which makes an object for every column.
    result = cursor.pgresult
    return result is not None and result.status == ExecStatus.TUPLES_OK


def _raise_interruption(error: psycopg.Error, handled: BaseException | None) -> None:
    """Raise what interrupted psycopg, if it raised an error of its own in its place.

    On that error a caller would try again.  ``handled`` was being handled before the call.
    """
    before = error.__context__
    while before is not None and before is not handled:
        if not isinstance(before, Exception):
            raise before
        before = before.__context__


def _answer(
    cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any], rows: list[tuple[Any, ...]]
) -> Answer:
    status = cursor.statusmessage or ""
    # psycopg also counts the rows that a SELECT gave, and those of no statement at all as -1.
    changes = status.startswith(("INSERT", "UPDATE", "DELETE", "MERGE"))
    return Answer(rows, cursor.rowcount if changes else 0, status)
