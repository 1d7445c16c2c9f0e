"""A database that isn't there yet: waited for where it was asked for, and no longer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import forgedb
from forgedb import InvalidValue, Unavailable
from tests.servers.postgres import PostgresServer, server_programs

WAIT = 30.0
LATE_SECONDS = 0.4

Open = Callable[[str, float], object]


def open_by_threads(url: str, wait: float) -> object:
    with forgedb.connect(url, wait=wait) as db:
        return db.client.query("SELECT 1")


def open_by_tasks(url: str, wait: float) -> object:
    async def opened() -> object:
        async with await forgedb.connect_async(url, wait=wait) as db:
            return await db.client.query("SELECT 1")

    return asyncio.run(opened())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(server_programs()) as server:
        yield server


@pytest.fixture(params=[open_by_threads, open_by_tasks], ids=["threads", "tasks"])
def opened(request: pytest.FixtureRequest) -> Open:
    opened: Open = request.param
    return opened


def later(action: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(LATE_SECONDS, action)
    timer.start()
    return timer


def test_a_server_that_starts_is_waited_for(server: PostgresServer, opened: Open) -> None:
    url = server.url("postgres")
    server.stop()
    starting = later(server.start)
    try:
        assert opened(url, WAIT) == [(1,)]
    finally:
        starting.join()


def test_a_database_that_is_made_later_is_waited_for(server: PostgresServer, opened: Open) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS late")
        making = later(lambda: admin.execute("CREATE DATABASE late"))
        try:
            assert opened(server.url("late"), WAIT) == [(1,)]
        finally:
            making.join()


def test_a_folder_that_is_mounted_later_is_waited_for(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "volume"
    making = later(folder.mkdir)
    try:
        assert opened(f"sqlite:///{folder}/forge.db", WAIT) == [(1,)]
    finally:
        making.join()


def test_what_is_refused_for_good_is_not_waited_for(server: PostgresServer, opened: Open) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match='role "nobody" does not exist'):
        opened(server.url("postgres").replace("postgres@", "nobody@"), WAIT)
    assert time.monotonic() - began < WAIT / 2


def test_who_does_not_ask_for_it_does_not_wait(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(Unavailable, match="there is no folder"):
        opened(f"sqlite:///{tmp_path}/none/forge.db", 0)


def test_the_wait_ends_with_what_was_the_matter(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(Unavailable, match="there is no folder"):
        opened(f"sqlite:///{tmp_path}/none/forge.db", 0.3)


@pytest.mark.parametrize("wait", [-1, float("nan"), 100_000, "soon"])
def test_a_wait_is_a_time(opened: Open, wait: float) -> None:
    with pytest.raises(InvalidValue, match="wait"):
        opened("sqlite://", wait)


def test_the_command_says_what_it_waits_for(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    command = [sys.executable, "-m", "forgedb", "--url", f"sqlite:///{folder}/forge.db"]
    with subprocess.Popen(
        [*command, "migrate", "--wait", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        waiting = process.stderr.readline()
        folder.mkdir()
        printed, more = process.communicate()
    assert waiting.startswith("waiting: ")
    assert "there is no folder" in waiting
    assert (process.returncode, more) == (0, "")
    assert "applied 0001_initial" in printed
