"""One PostgreSQL connection: its transactions, and the carrying out of steps.

BEGIN, SAVEPOINT and RELEASE are sent together with the next statement, so that they cost no round
trip of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

from psycopg.pq import TransactionStatus

from forgedb.drivers.postgres import session_reset
from forgedb.drivers.postgres.binary import COPY_BEGIN, COPY_END, Column, copied
from forgedb.drivers.postgres.errors import (
    DRIVER_ERRORS,
    is_lost,
    is_read_only,
    is_stale,
    translate,
)
from forgedb.drivers.postgres.link import Answer, Link, Sent
from forgedb.drivers.postgres.timelines import OldTimeline, Server
from forgedb.drivers.postgres.timeouts import NotReplicated, Overdue
from forgedb.drivers.postgres.values import DECODERS
from forgedb.errors import ForgeDbError, InvalidValue, Unavailable
from forgedb.operations.call_timeout import LEAVING_SECONDS, at_most
from forgedb.operations.steps import (
    Change,
    ChangeMany,
    Lookup,
    Native,
    Now,
    Run,
    Select,
    SelectOne,
    Step,
    Steps,
    Together,
)
from forgedb.sql.catalogue import Sql
from forgedb.sql.placeholders import compile_text

R = TypeVar("R")

BEGIN_WRITE = Sent(b"BEGIN ISOLATION LEVEL READ COMMITTED")
"""Under it a lock's holder sees what was committed before it got the lock."""

WARNINGS_TOLD = Sent(b"SET LOCAL client_min_messages TO warning")
"""Where a pooler shares the session with others, it can't be set once: see the pool's settings."""

BEGIN_READ = Sent(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

_BEGINNINGS = (BEGIN_READ, BEGIN_WRITE)

COMMIT = Sent(b"COMMIT")
ROLLBACK = Sent(b"ROLLBACK")
SAVEPOINT = Sent(b"SAVEPOINT forgedb")
RELEASE = Sent(b"RELEASE SAVEPOINT forgedb")
ROLLBACK_TO = Sent(b"ROLLBACK TO SAVEPOINT forgedb")

CLOCK = Sent(b"SELECT clock_timestamp()")

COMPILED_MAX = 2000


class _Texts(dict[Sql, tuple[bytes, tuple[str, ...]]]):
    """Each statement in psycopg's format and its parameters' names, made when first sent."""

    def __missing__(self, statement: Sql) -> tuple[bytes, tuple[str, ...]]:
        if len(self) >= COMPILED_MAX:
            self.clear()
        text, names = compile_text(statement.postgres, "postgres")
        compiled = self[statement] = text.encode(), names
        return compiled


_TEXTS = _Texts()


class PostgresConnection:
    """An open connection; ``clock`` gives the time to operations, or the server does."""

    def __init__(
        self,
        link: Link[Any],
        where: str,
        clock: Callable[[], datetime] | None,
        server: Server,
        *,
        settings: str,
        has_own_session: bool = True,
    ) -> None:
        self.link = link
        self.server = server
        self._settings = settings
        """What the session began with."""
        self._has_prepared = False
        """Whether a migration's file may have prepared statements of its own."""
        self._begin_write = [BEGIN_WRITE]
        if not has_own_session:
            self._begin_write.append(WARNINGS_TOLD)
            self._settings += f"; {WARNINGS_TOLD.text.decode()}"
        self._where = where
        self._clock = clock
        self._owed: list[Sent] = []
        """The statements to send ahead of the next one, in the same round trip."""
        self._changed = False
        """Whether the transaction may have changed something."""
        self._is_reading = False
        """Whether it was begun read-only."""
        self.lent_at = 0.0
        """When the pool was asked for it, by the monotonic clock."""
        self.spent = False
        """Whether the pool must replace it, as when its session isn't as it was opened."""
        self.is_late = False
        """Whether the call that uses it has less than the usual timeout left."""
        self.is_silent = False
        """Whether it was given up, since the server didn't answer."""
        self.is_read_only = False
        """Whether the server refused to write, and another host may not."""

    async def drive(self, steps: Steps[R]) -> R:
        """Carry out an operation's steps; a step's error is raised inside the operation."""
        # Most operations are one SELECT of one row: it goes the shortest way.
        first = self.link.first
        lookup: Any = steps
        if type(lookup) is Lookup and not self._owed:
            try:
                row = await first(_TEXTS[lookup.statement][0], lookup.params)
            except DRIVER_ERRORS as error:
                raise self._translated(error, lookup) from error
            decode = DECODERS[lookup.model][0]
            found: R = lookup.there(None if row is None else decode(row))
            return found
        try:
            step = steps.send(None)
            while True:
                try:
                    result: Any
                    if type(step) is SelectOne and not self._owed and step.statement.own:
                        row = await first(_TEXTS[step.statement][0], step.params)
                        result = None if row is None else DECODERS[step.model][0](row)
                    else:
                        result = await self._perform(step)
                except InvalidValue as error:
                    # From a row's decoder; the operation may handle it.
                    step = steps.throw(error)
                except DRIVER_ERRORS as error:
                    step = steps.throw(self._translated(error, step))
                else:
                    step = steps.send(result)
        except StopIteration as stop:
            value: R = stop.value
            return value
        except BaseException:
            steps.close()
            raise

    async def _perform(self, step: Step) -> Any:
        if isinstance(step, Now) and self._clock is not None:
            return self._clock()
        if isinstance(step, Native):
            return step.value
        if isinstance(step, Together):
            return await self._perform_together(step)
        if isinstance(step, ChangeMany):
            return await self._change_many(step)
        self._changed = self._changed or not _reads(step)
        if isinstance(step, Select | Change) and step.statement.sets_session:
            self.spent = True
        if isinstance(step, Run):
            return await self._run(step)
        (answer,) = await self._together([_sent(step)])
        return _result(step, answer)

    async def _run(self, step: Run) -> None:
        await self._send_owed()
        texts = [*step.texts]
        self._has_prepared = self._has_prepared or session_reset.may_prepare(texts)
        if step.ending is not None:
            texts += session_reset.statements(
                step.ending, self._settings, has_prepared=self._has_prepared
            )
            self._has_prepared = False
        was_spent, self.spent = self.spent, True
        statuses = await self.link.script(texts, step.tell)
        # Outside a transaction, or where a statement fails, what was set in the session may stay.
        is_as_new = step.ending is not None and "LOAD" not in statuses
        sets = "SET" in statuses or any("set_config" in text for text in texts)
        self.spent = was_spent or self._is_idle or (sets and not is_as_new)

    async def _perform_together(self, step: Together) -> list[Any]:
        self._changed = self._changed or not all(map(_reads, step.steps))
        clock = self._clock
        asked = [each for each in step.steps if clock is None or not isinstance(each, Now)]
        answers = iter(await self._together([_sent(each) for each in asked]))
        return [
            _result(each, next(answers)) if clock is None or not isinstance(each, Now) else clock()
            for each in step.steps
        ]

    async def _change_many(self, step: ChangeMany) -> int:
        self._changed = True
        if step.copy is not None:
            await self._send_owed()
            blocks = (copied(step.copy.types, columns) for columns in step.batches)
            return await self.link.copy(
                step.copy.text.encode(), chain([COPY_BEGIN], blocks, [COPY_END])
            )
        text, names = _TEXTS[step.statement]
        changed = 0
        for columns in step.batches:
            params = dict(zip(names, map(Column, columns), strict=True))
            (answer,) = await self._together([Sent(text, params)])
            changed += answer.changed
        return changed

    async def _send_owed(self) -> None:
        if self._owed:
            await self._together(())

    async def _together(self, batch: Sequence[Sent]) -> list[Answer]:
        owed, self._owed = self._owed, []
        if not owed and len(batch) == 1:
            return [await self.link.ask(batch[0])]
        try:
            answers = await self.link.together([*owed, *batch])
        except BaseException:
            if owed and owed[0] in _BEGINNINGS and not self.link.lost and self._is_idle:
                # It was cancelled before the BEGIN was sent, which is still to be sent.
                self._owed = owed
            raise
        return answers[len(owed) :]

    def begin(self, *, read_only: bool) -> None:
        self._owed = [BEGIN_READ] if read_only else [*self._begin_write]
        self._changed = False
        self._is_reading = read_only

    async def commit(self) -> None:
        """Commit.  Raises Unavailable, whose outcome is unknown where no reply came."""
        if not self._has_begun:
            self._owed.clear()
            return
        if self.link.lost:
            raise Unavailable(
                f"the connection was lost before the transaction was committed: {self._where}",
                retryable=True,
            )
        if self._changed and self.server.is_overtaken:
            await self.rollback()
            self.spent = True
            overtaken = OldTimeline(self.server)
            raise Unavailable(f"nothing was committed: {overtaken}", retryable=True) from overtaken
        try:
            (answer,) = await self._together([COMMIT])
        except DRIVER_ERRORS as error:
            translated = self._translated(error)
            if is_lost(error):
                how = "the connection was lost"
                if isinstance(error, Overdue):
                    how = f"the server gave no answer within {error.seconds:g} s"
                raise Unavailable(
                    f"{how} while the transaction was being committed: {self._where}; look whether"
                    " it is there before doing it again",
                    outcome="unknown",
                ) from error
            if not isinstance(error, NotReplicated):
                await self.rollback()
            raise translated from error
        if answer.status == "ROLLBACK":
            raise Unavailable(
                f"the transaction was rolled back, since one of its statements had failed:"
                f" {self._where}; begin it again"
            )

    async def rollback(self) -> None:
        """Undo the open transaction; a connection on which that fails is closed."""
        begun, self._owed = self._has_begun, []
        if not begun or self.link.lost:
            return
        status = self.link.raw.info.transaction_status
        if status == TransactionStatus.ACTIVE:
            await self.link.close()
            return
        # Where nothing changed COMMIT does the same, and psycopg forgets its prepared statements
        # at every ROLLBACK.
        is_idle = status == TransactionStatus.INTRANS and not self._changed
        try:
            with at_most(LEAVING_SECONDS):
                await self.link.ask(COMMIT if is_idle else ROLLBACK)
        except DRIVER_ERRORS:
            await self.link.close()

    @property
    def _is_reading_alone(self) -> bool:
        """Whether a read-only transaction is open."""
        return self._is_reading and not self._is_idle

    @property
    def _is_idle(self) -> bool:
        """Whether no transaction is open on the server."""
        status: TransactionStatus = self.link.raw.info.transaction_status
        return status is TransactionStatus.IDLE

    @property
    def _has_begun(self) -> bool:
        """Whether the BEGIN was sent."""
        return not self._owed or self._owed[0] not in _BEGINNINGS

    def savepoint(self) -> None:
        self._owed.append(SAVEPOINT)

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        if self._owed and self._owed[-1] is SAVEPOINT:
            self._owed.pop()
        else:
            self._owed.append(RELEASE)

    async def rollback_to(self) -> None:
        """Undo what was done since the savepoint; where that fails, the whole transaction fails."""
        if SAVEPOINT in self._owed:
            while self._owed.pop() is not SAVEPOINT:
                pass
            return
        if self.link.lost:
            return
        try:
            with at_most(LEAVING_SECONDS):
                await self._together([ROLLBACK_TO, RELEASE])
        except Exception:  # noqa: BLE001 - whatever psycopg trips over
            # The error that is being raised already says more than this one.  If an interruption
            # came before the SAVEPOINT, the ROLLBACK TO has failed the transaction, and the server
            # refuses further statements.  If it came within a pipeline, psycopg's state may be
            # wrong: then the connection is closed.
            if not self.link.has_failed:
                await self.link.close()

    def _translated(self, error: Exception, step: Step | Lookup | None = None) -> ForgeDbError:
        translated = translate(error, self._where, step)
        self.spent = self.spent or is_stale(error)
        self.is_silent = self.is_silent or (isinstance(error, Overdue) and error.is_cut)
        if self.server.has_others and is_read_only(error) and not self._is_reading_alone:
            self.spent = self.is_read_only = True
            translated = Unavailable(f"{translated}; another host may take it", retryable=True)
        if isinstance(step, Run):
            translated.number = getattr(error, "number", 0)
            translated.position = getattr(error, "position", None)
        translated.__cause__ = error
        return translated


def _reads(step: Step) -> bool:
    """Whether the step is known to change nothing; of a caller's own text that isn't known."""
    if isinstance(step, Select | SelectOne):
        return step.statement.own
    return isinstance(step, Now)


def _sent(step: Step) -> Sent:
    if isinstance(step, Select | SelectOne | Change):
        return Sent(_TEXTS[step.statement][0], step.params)
    return CLOCK


def _result(step: Step, answer: Answer) -> Any:
    if isinstance(step, SelectOne):
        return DECODERS[step.model][0](answer.rows[0]) if answer.rows else None
    if isinstance(step, Select):
        return answer.rows if step.model is None else DECODERS[step.model][1](answer.rows)
    if isinstance(step, Change):
        return answer.changed
    return answer.rows[0][0] if isinstance(step, Now) else None
