"""The databases that a work is measured on: SQLite files or databases of a server, by URL."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg

from benchmarks.databases import HERE, fill, open_ours, open_raw, path_of
from benchmarks.scale import Scale
from benchmarks.server import Server


class Place(Protocol):
    """Databases of one kind.

    ``words`` is how rows name it; ``prefix`` begins the names of rows, ``suffix`` ends their works.
    """

    words: str
    suffix: str
    prefix: str
    driver: str
    scale: Scale
    connect: Callable[[str], Any]
    """Connects by a common driver: Python's own sqlite3, or psycopg."""

    @property
    def base(self) -> str:
        """The URL of a database with a project and its repositories; filled on first use."""

    def empty(self, name: str) -> str:
        """The URL of an empty or missing database, in place of the last one of the name."""

    def copy(self, url: str, name: str) -> str:
        """The URL of a copy of a database, in place of the last one of the name."""

    def settle(self, url: str) -> None:
        """Bring it into the state that it would have some time after it was filled."""


class Files:
    """SQLite files in a folder."""

    words = "SQLite"
    suffix = ""
    prefix = ""
    driver = "apsw"

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.folder = folder

    @property
    def base(self) -> str:
        path = self.folder / "base.db"
        if not path.exists():
            with open_ours(f"sqlite:///{path}") as db:
                fill(db, self.scale)
        return f"sqlite:///{path}"

    def empty(self, name: str) -> str:
        path = self.folder / f"{name}.db"
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        return f"sqlite:///{path}"

    def copy(self, url: str, name: str) -> str:
        """The copy's identity says where it is, so that no new era begins."""
        target = self.empty(name)
        shutil.copyfile(path_of(url), path_of(target))
        with closing(open_raw(target)) as raw:
            raw.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            raw.execute(HERE)
        return target

    def settle(self, url: str) -> None:
        """A file that was closed has nothing left in its log."""

    @staticmethod
    def connect(url: str) -> sqlite3.Connection:
        return sqlite3.connect(path_of(url))


class Databases:
    """Databases of a PostgreSQL server."""

    words = "PostgreSQL"
    suffix = ", PostgreSQL"
    prefix = "postgres-"
    driver = "psycopg"
    connect = staticmethod(psycopg.connect)

    def __init__(self, scale: Scale, server: Server) -> None:
        self.scale = scale
        self.empty, self.copy = server.empty, server.copy
        self._server = server

    @property
    def base(self) -> str:
        return self._server.base(self.scale)

    def settle(self, url: str) -> None:
        with open_raw(url) as raw:
            raw.execute("VACUUM ANALYZE")
