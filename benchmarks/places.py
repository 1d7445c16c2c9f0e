"""The databases that a work is measured on: files, or databases of a server; each by its URL."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import forgedb
from benchmarks import databases
from benchmarks.peers.settings import path_of
from benchmarks.postgres import server
from benchmarks.scale import Scale


class Place(Protocol):
    """Databases of one kind: what rows say of it, and how their names begin and their works end."""

    words: str
    suffix: str
    prefix: str

    def base(self) -> str:
        """One of a project and its repositories."""

    def copy(self, url: str, name: str) -> str:
        """Another with the same content, in place of the last of the name."""

    def settle(self, url: str) -> None:
        """Make it as it would be some time after it was filled."""

    def open(self, url: str) -> forgedb.Database:
        """forgedb on it."""


class Files:
    """SQLite's, in a folder."""

    words = "SQLite"
    suffix = ""
    prefix = ""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self._scale = scale
        self._folder = folder

    def base(self) -> str:
        return f"sqlite:///{databases.base(self._scale, self._folder)}"

    def copy(self, url: str, name: str) -> str:
        return f"sqlite:///{databases.copy(Path(path_of(url)), name)}"

    def settle(self, url: str) -> None:
        """A file that was closed has nothing left in its log."""

    def open(self, url: str) -> forgedb.Database:
        return databases.open_ours(Path(path_of(url)))


class Databases:
    """PostgreSQL's, on a server."""

    words = "PostgreSQL"
    suffix = ", PostgreSQL"
    prefix = "postgres-"

    def __init__(self, scale: Scale, on: server.Server) -> None:
        self._scale = scale
        self._server = on

    def base(self) -> str:
        return self._server.base(self._scale)

    def copy(self, url: str, name: str) -> str:
        return self._server.copy(url, name)

    def settle(self, url: str) -> None:
        with server.open_raw(url) as raw:
            raw.execute("VACUUM ANALYZE")

    def open(self, url: str) -> forgedb.Database:
        return server.open_ours(url)
