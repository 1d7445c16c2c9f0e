"""The migrator for tasks: each method runs Migrator's of the same name in a thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from forgedb.errors import UsageError
from forgedb.handle import Handle
from forgedb.migrations.history import TABLE
from forgedb.migrations.migrator import Migrator
from forgedb.migrations.progress import Progress
from forgedb.operations.binding import AsyncRunner, SyncRunner

if TYPE_CHECKING:
    from forgedb.migrations.adoption import Adoption, Tools
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.comparison import MigrationState
    from forgedb.migrations.files import MigrationFile
    from forgedb.migrations.history import BegunMigration
    from forgedb.migrations.marks import Mark, Marking
    from forgedb.migrations.no_transaction import Resolution
    from forgedb.migrations.rehearsal import Rehearsed
    from forgedb.schema_check.comparison import Difference

R = TypeVar("R")


class MigratorOptions(TypedDict, total=False):
    """What a Migrator takes by name."""

    table: str | None
    schema: str | None
    history_schema: str | None
    lock_timeout_seconds: float
    lock_wait_seconds: float
    progress: Progress | None


class AsyncMigrator:
    """As Migrator, on an AsyncDatabase: each method does its work in a thread, and is awaited.

    On PostgreSQL the thread has a connection of its own, on SQLite the database's.  Where the task
    is cancelled, the statement that runs is interrupted and its file rolled back, as at Ctrl-C,
    before the task goes on.  ``progress`` is called in the event loop.

    Options and errors are Migrator's; wrong options are refused by the first call.
    """

    def __init__(
        self,
        database: Handle[AsyncRunner] | AsyncRunner,
        directory: str | os.PathLike[str] | None = None,
        **options: Unpack[MigratorOptions],
    ) -> None:
        runner = database._runner if isinstance(database, Handle) else database
        if not isinstance(runner, AsyncRunner):
            raise UsageError(
                f"{type(database).__name__} isn't awaited: give it to Migrator, which blocks"
            )
        self._runner = runner
        self._directory = directory
        self._options = options

    async def applied(self) -> list[AppliedMigration]:
        """What the database has, in the order of the numbers."""
        return await self._do(lambda it: it.applied())

    async def states(self) -> list[MigrationState]:
        """Each migration of the folder and of the database, with its state."""
        return await self._do(lambda it: it.states())

    async def pending(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[MigrationFile]:
        """What the database lacks, up to number ``target``."""
        return await self._do(lambda it: it.pending(target, allow_out_of_order=allow_out_of_order))

    async def check(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[MigrationFile]:
        """What migrate would apply: read, and split into statements, but not run."""
        return await self._do(lambda it: it.check(target, allow_out_of_order=allow_out_of_order))

    async def migrate(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> list[AppliedMigration]:
        """Apply what is pending and return it."""
        return await self._do(lambda it: it.migrate(target, allow_out_of_order=allow_out_of_order))

    async def rehearse(
        self, target: int | None = None, *, allow_out_of_order: bool = False
    ) -> Rehearsed:
        """Apply what is pending in one transaction, roll it back, and return what it was."""
        return await self._do(lambda it: it.rehearse(target, allow_out_of_order=allow_out_of_order))

    async def baseline(self, version: int) -> list[AppliedMigration]:
        """Record the files up to a number as applied, without running them, and return them."""
        return await self._do(lambda it: it.baseline(version))

    async def unfinished(self) -> list[BegunMigration]:
        """The files that were begun outside a transaction, and weren't finished."""
        return await self._do(lambda it: it.unfinished())

    async def invalid_indexes(self) -> list[str]:
        """The indexes that PostgreSQL doesn't use, since making them failed: schema and name."""
        return await self._do(lambda it: it.invalid_indexes())

    async def differences(self) -> list[Difference]:
        """What of the schema isn't as the applied migrations made it, the harmless last."""
        return await self._do(lambda it: it.differences())

    async def schema_differences(
        self, scratch: Handle[SyncRunner] | None = None
    ) -> list[Difference]:
        """How the live schema is different from what the applied files make, the harmless last.

        ``scratch`` is a database for threads, as connect() opens it.
        """
        return await self._do(lambda it: it.schema_differences(scratch))

    async def resolve(self, version: int, how: Resolution) -> list[str]:
        """Let the next run continue an unfinished file, or take it as applied."""
        return await self._do(lambda it: it.resolve(version, how))

    async def adopt(
        self, tool: Tools, source: str | os.PathLike[str], *, history: str | None = None
    ) -> Adoption:
        """Take over another tool's files and history, without running anything."""
        return await self._do(lambda it: it.adopt(tool, source, history=history))

    async def squash(self, to: int, *, name: str = "squashed") -> list[str]:
        """Join the files up to a number into one, and return the paths that were written."""
        return await self._do(lambda it: it.squash(to, name=name))

    async def mark(
        self,
        version: int,
        state: Marking,
        *,
        reason: str,
        by: str | None = None,
        allow_out_of_order: bool = False,
    ) -> Mark:
        """Change the history by hand: mark a migration as applied, or as pending again."""
        options: Any = {"reason": reason, "by": by, "allow_out_of_order": allow_out_of_order}
        return await self._do(lambda it: it.mark(version, state, **options))

    async def marks(self) -> list[Mark]:
        """What was changed in the history by hand, the oldest first."""
        return await self._do(lambda it: it.marks())

    async def place(self) -> str:
        """The table of the history, with its schema on PostgreSQL."""
        return await self._do(lambda it: it.place())

    async def move(self, source: str = TABLE) -> list[AppliedMigration]:
        """Move the history of these files from the table ``source`` to this migrator's table."""
        return await self._do(lambda it: it.move(source))

    async def _do(self, work: Callable[[Migrator], R]) -> R:
        options = self._options.copy()
        progress = self._options.get("progress")
        if progress is not None:
            options["progress"] = _InTheLoop(progress)

        def on(runner: SyncRunner) -> R:
            return work(Migrator(runner, self._directory, **options))

        return await self._runner.blocking(on)


class _InTheLoop(Progress):
    """Calls a task's progress in its event loop, in order, and before the call returns."""

    def __init__(self, inner: Progress) -> None:
        import asyncio

        self._inner = inner
        self._loop = asyncio.get_running_loop()

    def planned(self, pending: Sequence[MigrationFile]) -> None:
        self._tell(self._inner.planned, pending)

    def waiting(self, why: str) -> None:
        self._tell(self._inner.waiting, why)

    def warned(self, file: str, severity: str, words: str) -> None:
        self._tell(self._inner.warned, file, severity, words)

    def batch(self, migration: MigrationFile, done: int, after: str) -> None:
        self._tell(self._inner.batch, migration, done, after)

    def applied(self, entry: AppliedMigration) -> None:
        self._tell(self._inner.applied, entry)

    def _tell(self, hear: Callable[..., None], *what: Any) -> None:
        self._loop.call_soon_threadsafe(hear, *what)
