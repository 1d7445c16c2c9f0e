"""Files whose statements refuse to run in a transaction, such as CREATE INDEX CONCURRENTLY.

No lock can be held meanwhile, and nothing is undone where one fails.  So which file was begun, and
how many of its statements were run, is recorded before and after each statement: other processes
wait for it, every later run sees a failure, and `resolve` decides how it goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import msgspec

from forgedb.errors import Conflict, ForgeDbError, LockTimeout, UsageError, shown
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import refused
from forgedb.migrations.hints import hint
from forgedb.migrations.history import BegunMigration, checksum_of
from forgedb.migrations.invalid_indexes import invalid_indexes, left_by, made_by, names_in, unused
from forgedb.migrations.lock_retry import LockRetry
from forgedb.migrations.locking import queue_briefly
from forgedb.migrations.script import Script
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.cancellation import Stopped
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Run, Steps, now, rows, run
from forgedb.sql.catalogue import sql
from forgedb.sql.split import ScriptStatement

Resolution = Literal["retry", "applied"]

AT_WORK = sql(
    sqlite="SELECT 0, '' WHERE false",
    postgres="""
    SELECT pid, left(query, 200)
    FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
    """,
)
"""The statements that the database's sessions run; a role sees only those of its own sessions."""

INTERRUPTED = "it was interrupted"


class OutsideTransaction:
    """Runs such files, and continues those that weren't finished."""

    def __init__(
        self, database: MigrationRunner, retry: LockRetry, transaction: FileTransaction
    ) -> None:
        self._database = database
        self._retry = retry
        self._transaction = transaction

    def apply(self, script: Script) -> AppliedMigration | None:
        """Run a file, or what is left of it, unless another process has done so.

        Raises MigrationError (what ran before stays), LockTimeout, Conflict (it was resolved
        meanwhile).
        """
        began = time.monotonic()
        begun = self._retry.write(partial(self._begin, script))
        if begun is None:
            return None
        try:
            return self._go_on(script, begun, began)
        finally:
            self._database.end_session()

    def _go_on(self, script: Script, begun: BegunMigration, began: float) -> AppliedMigration:
        taken_up = begun.done
        for count, statement in enumerate(script.statements[taken_up:], taken_up + 1):
            failure: ForgeDbError | None = None
            try:
                before = self._database.read(invalid_indexes(self._transaction.table.files_schema))
                try:
                    self._run(script, count - 1, is_first=count == taken_up + 1)
                except ForgeDbError as error:
                    failure = error
                after = self._database.read(invalid_indexes(self._transaction.table.files_schema))
            except (KeyboardInterrupt, SystemExit, Stopped):
                self._note(begun, msgspec.structs.replace(begun, state="failed", error=INTERRUPTED))
                raise
            invalid = left_by(statement.text, failure is not None, before, after)
            if failure is None and not invalid:
                texts = [statement.text for statement in script.statements[:count]]
                checksum = checksum_of(texts)
                further = msgspec.structs.replace(begun, done=count, done_checksum=checksum)
                begun = self._note(begun, further)
                continue
            left = unused(invalid)
            words = [str(failure)] if failure else []
            words += [left] if invalid else []
            why = "; ".join(words)
            # A table that the file has made may hide the history.
            self._database.end_session()
            self._note(begun, msgspec.structs.replace(begun, state="failed", error=why))
            way_out = self._database.read(hint(failure)) if failure else ""
            way_out += f"; {left}" if failure and invalid else ""
            raise self._transaction.failed(
                script,
                statement,
                failure or Conflict("pg_index.indisvalid", left),
                f"{way_out}; see `forgedb migrate resolve"
                f" {begun.version}{self._transaction.options}`",
            ) from failure
        return self._retry.write(partial(self._end, script, begun, began))

    def _run(self, script: Script, number: int, *, is_first: bool) -> None:
        """Run a statement, after what the file sets before it for its session."""
        text = script.statements[number].text
        settings = [each.text for each in script.statements[:number] if _sets_session(each)]
        tell = self._transaction.hearing(script)
        if self._database.dialect == "postgres":
            # The settings are repeated, since the statement may get any connection.
            self._database.autocommit(self._one_by_one(settings, text, tell))
            return
        # SQLite has one writer connection, so that settings of this run needn't be repeated.  A
        # statement that failed because the database is busy has done nothing, and can be retried.
        for each in [*(settings if is_first else ()), text]:
            self._retry.autocommit(partial(self._run_and_look, each))

    def _run_and_look(self, text: str) -> Steps[None]:
        changed = yield from run(text)
        why = (yield from self._transaction.table.shadowed()) if changed else None
        if why is not None:
            raise UsageError(why)

    def _one_by_one(
        self, settings: Sequence[str], text: str, tell: Callable[[str, str], None] | None
    ) -> Steps[None]:
        place = self._transaction.table.place
        if place is not None:
            yield from place.enter(for_the_transaction=False)
        for each in settings:
            yield from run(each)
        yield Run((text,), tell=tell)

    def resolve(self, script: Script, begun: BegunMigration, how: Resolution) -> list[str]:
        """Let the next run continue a file, or take it as applied; returns what was done, in words.

        To continue, the INVALID indexes that the rest of it names, or that the failure left, are
        dropped, so that they are made anew.

        Raises MigrationError (what ran before was edited since), Conflict (an index is INVALID, or
        a statement is still being run), LockTimeout.
        """
        rest = script.statements[len(_done_texts(script, begun)) :]
        self._refuse_while_running(begun, rest)
        words: list[str] = []
        there, left = (
            self._database.read(invalid_indexes(self._transaction.table.files_schema)),
            names_in(begun.error or ""),
        )
        # Not only the next statement's: another may have been put before the one that failed.
        named = [full for statement in rest for full in made_by(statement.text, there)]
        invalid = [each.full for each in there if each.full in (*named, *left)]
        if how == "applied":
            if invalid:
                raise Conflict(
                    "pg_index.indisvalid",
                    f"{begun.label} isn't applied: the index {', '.join(invalid)} is INVALID;"
                    " drop it and make it anew, or resolve with --retry",
                )
            self._retry.write(partial(self._end, script, begun, time.monotonic()))
            return [f"{begun.label} is recorded as applied"]
        # First: a process that still runs the file then stops, and makes no index that would be
        # dropped here.
        self._note(begun, msgspec.structs.replace(begun, state="resumed", error=None))
        for name in invalid:
            self._retry.autocommit(partial(self._drop, name))
            words.append(f"dropped the INVALID index {name}")
        words.append(
            f"the next `forgedb migrate` goes on with statement {begun.done + 1} of {begun.label}"
        )
        return words

    def _begin(self, script: Script) -> Steps[BegunMigration | None]:
        """Record that the file is being run, and how far it came before.

        None where another process has applied it.  Raises LockTimeout while another one does.
        """
        transaction = self._transaction
        history = yield from transaction.locked_history()
        if transaction.is_applied(script, history):
            return None
        version = script.migration.version
        begun = history.begun_of(version)
        me = own_name()
        if begun is None:
            return (yield from transaction.table.begin(script.migration, (yield from now()), me))
        if begun.state == "failed":
            raise refused(
                script.migration.file,
                f"it failed: {begun.error};"
                f" see `forgedb migrate resolve {version}{transaction.options}`",
            )
        if begun.state == "running":
            raise LockTimeout(
                f"{begun.label} is being run by {begun.begun_by}"
                f" since {begun.begun_at:%Y-%m-%d %H:%M:%S} UTC; if that process is gone,"
                f" see `forgedb migrate resolve {version}{transaction.options}`",
                retryable=True,
            )
        _done_texts(script, begun)
        mine = msgspec.structs.replace(
            begun, state="running", begun_at=(yield from now()), begun_by=me, error=None
        )
        yield from transaction.table.note(begun, mine)
        return mine

    def _note(self, was: BegunMigration, now: BegunMigration) -> BegunMigration:
        # Not under the lock of all migrations, which another folder's may hold for long: the row is
        # changed only if it is still this process's own.
        def noted() -> Steps[None]:
            yield from queue_briefly(self._transaction.lock_wait_seconds)
            yield from self._transaction.table.note(was, now)

        self._retry.write(noted)
        return now

    def _end(self, script: Script, begun: BegunMigration, began: float) -> Steps[AppliedMigration]:
        """Record the file as applied."""
        yield from queue_briefly(self._transaction.lock_wait_seconds)
        table = self._transaction.table
        yield from table.end(begun)
        at = yield from now()
        duration_ms = round((time.monotonic() - began) * 1000)
        return (yield from table.record(script.migration, at, duration_ms))

    def _drop(self, index: str) -> Steps[None]:
        yield from run(f"SET lock_timeout TO {round(self._transaction.lock_wait_seconds * 1000)}")
        yield from run(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")

    def _refuse_while_running(self, begun: BegunMigration, rest: Sequence[ScriptStatement]) -> None:
        for session, text in self._database.read(_at_work()):
            if any(text and statement.text.startswith(text) for statement in rest):
                raise Conflict(
                    "pg_stat_activity",
                    f"{begun.label} is still being run: server process {session} is at"
                    f" {shown(text)}; wait for it, or end it with"
                    f" SELECT pg_terminate_backend({session})",
                )


def own_name() -> str:
    """The name of this process in the history."""
    return f"process {os.getpid()} on {os.uname().nodename}"


def _sets_session(statement: ScriptStatement) -> bool:
    """Whether it must be repeated for later statements that run in another session."""
    first = statement.opening[:1]
    return first in (("SET",), ("PRAGMA",), ("ATTACH",)) or "set_config" in statement.text


def _at_work() -> Steps[list[tuple[Any, ...]]]:
    return (yield from rows(AT_WORK))


def _done_texts(script: Script, begun: BegunMigration) -> Sequence[str]:
    """The statements of a file that have been run.  Raises MigrationError if they were edited."""
    texts = [statement.text for statement in script.statements[: begun.done]]
    if len(texts) < begun.done or checksum_of(texts) != begun.done_checksum:
        raise refused(
            script.migration.file,
            f"its first {begun.done} statement(s) have been run, and were edited since: put them"
            " back, and change what follows",
        )
    return texts
