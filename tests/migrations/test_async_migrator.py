"""The migrator for tasks: it does what the one for threads does, and a cancelled task ends it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, get_type_hints

import pytest

import forgedb
from forgedb import AsyncDatabase, MigrationError, UsageError
from forgedb.migrations import AsyncMigrator, Migrator
from forgedb.migrations.async_migrator import MigratorOptions
from tests.migrations.folder import A, B, C, Folder
from tests.migrations.watching import Heard, until

R = TypeVar("R")

ENDLESS = {
    "sqlite": "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)"
    " SELECT sum(n) FROM n",
    "postgres": "SELECT pg_sleep(600)",
}

SHORT = {
    "sqlite": "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 2000)"
    " SELECT sum(n) FROM n;\n" * 8000,
    "postgres": "SELECT pg_sleep(0.03);\n" * 200,
}

BACK_SECONDS = 2.0


def _with_tasks(url: str, work: Callable[[AsyncDatabase], Awaitable[R]]) -> R:
    async def run() -> R:
        async with await forgedb.connect_async(url) as db:
            return await work(db)

    return asyncio.run(run())


async def _cancelled_when(task: asyncio.Task[Any], true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true() and not task.done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
    task.cancel()
    at = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - at < BACK_SECONDS


def test_its_methods_are_those_of_the_migrator_awaited(folder: Folder, url: str) -> None:
    folder.write(m0001_a=A, m0002_b=B, m0003_c=C)

    async def work(db: AsyncDatabase) -> None:
        migrator = AsyncMigrator(db, folder.path, table="ours")
        assert [each.label for each in await migrator.pending()] == ["0001_a", "0002_b", "0003_c"]
        assert [each.label for each in await migrator.check(2)] == ["0001_a", "0002_b"]
        assert len(await migrator.rehearse()) == 3
        assert [each.label for each in await migrator.baseline(1)] == ["0001_a"]
        assert [each.label for each in await migrator.migrate()] == ["0002_b", "0003_c"]
        assert [each.version for each in await migrator.applied()] == [1, 2, 3]
        assert {each.state for each in await migrator.states()} == {"applied"}
        assert await migrator.unfinished() == []
        assert await migrator.invalid_indexes() == []
        assert await migrator.differences() == []
        # What the baseline took for applied wasn't there.
        assert "a" in {each.name for each in await migrator.schema_differences()}
        with pytest.raises(UsageError, match="isn't unfinished"):
            await migrator.resolve(1, "retry")
        assert (await migrator.mark(3, "pending", reason="again")).version == 3
        assert [each.version for each in await migrator.marks()] == [3]
        assert await db.client.query("SELECT id FROM b ORDER BY id") == [(1,), (2,)]

    _with_tasks(url, work)


def test_no_method_or_option_of_the_migrator_is_left_out() -> None:
    def public(kind: type[Any]) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    # What the migrator's own parts ask it for.
    inner = {"on", "options", "make", "tables", "applied_files"}
    assert public(Migrator) - public(AsyncMigrator) == inner
    parameters = inspect.signature(Migrator).parameters.values()
    by_name = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert set(get_type_hints(MigratorOptions)) == by_name


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_database_in_memory_is_migrated_where_it_is(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b=B)

    async def work(db: AsyncDatabase) -> list[tuple[Any, ...]]:
        await AsyncMigrator(db, folder.path).migrate()
        return await db.client.query("SELECT id FROM b")

    assert _with_tasks("sqlite://", work) == [(1,)]


def test_each_migrator_says_which_surface_it_is_for(folder: Folder) -> None:
    with pytest.raises(UsageError, match="Database isn't awaited: give it to Migrator"):
        AsyncMigrator(folder.db)  # type: ignore[arg-type]


def test_progress_is_told_in_the_event_loop(three: Folder, url: str) -> None:
    class Told(Heard):
        def applied(self, entry: Any) -> None:
            asyncio.get_running_loop()
            super().applied(entry)

    told = Told()
    _with_tasks(url, lambda db: AsyncMigrator(db, three.path, progress=told).migrate())
    assert told.planned_labels == told.applied_labels == ["0001_a", "0002_b", "0003_c"]


def _is_at_work(folder: Folder) -> bool:
    """Whether somebody is in the second file of the two."""
    if folder.db.client.dialect == "postgres":
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return bool(folder.db.client.query_value(asked))
    return folder.labels() == ["0001_a"]


@pytest.mark.parametrize("many", [False, True])
def test_a_cancelled_task_ends_its_statement_and_rolls_the_file_back(
    folder: Folder, url: str, many: bool
) -> None:
    # Many short statements, too, of which none is long enough to be interrupted.
    text = (SHORT if many else ENDLESS)[folder.db.client.dialect]
    folder.write(m0001_a=A, m0002_b=f"CREATE TABLE b (id INTEGER);\n{text}")

    async def work(db: AsyncDatabase) -> None:
        migrator = AsyncMigrator(db, folder.path)
        await migrator.check()
        task = asyncio.create_task(migrator.migrate())
        await _cancelled_when(task, lambda: _is_at_work(folder))
        assert folder.labels() == ["0001_a"]
        folder.write(m0002_b=B)
        assert [each.label for each in await migrator.migrate()] == ["0002_b"]

    _with_tasks(url, work)
    assert folder.tables() == {"a", "b"}


def test_a_cancelled_task_waits_for_no_lock_any_more(folder: Folder, url: str) -> None:
    folder.write(m0001_a=A)
    heard = Heard()

    async def work(db: AsyncDatabase) -> None:
        with forgedb.connect(url) as other, other.client.transaction() as tx:
            if tx.dialect == "postgres":
                tx.query("SELECT pg_advisory_xact_lock(hashtextextended('forgedb.migrations', 0))")
            migrator = AsyncMigrator(db, folder.path, progress=heard)
            await _cancelled_when(asyncio.create_task(migrator.migrate()), lambda: heard.reasons)
        assert len(await migrator.migrate()) == 1

    _with_tasks(url, work)


def test_what_a_cancelled_task_left_outside_a_transaction_is_on_record(
    folder: Folder, url: str
) -> None:
    endless = ENDLESS[folder.db.client.dialect]
    folder.write(m0001_a=A, m0002_b=f"-- forgedb: no-transaction\n{B}\n{endless};")

    async def work(db: AsyncDatabase) -> None:
        migrator = AsyncMigrator(db, folder.path)
        task = asyncio.create_task(migrator.migrate())
        await _cancelled_when(
            task, lambda: [each.done for each in folder.runner.unfinished()] == [2]
        )
        (begun,) = await migrator.unfinished()
        assert (begun.label, begun.state, begun.error) == ("0002_b", "failed", "it was interrupted")
        folder.write(m0002_b=f"-- forgedb: no-transaction\n{B}")
        assert await migrator.resolve(2, "retry")
        assert [each.label for each in await migrator.migrate()] == ["0002_b"]

    _with_tasks(url, work)


def test_what_fails_is_raised_where_it_is_awaited(folder: Folder, url: str) -> None:
    folder.write(m0001_a=A, m0002_b="SELECT nothing")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:"):
        _with_tasks(url, lambda db: AsyncMigrator(db, folder.path).migrate())
    assert folder.labels() == ["0001_a"]


def test_no_thread_of_it_is_left(three: Folder, url: str) -> None:
    async def work(db: AsyncDatabase) -> None:
        await db.client.query("SELECT 1")
        before = threading.active_count()
        await AsyncMigrator(db, three.path).migrate()
        assert until(lambda: threading.active_count() <= before)

    _with_tasks(url, work)
