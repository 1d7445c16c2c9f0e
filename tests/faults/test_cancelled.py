"""Tasks that are cancelled and threads that are interrupted, at any moment of their work."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import AsyncDatabase, Database, NotFound, Unavailable, UsageError
from forgedb.drivers.postgres.connection import ROLLBACK_TO
from forgedb.drivers.postgres.link import Answer, BlockingLink, Sent
from forgedb.drivers.sqlite.connection import SqliteConnection
from forgedb.testing.servers.network import Network
from tests.faults.surfaces import Surface, beside, refuse_first, sleeps, unexpected, until

ROUNDS = 7
"""More than there are connections."""

POSTGRES = {"pool_max_size": 2, "pool_timeout": 5.0}
SQLITE = {"readers": 2, "busy_timeout": 5.0}

ENDLESS = {
    "postgres": "SELECT pg_sleep(600)",
    "sqlite": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    ),
}

Work = Callable[[AsyncDatabase], Awaitable[Any]]


@pytest.fixture(params=["postgres", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """The URL of a database with forgedb's schema, and options that make few connections."""
    if request.param == "postgres":
        return request.getfixturevalue("url"), POSTGRES
    url = f"sqlite:///{tmp_path}/forge.db"
    with forgedb.connect(url) as db:
        db.migrate()
    return url, SQLITE


def _in_a_loop(opened: tuple[str, dict[str, Any]], work: Work) -> None:
    """Run the work; in the end no connection is missing, and the history proves itself."""
    url, options = opened

    async def run() -> None:
        async with await forgedb.connect_async(url, actor="user:ada", **options) as db:
            await db.projects.list()
            await work(db)
            await _no_connection_is_missing(db)
            assert unexpected(await db.audit.verify()) == []

    asyncio.run(run())


async def _no_connection_is_missing(db: AsyncDatabase) -> None:
    everyone_has_one = asyncio.Barrier(2)

    async def hold() -> None:
        async with db.transaction(read_only=True) as tx:
            await tx.projects.list()
            await everyone_has_one.wait()
            await tx.projects.list()

    await asyncio.gather(hold(), hold())
    async with db.transaction() as tx:
        await tx.projects.list()


async def _cancelled_when(task: asyncio.Task[Any], moment: Awaitable[Any]) -> None:
    await moment
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _its_endless_query_runs(url: str) -> Coroutine[Any, Any, None]:
    if url.startswith("sqlite"):
        # Wherever it is by then, it goes on for ever.
        return asyncio.sleep(0.02)

    def look() -> None:
        with beside(url) as session:
            until(lambda: sleeps(session))

    return asyncio.to_thread(look)


def test_a_query_that_is_cancelled_leaves_its_connection_usable(
    opened: tuple[str, dict[str, Any]],
) -> None:
    async def work(db: AsyncDatabase) -> None:
        for _ in range(ROUNDS):
            query = db.client.query(ENDLESS[db.client.dialect])
            await _cancelled_when(asyncio.create_task(query), _its_endless_query_runs(opened[0]))
            assert (await db.projects.list()).items == []

    _in_a_loop(opened, work)


@pytest.mark.parametrize("in_a_query", [True, False])
def test_a_transaction_that_is_cancelled_leaves_nothing_and_its_connection_usable(
    opened: tuple[str, dict[str, Any]], in_a_query: bool
) -> None:
    async def work(db: AsyncDatabase) -> None:
        for _ in range(ROUNDS):
            has_written = asyncio.Event()

            async def change(has_written: asyncio.Event = has_written) -> None:
                async with db.transaction() as tx:
                    await tx.projects.create("platform", "Platform")
                    has_written.set()
                    if in_a_query:
                        await tx.client.query(ENDLESS[tx.client.dialect])
                    await asyncio.sleep(600)

            task = asyncio.create_task(change())
            await has_written.wait()
            moment = _its_endless_query_runs(opened[0]) if in_a_query else asyncio.sleep(0)
            await _cancelled_when(task, moment)
            assert (await db.projects.list()).items == []
        await db.projects.create("platform", "Platform")

    _in_a_loop(opened, work)


def test_a_cancelled_savepoint_whose_task_goes_on_is_undone_alone(
    opened: tuple[str, dict[str, Any]],
) -> None:
    async def work(db: AsyncDatabase) -> None:
        for number in range(ROUNDS):
            async with db.transaction() as tx:
                await tx.projects.create(f"kept-{number}", "LastUsed")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01), tx.transaction() as inner:
                        await inner.projects.create("undone", "Undone")
                        await asyncio.sleep(600)
                await tx.projects.create(f"kept-too-{number}", "LastUsed")
        assert len((await db.projects.list()).items) == 2 * ROUNDS

    _in_a_loop(opened, work)


def _a_write(db: AsyncDatabase, slug: str) -> Coroutine[Any, Any, Any]:
    return db.projects.create(slug, "Platform")


async def _a_block(db: AsyncDatabase, slug: str) -> None:
    async with db.transaction() as tx:
        project = await tx.projects.create(slug, "Platform")
        await tx.projects.update(project.id, name="New")


async def _a_nested_block(db: AsyncDatabase, slug: str) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        project = await inner.projects.create(slug, "Platform")
        await inner.projects.update(project.id, name="New")


def _a_read(db: AsyncDatabase, _: str) -> Coroutine[Any, Any, Any]:
    return db.projects.list()


async def _pass_by(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def _is_whole(db: AsyncDatabase, slug: str, entries: int) -> bool:
    """Whether the change is there; it is never there in part."""
    try:
        project = await db.projects.get_by_slug(slug)
    except NotFound:
        return False
    assert len((await db.audit.list(stream=project.id)).items) == entries
    return True


def test_a_change_in_a_block_that_goes_on_is_there_unless_it_was_cancelled(
    opened: tuple[str, dict[str, Any]],
) -> None:
    seen: set[tuple[bool, bool]] = set()

    async def one(db: AsyncDatabase, number: int) -> None:
        slugs = [f"p{number}", f"inner{number}", f"last{number}"]
        is_cancelled = False
        try:
            async with db.transaction() as tx:
                # The first in the block, so that its BEGIN is cut short as well.
                change = asyncio.create_task(tx.projects.create(slugs[0], "P"))
                for _ in range(number % 12):
                    await asyncio.sleep(0)
                change.cancel()
                (end,) = await asyncio.gather(change, return_exceptions=True)
                is_cancelled = isinstance(end, asyncio.CancelledError)
                assert is_cancelled or not isinstance(end, BaseException), end
                async with tx.transaction() as inner:
                    await inner.projects.create(slugs[1], "P")
                await tx.projects.create(slugs[2], "P")
        except Unavailable:
            # What was running when it was cut short took the whole block with it.
            there = [each.slug for each in (await db.projects.list(limit=1000)).items]
            assert not {*slugs} & {*there}
            return
        there = [each.slug for each in (await db.projects.list(limit=1000)).items]
        assert (slugs[0] in there) == (not is_cancelled)
        assert {*slugs[1:]} <= {*there}
        seen.add((is_cancelled, slugs[0] in there))

    async def work(db: AsyncDatabase) -> None:
        for number in range(150):
            await one(db, number)

    _in_a_loop(opened, work)
    assert (True, False) in seen


@pytest.mark.parametrize("again_after", [None, 1, 5])
@pytest.mark.parametrize(
    ("change", "entries"), [(_a_write, 1), (_a_block, 2), (_a_nested_block, 2)]
)
def test_whenever_a_change_is_cancelled_it_is_there_wholly_or_not_at_all(
    opened: tuple[str, dict[str, Any]],
    change: Callable[[AsyncDatabase, str], Coroutine[Any, Any, Any]],
    entries: int,
    again_after: int | None,
) -> None:
    async def work(db: AsyncDatabase) -> None:
        turns, cancelled, done = 0, 0, 0
        while done < 3:
            slug = f"p{turns}"
            task = asyncio.create_task(change(db, slug))
            await _pass_by(turns)
            task.cancel()
            if again_after is not None:
                await _pass_by(again_after)
                task.cancel()
            (told,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(told, asyncio.CancelledError):
                cancelled, done = cancelled + 1, 0
                await _is_whole(db, slug, entries)
            else:
                assert not isinstance(told, BaseException)
                done += 1
                assert await _is_whole(db, slug, entries)
            turns += 1 + turns // 12
        assert cancelled > 0

    _in_a_loop(opened, work)


async def _a_hold(db: AsyncDatabase, repository_id: str) -> None:
    async with db.leases.hold(repository_id, wait=600):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_held_before", [False, True])
def test_whenever_a_hold_is_cancelled_no_lease_is_left(
    opened: tuple[str, dict[str, Any]], is_held_before: bool
) -> None:
    async def work(db: AsyncDatabase) -> None:
        project = await db.projects.create("platform", "Platform")
        repository = await db.repositories.create(project.id, "api")
        turns, cancelled, done = 0, 0, 0
        while done < 3:
            lease = await db.leases.acquire(repository.id) if is_held_before else None
            task = asyncio.create_task(_a_hold(db.acting_as("user:bob"), repository.id))
            if lease is not None:
                await _pass_by(turns // 3)
                await db.leases.release(lease.id)
            await _pass_by(turns)
            task.cancel()
            (told,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(told, asyncio.CancelledError):
                cancelled, done = cancelled + 1, 0
            else:
                assert told is None
                done += 1
            assert await db.leases.active(repository.id) is None
            turns += 1 + turns // 12
        assert cancelled > 0

    _in_a_loop(opened, work)


@pytest.mark.parametrize("in_a_query", [True, False])
def test_who_is_left_in_a_savepoint_when_its_transaction_is_cancelled_changes_nothing_any_more(
    opened: tuple[str, dict[str, Any]], in_a_query: bool
) -> None:
    async def work(db: AsyncDatabase) -> None:
        for number in range(ROUNDS):
            inside, may_go_on = asyncio.Event(), asyncio.Event()

            async def linger(
                tx: AsyncDatabase,
                inside: asyncio.Event = inside,
                may_go_on: asyncio.Event = may_go_on,
            ) -> None:
                async with tx.transaction() as inner:
                    await inner.projects.create("undone", "Undone")
                    inside.set()
                    if in_a_query:
                        await inner.client.query(ENDLESS[inner.client.dialect])
                    await may_go_on.wait()
                    await inner.projects.create("undone-too", "Undone")

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(None) as limit, db.transaction() as tx:
                    lingering = asyncio.create_task(linger(tx))
                    await inside.wait()
                    limit.reschedule(asyncio.get_running_loop().time() + 0.05)
            async with db.transaction() as other:
                await other.projects.create(f"kept-{number}", "LastUsed")
                may_go_on.set()
                with pytest.raises((UsageError, Unavailable)):
                    await lingering
                await other.projects.create(f"kept-too-{number}", "LastUsed")
            assert len((await db.projects.list()).items) == 2 * (number + 1)

    _in_a_loop(opened, work)


def test_those_who_are_cancelled_again_and_again_lose_no_connection(
    opened: tuple[str, dict[str, Any]],
) -> None:
    chance = Random(5)

    async def work(db: AsyncDatabase) -> None:
        for number in range(150):
            changes = (_a_write, _a_block, _a_read)
            tasks = [
                asyncio.create_task(changes[each % 3](db, f"p{number}-{each}")) for each in range(6)
            ]
            await asyncio.sleep(chance.random() * 0.01)
            for _ in range(2):
                for task in chance.sample(tasks, 4):
                    task.cancel()
                await _pass_by(chance.randrange(6))
            await asyncio.gather(*tasks, return_exceptions=True)
            await db.projects.list()

    _in_a_loop(opened, work)


def test_many_changes_that_are_cancelled_while_they_wait_for_each_other_lose_no_connection(
    opened: tuple[str, dict[str, Any]],
) -> None:
    chance = Random(4)

    async def work(db: AsyncDatabase) -> None:
        for number in range(12):
            changes = (_a_write, _a_block, _a_nested_block)
            slugs = [f"p{number}-{each}" for each in range(9)]
            tasks = [
                asyncio.create_task(changes[each % 3](db, slug)) for each, slug in enumerate(slugs)
            ]
            for task in chance.sample(tasks, 6):
                await _pass_by(chance.randrange(40))
                task.cancel()
            told = await asyncio.gather(*tasks, return_exceptions=True)
            for each, (slug, result) in enumerate(zip(slugs, told, strict=True)):
                there = await _is_whole(db, slug, 2 if each % 3 else 1)
                assert there or isinstance(result, asyncio.CancelledError)

    _in_a_loop(opened, work)


def test_an_operation_that_is_cancelled_between_its_attempts_loses_no_connection(
    url: str, admin: psycopg.Connection[Any]
) -> None:
    refuse_first(admin, 1_000_000)

    async def work(db: AsyncDatabase) -> None:
        for turns in range(0, 200, 5):
            # Both are idle when the first attempt fails.
            await _no_connection_is_missing(db)
            task = asyncio.create_task(_a_write(db, "platform"))
            await _pass_by(turns)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await db.projects.list()).items == []

    _in_a_loop((url, POSTGRES), work)


def test_an_operation_that_is_cancelled_in_a_network_that_breaks_loses_no_connection(
    network: Network, url: str
) -> None:
    async def work(db: AsyncDatabase) -> None:
        for number in range(ROUNDS):
            await db.projects.list()
            network.stall()
            task = asyncio.create_task(_a_write(db, f"p{number}"))
            await _pass_by(20)
            task.cancel()
            await _pass_by(20)
            network.cut()
            network.flow()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await db.projects.list()).items == []

    _in_a_loop((network.url(url), POSTGRES), work)


def test_a_block_that_is_cancelled_as_its_connection_is_looked_at_loses_no_connection(
    network: Network, url: str, admin: psycopg.Connection[Any]
) -> None:
    async def run() -> None:
        there = await forgedb.connect_async(network.url(url), pool_max_size=1, pool_timeout=5)
        async with there as db:
            for _ in range(3):
                await db.client.execute("LISTEN news")
                await asyncio.to_thread(admin.execute, "NOTIFY news")
                # The idle connection has something to say, and it is to be asked what that means.
                await asyncio.sleep(0.05)
                network.stall()
                task = asyncio.create_task(_a_block(db.acting_as("user:ada"), "platform"))
                await _pass_by(20)
                task.cancel()
                await _pass_by(20)
                network.cut()
                network.flow()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await db.projects.list()).items == []

    asyncio.run(run())


# Interruptions that are no errors


class Interrupted(BaseException):
    """As KeyboardInterrupt is."""


def test_whatever_ends_a_block_undoes_it(open_db: Surface, url: str) -> None:
    db = open_db(url, pool_max_size=1, pool_timeout=1)
    for _ in range(3):
        with pytest.raises(Interrupted), db.transaction() as tx:
            tx.projects.create("platform", "Platform")
            raise Interrupted
        with pytest.raises(Interrupted), db.transaction() as tx, tx.transaction() as inner:
            inner.projects.create("platform", "Platform")
            raise Interrupted
        with db.transaction() as tx:
            with pytest.raises(Interrupted), tx.transaction() as inner:
                inner.projects.create("platform", "Platform")
                raise Interrupted
            assert tx.projects.list().items == []
    assert db.projects.list().items == []
    assert db.audit.verify().ok


@pytest.fixture
def interrupting(admin: psycopg.Connection[Any]) -> Iterator[Callable[[], None]]:
    """Call it, and the main thread is interrupted when its query sleeps on the server."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threads: list[threading.Thread] = []

    def interrupt() -> None:
        until(lambda: sleeps(admin))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def begin() -> None:
        threads.append(threading.Thread(target=interrupt))
        threads[-1].start()

    try:
        yield begin
    finally:
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_is_interrupted_in_a_query_leaves_nothing_and_its_connection_usable(
    url: str, interrupting: Callable[[], None]
) -> None:
    with forgedb.connect(url, actor="user:ada", pool_max_size=1, pool_timeout=1) as db:
        for _ in range(3):
            interrupting()
            with pytest.raises(KeyboardInterrupt):
                db.client.query(ENDLESS["postgres"])
            interrupting()
            with pytest.raises(KeyboardInterrupt), db.transaction() as tx:
                tx.projects.create("platform", "Platform")
                tx.client.query(ENDLESS["postgres"])
            assert db.projects.list().items == []
        _creates(db)


def test_a_thread_that_a_signal_interrupts_in_its_own_way_leaves_nothing_running_either(
    url: str, admin: psycopg.Connection[Any], interrupting: Callable[[], None]
) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGINT, interrupted)
    with forgedb.connect(url, actor="user:ada", pool_max_size=1, pool_timeout=1) as db:
        for _ in range(3):
            interrupting()
            with pytest.raises(Interrupted):
                db.client.query(ENDLESS["postgres"])
            until(lambda: not sleeps(admin))
            interrupting()
            with pytest.raises(Interrupted), db.transaction() as tx:
                tx.projects.create("platform", "Platform")
                tx.client.query(ENDLESS["postgres"])
            until(lambda: not sleeps(admin))
        _creates(db)


def _creates(db: Database) -> None:
    assert db.projects.create("platform", "Platform").slug == "platform"
    assert db.audit.verify().ok


@pytest.mark.parametrize("in_a_query", [True, False])
def test_a_thread_that_is_left_in_a_savepoint_of_a_block_that_failed_changes_nothing_any_more(
    opened: tuple[str, dict[str, Any]], in_a_query: bool
) -> None:
    url, options = opened
    inside, may_go_on = threading.Event(), threading.Event()

    def linger(tx: Database) -> None:
        with tx.transaction() as inner:
            inner.projects.create("undone", "Undone")
            inside.set()
            if in_a_query:
                inner.client.query(ENDLESS[inner.client.dialect])
            may_go_on.wait()
            inner.projects.create("undone-too", "Undone")

    with (
        forgedb.connect(url, actor="user:ada", **options) as db,
        ThreadPoolExecutor(1) as threads,
    ):
        with pytest.raises(Interrupted), db.transaction() as tx:
            lingering = threads.submit(linger, tx)
            inside.wait()
            if in_a_query:
                asyncio.run(_its_endless_query_runs(url))
            raise Interrupted
        if in_a_query and url.startswith("postgres"):
            with beside(url) as session:
                until(lambda: not sleeps(session))
        with db.transaction() as other:
            other.projects.create("kept", "LastUsed")
            may_go_on.set()
            with pytest.raises((UsageError, Unavailable)):
                lingering.result()
            other.projects.create("kept-too", "LastUsed")
        assert len(db.projects.list().items) == 2


@pytest.mark.parametrize("moment", ["BEGIN IMMEDIATE", "COMMIT"])
@pytest.mark.parametrize("is_over", [False, True])
def test_an_interruption_beside_a_begin_or_commit_leaves_no_transaction_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, is_over: bool
) -> None:
    execute, interrupts = SqliteConnection.execute, [moment]

    def interrupted(connection: SqliteConnection, text: str) -> None:
        if [text] == interrupts and not is_over:
            raise KeyboardInterrupt(interrupts.pop())
        execute(connection, text)
        if [text] == interrupts:
            raise KeyboardInterrupt(interrupts.pop())

    with forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="user:ada") as db:
        db.migrate()
        monkeypatch.setattr(SqliteConnection, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            db.projects.create("p", "P")
        assert len(db.projects.list().items) == (moment == "COMMIT" and is_over)
        db.projects.create("q", "Q")
        assert db.audit.verify().problems == []


def test_an_interruption_at_the_start_of_a_reading_leaves_no_old_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute, interrupts = SqliteConnection.execute, ["BEGIN"]

    def interrupted(connection: SqliteConnection, text: str) -> None:
        execute(connection, text)
        if [text] == interrupts:
            connection.raw.execute("SELECT count(*) FROM projects").fetchall()
            raise KeyboardInterrupt(interrupts.pop())

    with forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="user:ada", readers=1) as db:
        db.migrate()
        monkeypatch.setattr(SqliteConnection, "execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            db.audit.verify()
        db.projects.create("p", "P")
        assert len(db.projects.list().items) == 1


def test_an_interruption_is_told_also_where_its_savepoint_can_not_be_undone_any_more(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, errors = BlockingLink.together, [IndexError("pop from an empty deque")]

    async def confused(link: BlockingLink, batch: Sequence[Sent]) -> list[Answer]:
        if ROLLBACK_TO in batch and errors:
            raise errors.pop()
        return await together(link, batch)

    with forgedb.connect(url, actor="user:ada", **POSTGRES) as db:
        db.projects.list()
        monkeypatch.setattr(BlockingLink, "together", confused)
        with pytest.raises(KeyboardInterrupt), db.transaction() as tx:
            tx.projects.create("outer", "Outer")
            with tx.transaction() as inner:
                inner.projects.create("inner", "Inner")
                raise KeyboardInterrupt
        assert not errors
        assert db.projects.list().items == []
        db.projects.create("next", "Next")
