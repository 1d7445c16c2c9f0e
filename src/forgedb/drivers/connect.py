"""Opening the database that a URL names, for threads or for tasks: which driver it is for."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from forgedb.errors import UsageError
from forgedb.operations.binding import AsyncRunner, Clock, FirstWrite, SchemaCheck, SyncRunner

if TYPE_CHECKING:
    from forgedb.drivers.url import DatabaseUrl


class ConnectOptions(TypedDict, total=False):
    """The options of ``connect``; those of the other database are refused."""

    clock: Clock
    call_timeout: timedelta | float | Literal["never"] | None
    mode: Literal["ro", "rw", "rwc"]
    synchronous: Literal["OFF", "NORMAL", "FULL", "EXTRA"]
    busy_timeout: timedelta | float
    readers: int
    checkpoint: Literal["auto", "never"]
    pool_min_size: int
    pool_max_size: int
    pool_timeout: timedelta | float
    prepare_threshold: int | Literal["never"] | None


def open_for_threads(
    url: DatabaseUrl,
    options: Mapping[str, Any],
    clock: Clock,
    schema_check: SchemaCheck,
    first_write: FirstWrite,
) -> SyncRunner:
    """A runner that blocks.

    Raises InvalidValue (an option), Unavailable, UsageError (PostgreSQL's driver isn't installed).
    """
    if url.dialect == "sqlite":
        from forgedb.drivers.sqlite.options import sqlite_options
        from forgedb.drivers.sqlite.runner import SqliteRunner

        given = sqlite_options(url.path, {**url.options, **options})
        return SqliteRunner(given, clock, schema_check, first_write)
    with _postgres_installed():
        from forgedb.drivers.postgres.connect import open_blocking
        from forgedb.drivers.postgres.options import postgres_options
    return open_blocking(postgres_options(url, options), clock, schema_check, first_write)


async def open_for_tasks(
    url: DatabaseUrl,
    options: Mapping[str, Any],
    clock: Clock,
    schema_check: SchemaCheck,
    first_write: FirstWrite,
) -> AsyncRunner:
    """A runner for the tasks of the running event loop; raises as ``open_for_threads``."""
    if url.dialect == "sqlite":
        from forgedb.drivers.sqlite.async_runner import AsyncSqliteRunner
        from forgedb.drivers.sqlite.options import sqlite_options

        given = sqlite_options(url.path, {**url.options, **options})
        return await AsyncSqliteRunner.open(given, clock, schema_check, first_write)
    with _postgres_installed():
        from forgedb.drivers.postgres.connect import open_awaited
        from forgedb.drivers.postgres.options import postgres_options
    return await open_awaited(postgres_options(url, options), clock, schema_check, first_write)


@contextmanager
def _postgres_installed() -> Generator[None]:
    """Raise UsageError, and say what to install, where PostgreSQL's driver can't be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("psycopg", "psycopg_pool", "tenacity"):
            raise
        raise UsageError(
            "PostgreSQL needs its driver, which isn't installed: pip install 'forgedb[postgres]'"
        ) from error
