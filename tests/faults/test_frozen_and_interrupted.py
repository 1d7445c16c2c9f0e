"""Who doesn't want to wait any more for a server that keeps silent: tasks cancelled, and Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import forgedb
from forgedb import AsyncDatabase, Database, NewObject, ObjectType
from forgedb.models import Lease
from tests.faults.surfaces import beside, until, value, within
from tests.servers.postgres import PostgresServer

AT_ONCE_SECONDS = 2.5
"""Two seconds, on a machine that has other things to do."""

CLOSE_SECONDS = 5.0

WAITS_SECONDS = 0.3
"""How long it waits for the server before it is interrupted."""


Freeze = Callable[[], Any]
Work = Callable[[AsyncDatabase, str, Lease, Freeze], Coroutine[Any, Any, Any]]


async def _read(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    await db.repositories.get(repository_id)


async def _query(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    await db.client.query("SELECT 1")


async def _change(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    await db.projects.create("new", "New")


async def _commit(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    async with db.transaction() as tx:
        await tx.projects.create("new", "New")
        freeze()


async def _block(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    async with db.transaction() as tx:
        await tx.projects.create("new", "New")
        freeze()
        await asyncio.sleep(600)


async def _savepoint(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    async with db.transaction() as tx, tx.transaction() as inner:
        await inner.projects.create("new", "New")
        freeze()
        await inner.projects.create("newer", "New")


async def _hold(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    async with db.acting_as("user:bob").leases.hold(repository_id, wait=60):
        raise AssertionError("nobody can have granted it")


async def _held(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    await db.leases.release(lease.id)
    async with db.leases.hold(repository_id):
        freeze()
        await asyncio.sleep(600)


async def _release(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    await db.leases.release(lease.id)
    async with db.leases.hold(repository_id):
        freeze()


async def _add(db: AsyncDatabase, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    def objects() -> Iterator[NewObject]:
        for number in range(500_000):
            if number == 20_000:
                freeze()
            yield NewObject(f"{number:040x}", ObjectType.BLOB, number)

    await db.objects.add_many(repository_id, objects(), lease.fencing_token)


WORKS = [_read, _query, _change, _commit, _block, _savepoint, _hold, _held, _release, _add]


@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("work", WORKS)
def test_a_task_is_back_at_once_and_nothing_hangs_after_it(
    server: PostgresServer, own_url: str, work: Work, again: bool
) -> None:
    with ExitStack() as frozen:

        async def run() -> None:
            db = await forgedb.connect_async(own_url, actor="user:ada")
            project = await db.projects.create("platform", "Platform")
            repository = await db.repositories.create(project.id, "api")
            lease = await db.leases.acquire(repository.id)
            is_frozen = asyncio.Event()

            def freeze() -> None:
                frozen.enter_context(server.frozen())
                is_frozen.set()

            task = asyncio.create_task(work(db, repository.id, lease, freeze))
            await is_frozen.wait()
            await asyncio.sleep(WAITS_SECONDS)
            with within(AT_ONCE_SECONDS):
                task.cancel()
                if again:
                    await asyncio.sleep(0.1)
                    task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            with within(CLOSE_SECONDS):
                await db.close()

        asyncio.run(run())


def test_a_timeout_of_two_seconds_takes_not_much_more(server: PostgresServer, own_url: str) -> None:
    async def run() -> None:
        async with await forgedb.connect_async(own_url, actor="user:ada") as db:
            project = await db.projects.create("platform", "Platform")
            with server.frozen():
                # The second finds no connection that is any better.
                for _ in range(2):
                    with within(2.0 + AT_ONCE_SECONDS), pytest.raises(TimeoutError):
                        async with asyncio.timeout(2):
                            await db.projects.get(project.id)
            assert await db.projects.get(project.id) == project

    asyncio.run(run())


def _t_read(db: Database, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    db.repositories.get(repository_id)


def _t_change(db: Database, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    freeze()
    db.projects.create("new", "New")


def _t_commit(db: Database, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    with db.transaction() as tx:
        tx.projects.create("new", "New")
        freeze()


def _t_block(db: Database, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    with db.transaction() as tx:
        tx.projects.create("new", "New")
        freeze()
        time.sleep(600)


def _t_held(db: Database, repository_id: str, lease: Lease, freeze: Freeze) -> None:
    db.leases.release(lease.id)
    with db.leases.hold(repository_id):
        freeze()
        time.sleep(600)


@pytest.mark.parametrize("work", [_t_read, _t_change, _t_commit, _t_block, _t_held])
def test_a_thread_is_back_at_once_from_ctrl_c(
    server: PostgresServer, own_url: str, work: Callable[..., None]
) -> None:
    db = forgedb.connect(own_url, actor="user:ada")
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    lease = db.leases.acquire(repository.id)
    main = threading.get_ident()
    with ExitStack() as frozen:

        def freeze() -> None:
            frozen.enter_context(server.frozen())
            threading.Timer(WAITS_SECONDS, signal.pthread_kill, [main, signal.SIGINT]).start()

        with within(WAITS_SECONDS + AT_ONCE_SECONDS), pytest.raises(KeyboardInterrupt):
            work(db, repository.id, lease, freeze)
        with within(CLOSE_SECONDS):
            db.close()


def test_a_query_of_a_live_server_that_is_cancelled_keeps_its_connection(own_url: str) -> None:
    async def run() -> None:
        async with await forgedb.connect_async(own_url, pool_max_size=1) as db:
            pid = await db.client.query_value("SELECT pg_backend_pid()")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await db.client.query("SELECT pg_sleep(600)")
            assert await db.client.query_value("SELECT pg_backend_pid()") == pid

    asyncio.run(run())


def test_who_waits_for_a_lease_is_heard_again_where_the_session_that_listens_was_frozen(
    own_url: str,
) -> None:
    with forgedb.connect(own_url, actor="user:ada", call_timeout=1) as db, beside(own_url) as admin:
        project = db.projects.create("platform", "Platform")
        repositories = [db.repositories.create(project.id, f"r{number}") for number in range(2)]
        leases = [db.leases.acquire(each.id) for each in repositories]
        bob = db.acting_as("user:bob")

        def wait(repository_id: str) -> None:
            with bob.leases.hold(repository_id, wait=60):
                pass

        waiting = [threading.Thread(target=wait, args=[each.id]) for each in repositories]
        waiting[0].start()
        until(lambda: len(value(admin, HEARERS)) == 1)
        (frozen,) = value(admin, HEARERS)
        os.kill(frozen, signal.SIGSTOP)
        try:
            waiting[1].start()
            # It gives that session up, and listens for both by another one.
            until(lambda: len(value(admin, HEARERS)) == 3)
        finally:
            os.kill(frozen, signal.SIGCONT)
        for thread, lease in zip(waiting, leases, strict=True):
            db.leases.release(lease.id)
            thread.join()


HEARERS = """
SELECT coalesce(array_agg(pid), '{}')
FROM pg_locks
WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted
"""
