"""Those who wait for a lease on PostgreSQL: woken when it ends, and none the worse if they aren't.

Where pauses are so long that nobody could have looked in time, only a hint explains who gets it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import Database, Lease, LeaseHeld, Repository, UsageError
from forgedb.dao.leases import hold
from forgedb.dao.leases.notice import CHANNEL, ends_of
from forgedb.drivers.postgres import listener as listener_module
from forgedb.drivers.postgres.listener import Listener
from forgedb.drivers.postgres.options import postgres_options
from forgedb.drivers.postgres.url import postgres_url
from forgedb.drivers.sync_facade import finish
from forgedb.drivers.waiters import ThreadWaiter
from forgedb.sql.advisory_locks import LEASE_WAITERS
from forgedb.testing.servers.network import Network
from tests.faults.surfaces import OTHERS, Surface, beside, fill_pool, terminate_others, until, value
from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import Databases

SOON_SECONDS = 10.0
LONG_SECONDS = 60.0
"""A pause that no test waits for."""


@pytest.fixture
def repository(url: str) -> Repository:
    with forgedb.connect(url, actor="user:ada") as db:
        return db.repositories.create(db.projects.create("platform", "Platform").id, "api")


@pytest.fixture
def only_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself for a minute."""
    monkeypatch.setattr(hold, "POLL_SECONDS_MIN", 2 * LONG_SECONDS)
    monkeypatch.setattr(hold, "POLL_SECONDS_MAX", 2 * LONG_SECONDS)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def hold_once(db: Database, repository_id: str, who: str = "user:bob") -> Lease:
    """Wait for the lease, and let go of it; what it was."""
    with db.acting_as(who).leases.hold(repository_id, wait=LONG_SECONDS) as lease:
        return lease


def listens_for(session: psycopg.Connection[Any], *repository_ids: str) -> bool:
    """Whether somebody has locked them, as those do who wait."""
    query = """
        SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND classid = %s
            AND objid::bigint = ANY (
                SELECT hashtext(id)::bigint & 4294967295 FROM unnest(%s::text[]) AS id)
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    return bool(value(session, query, LEASE_WAITERS, [*repository_ids]) >= len(repository_ids))


def sessions(session: psycopg.Connection[Any]) -> int:
    """How many others there are."""
    return int(value(session, f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS}"))


def listening_sessions(session: psycopg.Connection[Any]) -> int:
    name = listener_module.CONNECTING["fallback_application_name"]
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    # Another test's, of another database, may be about to end.
    return int(value(session, f"{query} AND {OTHERS}", name))


def listening_threads() -> int:
    return sum(thread.name == "forgedb-listener" for thread in threading.enumerate())


# Being told


@pytest.mark.usefixtures("only_hints")
@pytest.mark.parametrize("how", ["release", "force_release"])
def test_who_waits_is_woken_when_the_lease_ends(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    how: str,
) -> None:
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listens_for(admin, repository.id))
    if how == "release":
        db.leases.release(lease.id)
    else:
        db.leases.force_release(lease.id, "bob is waiting")
    assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


@pytest.mark.usefixtures("only_hints")
def test_who_waits_is_woken_when_the_transaction_that_ends_the_lease_is_committed(
    db: Database, url: str, admin: psycopg.Connection[Any], threads: ThreadPoolExecutor
) -> None:
    repository = _new(db, "web")
    with forgedb.connect(url, actor="user:ada") as other:
        lease = other.leases.acquire(repository.id)
        with other.transaction() as tx:
            waiting = threads.submit(hold_once, db, repository.id)
            until(lambda: listens_for(admin, repository.id))
            tx.leases.release(lease.id)
            assert not waiting.done()
        assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


WAITER = """
import sys
import forgedb
from forgedb.dao.leases import hold

hold.POLL_SECONDS_MIN = hold.POLL_SECONDS_MAX = 120.0
with forgedb.connect(sys.argv[1], actor="user:bob") as db:
    with db.leases.hold(sys.argv[2], wait=60) as lease:
        print(lease.fencing_token)
"""


def test_who_waits_in_another_process_is_woken(
    db: Database, url: str, admin: psycopg.Connection[Any], repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    command = [sys.executable, "-c", WAITER, url, repository.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        until(lambda: listens_for(admin, repository.id))
        db.leases.release(lease.id)
        assert waiting.communicate(timeout=SOON_SECONDS)[0] == "2\n"


@pytest.mark.usefixtures("only_hints")
def test_all_who_wait_for_one_repository_get_it_one_after_the_other(
    open_db: Surface,
    url: str,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
) -> None:
    db = open_db(url)
    lease = db.leases.acquire(repository.id)
    waiting = [threads.submit(hold_once, db, repository.id, f"user:{n}") for n in range(8)]
    until(lambda: listens_for(admin, repository.id))
    db.leases.release(lease.id)
    tokens = sorted(each.result(SOON_SECONDS).fencing_token for each in waiting)
    assert tokens == [*range(2, 10)]


@pytest.mark.usefixtures("only_hints")
def test_one_session_listens_for_all_repositories(
    open_db: Surface,
    url: str,
    admin: psycopg.Connection[Any],
    threads: ThreadPoolExecutor,
) -> None:
    db = open_db(url, pool_max_size=1)
    repositories = [_new(db, f"r{number}") for number in range(6)]
    leases = [db.leases.acquire(each.id) for each in repositories]
    assert listening_sessions(admin) == 0
    waiting = [threads.submit(hold_once, db, each.id) for each in repositories]
    until(lambda: listens_for(admin, *(each.id for each in repositories)))
    assert listening_sessions(admin) == 1
    for lease, waiter in zip(leases, waiting, strict=True):
        assert not waiter.done()
        db.leases.release(lease.id)
        assert waiter.result(SOON_SECONDS).repository_id == lease.repository_id


@pytest.mark.usefixtures("only_hints")
def test_a_lease_that_ends_while_one_begins_to_listen_is_not_missed(
    db: Database, repository: Repository, threads: ThreadPoolExecutor
) -> None:
    chance = Random(3)
    for _ in range(60):
        lease = db.leases.acquire(repository.id)
        first = threads.submit(hold_once, db, repository.id, "user:bob")
        time.sleep(chance.uniform(0, 0.02))
        second = threads.submit(hold_once, db, repository.id, "user:eve")
        time.sleep(chance.uniform(0, 0.02))
        db.leases.release(lease.id)
        assert first.result(SOON_SECONDS).id != second.result(SOON_SECONDS).id


# Where nobody need be told


def test_nobody_is_told_of_what_nobody_waits_for(
    db: Database,
    admin: psycopg.Connection[Any],
    url: str,
    repository: Repository,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "IDLE_SECONDS", LONG_SECONDS)
    other = _new(db, "web")
    lease = db.leases.acquire(repository.id)
    with beside(url) as listener:
        listener.execute(f"LISTEN {CHANNEL}".encode())
        waiting = threads.submit(hold_once, db, repository.id)
        until(lambda: listens_for(admin, repository.id))
        db.leases.release(db.leases.acquire(other.id).id)
        given = db.leases.handover(lease.id, "user:heir")
        assert not waiting.done()
        assert [*listener.notifies(timeout=0)] == []
        db.leases.release(given.id, "user:heir")
        waiting.result(SOON_SECONDS)
        until(lambda: not listens_for(admin, repository.id))
        assert {each.payload for each in listener.notifies(timeout=0.1)} == {repository.id}
        db.leases.release(db.leases.acquire(repository.id).id)
        assert [*listener.notifies(timeout=0.1)] == []


def test_who_ends_a_lease_leaves_no_lock(
    db: Database, admin: psycopg.Connection[Any], repository: Repository
) -> None:
    with db.transaction() as tx:
        tx.leases.release(tx.leases.acquire(repository.id).id)
        assert value(admin, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


def test_a_lease_that_is_free_is_held_without_another_session(
    db: Database, admin: psycopg.Connection[Any], repository: Repository
) -> None:
    with db.leases.hold(repository.id, wait=LONG_SECONDS):
        assert listening_sessions(admin) == 0
    lease = db.leases.acquire(repository.id)
    with pytest.raises(LeaseHeld), db.leases.hold(repository.id):
        pytest.fail("the block must not be entered")
    assert listening_sessions(admin) == 0
    assert listening_threads() == 0
    db.leases.release(lease.id)


# Where there is no hint


def test_a_session_that_is_ended_while_it_listens_is_no_error_and_another_takes_its_place(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(hold, "POLL_SECONDS_MIN", 2 * LONG_SECONDS)
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    for _ in range(3):
        until(lambda: listens_for(admin, repository.id))
        terminate_others(admin)
        assert not waiting.done()
    until(lambda: listens_for(admin, repository.id))
    db.leases.release(lease.id)
    assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


def test_without_the_session_that_listened_the_lease_is_found_by_looking(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "AGAIN_SECONDS", LONG_SECONDS)
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listens_for(admin, repository.id))
    terminate_others(admin)
    db.leases.release(lease.id)
    assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


def test_where_the_server_has_no_session_left_the_lease_is_found_by_looking(
    postgres: Databases,
    open_db: Surface,
    url: str,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
) -> None:
    db = open_db(postgres.as_application(url), pool_max_size=2)
    fill_pool(db, 2)
    admin.execute(f'ALTER DATABASE "{admin.info.dbname}" CONNECTION LIMIT 2'.encode())
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listening_threads() == 1)
    time.sleep(0.2)
    assert not waiting.done()
    assert not listens_for(admin, repository.id)
    db.leases.release(lease.id)
    assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


if pgbouncer_program() is not None or os.environ.get("CI"):

    def test_behind_pgbouncer_nobody_listens_and_the_lease_is_found_by_looking(
        postgres: Databases,
        open_db: Surface,
        url: str,
        admin: psycopg.Connection[Any],
        repository: Repository,
        threads: ThreadPoolExecutor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        looked: list[bool] = []
        monkeypatch.setattr(
            listener_module, "_is_pooled", _noted(listener_module._is_pooled, looked)
        )
        db = open_db(f"{postgres.through_pgbouncer(url)}?prepare_threshold=never")
        lease = db.leases.acquire(repository.id)
        waiting = threads.submit(hold_once, db, repository.id)
        until(lambda: looked == [True] and listening_threads() == 0)
        assert not waiting.done()
        assert not listens_for(admin, repository.id)
        db.leases.release(lease.id)
        assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1
        assert db.client.query("SELECT pg_listening_channels()") == []


def test_more_repositories_than_are_listened_for_are_found_by_looking(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "HEARD_MAX", 1)
    other = _new(db, "web")
    leases = [db.leases.acquire(each.id) for each in (repository, other)]
    waiting = [threads.submit(hold_once, db, each.id) for each in (repository, other)]
    until(lambda: listens_for(admin, repository.id) or listens_for(admin, other.id))
    for lease, waiter in zip(leases, waiting, strict=True):
        assert not listens_for(admin, repository.id, other.id)
        db.leases.release(lease.id)
        assert waiter.result(SOON_SECONDS).fencing_token == 2


def test_who_has_the_lock_to_itself_delays_the_hint_alone(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
) -> None:
    params = [LEASE_WAITERS, repository.id]
    admin.execute("SELECT pg_advisory_lock(%s::integer, hashtext(%s))", params)
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listening_threads() == 1)
    time.sleep(0.2)
    assert not listens_for(admin, repository.id)
    admin.execute("SELECT pg_advisory_unlock(%s::integer, hashtext(%s))", params)
    until(lambda: listens_for(admin, repository.id))
    db.leases.release(lease.id)
    assert waiting.result(SOON_SECONDS).fencing_token == 2


# What is left


def test_a_database_that_is_closed_leaves_no_session_and_no_thread(
    open_db: Surface,
    url: str,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
) -> None:
    db = open_db(url)
    lease = db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listens_for(admin, repository.id))
    db.leases.release(lease.id)
    waiting.result(SOON_SECONDS)
    assert listening_threads() == 1
    db.close()
    assert listening_threads() == 0
    until(lambda: sessions(admin) == 0)


def test_who_still_waits_when_the_database_is_closed_is_told_that_it_is(
    open_db: Surface,
    url: str,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
) -> None:
    db = open_db(url)
    db.leases.acquire(repository.id)
    waiting = threads.submit(hold_once, db, repository.id)
    until(lambda: listens_for(admin, repository.id))
    db.close()
    with pytest.raises(UsageError, match="closed"):
        waiting.result(SOON_SECONDS)
    assert listening_threads() == 0
    until(lambda: sessions(admin) == 0)


def test_the_session_ends_when_nobody_has_waited_for_some_time(
    db: Database,
    admin: psycopg.Connection[Any],
    repository: Repository,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "IDLE_SECONDS", 0.2)
    for _ in range(2):
        lease = db.leases.acquire(repository.id)
        waiting = threads.submit(hold_once, db, repository.id)
        until(lambda: listens_for(admin, repository.id))
        time.sleep(0.5)
        assert listens_for(admin, repository.id)
        db.leases.release(lease.id)
        waiting.result(SOON_SECONDS)
        until(lambda: listening_threads() == 0)
        assert not listens_for(admin, repository.id)


@pytest.fixture
def listener(url: str) -> Iterator[Listener]:
    listener = Listener(postgres_options(postgres_url(url), {}))
    yield listener
    _close(listener)


def _close(listener: Listener) -> None:
    async def sleep(seconds: float) -> None:
        time.sleep(seconds)

    finish(listener.close(sleep))


def test_who_comes_to_others_that_wait_already_looks_once_more(
    listener: Listener, admin: psycopg.Connection[Any]
) -> None:
    first, second = ThreadWaiter(), ThreadWaiter()
    listener.add(ends_of("one"), first)
    assert finish(first.wait(SOON_SECONDS))
    listener.add(ends_of("one"), second)
    assert finish(second.wait(0))
    assert not finish(first.wait(0))
    for waiter in (first, second):
        listener.add(ends_of("one"), waiter)
        assert not finish(waiter.wait(0))
    admin.execute("SELECT pg_notify(%s, 'one')", [CHANNEL])
    assert finish(first.wait(SOON_SECONDS))
    assert finish(second.wait(SOON_SECONDS))


def test_what_is_told_while_the_listener_asks_for_more_is_heard(
    listener: Listener, admin: psycopg.Connection[Any]
) -> None:
    waiter = ThreadWaiter()
    listener.add(ends_of("one"), waiter)
    assert finish(waiter.wait(SOON_SECONDS))
    for number in range(200):
        listener.add(ends_of(f"another {number % 20}"), ThreadWaiter())
        admin.execute("SELECT pg_notify(%s, 'one')", [CHANNEL])
        assert finish(waiter.wait(SOON_SECONDS))


def test_a_server_that_says_nothing_any_more_keeps_nobody_from_closing(
    network: Network, url: str, admin: psycopg.Connection[Any]
) -> None:
    listener = Listener(postgres_options(postgres_url(network.url(url)), {}))
    listener.add(ends_of("one"), ThreadWaiter())
    until(lambda: listens_for(admin, "one"))
    network.stall()
    listener.add(ends_of("another"), ThreadWaiter())
    # The thread is asking for it, and gets no answer.
    time.sleep(0.1)
    began = time.monotonic()
    _close(listener)
    assert time.monotonic() - began < SOON_SECONDS
    assert listening_threads() == 0


@pytest.mark.usefixtures("only_hints")
def test_a_child_process_leaves_its_parents_waiters_alone(
    url: str, admin: psycopg.Connection[Any], repository: Repository, threads: ThreadPoolExecutor
) -> None:
    with forgedb.connect(url, actor="user:ada") as db:
        lease = db.leases.acquire(repository.id)
        waiting = threads.submit(hold_once, db, repository.id)
        until(lambda: listens_for(admin, repository.id))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with pytest.raises(UsageError, match="forked"):
                    hold_once(db, repository.id)
                db.close()
                with forgedb.connect(url, actor="user:ada") as own:
                    own.leases.release(lease.id)
                    status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert waiting.result(SOON_SECONDS).fencing_token == lease.fencing_token + 1


FORKING = """
import os
import sys
import threading
import time
import forgedb

db = forgedb.connect(sys.argv[1], actor="user:bob")
hold = db.leases.hold(sys.argv[2], wait=60)
threading.Thread(target=hold.__enter__, daemon=True).start()
sys.stdin.readline()
if os.fork():
    print("forked", flush=True)
    time.sleep(600)
else:
    # Until the pipe is closed at its other end.
    sys.stdin.readline()
    os._exit(0)
"""


def test_a_child_process_that_outlives_its_parent_doesnt_listen_in_its_place(
    url: str, admin: psycopg.Connection[Any], repository: Repository
) -> None:
    with forgedb.connect(url, actor="user:ada") as db:
        db.leases.acquire(repository.id)
    command = [sys.executable, "-W", "ignore", "-c", FORKING, url, repository.id]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        until(lambda: listens_for(admin, repository.id))
        print(file=parent.stdin, flush=True)
        assert parent.stdout.readline() == "forked\n"
        parent.kill()
        until(lambda: not listens_for(admin, repository.id))


@pytest.mark.usefixtures("only_hints")
def test_a_task_that_is_cancelled_while_it_waits_waits_no_more(
    url: str,
    admin: psycopg.Connection[Any],
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "IDLE_SECONDS", 0.2)

    async def hold(db: forgedb.AsyncDatabase) -> None:
        async with db.acting_as("user:bob").leases.hold(repository.id, wait=LONG_SECONDS):
            pytest.fail("the block must not be entered")

    async def work() -> None:
        async with await forgedb.connect_async(url, actor="user:ada") as db:
            lease = await db.leases.acquire(repository.id)
            for _ in range(2):
                waiting = asyncio.create_task(hold(db))
                await asyncio.to_thread(until, lambda: listens_for(admin, repository.id))
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await asyncio.to_thread(until, lambda: listening_threads() == 0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await hold(db)
            await db.leases.release(lease.id)
            assert await db.leases.active(repository.id) is None

    asyncio.run(work())


@pytest.mark.usefixtures("only_hints")
@pytest.mark.parametrize("to", ["main thread", "another"])
def test_a_thread_that_is_interrupted_while_it_waits_waits_no_more(
    url: str, admin: psycopg.Connection[Any], repository: Repository, to: str
) -> None:
    """Another thread may get the signal, and the main one may do so just before it sleeps."""

    def interrupt() -> None:
        until(lambda: listens_for(admin, repository.id))
        # By then it has looked once more, and sleeps.
        time.sleep(0.2 if to == "another" else 0)
        interrupted_at.append(time.monotonic())
        thread = threading.main_thread().ident or 0
        signal.pthread_kill(threading.get_ident() if to == "another" else thread, signal.SIGINT)

    interrupted_at: list[float] = []

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupting = threading.Thread(target=interrupt)
    try:
        with forgedb.connect(url, actor="user:ada") as db:
            lease = db.leases.acquire(repository.id)
            interrupting.start()
            with pytest.raises(KeyboardInterrupt):
                hold_once(db, repository.id)
            assert time.monotonic() - interrupted_at[0] < SOON_SECONDS
            until(lambda: not listens_for(admin, repository.id))
            db.leases.release(lease.id)
            assert db.leases.active(repository.id) is None
    finally:
        interrupting.join()
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_is_interrupted_as_a_pipeline_ends_is_told_nothing_else(
    url: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg then complains of what the pipeline has left, in the place of the interruption."""
    left = [KeyboardInterrupt()]
    leave = psycopg.Pipeline._exit_gen

    def interrupted(pipeline: psycopg.Pipeline) -> Any:
        if left:
            raise left.pop()
        yield from leave(pipeline)

    with forgedb.connect(url, actor="user:ada") as db:
        lease = db.leases.acquire(repository.id)
        monkeypatch.setattr(psycopg.Pipeline, "_exit_gen", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hold_once(db, repository.id)
        assert left == []
        db.leases.release(lease.id)
        assert db.audit.verify().problems == []


def _noted(ask: Callable[[Any], bool], answers: list[bool]) -> Callable[[Any], bool]:
    def noted(it: Any) -> bool:
        answers.append(ask(it))
        return answers[-1]

    return noted


def _new(db: Database, slug: str) -> Repository:
    return db.repositories.create(db.projects.create(f"of-{slug}", "Platform").id, slug)
