"""``python -m tests.concurrency.soak``: the soak on both databases, with restarts of the server.

SQLite's file and PostgreSQL's server are made for it, and each gets half of the time.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import forgedb
from forgedb.testing.soak.__main__ import report, say
from forgedb.testing.soak.attack import attack
from forgedb.testing.soak.orders import Plan
from tests.servers.postgres import PostgresServer, server_programs


class Target(NamedTuple):
    """A database to attack, and how to restart its server."""

    url: str
    restart_server: Callable[[], object] | None


@contextmanager
def target_on(database: str) -> Iterator[Target]:
    """A database with forgedb's schema: of a file, or of a server of its own."""
    if database == "sqlite":
        with TemporaryDirectory(prefix="forgedb-soak-") as folder:
            yield Target(_migrated(f"sqlite:///{Path(folder)}/forge.db"), None)
        return
    # What is committed outlives a crash: of the process, if not of the machine.
    with PostgresServer(server_programs(), synchronous_commit="on") as server:
        ways = cycle([signal.SIGINT, signal.SIGQUIT])

        def restart() -> None:
            server.stop(next(ways))
            server.start()

        yield Target(_migrated(server.url("postgres")), restart)


def _migrated(url: str) -> str:
    with forgedb.connect(url) as db:
        db.migrate()
    return url


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.concurrency.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="in all")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    given = parser.parse_args()
    databases = [given.only] if given.only else ["sqlite", "postgres"]
    plan = Plan(minutes=given.minutes / len(databases), clients=given.clients, seed=given.seed)
    failed = 0
    for database in databases:
        say(f"{database}, {plan.minutes:g} minutes, {plan.clients} clients, seed {plan.seed}")
        with target_on(database) as (url, restart_server):
            failed += report(attack(url, plan, restart_server=restart_server, say=say))
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
