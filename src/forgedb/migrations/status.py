"""What a folder has, what a database has of it, and what is pending, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Self, TypeAlias

from forgedb.drivers import misuse
from forgedb.errors import InvalidValue, UsageError
from forgedb.handle import Handle
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.comparison import (
    MigrationState,
    compare,
    others_files,
    pending_of,
    problem_of,
)
from forgedb.migrations.encoding import require_utf8
from forgedb.migrations.files import DIALECTS, MigrationFile, load_all, packaged, refused
from forgedb.migrations.history import (
    BESIDE,
    FOLDERS_TABLE,
    TABLE,
    BegunMigration,
    History,
    HistoryTable,
)
from forgedb.migrations.schemas import Resolved, Schemas
from forgedb.operations.binding import SyncRunner
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps

if TYPE_CHECKING:
    from forgedb.migrations.lock_retry import LockRetry
    from forgedb.migrations.marks import Mark
    from forgedb.migrations.progress import Progress
    from forgedb.migrations.script import Script
    from forgedb.schema_check.comparison import Difference
    from forgedb.sql.lexer import Dialect

LOCK_TIMEOUT_SECONDS = 60.0
LOCK_WAIT_SECONDS = 3.0
LOCK_WAIT_SECONDS_MIN = 0.001
SECONDS_MAX = 86_400.0

Files: TypeAlias = tuple[list[MigrationFile], list[MigrationFile]]
"""The numbered files of a folder, and the repeatable ones."""


class MigrationStatus:
    """A folder of migrations beside a database's history of them."""

    def __init__(
        self,
        database: Handle[SyncRunner] | SyncRunner,
        directory: str | os.PathLike[str] | None = None,
        *,
        table: str | None = None,
        schema: str | None = None,
        history_schema: str | None = None,
        lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
        lock_wait_seconds: float = LOCK_WAIT_SECONDS,
        progress: Progress | None = None,
    ) -> None:
        _check_seconds("lock_timeout_seconds", lock_timeout_seconds, 0)
        # To PostgreSQL 0 ms means no limit at all.
        _check_seconds("lock_wait_seconds", lock_wait_seconds, LOCK_WAIT_SECONDS_MIN)
        self._database = runner_of(database)
        self.directory = directory_for(directory, self._database.dialect)
        self._given = directory, table
        self._files: Files | None = None
        """The files, where they were read for the next run already."""
        self._checked: Files | None = None
        self._scripts: dict[str, Script] = {}
        """The files that were parsed, by checksum."""
        self._is_folders = directory is not None
        if table is None:
            table = FOLDERS_TABLE if self._is_folders else TABLE
        self._place = Schemas(
            self._database.dialect, schema, history_schema, along_the_path=not self._is_folders
        )
        self._table = HistoryTable(table, place=self._place)
        self._lock_timeout_seconds = lock_timeout_seconds
        # A statement must not queue for longer than the whole wait may take.
        self._lock_wait_seconds = min(lock_wait_seconds, lock_timeout_seconds or lock_wait_seconds)
        self._progress = progress
        self._told: set[str] | None = None
        """The labels that a rehearsal has reported: it may begin anew, or go on with a copy, and
        should report each file once."""

    def on(self, database: Handle[SyncRunner] | SyncRunner) -> Self:
        """The same on another database of this kind; files that were checked aren't read again.

        Raises UsageError (it is a task's database, or a transaction).
        """
        other = copy(self)
        other._database = runner_of(database)
        other._files = self._checked
        return other

    @property
    def options(self) -> str:
        """What the command line needs to find the same files and history again."""
        from shlex import quote

        directory, table = self._given
        words = "" if directory is None else f" --dir {quote(os.fspath(directory))}"
        words = words if table is None else f"{words} --table {table}"
        return words + self._place.options

    def applied(self) -> list[AppliedMigration]:
        """What the database has, in the order of the numbers, and then the repeatable files.

        Raises UsageError (the history's table is another program's), MigrationDrift.
        """
        return [*self._history().applied, *self._repeatable_applied()]

    def states(self) -> list[MigrationState]:
        """Each migration of the folder and of the database, with its state.

        Raises MigrationError (a file can't be read, the files' history is in another place, or the
        history in forgedb's own table is another folder's).
        """
        numbered, repeatable = self._load()
        history = self._history(numbered)
        if not self._is_folders:
            # Otherwise a file of forgedb's would be reported as edited.
            self._refuse_others(numbered, history)
        states = compare(numbered, history)
        return [*states, *self._repeatable_states(repeatable)]

    def pending(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[MigrationFile]:
        """What the database lacks, up to number ``target``.

        Raises MigrationError, MigrationDrift, UsageError (no such target).
        """
        return self._lacking(target, allow_out_of_order=allow_out_of_order)

    def _lacking(
        self,
        target: int | None,
        *,
        allow_out_of_order: bool,
        writing: bool = False,
        beginning: bool = False,
    ) -> list[MigrationFile]:
        self._checked = self._load() if self._files is None else self._files
        self._files = None
        files, repeatable = self._checked
        check_target(files, target, self.directory)
        history = self._history(files, writing=writing, beginning=beginning or writing)
        self._refuse_others(files, history)
        lacking = pending_of(
            files, history, allow_out_of_order=allow_out_of_order, options=self.options
        )
        if target is None or target >= files[-1].version:
            # They need what all of the numbered files make.
            states = self._repeatable_states(repeatable)
            lacking += [each.file for each in states if each.is_pending and each.file is not None]
            return lacking
        return [each for each in lacking if each.version <= target]

    def _load(self) -> Files:
        """The folder's files, the repeatable ones in the order in which they run."""
        numbered, repeatable = load_all(self.directory)
        if repeatable:
            from forgedb.migrations.repeatable import in_order

            repeatable = in_order(repeatable, self._database.dialect)
        return numbered, repeatable

    def _repeatable_states(self, files: Sequence[MigrationFile]) -> list[MigrationState]:
        from forgedb.migrations.repeatable import compare_repeatable

        return compare_repeatable(files, self._repeatable_applied())

    def _repeatable_applied(self) -> Sequence[AppliedMigration]:
        from forgedb.migrations.repeatable import applied_repeatable

        return self._database.read(applied_repeatable(self._table))

    def check(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[MigrationFile]:
        """What migrate would apply: read, and split into statements, but not run.

        Raises MigrationError, MigrationDrift, UsageError (no such target).
        """
        pending = self._lacking(target, allow_out_of_order=allow_out_of_order, beginning=True)
        for migration in pending:
            self._parsed(migration)
        return pending

    def unfinished(self) -> list[BegunMigration]:
        """The files that were begun outside a transaction, and weren't finished.

        Raises UsageError (the history's table is another program's), MigrationDrift.
        """
        return [*self._history().begun]

    def invalid_indexes(self) -> list[str]:
        """The indexes that PostgreSQL doesn't use, since making them failed: schema and name.

        There are none on SQLite.  Raises Unavailable.
        """
        from forgedb.migrations.invalid_indexes import invalid_indexes

        found = self._database.read(invalid_indexes(self._place.schema))
        only = self._place.schema
        return [index.full for index in found if only is None or index.schema == only]

    def differences(self) -> list[Difference]:
        """What of the schema isn't as the applied migrations made it, the harmless last.

        Known of forgedb's own migrations alone.  Raises UsageError, MigrationDrift (the history).
        """
        if self._is_folders or self._table.name != TABLE or not self._history().applied:
            return []
        return self._database.snapshot(self._differences())

    def place(self) -> str:
        """The table of the history, with its schema on PostgreSQL.

        Raises UsageError (the table is another program's), MigrationDrift.
        """
        self._history()
        return self._table.shown

    def applied_files(self) -> list[MigrationFile]:
        """The files that the database has, in the order of their numbers.

        Raises MigrationError, MigrationDrift (the history isn't the files').
        """
        states = self.states()
        for each in states:
            problem = problem_of(each, states, allow_out_of_order=True, options=self.options)
            if problem is not None:
                raise problem
        # A repeatable file whose text was changed since isn't what the database has.
        return [each.file for each in states if each.state == "applied" and each.file is not None]

    @property
    def tables(self) -> frozenset[str]:
        """The names of the history's table, and of those that may be beside it."""
        return frozenset(f"{self._table.name}{end}" for end in ("", *BESIDE))

    def marks(self) -> list[Mark]:
        """What was changed in the history by hand, the oldest first.

        Raises UsageError (the history's table is another program's), MigrationDrift.
        """
        from forgedb.migrations.marks import marks_of

        return [*self._database.read(marks_of(self._table))]

    def _parsed(self, migration: MigrationFile) -> Script:
        if migration.is_python and not self._is_folders:
            raise refused(migration.file, "a program is run from a folder that is named alone")
        known = self._scripts.get(migration.checksum)
        if known is None or known.migration != migration:
            # Imported late: on most starts nothing is pending.
            from forgedb.migrations.script import parse

            known = self._scripts[migration.checksum] = parse(migration, self._database.dialect)
        return known

    def _retry(self) -> LockRetry:
        from forgedb.migrations.lock_retry import LockRetry

        report = None if self._progress is None else self._progress.waiting
        return LockRetry(self._database, self._lock_timeout_seconds, report)

    def _differences(self) -> Steps[list[Difference]]:
        from forgedb.schema_check.comparison import differences

        # Where forgedb is in another schema too, that schema's functions must not be compared.
        yield from self._place.enter(alone=True)
        return (yield from differences())

    def _history(
        self,
        files: Sequence[MigrationFile] | None = None,
        *,
        writing: bool = False,
        beginning: bool = False,
    ) -> History:
        """The history; with ``writing``, it is also checked whether it is safe to write.

        With ``files`` it must be the only history of these files; with ``beginning`` the files must
        be run in the schema where it is.

        Raises MigrationDrift, UsageError (also for the database's encoding), MigrationError (there
        is one of these files in another place).
        """
        steps = partial(self._read_history, files, writing=writing, beginning=beginning)
        if self._database.dialect == "sqlite":
            return self._database.read(steps())
        return self._retry().write(partial(self._read_briefly, steps))

    def _read_briefly(self, steps: Callable[[], Steps[History]]) -> Steps[History]:
        from forgedb.migrations.locking import queue_briefly

        yield from queue_briefly(self._lock_wait_seconds)
        return (yield from steps())

    def _read_history(
        self, files: Sequence[MigrationFile] | None, *, writing: bool, beginning: bool
    ) -> Steps[History]:
        if writing and not self._is_folders:
            # Which encoding a user's own files need, only the user knows.
            yield from require_utf8()
        home = yield from self._table.find(self._place)
        history = yield from self._table.read(writing=writing)
        if files is None:
            return history
        if beginning:
            self._refuse_to_part(files, home)
        if not history.applied and not history.begun:
            yield from self._refuse_elsewhere(files)
        return history

    def _refuse_others(self, files: Sequence[MigrationFile], history: History) -> None:
        is_own = not self._is_folders
        unknown = others_files(files, history, self._table.shown, is_own=is_own)
        if unknown is not None:
            raise unknown

    def _refuse_to_part(self, files: Sequence[MigrationFile], home: Resolved) -> None:
        if home.history != home.files and not self._place.is_chosen:
            from forgedb.migrations.other_histories import parted

            raise parted(files, self._table, home)

    def _refuse_elsewhere(self, files: Sequence[MigrationFile]) -> Steps[None]:
        from forgedb.migrations.other_histories import refuse_elsewhere

        yield from refuse_elsewhere(
            files,
            self._table,
            self._place,
            is_own=not self._is_folders,
            is_table_given=self._given[1] is not None,
            options=self.options,
        )


def by_kind(files: Sequence[MigrationFile]) -> Files:
    """The numbered files, and the repeatable ones."""
    numbered = [migration for migration in files if not migration.is_repeatable]
    return numbered, [migration for migration in files if migration.is_repeatable]


def directory_for(directory: str | os.PathLike[str] | None, dialect: Dialect) -> str:
    """The folder of a database's files: the given one, or the one for this database in it."""
    if directory is None:
        return packaged(dialect)
    given = os.fspath(directory)
    # If only the other database's folder exists, this one's is missing: that is an error.
    is_parted = any(os.path.isdir(os.path.join(given, each)) for each in DIALECTS)
    return os.path.join(given, dialect) if is_parted else given


def runner_of(database: Handle[SyncRunner] | SyncRunner) -> MigrationRunner:
    """What migrates the database.  Raises UsageError where that is a task's, or a transaction."""
    runner = database._runner if isinstance(database, Handle) else database
    if not isinstance(runner, SyncRunner):
        raise UsageError(
            f"{type(database).__name__} can't be migrated by a Migrator, which blocks: give it to"
            " AsyncMigrator, and await what that does"
        )
    if not isinstance(runner, MigrationRunner):
        raise misuse.not_in_a_transaction("a migration")
    return runner


def _check_seconds(name: str, value: float, least: float) -> None:
    # In this form NaN, for which every comparison is false, is refused as well.
    if not least <= value <= SECONDS_MAX:
        raise InvalidValue(name, value, f"give {least:g} to {SECONDS_MAX:g} seconds")


def check_target(files: Sequence[MigrationFile], target: int | None, directory: str) -> None:
    if target is not None and (not isinstance(target, int) or isinstance(target, bool)):
        raise InvalidValue("target", target, "it must be the number of a migration, such as 3")
    if target is not None and target not in {migration.version for migration in files}:
        numbers = [migration.version for migration in files]
        there = f"they go from {numbers[0]} to {numbers[-1]}" if numbers else "it has none"
        raise UsageError(f"there is no migration {target} in {directory}: {there}")
