"""A PostgreSQL primary and two standbys; the primary can be made to fail in realistic ways."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

from forgedb import Unavailable
from forgedb.testing.servers import processes
from forgedb.testing.servers.network import Network
from forgedb.testing.servers.programs import Programs
from forgedb.testing.servers.room import Room
from forgedb.testing.servers.server import Server

__all__ = ["Cluster"]

Replication = Literal["asynchronous", "on", "remote_apply"]
"""Whether a COMMIT waits for one of the standbys, and whether until that has flushed or applied
it."""

DATABASE: Final = "forge"

STANDBYS: Final = 2

SETTINGS: Final[Mapping[str, str]] = {
    "max_connections": "100",
    "max_wal_senders": "10",
    "wal_level": "replica",
    "wal_keep_size": "512MB",
    "hot_standby": "on",
    # What pg_rewind needs.
    "wal_log_hints": "on",
    "wal_receiver_status_interval": "1s",
    "wal_receiver_timeout": "20s",
    "wal_sender_timeout": "20s",
    "wal_retrieve_retry_interval": "100ms",
    "log_min_messages": "warning",
}

CATCH_UP_SECONDS_MAX = 60.0


class Cluster:
    """A context manager: a primary and its standbys, two or none, with an empty database ``forge``.

    ``programs`` is a folder of PostgreSQL's programs.  With ``slow_seconds`` all traffic to a
    server and from it is delayed by so much.  The servers are stopped and their folders removed
    when the block ends.  Raises Unavailable if a program fails.
    """

    def __init__(
        self,
        programs: Path,
        *,
        replication: Replication = "asynchronous",
        standbys: int = STANDBYS,
        slow_seconds: float = 0.0,
        folder: str | None = None,
        settings: Mapping[str, str] = SETTINGS,
    ) -> None:
        self._stack = ExitStack()
        room = Room("forgedb-cluster-", folder)
        self._stack.callback(room.close)
        self.room = room.path
        self._slow_seconds = slow_seconds
        try:
            self.programs = Programs(programs, self.room)
        except BaseException:
            self._stack.close()
            raise
        names = [f"n{number}" for number in range(1 + standbys)]
        self.servers = [
            Server(self.programs, name, {**settings, **_waits_for(replication, names, name)})
            for name in names
        ]
        self.primary = self.servers[0]
        self._made = len(self.servers)
        self._settings = settings
        self._networks: dict[str, Network] = {}

    def __enter__(self) -> Cluster:
        with self._stack as stack:
            stack.callback(self._stop)
            if self._slow_seconds:
                for server in self.servers:
                    network = stack.enter_context(Network(server.url(DATABASE)))
                    network.delay(self._slow_seconds)
                    self._networks[server.name] = network
            self.primary.create()
            waits_for = self.primary.settings["synchronous_standby_names"]
            self.primary.settings["synchronous_standby_names"] = ""
            self.primary.start()
            self.primary.query(f"CREATE DATABASE {DATABASE}")
            for standby in self.standbys:
                self._copy(standby)
            self.primary.configure(synchronous_standby_names=waits_for)
            self.wait_for_standbys()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _stop(self) -> None:
        for server in self.servers:
            server.kill()

    @property
    def standbys(self) -> list[Server]:
        """The servers that aren't the primary, running or not."""
        return [server for server in self.servers if server is not self.primary]

    def url(self, *servers: Server, user: str = "postgres") -> str:
        """The URL of the database, with these servers as its hosts, or with all of them."""
        hosts = ",".join(f"127.0.0.1:{self._port(server)}" for server in servers or self.servers)
        return f"postgresql://{user}@{hosts}/{DATABASE}"

    def _port(self, server: Server) -> int:
        network = self._networks.get(server.name)
        return server.port if network is None else network.port

    # How a primary fails.

    def kill(self) -> Server:
        """Kill the primary, and return it."""
        self.primary.kill()
        return self.primary

    def stop_sending(self, *, at_most: int = STANDBYS) -> list[int]:
        """Stop walsenders of the primary, ``at_most`` so many: standbys lag.  Returns their ids."""
        stopped = self.primary.walsenders()[:at_most]
        processes.send(stopped, signal.SIGSTOP)
        return stopped

    def cancel_waits(self) -> int:
        """Cancel each COMMIT that waits for a standby, as a DBA may; return how many did."""
        cancelled = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )
        return len(self.primary.query(cancelled))

    def most_advanced(self) -> Server:
        """The running standby that has received most: it has all that any other one has."""
        return max(self._received().items(), key=lambda item: item[1])[0]

    def least_advanced(self) -> Server:
        """The running standby that lags most."""
        return min(self._received().items(), key=lambda item: item[1])[0]

    def _received(self) -> dict[Server, int]:
        return {
            server: int(
                server.query(
                    "SELECT coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
                    " - '0/0'::pg_lsn"
                )[0]
            )
            for server in self.standbys
            if server.answers
        }

    def promote(self, server: Server) -> None:
        """Make a standby the primary, which the other running standbys follow from then on."""
        server.promote()
        self.primary = server
        for standby in self.standbys:
            if standby.answers and standby.query("SELECT pg_is_in_recovery()") == [True]:
                standby.follow(self._conninfo())
                standby.configure()

    def spare(self, programs: Path | None = None) -> Server:
        """A server outside of the cluster, not created yet; with other programs, if given.

        ``take_over`` puts it in the primary's place.
        """
        self._made += 1
        own = self.programs if programs is None else Programs(programs, self.room)
        server = Server(own, f"n{self._made}", self._settings)
        self._stack.callback(server.kill)
        return server

    def take_over(self, server: Server) -> None:
        """Start a spare server in the place of the whole cluster, whose primary has stopped."""
        server.port = self.primary.port
        self.servers = [server]
        self.primary = server
        server.start()
        server.wait_until_primary()

    def rejoin(self, server: Server, *, rewind: bool = False) -> None:
        """Make a server a standby of the primary, whatever it was before, and start it.

        With ``rewind`` pg_rewind does so, which keeps what both have in common.  Without it, or if
        that fails, the server becomes a new base backup.
        """
        assert server is not self.primary
        server.kill()
        if not rewind or not self._rewound(server):
            self._copy(server)

    def _rewound(self, server: Server) -> bool:
        try:
            server.programs.run(
                "pg_rewind",
                f"--target-pgdata={server.data}",
                f"--source-server={self._conninfo()} dbname=postgres",
                "--no-sync",
            )
            server.follow(self._conninfo())
            server.start()
        except Unavailable:
            # The two have no timeline in common, or the WAL that it needs is gone.
            server.kill()
            return False
        return True

    def _copy(self, server: Server) -> None:
        server.copy_from(self.primary.url("postgres"))
        server.follow(self._conninfo())
        server.start()

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self._port(self.primary)} user=postgres"

    def wait_for_standbys(self) -> None:
        """Wait until each running standby has received what the primary has now."""
        (goal,) = self.primary.query("SELECT pg_current_wal_flush_lsn()::text")
        give_up_at = time.monotonic() + CATCH_UP_SECONDS_MAX
        for standby in self.standbys:
            while standby.answers:
                received = f"SELECT pg_last_wal_receive_lsn() >= '{goal}'"
                if standby.query(received) == [True]:
                    break
                if time.monotonic() > give_up_at:
                    raise Unavailable(
                        f"{standby!r} doesn't catch up with {self.primary!r}:"
                        f" {standby.last_words()}"
                    )
                time.sleep(0.02)


def _waits_for(replication: Replication, names: list[str], name: str) -> dict[str, str]:
    """The settings by which the COMMITs of a server wait for standbys, once it is the primary."""
    if replication == "asynchronous":
        return {"synchronous_standby_names": "", "synchronous_commit": "on"}
    others = ", ".join(each for each in names if each != name)
    return {
        "synchronous_standby_names": f"ANY 1 ({others})",
        "synchronous_commit": replication,
    }
