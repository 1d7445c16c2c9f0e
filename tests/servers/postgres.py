"""A PostgreSQL server for tests: its data in a temporary folder, on a port of its own.

The programs come from the wheel, or from a folder of the machine's own.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

import forgedb
from forgedb.admin.grants import grants
from forgedb.testing.servers import programs
from forgedb.testing.servers.programs import Programs
from forgedb.testing.servers.room import Room
from forgedb.testing.servers.server import Server

if TYPE_CHECKING:
    from tests.servers.pgbouncer import PgBouncer

FROZEN_SECONDS_MAX = 30.0

# A test's data needs no disk: what it proves about crashes, it proves about processes.
SETTINGS = {
    "synchronous_commit": "off",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "autovacuum": "off",
}


def embedded_programs() -> Path:
    """The programs of the wheel, PostgreSQL 18."""
    found = programs.embedded_programs()
    assert found is not None
    return found


def server_programs() -> Path:
    """The programs in FORGEDB_TEST_POSTGRES_PROGRAMS, a folder, or else the wheel's."""
    given = os.environ.get("FORGEDB_TEST_POSTGRES_PROGRAMS")
    return Path(given) if given else embedded_programs()


class PostgresServer:
    """A context manager: the server runs within it, and its folder is removed after it.

    Its data is in a folder in ``folder``, else in memory where there is room.
    """

    def __init__(self, programs: Path, *, folder: str | None = None, **settings: str) -> None:
        self._room = Room("forgedb-postgres-", folder)
        self._server = Server(
            Programs(programs, self._room.path), "server", {**SETTINGS, **settings}
        )
        self.port = self._server.port

    def __enter__(self) -> PostgresServer:
        try:
            self._server.create()
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
        self._room.close()

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it takes connections."""
        self._server.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions first, SIGQUIT leaves it as a crash would."""
        self._server.stop(how)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """In the block it says nothing, though its connections stay; nobody hangs for ever."""
        thawing = threading.Timer(FROZEN_SECONDS_MAX, self._server.thaw)
        self._server.freeze()
        thawing.start()
        try:
            yield
        finally:
            thawing.cancel()
            thawing.join()
            self._server.thaw()

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database of the server."""
        return self._server.url(database, user)


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
