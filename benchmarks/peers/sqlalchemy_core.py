"""SQLAlchemy Core: tables, statements made once, and the connection of an engine.

Reads have a connection in autocommit, as the engine's documentation advises for what needs no
transaction; writes one whose transactions begin by BEGIN IMMEDIATE on SQLite, by the hooks of the
dialect's page. PostgreSQL is spoken to by psycopg 3, as forgedb does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam, event, insert, select, update

from benchmarks.peers.settings import PRAGMAS, path_of
from benchmarks.peers.values import as_text, as_time, end_of_lease, new_lease, new_repository
from forgedb.models import NewObject


class Time(sa.types.UserDefinedType[datetime]):
    """SQLite has times as text with a T and a Z, which SQLAlchemy's own type doesn't read."""

    cache_ok = True

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: None if value is None else as_text(value)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        return lambda value: None if value is None else as_time(value)


TIME = sa.DateTime(timezone=True).with_variant(Time(), "sqlite")

metadata = sa.MetaData()

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("visibility", sa.Text),
    sa.Column("deleted_at", TIME),
)

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text),
    sa.Column("slug", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("default_branch", sa.Text),
    sa.Column("object_format", sa.Text),
    sa.Column("visibility", sa.Text),
    sa.Column("state", sa.Text),
    sa.Column("lease_epoch", sa.BigInteger),
    sa.Column("created_at", TIME),
    sa.Column("updated_at", TIME),
    sa.Column("deleted_at", TIME),
    sa.Column("audit_seq", sa.BigInteger),
    sa.Column("audit_head", sa.LargeBinary),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("repository_id", sa.Text),
    sa.Column("holder", sa.Text),
    sa.Column("purpose", sa.Text),
    sa.Column("fencing_token", sa.BigInteger),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("acquired_at", TIME),
    sa.Column("expires_at", TIME),
    sa.Column("ended_at", TIME),
    sa.Column("end_reason", sa.Text),
    sa.Column("previous_lease_id", sa.Text),
    sa.Column("ended_by", sa.Text),
    sa.Column("end_note", sa.Text),
)

audit_entries = sa.Table(
    "audit_entries",
    metadata,
    sa.Column("stream_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("id", sa.Text),
    sa.Column("at", TIME),
    sa.Column("actor", sa.Text),
    sa.Column("action", sa.Text),
    sa.Column("target_type", sa.Text),
    sa.Column("target_id", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("source_ip", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("changes", sa.JSON),
    sa.Column("hash_version", sa.BigInteger),
    sa.Column("entry_hash", sa.LargeBinary),
)

object_metadata = sa.Table(
    "object_metadata",
    metadata,
    sa.Column("repository_id", sa.Text, primary_key=True),
    sa.Column("oid", sa.LargeBinary, primary_key=True),
    sa.Column("type", sa.SmallInteger),
    sa.Column("size", sa.BigInteger),
    sa.Column("disk_size", sa.BigInteger),
    sa.Column("created_at", TIME),
)

GET = select(
    *[column for column in repositories.c if column.name not in ("audit_seq", "audit_head")]
).where(repositories.c.id == bindparam("id"))


class Core:
    """Engines on one database, and a connection of each that is kept."""

    def __init__(self, url: str) -> None:
        self._engines = engines_of(url)
        reading, _ = self._engines
        self._reading = reading.connect()

    def get(self, ids: Sequence[str]) -> list[Any]:
        execute = self._reading.execute
        return [execute(GET, {"id": one}).one() for one in ids]

    def close(self) -> None:
        self._reading.close()
        for engine in self._engines:
            engine.dispose()


def opened(url: str) -> Core:
    return Core(url)


def engines_of(url: str) -> tuple[sa.Engine, sa.Engine]:
    """One to read by, and one to write by."""
    # Changes are JSON already, as they are hashed: the type has nothing left to do.
    options: dict[str, Any] = {"json_serializer": str}
    if not url.startswith("sqlite:"):
        writing = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), **options)
        return writing.execution_options(isolation_level="AUTOCOMMIT"), writing
    url = f"sqlite:///{path_of(url)}"
    reading = sa.create_engine(url, isolation_level="AUTOCOMMIT", **options)
    writing = sa.create_engine(url, **options)
    for engine in (reading, writing):
        event.listen(engine, "connect", _configure)
    event.listen(writing, "begin", _begin_immediate)
    return reading, writing


def _configure(driver: Any, _: object) -> None:
    driver.isolation_level = None
    for name, value in PRAGMAS.items():
        driver.execute(f"PRAGMA {name} = {value}")


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
