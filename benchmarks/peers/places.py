"""The databases that peers are measured on: files, or databases of a server; each by its URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import forgedb
from benchmarks import databases
from benchmarks.databases import first_repository, open_ours
from benchmarks.peers.settings import path_of
from benchmarks.postgres.server import Server, open_raw
from benchmarks.scale import Scale
from forgedb.models import NewObject

DEEP = "deep"


class Place(Protocol):
    """Databases of one kind.  ``words`` is what a row says of it."""

    words: str

    def row_name(self, work: str) -> str:
        """What the rows of a work are called there."""

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

    def __init__(self, scale: Scale, folder: Path) -> None:
        self._scale = scale
        self._folder = folder

    def row_name(self, work: str) -> str:
        return f"peers-{work}"

    def base(self) -> str:
        return f"sqlite:///{databases.base(self._scale, self._folder)}"

    def copy(self, url: str, name: str) -> str:
        return f"sqlite:///{databases.copy(Path(path_of(url)), name)}"

    def settle(self, url: str) -> None:
        """A file that was closed has nothing left in its log."""

    def open(self, url: str) -> forgedb.Database:
        return open_ours(Path(path_of(url)))


class Databases:
    """PostgreSQL's, on a server."""

    words = "PostgreSQL"

    def __init__(self, scale: Scale, server: Server) -> None:
        self._scale = scale
        self._server = server

    def row_name(self, work: str) -> str:
        return f"postgres-peers-{work}"

    def base(self) -> str:
        return self._server.base(self._scale)

    def copy(self, url: str, name: str) -> str:
        return self._server.copy(url, name)

    def settle(self, url: str) -> None:
        with open_raw(url) as raw:
            raw.execute("VACUUM ANALYZE")

    def open(self, url: str) -> forgedb.Database:
        from benchmarks.postgres import server

        return server.open_ours(url)


def filled(place: Place, objects: list[NewObject]) -> tuple[str, str]:
    """A database with the objects in its first repository: its URL, and the repository's id."""
    url = place.copy(place.base(), DEEP)
    with place.open(url) as db:
        repository_id = first_repository(db)
        with db.leases.hold(repository_id) as lease:
            db.objects.add_many(repository_id, objects, lease.fencing_token)
    place.settle(url)
    return url, repository_id


def counted(place: Place, url: str, *texts: str) -> list[list[tuple[Any, ...]]]:
    """What the queries give there."""
    with place.open(url) as db:
        return [db.client.query(text) for text in texts]
