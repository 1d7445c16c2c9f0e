"""A cluster under Patroni, which promotes a standby by itself and keeps its state in etcd.

Both are Debian's packages: patroni, etcd-server.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import psycopg

from forgedb import Unavailable
from forgedb.testing.servers import processes
from forgedb.testing.servers.cluster import DATABASE
from forgedb.testing.servers.programs import Programs
from forgedb.testing.servers.room import Room
from forgedb.testing.servers.server import free_port

__all__ = ["Node", "PatroniCluster"]

NODES: Final = 3

START_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 30.0
LOOK_SECONDS: Final = 0.2

PASSWORD: Final = "kept in a file that only the owner reads"

PROGRAMS: Final = ("patroni", "etcd")

CONFIGURATION: Final = """\
scope: forge
name: {name}
restapi:
  listen: {host}:{rest_port}
  connect_address: {host}:{rest_port}
etcd3:
  host: {etcd}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters:
        wal_log_hints: "on"
        max_connections: 100
  initdb:
    - encoding: UTF8
    - locale: C
postgresql:
  listen: {host}:{port}
  connect_address: {host}:{port}
  data_dir: {data}
  bin_dir: {programs}
  pgpass: {home}/pgpass
  pg_hba:
    - host all all {network} scram-sha-256
    - host replication replicator {network} scram-sha-256
  authentication:
    superuser:
      username: postgres
      password: {password}
    replication:
      username: replicator
      password: {password}
    rewind:
      username: rewinder
      password: {password}
  parameters:
    unix_socket_directories: {home}
"""
"""The configuration of one node; docs/operating.md has the same for real machines."""


def is_installed() -> bool:
    """Whether both programs are there."""
    return all(shutil.which(program) for program in PROGRAMS)


class PatroniCluster:
    """A context manager: etcd, and a primary with two synchronous standbys under Patroni.

    ``programs`` is a folder of PostgreSQL's.  Raises Unavailable where a program isn't there, or
    no primary comes.
    """

    def __init__(self, programs: Path, *, folder: str | None = None) -> None:
        for program in PROGRAMS:
            if shutil.which(program) is None:
                raise Unavailable(
                    f"{program} isn't installed: it is Debian's package"
                    f" {'etcd-server' if program == 'etcd' else program}"
                )
        self._stack = ExitStack()
        room = Room("forgedb-patroni-", folder)
        self._stack.callback(room.close)
        self.room = room.path
        try:
            self.programs = Programs(programs, self.room)
        except BaseException:
            self._stack.close()
            raise
        self._etcd_port, peer_port = free_port(), free_port()
        self._peer_port = peer_port
        self.nodes = [Node(self.programs, f"n{number}") for number in range(NODES)]

    def __enter__(self) -> PatroniCluster:
        with self._stack as stack:
            stack.callback(self._stop)
            self._etcd = self._started_etcd()
            for node in self.nodes:
                node.write(f"127.0.0.1:{self._etcd_port}")
                node.start()
            self.wait_for_standbys()
            with closing(psycopg.connect(self.primary.url("postgres"), autocommit=True)) as admin:
                admin.execute(f"CREATE DATABASE {DATABASE}".encode())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _started_etcd(self) -> subprocess.Popen[bytes]:
        clients = f"http://127.0.0.1:{self._etcd_port}"
        peers = f"http://127.0.0.1:{self._peer_port}"
        data = self.programs.folder_for(self.room / "etcd")
        return self.programs.start(
            _path_of("etcd"),
            f"--data-dir={data}/data",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            log=self.room / "etcd.log",
        )

    def _stop(self) -> None:
        for node in self.nodes:
            node.stop()
        etcd = getattr(self, "_etcd", None)
        if etcd is not None:
            etcd.kill()
            etcd.wait()

    def url(self) -> str:
        """The URL of the database, with all nodes as its hosts; the password is in it."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://postgres:{quote(PASSWORD)}@{hosts}/{DATABASE}"

    @property
    def primary(self) -> Node:
        """The node that leads.  Raises Unavailable where none does."""
        found = self._leader()
        if found is None:
            raise Unavailable("no node of the cluster leads")
        return found

    def kill(self) -> Node:
        """Kill the primary with its Patroni, and return it."""
        killed = self.primary
        killed.kill()
        return killed

    def wait_for_another(self, than: Node) -> None:
        """Wait until another node leads.  Raises Unavailable."""
        self._wait(lambda: self._leader() not in (None, than), "no other node leads")

    def wait_for_standbys(self) -> None:
        """Wait until there is a primary, all others follow it, and one does synchronously."""

        def whole() -> bool:
            members = self._members()
            roles = [it["role"] for it in members if it["state"] in ("running", "streaming")]
            return len(roles) == NODES and "leader" in roles and "sync_standby" in roles

        self._wait(whole, "the cluster doesn't become whole")

    def _leader(self) -> Node | None:
        leaders = {
            member["name"]
            for member in self._members()
            if member["role"] == "leader" and member["state"] == "running"
        }
        return next((node for node in self.nodes if node.running and node.name in leaders), None)

    def _members(self) -> list[dict[str, Any]]:
        """The cluster's members, as the first node that answers tells them."""
        for node in self.nodes:
            if node.running:
                try:
                    with urlopen(f"http://127.0.0.1:{node.rest_port}/cluster", timeout=2) as said:
                        members: list[dict[str, Any]] = json.load(said)["members"]
                except (OSError, URLError, ValueError):
                    continue
                else:
                    return members
        return []

    def _wait(self, until: Callable[[], bool], why: str) -> None:
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while not until():
            if time.monotonic() > give_up_at:
                words = "\n".join(node.last_words() for node in self.nodes)
                raise Unavailable(f"{why} in {START_SECONDS_MAX:g} s: {self._members()}; {words}")
            time.sleep(LOOK_SECONDS)


class Node:
    """A server, and the Patroni that runs it."""

    def __init__(self, programs: Programs, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.rest_port = free_port()
        self._programs = programs
        self._folder = programs.folder_for(programs.room / name)
        self._file = self._folder / "patroni.yaml"
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"Node({self.name!r}, port {self.port})"

    def write(self, etcd: str) -> None:
        """Write its configuration."""
        self._file.touch(mode=0o600)
        self._file.write_text(
            CONFIGURATION.format(
                name=self.name,
                host="127.0.0.1",
                network="127.0.0.1/32",
                port=self.port,
                rest_port=self.rest_port,
                etcd=etcd,
                data=self._folder / "data",
                programs=self._programs.folder,
                password=PASSWORD,
                home=self._folder,
            )
        )
        self._programs.hand_over(self._file)

    @property
    def running(self) -> bool:
        """Whether its Patroni runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start Patroni, which makes and starts the server."""
        assert not self.running, f"{self!r} runs already"
        self._process = self._programs.start(_path_of("patroni"), str(self._file), log=self._log)

    def kill(self) -> None:
        """Send SIGKILL to Patroni and to all processes of its server."""
        self._kill_patroni()
        server = self._server()
        processes.send(server, signal.SIGSTOP)
        all_of_it = [each for pid in server for each in (*processes.children_of(pid), pid)]
        processes.send(all_of_it, signal.SIGKILL)
        processes.wait_for_end(all_of_it)

    def stop(self) -> None:
        """Kill Patroni, and end its server by SIGQUIT, so that it frees its shared memory."""
        self._kill_patroni()
        server = self._server()
        processes.send(server, signal.SIGQUIT)
        processes.wait_for_end(server)

    def _kill_patroni(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _server(self) -> list[int]:
        """The id of its postmaster, if that runs; postmaster.pid may name a process of others."""
        file = self._folder / "data" / "postmaster.pid"
        pid = int(file.read_text().split()[0]) if file.exists() else 0
        return [pid] if str(self._folder) in processes.title_of(pid) else []

    def url(self, database: str) -> str:
        """The URL of a database of this node."""
        return f"postgresql://postgres:{quote(PASSWORD)}@127.0.0.1:{self.port}/{database}"

    def last_words(self) -> str:
        """The end of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return text[-1000:]


def _path_of(program: str) -> str:
    found = shutil.which(program)
    assert found is not None
    return found
