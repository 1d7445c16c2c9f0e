"""sqlite-utils: tables of a `Database`, which gives and takes rows as dictionaries.

It supports SQLite alone, converts no times, and has no models: it does less than the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from benchmarks.databases import path_of
from benchmarks.objects import rows_of
from benchmarks.peers.settings import PRAGMAS
from benchmarks.peers.values import (
    OBJECT,
    as_texts,
    end_of_lease,
    new_lease,
    new_repository,
)
from forgedb.models import NewObject

BATCH_ROWS = 1_000
"""It sends 166 of these at once at most, since its limit is 999 values a statement."""


class SqliteUtils:
    """A connection of `sqlite3`, and the tables on it."""

    def __init__(self, url: str) -> None:
        connection = sqlite3.connect(path_of(url))
        for name, value in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {value}")
        self._db = Database(connection)

    def get(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        table = self._db.table("repositories")
        return [table.get(one) for one in ids]

    def create(self, project_id: str, slugs: Sequence[str]) -> None:
        projects, repositories = self._db.table("projects"), self._db.table("repositories")
        entries = self._db.table("audit_entries")
        for slug in slugs:
            with self._immediate():
                visibility = projects.get(project_id)["visibility"]
                repository, entry = new_repository(project_id, visibility, slug)
                repositories.insert(as_texts(repository))
                entries.insert(as_texts(entry))

    def page(self, repository_id: str, after: bytes, limit: int, times: int) -> list[Any]:
        table = self._db.table("object_metadata")
        where = "repository_id = ? and oid > ?"
        return [
            [*table.rows_where(where, [repository_id, after], order_by="oid", limit=limit)]
            for _ in range(times)
        ]

    def rows(self, repository_id: str, objects: Sequence[NewObject]) -> list[tuple[Any, ...]]:
        return rows_of(repository_id, objects)

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        # A first list of the columns' names, then lists of values: dictionaries cost it more.
        def records() -> Iterator[Sequence[Any]]:
            yield OBJECT
            yield from rows

        with self._immediate():
            self._db.table("object_metadata").insert_all(records(), batch_size=BATCH_ROWS)

    def lease(self, repository_ids: Sequence[str]) -> None:
        for repository_id in repository_ids:
            self._release(repository_id, self._acquire(repository_id))

    def _acquire(self, repository_id: str) -> str:
        with self._immediate():
            repository = self._db.table("repositories").get(repository_id)
            last = self._last(repository_id)
            lease, entry = new_lease(
                repository_id, repository["lease_epoch"], repository["audit_seq"], last
            )
            self._record(entry, lease_epoch=lease["fencing_token"])
            self._db.table("leases").insert(as_texts(lease))
        return str(lease["id"])

    def _release(self, repository_id: str, lease_id: str) -> None:
        with self._immediate():
            repository = self._db.table("repositories").get(repository_id)
            last = self._last(repository_id)
            ended, entry = end_of_lease(repository_id, repository["audit_seq"], lease_id, last)
            self._record(entry)
            self._db.table("leases").update(lease_id, as_texts(ended))

    def _last(self, repository_id: str) -> tuple[Any, ...] | None:
        found = self._db.table("leases").rows_where(
            "repository_id = ?",
            [repository_id],
            order_by="fencing_token desc",
            select="id, ended_at, expires_at",
            limit=1,
        )
        for row in found:
            expires_at = datetime.fromisoformat(row["expires_at"])
            return row["id"], row["ended_at"], expires_at
        return None

    def _record(self, entry: dict[str, Any], **more: Any) -> None:
        self._db.table("audit_entries").insert(as_texts(entry))
        stream = {"audit_seq": entry["seq"], "audit_head": entry["entry_hash"], **more}
        self._db.table("repositories").update(entry["stream_id"], stream)

    @contextmanager
    def _immediate(self) -> Iterator[None]:
        """BEGIN IMMEDIATE: its own `atomic` takes no lock at the start, which a lease needs."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.rollback()
            raise
        self._db.commit()

    def missing(self, repository_id: str, oids: Sequence[bytes]) -> list[bytes]:
        asked = ", ".join("?" * len(oids))
        found = self._db.table("object_metadata").rows_where(
            f"repository_id = ? and oid in ({asked})", [repository_id, *oids], select="oid"
        )
        present = {row["oid"] for row in found}
        return [oid for oid in oids if oid not in present]

    def close(self) -> None:
        self._db.close()


def opened(url: str) -> SqliteUtils:
    return SqliteUtils(url)
