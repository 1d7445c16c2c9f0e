"""Bringing a database to the migrations of a folder: what is there, what is not, and doing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from forgedb.errors import Conflict, InvalidValue, SchemaOutdated, UsageError
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
from forgedb.migrations.files import DIALECTS, MigrationFile, load, packaged, refused
from forgedb.migrations.history import (
    BESIDE,
    FOLDERS_TABLE,
    TABLE,
    BegunMigration,
    History,
    HistoryTable,
)
from forgedb.migrations.schemas import Resolved, Schemas
from forgedb.operations.binding import Mode, SyncRunner
from forgedb.operations.steps import Steps, now, run
from forgedb.schema_check.comparison import Difference, differences, require_tables

if TYPE_CHECKING:
    from forgedb.migrations.adoption import Adoption, Tools
    from forgedb.migrations.batches import Batches
    from forgedb.migrations.lock_retry import LockRetry
    from forgedb.migrations.marks import Mark, Marking
    from forgedb.migrations.no_transaction import OutsideTransaction, Resolution
    from forgedb.migrations.progress import Progress
    from forgedb.migrations.rehearsal import Rehearsed
    from forgedb.migrations.script import Script
    from forgedb.migrations.transaction import FileTransaction
    from forgedb.sql.lexer import Dialect

LOCK_TIMEOUT_SECONDS = 60.0
LOCK_WAIT_SECONDS = 3.0
LOCK_WAIT_SECONDS_MIN = 0.001
SECONDS_MAX = 86_400.0


class Migrator:
    """Brings a database to the migrations of a folder, by default forgedb's own.

    The folder holds ``NNNN_name.sql`` files, or a folder of them for each database, ``sqlite``
    and ``postgres``.  ``lock_timeout_seconds`` is how long to wait for another process that
    migrates, or for a table that is in use; a statement queues for ``lock_wait_seconds`` at a
    time.  ``table`` keeps the history, so that one database can have several: forgedb's own is in
    ``schema_migrations``, a folder's in ``app_schema_migrations`` unless another is named.

    On PostgreSQL the files are run in ``schema``, and their history is there too, unless
    ``history_schema`` is another; by default both are the first of the search_path that is there.

    Raises InvalidValue (a time beyond a day, or too short to wait for), UsageError (the table, or
    a schema's name).
    """

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
        # PostgreSQL takes 0 ms for no limit at all.
        _check_seconds("lock_wait_seconds", lock_wait_seconds, LOCK_WAIT_SECONDS_MIN)
        self._database = _runner_of(database)
        self.directory = directory_for(directory, self._database.dialect)
        self._given = directory, table
        self._files: list[MigrationFile] | None = None
        """What was read for the next run already."""
        self._checked: list[MigrationFile] | None = None
        self._scripts: dict[str, Script] = {}
        """What was parsed, by its checksum."""
        self._is_folders = directory is not None
        if table is None:
            table = FOLDERS_TABLE if self._is_folders else TABLE
        self._place = Schemas(
            self._database.dialect, schema, history_schema, along_the_path=not self._is_folders
        )
        self._table = HistoryTable(table, place=self._place)
        self._lock_timeout_seconds = lock_timeout_seconds
        # Who gives up after a second doesn't queue for three.
        self._lock_wait_seconds = min(lock_wait_seconds, lock_timeout_seconds or lock_wait_seconds)
        self._progress = progress
        self._told: set[str] | None = None
        """What a rehearsal has told of, by its label: it may begin anew, and go on with a copy."""

    def on(self, database: Handle[SyncRunner] | SyncRunner) -> Migrator:
        """The same on another database of this kind; what was checked isn't read again for it."""
        other = copy(self)
        other._database = _runner_of(database)
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
        """What the database has, in the order of the numbers, and then the repeatable files."""
        return [*self._history().applied, *self._repeatable_applied()]

    def states(self) -> list[MigrationState]:
        """Each migration of the folder and of the database, and what it is there.

        Raises MigrationError (a file can't be read, another history is meant, or forgedb's own
        is another folder's).
        """
        numbered, repeatable = _parted(self._load())
        history = self._history(numbered)
        if not self._is_folders:
            # Or a file of forgedb's would be called edited.
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
        files, repeatable = _parted(self._checked)
        _check_target(files, target, self.directory)
        history = self._history(files, writing=writing, beginning=beginning or writing)
        self._refuse_others(files, history)
        lacking = pending_of(
            files, history, allow_out_of_order=allow_out_of_order, options=self.options
        )
        if target is None or target >= files[-1].version:
            # They are for what all of the others make.
            states = self._repeatable_states(repeatable)
            lacking += [each.file for each in states if each.is_pending and each.file is not None]
            return lacking
        return [each for each in lacking if each.version <= target]

    def _load(self) -> list[MigrationFile]:
        """The folder's files, the repeatable ones last; forgedb has none of those."""
        files = load(self.directory)
        if not self._is_folders:
            return files
        from forgedb.migrations.repeatable import repeatable_in

        return [*files, *repeatable_in(self.directory, self._database.dialect)]

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

    def migrate(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[AppliedMigration]:
        """Apply what is pending and return it.

        Every file is read and split into statements before the first one runs.

        Raises MigrationError (its file was rolled back, those before it stay), MigrationDrift,
        LockTimeout, UsageError (no such target), Unavailable.
        """
        scripts = self._planned(target, allow_out_of_order=allow_out_of_order)
        if not scripts:
            return []
        applying, patience = self._applying(), self._patience()
        applying.allow_out_of_order = allow_out_of_order
        for position, script in enumerate(scripts):
            applying.pending = scripts[position:]
            if script.mode == "no-transaction":
                applied = self._outside_transaction(applying, patience).apply(script)
            elif script.mode == "batches":
                applied = self._batches(applying, patience).apply(script)
            else:
                if script.opening:
                    # Its own transaction locks the history's table before it can be made.
                    patience.write(applying.locked_history)
                no_foreign_keys = script.mode == "rebuild"
                steps = partial(applying.in_transaction, script)
                try:
                    applied = patience.write(steps, no_foreign_keys=no_foreign_keys)
                except (Conflict, InvalidValue, UsageError) as error:
                    if not applying.is_at_commit:
                        raise
                    # A deferred constraint, or trigger.
                    raise applying.uncommitted(script, error) from error
            if applied is not None:
                self._note(applied, applying)
        return applying.done

    def rehearse(self, target: int | None = None, *, allow_out_of_order: bool = False) -> Rehearsed:
        """Apply what is pending in one transaction, roll it back, and return what it was.

        What can't be tried so is in the result's ``unrehearsed``, each with its reason, and all
        that comes after it.  On SQLite everything can: all of it is done on a copy of the database
        where a file runs in no transaction or makes a table anew, or where it changes what is the
        connection's and another one follows.

        Raises as migrate.
        """
        from forgedb.migrations.rehearsal import Rehearsal, Rehearsed, RolledBack

        scripts = self._planned(target, allow_out_of_order=allow_out_of_order)
        if not scripts:
            return Rehearsed()
        self._told = set()
        try:
            if self._database.dialect == "postgres" or not any(
                script.mode != "transaction" for script in scripts
            ):
                try:
                    self._patience().write(
                        lambda: Rehearsal(self._applying(), scripts, self._note).steps()
                    )
                except RolledBack as end:
                    if len(end.rehearsed) + len(end.rehearsed.unrehearsed) == len(scripts):
                        return end.rehearsed
            return Rehearsed(self._on_a_copy(target, allow_out_of_order=allow_out_of_order))
        finally:
            self._told = None

    def baseline(self, version: int) -> list[AppliedMigration]:
        """Record the files up to a number as applied, without running them, and return them.

        Raises UsageError (no such number, the database has a history already), MigrationError,
        LockTimeout.
        """
        files = load(self.directory)
        _check_target(files, version, self.directory)
        upto = [migration for migration in files if migration.version <= version]
        return self._patience().write(partial(self._record, upto))

    def unfinished(self) -> list[BegunMigration]:
        """The files that were begun outside a transaction, and didn't come to their end."""
        return [*self._history().begun]

    def invalid_indexes(self) -> list[str]:
        """The indexes that PostgreSQL doesn't use, since making them failed: schema and name."""
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
        """The table of the history, with its schema on PostgreSQL."""
        self._history()
        return self._table.shown

    def move(self, source: str = TABLE) -> list[AppliedMigration]:
        """Give the history of these files, which is in the table ``source``, this runner's.

        Returns what it holds.  Version 0.1 kept it in the table of forgedb's own.

        Raises UsageError (there is none, or it is of other files; there is one in the table
        already), MigrationDrift, LockTimeout.
        """
        files, others = load(self.directory), HistoryTable(source)
        return self._patience().write(partial(self._moved, files, others))

    def schema_differences(
        self, scratch: Handle[SyncRunner] | SyncRunner | None = None
    ) -> list[Difference]:
        """How the live schema is different from what the applied files make, the harmless last.

        They are run in a scratch database: in a temporary file on SQLite, in one that is made and
        dropped on PostgreSQL's server, or in the empty one that is given.

        Raises as migrate, for what fails there; UsageError (no scratch database can be made, or
        the one given isn't empty), MigrationError, MigrationDrift (the history isn't the files').
        """
        if not self._is_folders and self._table.name == TABLE:
            return self.differences()
        from forgedb.migrations.live_schema import compared_with_scratch

        given = None if scratch is None else _runner_of(scratch)
        return compared_with_scratch(self, self._database, given)

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

    def make(self, database: SyncRunner, files: Sequence[MigrationFile]) -> None:
        """Apply these files to another database, which is empty.  Raises as migrate."""
        other = self.on(database)
        other._files, other._progress = [*files], None
        # Where they are run here, though it may be nowhere along another's search_path.
        home = self._database.read(self._place.find(self._table.name))
        for text in home.made_with():
            database.autocommit(run(text))
        other.migrate()

    @property
    def tables(self) -> frozenset[str]:
        """The names of the history's table, and of those that may be beside it."""
        return frozenset(f"{self._table.name}{end}" for end in ("", *BESIDE))

    def resolve(self, version: int, how: Resolution) -> list[str]:
        """Let the next run go on with an unfinished file, or take it as applied.

        Returns what was done, in words.  A process that was at work on the file, and lives on, does
        no more of it than the statement that it is at.

        Raises UsageError (no such unfinished file), MigrationError, Conflict (an index is INVALID,
        or the server is still at a statement of the file), LockTimeout.
        """
        begun = next((each for each in self.unfinished() if each.version == version), None)
        if begun is None:
            raise UsageError(f"migration {version} isn't unfinished: there is nothing to resolve")
        found = [each for each in load(self.directory) if each.version == version]
        if not found:
            raise UsageError(f"there is no file of {begun.label} in {self.directory}: put it back")
        script, applying, patience = self._parsed(found[0]), self._applying(), self._patience()
        if script.mode == "batches" and begun.cursor is not None:
            return self._batches(applying, patience).resolve(script, begun, how)
        return self._outside_transaction(applying, patience).resolve(script, begun, how)

    def adopt(
        self, tool: Tools, source: str | os.PathLike[str], *, history: str | None = None
    ) -> Adoption:
        """Take over another tool's files and history, without running anything.

        ``source`` is its folder, and ``history`` its table, where it isn't called as usual.  The
        files are written to this one's folder, unless they are there; what the database has of
        them is recorded.  Folder and table of the other tool stay as they are.

        Raises UsageError (no such tool, a history that is dirty, failed or unknown, a history or
        other files that are here already, forgedb's own), MigrationError (a file that can't be
        taken over), LockTimeout.
        """
        from forgedb.migrations.adoption import applied_there, sources_of, taken_over, tool_named
        from forgedb.migrations.adoption import write as write_files

        if not self._is_folders:
            raise UsageError("give a folder for the files: forgedb's own are in another")
        their = tool_named(tool)
        table = their.TABLE if history is None else history
        sources = sources_of(their, os.fspath(source), self._database.dialect)
        _refuse_a_second_history(self._history(writing=True))
        self._database.read(applied_there(their, table, sources))
        write_files(sources.files, self.directory, os.fspath(source))
        return self._patience().write(partial(taken_over, their, table, sources, self._record))

    def squash(
        self,
        to: int,
        *,
        name: str = "squashed",
        also: Handle[SyncRunner] | SyncRunner | None = None,
    ) -> list[str]:
        """Make one file of those up to a number, and return it; those are moved to a folder by it.

        Databases that have them count as having the file, and pass over it; new ones run it.  It
        is written only if it makes, in a scratch database, what they make in another.  Where there
        is a folder for each database both are squashed; ``also`` is a database of the other kind.

        Raises UsageError (no such number, files that can't be joined, forgedb's own), InvalidValue
        (the name), MigrationError.
        """
        from forgedb.migrations.squash import squash

        given = self._given[0]
        if given is None:
            raise UsageError("forgedb's own files aren't squashed: give the folder of yours")
        databases = [self._database, *([] if also is None else [_runner_of(also)])]
        by_dialect: dict[Dialect, SyncRunner] = {each.dialect: each for each in databases}
        return squash(os.fspath(given), by_dialect, to, name)

    def mark(
        self,
        version: int,
        state: Marking,
        *,
        reason: str,
        by: str | None = None,
        allow_out_of_order: bool = False,
    ) -> Mark:
        """Change the history by hand: a migration is taken as applied, or is pending again.

        A file that was edited since is taken as applied with the text that it has now.  ``by``
        is who says so, by default this process.

        Raises UsageError (no such migration, it is so already, forgedb's own, a lower number would
        be passed over), InvalidValue (the reason), LockTimeout, MigrationDrift.
        """
        from forgedb.migrations.marks import marked

        applying = self._applying()
        applying.allow_out_of_order = allow_out_of_order
        if not self._is_folders:
            raise UsageError(
                "forgedb's own history isn't changed by hand: give the folder of your files"
            )
        files = load(self.directory)
        steps = marked(applying, files, version, state, by, reason)
        # Also whether there is another history of these files.
        self._history(files)
        return self._patience().write(steps)

    def marks(self) -> list[Mark]:
        """What was changed in the history by hand, the oldest first."""
        from forgedb.migrations.marks import marks_of

        return [*self._database.read(marks_of(self._table))]

    def _on_a_copy(self, target: int | None, *, allow_out_of_order: bool) -> list[AppliedMigration]:
        from tempfile import TemporaryDirectory

        from forgedb.drivers.sqlite.options import sqlite_options
        from forgedb.drivers.sqlite.runner import SqliteRunner

        with TemporaryDirectory() as folder:
            path = os.path.join(folder, "rehearsal.db")
            self._database.backup(path)
            options = sqlite_options(path, {})
            copied = SqliteRunner(msgspec.structs.replace(options, attaches=False))
            try:
                return self.on(copied).migrate(target, allow_out_of_order=allow_out_of_order)
            finally:
                copied.close()

    def _planned(self, target: int | None, *, allow_out_of_order: bool) -> list[Script]:
        pending = self._lacking(target, allow_out_of_order=allow_out_of_order, writing=True)
        scripts = [self._parsed(migration) for migration in pending]
        if pending and self._progress is not None:
            self._progress.planned(pending)
        return scripts

    def _parsed(self, migration: MigrationFile) -> Script:
        if migration.is_python and not self._is_folders:
            raise refused(migration.file, "a program is run from a folder that is named alone")
        known = self._scripts.get(migration.checksum)
        if known is None or known.migration != migration:
            # Nothing is pending on most starts, and nothing is split then.
            from forgedb.migrations.script import parse

            known = self._scripts[migration.checksum] = parse(migration, self._database.dialect)
        return known

    def _applying(self) -> FileTransaction:
        from forgedb.migrations.transaction import FileTransaction

        warned = None if self._progress is None else self._progress.warned
        return FileTransaction(self._table, self._lock_wait_seconds, self.options, warned)

    def _patience(self) -> LockRetry:
        from forgedb.migrations.lock_retry import LockRetry

        report = None if self._progress is None else self._progress.waiting
        return LockRetry(self._database, self._lock_timeout_seconds, report)

    def _outside_transaction(
        self, applying: FileTransaction, patience: LockRetry
    ) -> OutsideTransaction:
        from forgedb.migrations.no_transaction import OutsideTransaction

        return OutsideTransaction(self._database, patience, applying)

    def _batches(self, applying: FileTransaction, patience: LockRetry) -> Batches:
        from forgedb.migrations.batches import Batches

        return Batches(patience, applying, self._progress)

    def _record(self, files: Sequence[MigrationFile]) -> Steps[list[AppliedMigration]]:
        if not self._is_folders:
            yield from require_utf8()
        self._refuse_to_part(files, (yield from self._table.find(self._place)))
        history = yield from self._applying().locked_history()
        _refuse_a_second_history(history)
        yield from self._refuse_elsewhere(files)
        at = yield from now()
        recorded: list[AppliedMigration] = []
        for migration in files:
            entry = yield from self._table.record(migration, at, 0)
            recorded.append(entry)
        return recorded

    def _note(self, applied: AppliedMigration, applying: FileTransaction) -> None:
        applying.done.append(applied)
        if self._told is not None:
            if applied.label in self._told:
                return
            self._told.add(applied.label)
        if self._progress is not None:
            self._progress.applied(applied)

    def _moved(
        self, files: Sequence[MigrationFile], source: HistoryTable
    ) -> Steps[list[AppliedMigration]]:
        from forgedb.migrations.history_move import move
        from forgedb.migrations.locking import lock

        yield from lock(self._lock_wait_seconds)
        home = yield from self._table.find(self._place)
        source = HistoryTable(source.name, home.history)
        return (yield from move(files, source, self._table))

    def _differences(self) -> Steps[list[Difference]]:
        # Where forgedb is in another schema too, that one's functions are no fault of this one.
        yield from self._place.enter(alone=True)
        return (yield from differences())

    def _history(
        self,
        files: Sequence[MigrationFile] | None = None,
        *,
        writing: bool = False,
        beginning: bool = False,
    ) -> History:
        """The history, and where it is going to be written, whether it may be.

        With ``files`` it is to be the only one of them, and with ``beginning`` they are to be run
        where it is.

        Raises MigrationDrift, UsageError (also for the database's encoding), MigrationError (there
        is one of these files in another place).
        """
        steps = partial(self._read_history, files, writing=writing, beginning=beginning)
        if self._database.dialect == "sqlite":
            return self._database.read(steps())
        return self._patience().write(partial(self._read_briefly, steps))

    def _read_briefly(self, steps: Callable[[], Steps[History]]) -> Steps[History]:
        from forgedb.migrations.locking import queue_briefly

        yield from queue_briefly(self._lock_wait_seconds)
        return (yield from steps())

    def _read_history(
        self, files: Sequence[MigrationFile] | None, *, writing: bool, beginning: bool
    ) -> Steps[History]:
        if writing and not self._is_folders:
            # What a folder of somebody's own needs is for them to know.
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


Runner = Migrator


def _parted(files: Sequence[MigrationFile]) -> tuple[list[MigrationFile], list[MigrationFile]]:
    """The numbered files, and the repeatable ones."""
    numbered = [migration for migration in files if not migration.is_repeatable]
    return numbered, [migration for migration in files if migration.is_repeatable]


def directory_for(directory: str | os.PathLike[str] | None, dialect: Dialect) -> str:
    """The folder of a database's files: the given one, or the one for this database in it."""
    if directory is None:
        return packaged(dialect)
    given = os.fspath(directory)
    # The other database's folder without this one's isn't a folder without migrations.
    is_parted = any(os.path.isdir(os.path.join(given, each)) for each in DIALECTS)
    return os.path.join(given, dialect) if is_parted else given


def schema_check(dialect: Dialect, mode: Mode) -> Steps[bool]:
    """Whether the database has what this code needs; SchemaOutdated, MigrationError if not.

    Its history is where its tables are: where the search_path leads to.

    Raises MigrationDrift for what isn't a table, before anything is read from it.

    A database that is newer than the code may be read, and warns of it.
    """
    files = load(packaged(dialect))
    history = yield from HistoryTable().read()
    unknown = others_files(files, history, TABLE, is_own=True)
    if unknown is not None:
        raise unknown
    states = compare(files, history)
    lacking = [each.label for each in states if each.is_pending]
    if lacking:
        raise SchemaOutdated(lacking)
    newer = [each for each in states if each.state == "newer"]
    yield from require_tables(dialect, files[-1].version, may_lack=bool(newer))
    if newer:
        if mode == "write":
            problem = problem_of(newer[0], states)
            assert problem is not None, "a newer database is one"
            raise problem
        import warnings

        warnings.warn(
            f"the database has migration {newer[-1].version}, and this forgedb knows up to"
            f" {files[-1].version}: upgrade forgedb; until then it only reads",
            stacklevel=2,
        )
        return False
    return True


def _runner_of(database: Handle[SyncRunner] | SyncRunner) -> SyncRunner:
    runner = database._runner if isinstance(database, Handle) else database
    if not isinstance(runner, SyncRunner):
        raise UsageError(
            f"{type(database).__name__} can't be migrated by a Migrator, which blocks: give it to"
            " AsyncMigrator, and await what that does"
        )
    return runner


def _refuse_a_second_history(history: History) -> None:
    known: list[AppliedMigration | BegunMigration] = [*history.applied, *history.begun]
    if known:
        raise UsageError(
            f"the database has a history already, up to {known[-1].label}: a baseline is for a"
            " database without one"
        )


def _check_seconds(name: str, value: float, least: float) -> None:
    # In this order NaN, which compares with nothing, is refused as well.
    if not least <= value <= SECONDS_MAX:
        raise InvalidValue(name, value, f"give {least:g} to {SECONDS_MAX:g} seconds")


def _check_target(files: Sequence[MigrationFile], target: int | None, directory: str) -> None:
    if target is not None and (not isinstance(target, int) or isinstance(target, bool)):
        raise InvalidValue("target", target, "it must be the number of a migration, such as 3")
    if target is not None and target not in {migration.version for migration in files}:
        numbers = [migration.version for migration in files]
        there = f"they go from {numbers[0]} to {numbers[-1]}" if numbers else "it has none"
        raise UsageError(f"there is no migration {target} in {directory}: {there}")
