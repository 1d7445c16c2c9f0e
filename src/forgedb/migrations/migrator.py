"""Bringing a database to the migrations of a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from forgedb.errors import Conflict, InvalidValue, UsageError
from forgedb.handle import Handle
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.encoding import require_utf8
from forgedb.migrations.files import MigrationFile, load
from forgedb.migrations.history import (
    TABLE,
    BegunMigration,
    History,
    HistoryTable,
)
from forgedb.migrations.status import MigrationStatus, by_kind, check_target, runner_of
from forgedb.operations.binding import SyncRunner
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps, now, run

if TYPE_CHECKING:
    from forgedb.migrations.adoption import Adoption, Tools
    from forgedb.migrations.batches import Batches
    from forgedb.migrations.lock_retry import LockRetry
    from forgedb.migrations.marks import Mark, Marking
    from forgedb.migrations.no_transaction import OutsideTransaction, Resolution
    from forgedb.migrations.rehearsal import Rehearsed
    from forgedb.migrations.script import Script
    from forgedb.migrations.transaction import FileTransaction
    from forgedb.schema_check.comparison import Difference
    from forgedb.sql.lexer import Dialect


class Migrator(MigrationStatus):
    """Brings a database to the migrations of a folder, by default forgedb's own.

    The folder holds ``NNNN_name.sql`` files, or a folder of them for each database, ``sqlite``
    and ``postgres``.  ``lock_timeout_seconds`` is how long to wait for another process that
    migrates, or for a table that is in use; a statement queues for ``lock_wait_seconds`` at a
    time.  ``table`` keeps the history, so that one database can have several: forgedb's own is in
    ``schema_migrations``, a folder's in ``app_schema_migrations`` unless another is named.

    On PostgreSQL the files are run in ``schema``, and their history is there too, unless
    ``history_schema`` is another; by default both are the first schema of the search_path that
    exists.

    Raises InvalidValue (a time beyond a day, or too short to wait for), UsageError (the table, or
    a schema's name).
    """

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
        transaction, retry = self._transaction(), self._retry()
        transaction.allow_out_of_order = allow_out_of_order
        for position, script in enumerate(scripts):
            transaction.pending = scripts[position:]
            if script.mode == "no-transaction":
                applied = self._outside_transaction(transaction, retry).apply(script)
            elif script.mode == "batches":
                applied = self._batches(transaction, retry).apply(script)
            else:
                if script.opening:
                    # Its own transaction locks the history's table before it can be made.
                    retry.write(transaction.locked_history)
                no_foreign_keys = script.mode == "rebuild"
                steps = partial(transaction.in_transaction, script)
                try:
                    applied = retry.write(steps, no_foreign_keys=no_foreign_keys)
                except (Conflict, InvalidValue, UsageError) as error:
                    if not transaction.is_at_commit:
                        raise
                    # A deferred constraint, or trigger.
                    raise transaction.uncommitted(script, error) from error
            if applied is not None:
                self._note(applied, transaction)
        return transaction.done

    def rehearse(self, target: int | None = None, *, allow_out_of_order: bool = False) -> Rehearsed:
        """Apply what is pending in one transaction, roll it back, and return what it was.

        A file that can't be tried so is in the result's ``unrehearsed``, with its reason, and so
        are all files after it.  On SQLite every file can be tried: all of it is done on a copy of
        the database where a file runs in no transaction or rebuilds a table, or where a file
        changes the connection's settings and another file follows.

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
                    self._retry().write(
                        lambda: Rehearsal(self._transaction(), scripts, self._note).steps()
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
        check_target(files, version, self.directory)
        upto = [migration for migration in files if migration.version <= version]
        return self._retry().write(partial(self._record, upto))

    def move(self, source: str = TABLE) -> list[AppliedMigration]:
        """Move the history of these files from the table ``source`` to this runner's table.

        Returns what it holds.  Version 0.1 kept it in the table of forgedb's own history.

        Raises UsageError (there is none, or it is of other files; there is one in the table
        already), MigrationDrift, LockTimeout.
        """
        files, others = load(self.directory), HistoryTable(source)
        return self._retry().write(partial(self._moved, files, others))

    def schema_differences(
        self, scratch: Handle[SyncRunner] | SyncRunner | None = None
    ) -> list[Difference]:
        """How the live schema is different from what the applied files make, the harmless last.

        The files are run in a scratch database: in a temporary file on SQLite, in a database that
        is made and dropped on PostgreSQL's server, or in the empty one that is given.

        Raises as migrate, for what fails there; UsageError (no scratch database can be made, or
        the one given isn't empty), MigrationError, MigrationDrift (the history isn't the files').
        """
        if not self._is_folders and self._table.name == TABLE:
            return self.differences()
        from forgedb.migrations.live_schema import compared_with_scratch

        given = None if scratch is None else runner_of(scratch)
        files = self.applied_files()
        if not files:
            return []

        def make(scratch: MigrationRunner) -> None:
            self.make(scratch, files)

        return compared_with_scratch(self._database, given, make, self.tables)

    def make(self, database: MigrationRunner, files: Sequence[MigrationFile]) -> None:
        """Apply these files to another database, which is empty.  Raises as migrate."""
        other = self.on(database)
        other._files, other._progress = by_kind(files), None
        # In the same schemas as here, which needn't be on the other database's search_path.
        home = self._database.read(self._place.find(self._table.name))
        for text in home.made_with():
            database.autocommit(run(text))
        other.migrate()

    def resolve(self, version: int, how: Resolution) -> list[str]:
        """Let the next run continue an unfinished file, or take it as applied.

        Returns what was done, in words.  A process that still runs the file ends with the statement
        that it is running, and runs no further one.

        Raises UsageError (no such unfinished file), MigrationError, Conflict (an index is INVALID,
        or the server is still at a statement of the file), LockTimeout.
        """
        begun = self._history().begun_of(version)
        if begun is None:
            raise UsageError(f"migration {version} isn't unfinished: there is nothing to resolve")
        found = [each for each in load(self.directory) if each.version == version]
        if not found:
            raise UsageError(f"there is no file of {begun.label} in {self.directory}: put it back")
        script, transaction, retry = self._parsed(found[0]), self._transaction(), self._retry()
        if script.mode == "batches" and begun.cursor is not None:
            return self._batches(transaction, retry).resolve(script, begun, how)
        return self._outside_transaction(transaction, retry).resolve(script, begun, how)

    def adopt(
        self, tool: Tools, source: str | os.PathLike[str], *, history: str | None = None
    ) -> Adoption:
        """Take over another tool's files and history, without running anything.

        ``source`` is its folder, and ``history`` its table, where that hasn't its usual name.  The
        files are written to this migrator's folder, unless they are there already; those that the
        database has are recorded as applied.  Folder and table of the other tool stay as they are.

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
        return self._retry().write(partial(taken_over, their, table, sources, self._record))

    def squash(
        self,
        to: int,
        *,
        name: str = "squashed",
        also: Handle[SyncRunner] | SyncRunner | None = None,
    ) -> list[str]:
        """Join the files up to a number into one, and move them to a folder by it.

        Returns the paths that were written, one for each folder.

        A database that has those files counts as having the new one, and doesn't run it; new
        databases do.  It is written only if it makes the same in a scratch database as those files.
        Where there is a folder for each kind of database, both are squashed; ``also`` is a database
        of the other kind.

        Raises UsageError (no such number, files that can't be joined, forgedb's own), InvalidValue
        (the name), MigrationError.
        """
        from forgedb.migrations.squash import squash

        given = self._given[0]
        if given is None:
            raise UsageError("forgedb's own files aren't squashed: give the folder of yours")
        databases = [self._database, *([] if also is None else [runner_of(also)])]
        by_dialect: dict[Dialect, MigrationRunner] = {each.dialect: each for each in databases}

        def made(
            scratch: MigrationRunner, folder: str, files: Sequence[MigrationFile]
        ) -> frozenset[str]:
            there = Migrator(scratch, folder)
            there.make(scratch, files)
            return there.tables

        return squash(os.fspath(given), by_dialect, to, name, made)

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

        A file that was edited since is taken as applied with its present text.  ``by`` is who
        changes it, by default this process.

        Raises UsageError (no such migration, it is so already, forgedb's own, a lower number would
        be passed over), InvalidValue (the reason), LockTimeout, MigrationDrift.
        """
        from forgedb.migrations.marks import marked

        transaction = self._transaction()
        transaction.allow_out_of_order = allow_out_of_order
        if not self._is_folders:
            raise UsageError(
                "forgedb's own history isn't changed by hand: give the folder of your files"
            )
        files = load(self.directory)
        steps = marked(transaction, files, version, state, by, reason)
        # This also checks whether there is another history of these files.
        self._history(files)
        return self._retry().write(steps)

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

    def _transaction(self) -> FileTransaction:
        from forgedb.migrations.transaction import FileTransaction

        warned = None if self._progress is None else self._progress.warned
        return FileTransaction(self._table, self._lock_wait_seconds, self.options, warned)

    def _outside_transaction(
        self, transaction: FileTransaction, retry: LockRetry
    ) -> OutsideTransaction:
        from forgedb.migrations.no_transaction import OutsideTransaction

        return OutsideTransaction(self._database, retry, transaction)

    def _batches(self, transaction: FileTransaction, retry: LockRetry) -> Batches:
        from forgedb.migrations.batches import Batches

        return Batches(retry, transaction, self._progress)

    def _record(self, files: Sequence[MigrationFile]) -> Steps[list[AppliedMigration]]:
        if not self._is_folders:
            yield from require_utf8()
        self._refuse_to_part(files, (yield from self._table.find(self._place)))
        history = yield from self._transaction().locked_history()
        _refuse_a_second_history(history)
        yield from self._refuse_elsewhere(files)
        at = yield from now()
        recorded: list[AppliedMigration] = []
        for migration in files:
            entry = yield from self._table.record(migration, at, 0)
            recorded.append(entry)
        return recorded

    def _note(self, applied: AppliedMigration, transaction: FileTransaction) -> None:
        transaction.done.append(applied)
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


def _refuse_a_second_history(history: History) -> None:
    known: list[AppliedMigration | BegunMigration] = [*history.applied, *history.begun]
    if known:
        raise UsageError(
            f"the database has a history already, up to {known[-1].label}: a baseline is for a"
            " database without one"
        )
