"""Opening a database whose server refuses, starts up, or says nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import psycopg
import pytest

import forgedb
from forgedb import Unavailable, UsageError
from forgedb.drivers.postgres.errors import translate
from forgedb.drivers.postgres.pool import Pool, _to_the_end
from forgedb.testing.servers.network import Network
from tests.faults.surfaces import Surface, beside, fill_pool, until
from tests.servers.postgres import Databases

WAIT_SECONDS = 1.0

PLAIN = "sslmode=disable&gssencmode=disable"


def _refusal(sqlstate: str, words: str) -> bytes:
    """What a server sends to whom it doesn't let in."""
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{words}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


def test_a_server_that_starts_up_is_waited_for(
    open_db: Surface, network: Network, url: str
) -> None:
    network.say_instead(*[_refusal("57P03", "the database system is starting up")] * 3)
    db = open_db(f"{network.url(url)}?{PLAIN}")
    assert db.projects.list().items == []


@pytest.mark.parametrize(
    ("sqlstate", "words", "retryable"),
    [
        ("28P01", 'password authentication failed for user "ada"', False),
        ("3D000", 'database "forge" does not exist', False),
        ("53300", "sorry, too many clients already", True),
        ("57P03", "the database system is shutting down", True),
        ("57P01", "terminating connection due to administrator command", True),
    ],
)
def test_a_server_that_refuses_is_believed_at_once_and_its_words_are_told(
    open_db: Surface, network: Network, url: str, sqlstate: str, words: str, retryable: bool
) -> None:
    network.say_instead(*[_refusal(sqlstate, words)] * 20)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=words) as refused:
        open_db(f"{network.url(url)}?{PLAIN}", pool_timeout=60.0)
    assert time.monotonic() - began < 30
    assert refused.value.retryable == retryable
    assert ("trying again may work" in str(refused.value)) == retryable


def test_a_server_that_refuses_the_first_statement_is_believed_and_keeps_no_session(
    open_db: Surface, network: Network, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So does a pooler that takes whoever comes, and has no server behind it.
    monkeypatch.setattr(Pool, "settings", lambda pool: "SELECT 1 / 0")
    with pytest.raises(Unavailable, match="can't be reached: division by zero"):
        open_db(url, pool_timeout=2.0)
    with beside(url) as session:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        until(lambda: session.execute(others).fetchone() == (1,))


@pytest.mark.parametrize("lacking", ["pg_control_system()", "pg_walfile_name(pg_lsn)"])
def test_a_server_that_tells_no_timeline_is_used_all_the_same(
    postgres: Databases, open_db: Surface, url: str, lacking: str
) -> None:
    with beside(url) as session:
        session.execute(f"REVOKE EXECUTE ON FUNCTION {lacking} FROM PUBLIC".encode())
    db = open_db(postgres.as_application(url))
    fill_pool(db, 3)
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    assert db.leases.acquire(repository.id).fencing_token == 1


def test_a_server_that_says_nothing_is_given_up_after_pool_timeout(
    open_db: Surface, network: Network, url: str
) -> None:
    network.stall()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="didn't answer within 1 s") as refused:
        open_db(network.url(url), pool_timeout=WAIT_SECONDS)
    assert time.monotonic() - began < 4 * WAIT_SECONDS
    assert refused.value.retryable
    network.cut()
    network.flow()
    assert open_db(network.url(url)).projects.list().items == []


def test_who_stops_waiting_for_a_server_that_says_nothing_leaves_nothing_running(
    network: Network, url: str
) -> None:
    network.stall()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await forgedb.connect_async(network.url(url), pool_timeout=WAIT_SECONDS)

    began = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - began < 4 * WAIT_SECONDS


def test_names_of_statements_that_clash_behind_a_pooler_come_with_the_way_out() -> None:
    clash = psycopg.errors.DuplicatePreparedStatement('prepared statement "_pg3_0" already exists')
    error = translate(clash, "postgresql://host/forge")
    assert isinstance(error, UsageError)
    assert str(error).endswith("behind such a pooler connect with ?prepare_threshold=never")
    assert str(error).startswith("postgresql://host/forge shares its connections")


def test_what_waits_for_the_pool_is_a_task_of_its_own_from_its_beginning() -> None:
    # A timeout within it would else be the caller's: it cancels the task that it began in.
    async def times_out() -> asyncio.Task[None] | None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
        return None

    async def work() -> None:
        with suppress(TimeoutError):
            await times_out()

    async def calls() -> int:
        await _to_the_end(work())
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(calls()) == 0
