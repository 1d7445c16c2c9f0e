"""Databases to measure on, each by its URL: forgedb and the drivers open either kind alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql

import forgedb
from benchmarks.scale import Scale
from forgedb.drivers.sqlite.checkpoints import LOG_PAGES
from forgedb.drivers.sqlite.connection import SqliteConnection
from forgedb.drivers.sqlite.options import sqlite_options
from forgedb.sql.catalogue import Sql
from forgedb.sql.placeholders import compile_text

ACTOR = "user:benchmark"
PROJECT = "platform"
PAGE = 100

HERE = "UPDATE database_identity SET system_identifier = forgedb_system_identifier()"
"""Without it, a copy's first write would notice that the database was moved, and begin a new era:
work that forgedb alone has, and tokens that begin at random.  Run it without triggers."""

UTC = "-c TimeZone=UTC"
"""As forgedb's connections have it: with another zone the raw driver would take longer."""


def is_file(url: str) -> bool:
    """Whether the URL is of a SQLite file."""
    return url.startswith("sqlite:")


def path_of(url: str) -> str:
    """The file that a URL of SQLite's names."""
    return url.removeprefix("sqlite:///")


def open_ours(url: str, **options: Any) -> forgedb.Database:
    return forgedb.connect(url, actor=ACTOR, **options)


def open_raw(url: str, *, writes: bool = True) -> Any:
    """A connection of the driver's own, with forgedb's settings and nothing else of it."""
    if not is_file(url):
        return psycopg.connect(url, autocommit=True, options=UTC)
    options = sqlite_options(path_of(url), {})
    raw = SqliteConnection(options, _no_clock, writes=writes).raw
    raw.convert_binding = None
    # SQLite itself checkpoints here, in place of forgedb's hooks.
    raw.wal_autocheckpoint(LOG_PAGES)
    raw.set_progress_handler(None)
    raw.set_busy_timeout(int(options.busy_timeout_seconds * 1000))
    return raw


def raw_text(url: str, statement: Sql) -> Any:
    """The statement in the driver's own format."""
    return statement.sqlite if is_file(url) else compile_text(statement.postgres, "postgres")[0]


def fill(db: forgedb.Database, scale: Scale) -> None:
    """Make the schema, the project and its repositories."""
    db.migrate()
    project = db.projects.create(slug=PROJECT, name="Platform")
    with db.transaction() as tx:
        for number in range(scale.repositories):
            tx.repositories.create(project_id=project.id, slug=f"repository-{number}")


def project_of(db: forgedb.Database) -> str:
    """The id of the project."""
    return db.projects.get_by_slug(PROJECT).id


def ids_of(db: forgedb.Database, limit: int = PAGE) -> list[str]:
    """The ids of the project's first repositories."""
    return [one.id for one in db.repositories.list(project_of(db), limit=limit).items]


def all_ids(db: forgedb.Database) -> list[str]:
    return [row[0] for row in db.client.query("SELECT id FROM repositories ORDER BY id")]


def fingerprint(url: str, table: str) -> tuple[Any, ...]:
    """How many rows a table has, and a sum over their content."""
    raw = open_raw(url)
    try:
        if not is_file(url):
            text = sql.SQL("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} AS t")
            return tuple(raw.execute(text.format(sql.Identifier(table))).fetchone())
        content = sha256()
        for row in raw.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
            content.update(repr(row).encode())
        return raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0], content.hexdigest()
    finally:
        raw.close()


def copy_rows(
    raw: psycopg.Connection[Any], table: str, names: Iterable[str], rows: Iterable[Sequence[Any]]
) -> None:
    """COPY rows of these columns into PostgreSQL's table."""
    text = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with raw.cursor().copy(text) as target:
        for row in rows:
            target.write_row(row)


def _no_clock() -> datetime:
    raise AssertionError("nothing asks a raw connection for the time")
