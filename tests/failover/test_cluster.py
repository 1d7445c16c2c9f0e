"""A cluster of real servers does what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from forgedb import InvalidValue, Unavailable
from forgedb.testing.servers import processes
from forgedb.testing.servers.cluster import Cluster
from forgedb.testing.servers.programs import installed_programs, version_of
from forgedb.testing.servers.server import Server
from tests.servers.postgres import embedded_programs


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(embedded_programs(), replication="on", slow_seconds=0.01) as cluster:
        cluster.primary.query("CREATE TABLE kept (number int)", "forge")
        yield cluster


def _insert(cluster: Cluster, number: int) -> None:
    cluster.primary.query(f"INSERT INTO kept VALUES ({number})", "forge")


def _kept(server: Server) -> list[int]:
    return server.query("SELECT number FROM kept ORDER BY number", "forge")


@pytest.mark.parametrize("rewind", [True, False], ids=["rewound", "copied"])
def test_a_killed_primary_is_replaced_without_loss_and_follows_the_new_one(
    cluster: Cluster, rewind: bool
) -> None:
    before = _kept(cluster.primary)
    number = len(before) + 1
    _insert(cluster, number)
    killed = cluster.kill()
    assert not killed.running
    with pytest.raises(psycopg.OperationalError):
        killed.query("SELECT 1")
    cluster.promote(cluster.most_advanced())
    assert cluster.primary is not killed
    assert _kept(cluster.primary) == [*before, number]
    cluster.rejoin(killed, rewind=rewind)
    cluster.wait_for_standbys()
    assert killed.query("SELECT pg_is_in_recovery()") == [True]


def test_a_commit_waits_while_no_standby_hears_of_it(cluster: Cluster) -> None:
    before = _kept(cluster.primary)
    stopped = cluster.stop_sending()
    assert len(stopped) == 2
    warned: list[str] = []
    with psycopg.connect(cluster.primary.url("forge"), autocommit=True) as session:
        session.add_notice_handler(lambda notice: warned.append(notice.message_primary or ""))
        insert = f"INSERT INTO kept VALUES ({len(before) + 1})"
        waiting = Thread(target=session.execute, args=(insert.encode(),))
        waiting.start()
        while not cluster.cancel_waits():
            assert waiting.is_alive()
        waiting.join(10)
    # It stays, on this server alone: a warning says so, and nothing else.
    assert warned == ["canceling wait for synchronous replication due to user request"]
    assert _kept(cluster.primary) == [*before, len(before) + 1]
    assert _kept(cluster.least_advanced()) == before
    processes.send(stopped, signal.SIGCONT)
    cluster.wait_for_standbys()


def test_a_frozen_server_says_nothing_until_it_is_thawed(cluster: Cluster) -> None:
    cluster.primary.freeze()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(cluster.primary.url("forge"), connect_timeout=2)
    cluster.primary.thaw()
    assert cluster.primary.query("SELECT 1") == [1]


def test_what_clients_say_to_a_slow_server_takes_its_time(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url(cluster.primary), autocommit=True) as session:
        began_at = time.monotonic()
        session.execute("SELECT 1")
        assert time.monotonic() - began_at >= 2 * 0.01


def test_nothing_of_a_cluster_is_left_when_its_block_ends_by_an_error() -> None:
    cluster = Cluster(embedded_programs())
    running: list[int] = []

    def fail() -> None:
        with cluster:
            running.extend(each._process.pid for each in cluster.servers if each._process)
            cluster.primary.freeze()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(running) == 3
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not cluster.room.exists()


ABANDONED = """
import os, sys
from pathlib import Path
from forgedb.testing.servers.cluster import Cluster
cluster = Cluster(Path(sys.argv[1])).__enter__()
cluster.primary.freeze()
print(cluster.room, *(server._process.pid for server in cluster.servers), flush=True)
os.kill(os.getpid(), 9)
"""


def test_nothing_of_a_cluster_is_left_when_whoever_made_it_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED, str(embedded_programs())], capture_output=True, text=True
    )
    room, *pids = done.stdout.split()
    assert (done.returncode, len(pids)) == (-signal.SIGKILL, 3)
    give_up_at = time.monotonic() + 30
    while Path(room).exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    assert not any(processes.is_there(int(pid)) for pid in pids)


def test_a_program_that_fails_is_quoted(cluster: Cluster) -> None:
    empty = cluster.programs.folder_for(cluster.room / "empty")
    with pytest.raises(Unavailable, match=r"pg_ctl failed with status 1: .*is not a database"):
        cluster.programs.run("pg_ctl", "promote", f"--pgdata={empty}")


def test_the_programs_that_are_there_are_known_by_their_version(tmp_path: Path) -> None:
    assert installed_programs()[18] == embedded_programs()
    with pytest.raises(InvalidValue, match="there is no postgres to run"):
        version_of(tmp_path)
