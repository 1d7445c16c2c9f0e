"""One PostgreSQL server: its data, port and processes, and methods that harm them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg

from forgedb import Unavailable
from forgedb.testing.servers import processes
from forgedb.testing.servers.programs import Programs

__all__ = ["Server"]

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
PROMOTE_SECONDS_MAX = 30

SETTINGS: Mapping[str, str] = {
    # A killed process loses nothing that it wrote, and no machine is made to crash here.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    # In the data folder, so that a killed server leaves no shared memory elsewhere.
    "dynamic_shared_memory_type": "mmap",
    # The same everywhere, whatever the machine's own zone and locale.
    "timezone": "America/St_Johns",
    "lc_messages": "C",
}

MEMORY_LINE = 6
"""The line of postmaster.pid that has the key and the id of the shared memory, from 0."""

LOG_CHARS_MAX = 2000


class Server:
    """A server in a folder of its own; ``settings`` are those of its configuration file.

    ``create`` or ``copy_from`` makes its data, and ``start`` runs it.
    """

    def __init__(
        self, programs: Programs, name: str, settings: Mapping[str, str], *, port: int | None = None
    ) -> None:
        self.programs = programs
        self.name = name
        self.settings = {**SETTINGS, **settings}
        self.port = free_port() if port is None else port
        self.folder = programs.room / name
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    def __repr__(self) -> str:
        return f"Server({self.name!r}, port {self.port})"

    def create(self, *options: str) -> None:
        """Make its data anew; anybody on this machine may connect as superuser ``postgres``."""
        self._make_folder()
        self.programs.run(
            "initdb",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            *options,
            f"--pgdata={self.data}",
        )

    def copy_from(self, url: str) -> None:
        """Replace its data by a base backup of the server with this URL."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._make_folder()
        self.programs.run(
            "pg_basebackup",
            f"--dbname={url}",
            f"--pgdata={self.data}",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
        )

    def _make_folder(self) -> None:
        self.programs.folder_for(self.folder)
        self.programs.folder_for(self.data)

    @property
    def running(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def answers(self) -> bool:
        """Whether it runs and isn't frozen."""
        return self.running and not self._frozen

    def start(self) -> None:
        """Start it, and wait until it takes connections.  Raises Unavailable, with its log."""
        assert self._process is None, f"{self!r} runs already"
        self._write_settings()
        self._process = self.programs.start("postgres", "-D", str(self.data), log=self.log)
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise Unavailable(f"{self!r} didn't start: {self.last_words()}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions first, SIGQUIT leaves it as a crash would."""
        self.thaw()
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process = process
            self.kill()
            raise

    def kill(self) -> None:
        """Send SIGKILL to all of its processes: nothing in them notices."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGSTOP)
        started = self._frozen or processes.children_of(process.pid)
        self._frozen = []
        processes.send([*started, process.pid], signal.SIGKILL)
        process.wait()
        processes.wait_for_end(started)
        self._forget_memory()

    def _forget_memory(self) -> None:
        """Remove the shared memory that a killed server leaves, by which it seems to be running."""
        lock_file = self.data / "postmaster.pid"
        lines = lock_file.read_text().splitlines() if lock_file.exists() else []
        if len(lines) > MEMORY_LINE:
            shared = lines[MEMORY_LINE].split()[-1]
            subprocess.run(["ipcrm", "--shmem-id", shared], check=False, capture_output=True)
        lock_file.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop all of its processes (SIGSTOP): its sockets stay open, and nothing answers."""
        assert self._process is not None, f"{self!r} doesn't run"
        self._process.send_signal(signal.SIGSTOP)
        self._frozen = processes.children_of(self._process.pid)
        processes.send(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let what was frozen go on."""
        frozen, self._frozen = self._frozen, []
        processes.send(frozen, signal.SIGCONT)
        if self.running:
            assert self._process is not None
            self._process.send_signal(signal.SIGCONT)

    def walsenders(self) -> list[int]:
        """The processes that send its WAL to standbys; while they are stopped, the standbys lag."""
        assert self._process is not None, f"{self!r} doesn't run"
        return [
            pid
            for pid in processes.children_of(self._process.pid)
            if "walsender" in processes.title_of(pid)
        ]

    def promote(self) -> None:
        """Make a standby a primary, and wait until it is.  Raises Unavailable."""
        self.programs.run(
            "pg_ctl", "promote", "-w", f"-t{PROMOTE_SECONDS_MAX}", f"--pgdata={self.data}"
        )

    def follow(self, conninfo: str) -> None:
        """Be a standby of the server with this connection string, from the next start on."""
        self.settings["primary_conninfo"] = f"{conninfo} application_name={self.name}"
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        self.programs.hand_over(signal_file)

    def recover(self, **settings: str) -> None:
        """Have the next start replay archived WAL by these settings, and end as a primary."""
        self.settings.update({"recovery_target_action": "promote", **settings})
        signal_file = self.data / "recovery.signal"
        signal_file.touch()
        self.programs.hand_over(signal_file)

    def wait_until_primary(self) -> None:
        """Wait until it takes changes.  Raises Unavailable."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while self.query("SELECT pg_is_in_recovery()") == [True]:
            if time.monotonic() > give_up_at:
                raise Unavailable(f"{self!r} is still a standby: {self.last_words()}")
            time.sleep(0.02)

    def configure(self, **settings: str) -> None:
        """Change settings; a running server has read them when this returns."""
        self.settings.update(settings)
        if not self.running:
            return
        (before,) = self.query("SELECT pg_conf_load_time()")
        self._write_settings()
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while self.query("SELECT pg_conf_load_time()") == [before]:
            if time.monotonic() > give_up_at:
                raise Unavailable(f"{self!r} doesn't read its settings: {self.last_words()}")
            time.sleep(0.01)

    def _write_settings(self) -> None:
        own = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self.settings,
        }
        lines = (f"{name} = '{_escaped(value)}'\n" for name, value in own.items())
        # Read after postgresql.conf, whose settings it overrides.
        file = self.data / "postgresql.auto.conf"
        file.write_text("".join(lines))
        self.programs.hand_over(file)

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database of the server."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def query(self, statement: str, database: str = "postgres") -> list[Any]:
        """The rows that a statement returns; of rows of one column, the values."""
        # By psycopg alone: a test of forgedb must not observe the server through forgedb.
        with closing(
            psycopg.connect(self.url(database), autocommit=True, connect_timeout=10)
        ) as connection:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in rows]

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-LOG_CHARS_MAX:].strip()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
