"""A PgBouncer for tests, which lends a server's connections for one transaction at a time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import psycopg

from forgedb.testing.servers.server import START_SECONDS_MAX, STOP_SECONDS_MAX, free_port

PROGRAM = Path("/usr/sbin/pgbouncer")
"""Where Debian's package puts it, which is out of the path of most users."""

SETTINGS = """\
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
pool_mode = transaction
auth_type = any
max_client_conn = 500
default_pool_size = 20
server_idle_timeout = 60
"""


def pgbouncer_program() -> Path | None:
    """The program, if it is installed."""
    found = shutil.which("pgbouncer")
    if found is not None:
        return Path(found)
    return PROGRAM if PROGRAM.exists() else None


class PgBouncer:
    """A context manager: lends the connections of the URL's server, to any of its databases."""

    def __init__(self, server_url: str, program: Path | None = None) -> None:
        self._server = urlsplit(server_url)
        self._program = program or pgbouncer_program()
        assert self._program is not None, "pgbouncer isn't installed"
        self._folder = Path(tempfile.mkdtemp(prefix="forgedb-pgbouncer-"))
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PgBouncer:
        try:
            self._start()
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
        """Stop it, with all of its connections, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The URL of a database of the server, through PgBouncer."""
        user = self._server.username or "postgres"
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def in_front_of(self, url: str) -> str:
        """The same URL of the server, through PgBouncer."""
        user = self._server.username or "postgres"
        return urlunsplit(urlsplit(url)._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def _start(self) -> None:
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                host=self._server.hostname,
                port=self._server.port or 5432,
                user=self._server.username or "postgres",
                own_port=self.port,
            )
        )
        self._folder.chmod(0o755)
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self._program), str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                user=self._user,
                extra_groups=None if self._user is None else [],
                start_new_session=True,
            )
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > give_up_at:
                    raise AssertionError(f"PgBouncer didn't start:\n{log.read_text()}") from None
                time.sleep(0.02)
            else:
                return
