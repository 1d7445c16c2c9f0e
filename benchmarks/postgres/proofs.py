"""Proving a history, beside loops that only read it and hash it, or only hash it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
from psycopg import sql
from psycopg.types.string import TextLoader

from benchmarks import databases, proofs
from benchmarks.history import history
from benchmarks.postgres.server import Server, open_ours, open_raw
from benchmarks.scale import Scale
from benchmarks.timing import Row

TABLES = ("projects", "repositories", "leases", "mirrors", "audit_entries")
"""What a history of the benchmark's fills, referenced tables first."""

ENTRIES_A_READ = 1000


def verify(scale: Scale, server: Server) -> Iterator[Row]:
    """The same history as on SQLite."""
    url = server.empty("history")
    with (
        TemporaryDirectory(prefix="forgedb-benchmarks-") as folder,
        closing(databases.open_raw(history(scale, Path(folder)), writes=False)) as told,
    ):
        _copy(told, url)
    with open_ours(url) as db, open_raw(url) as raw, raw.transaction():
        # What was hashed is the JSON's text.
        raw.adapters.register_loader("json", TextLoader)

        def entries() -> Iterable[tuple[Any, ...]]:
            with raw.cursor(name="entries") as cursor:
                cursor.itersize = ENTRIES_A_READ
                yield from cursor.execute(proofs.IN_ORDER)

        yield from proofs.rows("postgres-audit-verify", ", PostgreSQL", scale, db, entries)


def _copy(told: apsw.Connection, url: str) -> None:
    """Fill the database with the rows of one on SQLite: the DAOs would take far longer."""
    with open_ours(url) as db:
        db.migrate()
    with open_raw(url) as raw, raw.cursor() as cursor:
        # No rule stands in the way of rows that come table by table.
        cursor.execute("SET session_replication_role = replica")
        for table in TABLES:
            found = told.execute(f"SELECT * FROM {table}")
            names = [name for name, _ in told.execute(f"SELECT * FROM {table}").get_description()]
            text = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
            )
            with cursor.copy(text) as target:
                for row in found:
                    target.write_row(row)
        cursor.execute("VACUUM ANALYZE")
