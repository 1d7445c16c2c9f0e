"""Applying migrations: every file in a transaction of its own, with its line of history."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from forgedb.errors import (
    ForgeDbError,
    MigrationDrift,
    MigrationError,
    SchemaOutdated,
    UsageError,
)
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.files import MigrationFile, load, packaged
from forgedb.migrations.history import create, lock_history, pending_of, read_history, record
from forgedb.operations.binding import Mode, Sync
from forgedb.operations.steps import Steps, now, run

if TYPE_CHECKING:
    from forgedb.sql.lexer import Dialect
    from forgedb.sql.split import ScriptStatement


class Runner:
    """Brings a database to the migrations of a folder, by default forgedb's own."""

    def __init__(self, database: Sync, directory: str | None = None) -> None:
        self._database = database
        self.directory = directory or packaged(database.dialect)

    def applied(self) -> list[AppliedMigration]:
        """What the database has, in the order of the numbers."""
        return self._database.read(read_history())

    def pending(self, target: int | None = None) -> list[MigrationFile]:
        """What the database lacks, up to number ``target``.

        Raises MigrationError, MigrationDrift, UsageError (no such target).
        """
        files = load(self.directory)
        if target is not None and target not in {migration.version for migration in files}:
            raise UsageError(f"there is no migration {target} in {self.directory}")
        missing = pending_of(files, self.applied())
        return [each for each in missing if target is None or each.version <= target]

    def migrate(
        self,
        target: int | None = None,
        report: Callable[[AppliedMigration], None] | None = None,
    ) -> list[AppliedMigration]:
        """Apply what is pending and return it; ``report`` is called after each file.

        Every file is read and split into statements before the first one runs.

        Raises MigrationError (its file was rolled back, those before it stay), MigrationDrift,
        UsageError (no such target), Unavailable.
        """
        parsed = [
            (migration, parse(migration, self._database.dialect))
            for migration in self.pending(target)
        ]
        done: list[AppliedMigration] = []
        for position, (migration, statements) in enumerate(parsed):
            applied = self._database.write(
                _apply(migration, statements, done, [later for later, _ in parsed[position:]])
            )
            if applied is not None:
                done.append(applied)
                if report is not None:
                    report(applied)
        return done


def parse(migration: MigrationFile, dialect: Dialect) -> list[ScriptStatement]:
    """The file's statements.  Raises MigrationError for text that can't be split or run."""
    # Nothing is pending on most starts, and nothing is split then.
    from forgedb.sql.split import ScriptError, split, transaction_control

    try:
        statements = split(migration.text, dialect)
    except ScriptError as error:
        raise MigrationError(migration.file, error.line, "", (), (), error.why) from error
    if not statements:
        raise MigrationError(
            migration.file, 0, "", (), (), "it holds no statement: write its SQL, or remove it"
        )
    for statement in statements:
        keyword = transaction_control(statement)
        if keyword is not None:
            raise MigrationError(
                migration.file,
                statement.line,
                statement.text,
                (),
                (),
                f"{keyword} is refused: each file runs in one transaction of the runner's",
            )
    return statements


def schema_check(dialect: Dialect, mode: Mode) -> Steps[bool]:
    """Whether the database has what this code needs; SchemaOutdated, MigrationError if not.

    A database that is newer than the code may be read, and warns of it.
    """
    files = load(packaged(dialect))
    history = yield from read_history()
    applied = {entry.version for entry in history}
    pending = [migration.label for migration in files if migration.version not in applied]
    if pending:
        raise SchemaOutdated(pending)
    if history[-1].version > files[-1].version:
        if mode == "write":
            pending_of(files, history)
        import warnings

        warnings.warn(
            f"the database has migration {history[-1].version}, and this forgedb knows up to"
            f" {files[-1].version}: upgrade forgedb; until then it only reads",
            stacklevel=2,
        )
        return False
    return True


def _apply(
    migration: MigrationFile,
    statements: Sequence[ScriptStatement],
    done: Sequence[AppliedMigration],
    pending: Sequence[MigrationFile],
) -> Steps[AppliedMigration | None]:
    """Run one file, unless another process has done so since its history was read."""
    began = time.monotonic()
    yield from lock_history()
    yield from create()
    history = yield from read_history()
    for entry in history:
        if entry.version == migration.version:
            if entry.checksum != migration.checksum:
                raise MigrationDrift(migration.file, entry.checksum, migration.checksum)
            return None
    for statement in statements:
        try:
            yield from run(statement.text)
        except ForgeDbError as error:
            raise MigrationError(
                migration.file,
                statement.line,
                statement.text,
                [entry.label for entry in done],
                [later.label for later in pending],
                str(error),
            ) from error
    at = yield from now()
    return (yield from record(migration, at, round((time.monotonic() - began) * 1000)))
