"""The libraries that are compared, the module of each, and the databases that it supports.

A module is imported when its peer is used: only the Python of `make bench-peers` has all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple, Protocol, TypeAlias

from forgedb.models import NewObject

Found: TypeAlias = Any
"""A model, a row or a mapping, whatever the peer returns."""


class Opened(Protocol):
    """A peer on one database.  Each method does a slice of one work; those of async peers are
    coroutines.

    ``get`` and ``page`` read as many as asked for, on one connection or session, as is usual for
    the peer.  ``create`` and ``lease`` use a transaction for each, ``add`` one for all.  ``rows``
    makes the argument of ``add``, and is not timed.  One peer also has
    ``page_by_offset(repository_id, offset, limit)``, to show what OFFSET costs.
    """

    def get(self, ids: Sequence[str]) -> list[Found] | Awaitable[list[Found]]:
        """The repositories."""

    def create(self, project_id: str, slugs: Sequence[str]) -> Any:
        """Make repositories in a live project, each with the first entry of its stream."""

    def page(
        self, repository_id: str, after: bytes, limit: int, times: int
    ) -> list[Sequence[Found]] | Awaitable[list[Sequence[Found]]]:
        """The same page of objects, so many times."""

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> Any:
        """The objects in the form that the peer takes."""

    def add(self, rows: Any) -> Any:
        """Record them in one transaction."""

    def lease(self, repository_ids: Sequence[str]) -> Any:
        """Acquire and release the lease of each: two transactions, two entries."""

    def missing(
        self, repository_id: str, oids: Sequence[bytes]
    ) -> list[bytes] | Awaitable[list[bytes]]:
        """Those that the repository doesn't have."""

    def close(self) -> Any:
        """End its connections."""


class Peer(NamedTuple):
    """A library: the module that speaks to it, and the package whose version is shown."""

    name: str
    module: str
    package: str
    is_async: bool = False
    on_sqlite: bool = True
    on_postgres: bool = True

    @property
    def words(self) -> str:
        """Its name and version."""
        return f"{self.name} {version(self.package)}"

    @property
    def is_installed(self) -> bool:
        try:
            version(self.package)
        except PackageNotFoundError:
            return False
        return True

    def open(self, url: str) -> Any:
        """An ``Opened`` on the database; of an async peer, an awaitable of it."""
        return import_module(f"benchmarks.peers.{self.module}").opened(url)


PEERS = (
    Peer("SQLAlchemy Core", "sqlalchemy_core", "sqlalchemy"),
    Peer("SQLAlchemy ORM", "sqlalchemy_orm", "sqlalchemy"),
    Peer("Django ORM", "django_orm", "django"),
    Peer("sqlite-utils", "sqlite_utils_", "sqlite-utils", on_postgres=False),
    Peer("aiosqlite", "aiosqlite_", "aiosqlite", is_async=True, on_postgres=False),
    Peer("asyncpg", "asyncpg_", "asyncpg", is_async=True, on_sqlite=False),
)
