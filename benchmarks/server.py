"""The PostgreSQL databases that rows are measured on: one is filled, and contenders get copies."""

from __future__ import annotations

import os
from contextlib import ExitStack
from tempfile import gettempdir
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.databases import HERE, fill, open_ours, open_raw
from benchmarks.scale import Scale
from tests.servers.postgres import PostgresServer, embedded_programs

URL = "FORGEDB_BENCH_POSTGRES_URL"
"""The environment's variable for a server to measure on, in place of one that is started."""

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")

ON_DISK = {**dict.fromkeys(DURABILITY, "on"), "autovacuum": "on", "shared_buffers": "256MB"}
"""Settings of a server whose commits survive a crash of the machine."""

FILLED = ("projects", "repositories", "audit_entries")
"""The tables that have rows in the base."""


class Server:
    """A context manager; the server starts, and its base is filled, when first asked for.

    With ``on_disk`` its files are in the temporary folder, and commits wait for the disk, so that
    they outlive a crash of the machine. Else they don't, and its files are in memory if there is
    room.
    """

    def __init__(self, *, on_disk: bool = False) -> None:
        self._on_disk = on_disk
        self._stack = ExitStack()
        self._prefix = f"forgedb_bench_{os.getpid()}"
        self._url: str | None = None
        self._admin: psycopg.Connection[Any] | None = None
        self._made: set[str] = set()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in [*self._made]:
            self._drop(name)
        self._stack.close()

    def words(self) -> str:
        """The server's version, and its settings of durability."""
        admin = self._administration()
        settings = [f"{name} {self._shown(admin, name)}" for name in DURABILITY]
        return f"PostgreSQL {self._shown(admin, 'server_version')}, {', '.join(settings)}"

    def url(self) -> str:
        """The URL of its maintenance database, for another process that measures on it."""
        self._administration()
        assert self._url is not None
        return self._url

    def base(self, scale: Scale) -> str:
        """The URL of a database of one project and its repositories."""
        if "base" not in self._made:
            url = self._create("base", "template0")
            with open_ours(url) as db:
                fill(db, scale)
            with open_raw(url) as raw:
                # Not the empty tables, which autovacuum wouldn't analyze either: with statistics of
                # no rows, plans would scan all rows that come later.
                raw.execute(f"VACUUM ANALYZE {', '.join(FILLED)}")
        return self.url_of("base")

    def empty(self, name: str) -> str:
        """The URL of a new database that holds nothing, in place of the last of the name."""
        self._drop(name)
        return self._create(name, "template0")

    def copy(self, url: str, name: str) -> str:
        """The URL of a copy of the database, in place of the last one of the name.

        The copy's identity says where it is, so that no new era begins.
        """
        self._drop(name)
        copied = self._create(name, urlsplit(url).path[1:])
        with open_raw(copied) as raw:
            raw.execute("SET session_replication_role = replica")
            raw.execute(f"{HERE}, database_oid = forgedb_database_oid()")
        return copied

    def _create(self, name: str, template: str) -> str:
        text = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        named = sql.Identifier(self._full(name))
        self._administration().execute(text.format(named, sql.Identifier(template)))
        self._made.add(name)
        return self.url_of(name)

    def _drop(self, name: str) -> None:
        text = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._administration().execute(text.format(sql.Identifier(self._full(name))))
        self._made.discard(name)

    def _administration(self) -> psycopg.Connection[Any]:
        if self._admin is None:
            self._url = os.environ.get(URL)
            if not self._url:
                started = self._stack.enter_context(self._started())
                self._url = started.url("postgres")
            self._admin = self._stack.enter_context(open_raw(self._url))
        return self._admin

    def _started(self) -> PostgresServer:
        if self._on_disk:
            return PostgresServer(embedded_programs(), folder=gettempdir(), **ON_DISK)
        return PostgresServer(embedded_programs())

    def _full(self, name: str) -> str:
        return f"{self._prefix}_{name}"

    def url_of(self, name: str) -> str:
        """The URL of the database that was made under the name."""
        return urlunsplit(urlsplit(self._url or "")._replace(path=f"/{self._full(name)}"))

    @staticmethod
    def _shown(admin: psycopg.Connection[Any], setting: str) -> str:
        found = admin.execute("SELECT current_setting(%s)", [setting]).fetchone()
        assert found is not None
        return str(found[0])
