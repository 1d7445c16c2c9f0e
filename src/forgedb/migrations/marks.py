"""The history changed by hand: a migration marked as applied or pending, by whom, when and why.

Each mark is a row in a table beside the history; rows are only added to that table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Literal

from forgedb.errors import UsageError
from forgedb.limits import ACTOR_CHARS_MAX
from forgedb.migrations.applied import Numbered
from forgedb.migrations.comparison import MigrationState, compare
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.history import MARKED, HistoryTable
from forgedb.migrations.no_transaction import own_name
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, change, many, now
from forgedb.sql.catalogue import sql
from forgedb.validation import check_name, check_reason

Marking = Literal["applied", "pending"]

CREATE_MARKED = sql(
    sqlite="""
    CREATE TABLE IF NOT EXISTS schema_migrations_marked (
        position        INTEGER NOT NULL PRIMARY KEY,
        version         INTEGER NOT NULL,
        name            TEXT NOT NULL,
        state           TEXT NOT NULL,
        checksum_before TEXT,
        checksum        TEXT,
        marked_at       TEXT NOT NULL,
        marked_by       TEXT NOT NULL,
        reason          TEXT NOT NULL,
        CONSTRAINT schema_migrations_marked_state_check CHECK (state IN ('applied', 'pending')),
        CONSTRAINT schema_migrations_marked_reason_check CHECK (length(reason) >= 1)
    ) STRICT
    """,
    postgres="""
    CREATE TABLE schema_migrations_marked (
        position        bigint NOT NULL PRIMARY KEY,
        version         bigint NOT NULL,
        name            text COLLATE "C" NOT NULL,
        state           text COLLATE "C" NOT NULL,
        checksum_before text COLLATE "C",
        checksum        text COLLATE "C",
        marked_at       timestamptz NOT NULL,
        marked_by       text COLLATE "C" NOT NULL,
        reason          text COLLATE "C" NOT NULL,
        CONSTRAINT schema_migrations_marked_state_check CHECK (state IN ('applied', 'pending')),
        CONSTRAINT schema_migrations_marked_reason_check CHECK (length(reason) >= 1)
    )
    """,
)


class Mark(Numbered, frozen=True):
    """A row of the history that was changed by hand.

    ``checksum_before`` is the checksum before the change, ``checksum`` the one after it; None is
    for no row.
    """

    position: int
    state: str
    checksum_before: str | None
    checksum: str | None
    marked_at: datetime
    marked_by: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.label} was marked {self.state} by {self.marked_by}"
            f" at {self.marked_at:%Y-%m-%d %H:%M} UTC: {' '.join(self.reason.split())}"
        )


SELECT_MARKED = sql(f"SELECT {columns(Mark)} FROM schema_migrations_marked ORDER BY position")

INSERT_MARKED = sql("""
INSERT INTO schema_migrations_marked
    (version, name, position, state, checksum_before, checksum, marked_at, marked_by, reason)
VALUES
    (:version, :name, :position, :state, :checksum_before, :checksum, :marked_at, :marked_by,
     :reason)
""")


def marks_of(table: HistoryTable) -> Steps[Sequence[Mark]]:
    """All marks, the oldest first.  Raises as the history's own read."""
    yield from table.read()
    if not (yield from table.has(MARKED)):
        return ()
    return (yield from many(Mark, table.of(SELECT_MARKED)))


def marked(
    transaction: FileTransaction,
    files: Sequence[MigrationFile],
    version: int,
    state: Marking,
    by: str | None,
    reason: str,
) -> Callable[[], Steps[Mark]]:
    """The steps that change the history of one migration, and record who did it and why.

    Raises InvalidValue (``by`` or ``reason``); UsageError where the change makes no sense, or
    would break the order of the numbers.
    """
    who = own_name() if by is None else check_name("by", by, ACTOR_CHARS_MAX)
    return partial(_marked, transaction, files, version, state, who, check_reason(reason))


def _marked(
    transaction: FileTransaction,
    files: Sequence[MigrationFile],
    version: int,
    state: Marking,
    by: str,
    reason: str,
) -> Steps[Mark]:
    table = transaction.table
    history = yield from transaction.locked_history()
    states = compare(files, history)
    each = next((each for each in states if each.version == version), None)
    if each is None:
        raise UsageError(f"there is no migration {version}, neither a file nor in the history")
    if each.begun is not None:
        raise UsageError(
            f"{each.label} was begun outside a transaction:"
            f" see `forgedb migrate resolve {version}{transaction.options}`"
        )
    lines = [entry for entry in history.applied if entry.version == version]
    if each.applied is not None and each.applied not in lines:
        raise UsageError(
            f"the database has the files that {each.label} was made of, and not itself: mark one of"
            " those, with their folder"
        )
    check = _check_applied if state == "applied" else _check_pending
    check(each, states, out_of_order=transaction.allow_out_of_order)
    at = yield from now()
    if each.applied is not None:
        yield from table.forget(version)
    if state == "applied":
        assert each.file is not None, "only what has a file is marked applied"
        yield from table.record(each.file, at, 0)
    before = None if each.applied is None else each.applied.checksum
    after = each.file.checksum if state == "applied" and each.file is not None else None
    name = each.name if each.applied is None or state == "applied" else each.applied.name
    earlier: Sequence[Mark] = ()
    if (yield from table.has(MARKED)):
        earlier = yield from many(Mark, table.of(SELECT_MARKED))
    else:
        yield from change(table.of(CREATE_MARKED))
    position = earlier[-1].position + 1 if earlier else 1
    mark = Mark(version, name, position, state, before, after, at, by, reason)
    yield from change(
        table.of(INSERT_MARKED), **{field: getattr(mark, field) for field in Mark.__struct_fields__}
    )
    return mark


def _check_applied(
    each: MigrationState, states: Sequence[MigrationState], *, out_of_order: bool
) -> None:
    if each.file is None:
        raise UsageError(f"there is no file of {each.label}: put it back, or mark it --pending")
    if each.state == "applied":
        raise UsageError(f"{each.label} is applied already: there is nothing to mark")
    below = [other for other in states if other.version < each.version and other.is_pending]
    if below and not each.applied and not out_of_order:
        raise UsageError(
            f"{below[0].label} is pending, and is below {each.label}: run it or mark it first, or"
            " give --allow-out-of-order"
        )


def _check_pending(
    each: MigrationState, states: Sequence[MigrationState], *, out_of_order: bool
) -> None:
    if each.applied is None:
        raise UsageError(f"{each.label} is {each.state} already: there is nothing to mark")
    above = [other for other in states if other.version > each.version and other.applied]
    if above and each.file is not None and not out_of_order:
        raise UsageError(
            f"{above[-1].label} is applied, and is above {each.label}, which no run would apply"
            " after it: mark that one first, or give --allow-out-of-order here and to the run"
        )
