"""Files whose statements refuse to run in a transaction, such as CREATE INDEX CONCURRENTLY.

No lock can be held meanwhile, and nothing is undone where one fails.  So what was begun, and how
far it came, is on record before and after each statement: others wait for it, a failure is seen by
every later run, and `resolve` says how it goes on.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

from forgedb.errors import Conflict, ForgeDbError, LockTimeout
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.applying import Applying
from forgedb.migrations.files import refused
from forgedb.migrations.history import BegunMigration, checksum_of
from forgedb.migrations.locking import lock
from forgedb.migrations.patience import Patience
from forgedb.migrations.script import Script
from forgedb.operations.binding import Sync
from forgedb.operations.steps import Steps, now, rows, run
from forgedb.sql.catalogue import sql

Resolution = Literal["retry", "applied"]

INVALID_INDEXES = sql(
    sqlite="SELECT '', '' WHERE false",
    postgres="""
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relname
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND c.relkind = 'i'
    ORDER BY 1
    """,
)
"""What a CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY that failed leaves behind."""

LEFT, UNUSED = "the index ", " is INVALID, and isn't used"
"""What stands around their names in what is noted of a failure."""


class Alone:
    """Runs such files, and goes on with those that didn't come to their end."""

    def __init__(self, database: Sync, patience: Patience, applying: Applying) -> None:
        self._database = database
        self._patience = patience
        self._applying = applying

    def apply(self, script: Script) -> AppliedMigration | None:
        """Run a file, or what is left of it, unless another process has done so.

        Raises MigrationError (what ran before stays), LockTimeout.
        """
        began = time.monotonic()
        count = self._patience.write(partial(self._begin, script))
        if count is None:
            return None
        for statement in script.statements[count:]:
            failure: ForgeDbError | None = None
            before = self._database.read(invalid_indexes())
            try:
                self._database.alone(run(statement.text))
            except ForgeDbError as error:
                failure = error
            after = self._database.read(invalid_indexes())
            invalid = _named_in(statement.text, after)
            if failure is not None:
                # What it left it need not name, as in CREATE INDEX CONCURRENTLY ON t (x).
                invalid += [name for name in after if name not in (*before, *invalid)]
            elif not invalid:
                count += 1
                self._patience.write(partial(self._note, script, count))
                continue
            left = unused(invalid)
            words = [str(failure)] if failure else []
            words += [left] if invalid else []
            self._patience.write(partial(self._note, script, count, "; ".join(words)))
            raise self._applying.failed(
                script,
                statement,
                failure or Conflict("pg_index.indisvalid", left),
                f"{f'; {left}' if failure and invalid else ''};"
                f" see `forgedb migrate resolve {script.migration.version}`",
            ) from failure
        return self._patience.write(partial(self._end, script, began))

    def resolve(self, script: Script, begun: BegunMigration, how: Resolution) -> list[str]:
        """Let the next run go on with a file, or take it as applied; what was done, in words.

        Going on drops the INVALID indexes that the rest of it names, or that the failure left, so
        that they are made anew.

        Raises MigrationError (what ran before was edited since), Conflict (an index is INVALID).
        """
        done = _done_texts(script, begun)
        rest = script.statements[len(done) :]
        words: list[str] = []
        # Not the next statement's alone: another may have been put before the one that failed.
        texts = [statement.text for statement in rest]
        there = self._database.read(invalid_indexes())
        named, left = _named_in("\n".join(texts), there), _names_left(begun.error or "")
        invalid = named + [name for name in there if name in left and name not in named]
        if how == "applied":
            if invalid:
                raise Conflict(
                    "pg_index.indisvalid",
                    f"{begun.label} isn't applied: the index {', '.join(invalid)} is INVALID;"
                    " drop it and make it anew, or resolve with --retry",
                )
            self._patience.write(partial(self._end, script, time.monotonic()))
            return [f"{begun.label} is recorded as applied"]
        for name in invalid:
            self._database.alone(run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
            words.append(f"dropped the INVALID index {name}")
        self._patience.write(partial(self._resume, script, done))
        words.append(
            f"the next `forgedb migrate` goes on with statement {len(done) + 1} of {begun.label}"
        )
        return words

    def _begin(self, script: Script) -> Steps[int | None]:
        """Note that the file is being run; the number of its statements that were run before.

        None where another process has applied it.  Raises LockTimeout while another one does.
        """
        applying = self._applying
        history = yield from applying.locked_history()
        if applying.is_applied(script, history):
            return None
        version = script.migration.version
        begun = next((each for each in history.begun if each.version == version), None)
        if begun is None:
            at = yield from now()
            me = f"process {os.getpid()} on {os.uname().nodename}"
            yield from applying.table.begin(script.migration, at, me)
            return 0
        if begun.state == "failed":
            raise refused(
                script.migration.file,
                f"it failed: {begun.error}; see `forgedb migrate resolve {version}`",
            )
        if begun.state == "running":
            raise LockTimeout(
                f"{begun.label} is being run by {begun.begun_by}"
                f" since {begun.begun_at:%Y-%m-%d %H:%M:%S} UTC; if that process is gone,"
                f" see `forgedb migrate resolve {version}`",
                retryable=True,
            )
        texts = _done_texts(script, begun)
        yield from applying.table.note(version, "running", texts)
        return len(texts)

    def _note(self, script: Script, count: int, error: str | None = None) -> Steps[None]:
        """Note how many of the file's statements have been run, and what the next one met."""
        yield from lock(self._applying.lock_wait_seconds)
        texts = [statement.text for statement in script.statements[:count]]
        state = "running" if error is None else "failed"
        yield from self._applying.table.note(script.migration.version, state, texts, error)

    def _resume(self, script: Script, texts: list[str]) -> Steps[None]:
        yield from lock(self._applying.lock_wait_seconds)
        yield from self._applying.table.note(script.migration.version, "resumed", texts)

    def _end(self, script: Script, began: float) -> Steps[AppliedMigration]:
        """Record the file as applied."""
        yield from lock(self._applying.lock_wait_seconds)
        table = self._applying.table
        yield from table.end(script.migration.version)
        at = yield from now()
        duration_ms = round((time.monotonic() - began) * 1000)
        return (yield from table.record(script.migration, at, duration_ms))


def invalid_indexes() -> Steps[dict[str, str]]:
    """The indexes that PostgreSQL doesn't use, since making them failed: full name and own name."""
    return dict((yield from rows(INVALID_INDEXES)))


def unused(indexes: Sequence[str]) -> str:
    """What is said of INVALID indexes."""
    return f"{LEFT}{', '.join(indexes)}{UNUSED}"


def _named_in(text: str, indexes: Mapping[str, str]) -> list[str]:
    """The full names of those indexes that a statement names."""
    # Whole names: another's index may be in the making, and be called like a part of this one.
    patterns = {full: rf"(?<!\w){re.escape(name)}(?!\w)" for full, name in indexes.items()}
    return [full for full, name in patterns.items() if re.search(name, text, re.IGNORECASE)]


def _names_left(error: str) -> list[str]:
    """The indexes that a failure left, as it was noted."""
    names, found, _ = error.rpartition(LEFT)[2].partition(UNUSED)
    return names.split(", ") if found else []


def _done_texts(script: Script, begun: BegunMigration) -> list[str]:
    """The statements of a file that have been run.  Raises MigrationError if they were edited."""
    texts = [statement.text for statement in script.statements[: begun.done]]
    if len(texts) < begun.done or checksum_of(texts) != begun.done_checksum:
        raise refused(
            script.migration.file,
            f"its first {begun.done} statement(s) have been run, and were edited since: put them"
            " back, and change what follows",
        )
    return texts
