"""The database as a user holds it: the DAOs on one connection URL, on behalf of one actor."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from forgedb.errors import UsageError
from forgedb.operations.binding import Context, Sync
from forgedb.url import DatabaseUrl, parse_url, url_from_environment
from forgedb.validation import check_optional_text, check_time

if TYPE_CHECKING:
    from forgedb.client import SyncClient
    from forgedb.dao.audit import AuditDao
    from forgedb.dao.leases import LeasesDao
    from forgedb.dao.mirrors import MirrorsDao
    from forgedb.dao.objects import ObjectsDao
    from forgedb.dao.projects import ProjectsDao
    from forgedb.dao.relationships import RelationshipsDao
    from forgedb.dao.repositories import RepositoriesDao
    from forgedb.migrations.applied import AppliedMigration
    from forgedb.migrations.files import MigrationFile

ACTOR_CHARS_MAX = 200
REQUEST_ID_CHARS_MAX = 200
SOURCE_IP_CHARS_MAX = 45
REASON_CHARS_MAX = 2000


class Database:
    """Projects, repositories, leases and the rest, on behalf of ``actor``.

    Handles are cheap: derive one for each request with ``acting_as``.  They share connections,
    and may be used by many threads; a transaction's handle is bound to its one connection.
    """

    def __init__(self, runner: Sync, context: Context, url: DatabaseUrl) -> None:
        self._runner = runner
        self._context = context
        self._url = url

    def __repr__(self) -> str:
        return f"<forgedb.Database {self._url.shown} actor={self._context.actor!r}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; closing twice is as good as once."""
        self._runner.close()

    @property
    def actor(self) -> str | None:
        """On whose behalf this handle acts."""
        return self._context.actor

    @cached_property
    def projects(self) -> ProjectsDao[Sync]:
        from forgedb.dao.projects import ProjectsDao

        return ProjectsDao(self._runner, self._context)

    @cached_property
    def repositories(self) -> RepositoriesDao[Sync]:
        from forgedb.dao.repositories import RepositoriesDao

        return RepositoriesDao(self._runner, self._context)

    @cached_property
    def leases(self) -> LeasesDao[Sync]:
        from forgedb.dao.leases import LeasesDao

        return LeasesDao(self._runner, self._context)

    @cached_property
    def audit(self) -> AuditDao[Sync]:
        from forgedb.dao.audit import AuditDao

        return AuditDao(self._runner, self._context)

    @cached_property
    def objects(self) -> ObjectsDao[Sync]:
        from forgedb.dao.objects import ObjectsDao

        return ObjectsDao(self._runner, self._context)

    @cached_property
    def mirrors(self) -> MirrorsDao[Sync]:
        from forgedb.dao.mirrors import MirrorsDao

        return MirrorsDao(self._runner, self._context)

    @cached_property
    def relationships(self) -> RelationshipsDao[Sync]:
        from forgedb.dao.relationships import RelationshipsDao

        return RelationshipsDao(self._runner, self._context)

    @cached_property
    def client(self) -> SyncClient:
        """SQL of the caller's own."""
        from forgedb.client import SyncClient

        return SyncClient(self._runner, self._context)

    def acting_as(
        self,
        actor: str | None,
        *,
        request_id: str | None = None,
        source_ip: str | None = None,
        reason: str | None = None,
    ) -> Database:
        """A handle on the same connections for another actor; its entries carry the rest.

        Raises InvalidValue.
        """
        context = make_context(actor, request_id, source_ip, reason)
        return Database(self._runner, context, self._url)

    @contextmanager
    def transaction(self, *, read_only: bool = False) -> Generator[Database]:
        """A handle whose changes are all kept at the block's end, or none if it raises.

        Inside one, another is a savepoint.  With ``read_only`` all reads see the database at
        one moment, and writes raise UsageError.  The outer handle is out of use for this thread
        until the block ends, and raises UsageError.
        """
        with self._runner.transaction(read_only=read_only) as runner:
            yield Database(runner, self._context, self._url)

    def migrate(self, target: int | None = None) -> list[AppliedMigration]:
        """Bring the schema up to date and return what was applied, nothing if it was.

        Raises MigrationError, MigrationDrift, Unavailable.
        """
        from forgedb.migrations import Runner

        return Runner(self._runner).migrate(target)

    def pending_migrations(self, target: int | None = None) -> list[MigrationFile]:
        """What ``migrate`` would apply, in order.  Raises MigrationError, MigrationDrift."""
        from forgedb.migrations import Runner

        return Runner(self._runner).pending(target)

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the database, as it is at one moment, to a file, while others go on writing.

        The file appears, or is replaced, when the copy is complete.

        Raises InvalidValue (it is the database itself), Conflict (it is a database in use),
        Unavailable.
        """
        self._runner.backup(os.fspath(path))


def connect(url: str | None = None, *, actor: str | None = None, **options: Any) -> Database:
    """Open a database: ``sqlite://`` in memory, ``sqlite:///file.db``, ``postgresql://…``.

    Without a URL the environment says which, and ``sqlite:///forge.db`` where it doesn't.
    Options, also after a ``?`` in the URL: ``mode`` (ro, rw, rwc: rw doesn't make a new file),
    ``synchronous`` (OFF, NORMAL, FULL, EXTRA), ``busy_timeout`` (a timedelta, or seconds),
    ``readers`` (connections that read).  ``clock`` is a function that gives every time, an aware
    UTC datetime, for tests and replays.

    Raises InvalidValue (the URL, the actor, an option), Unavailable (it can't be opened).
    """
    parsed = parse_url(url_from_environment() if url is None else url)
    clock = options.pop("clock", None)
    if parsed.dialect != "sqlite":
        raise UsageError(
            f"{parsed.shown} is PostgreSQL, and this version opens SQLite alone:"
            " use sqlite:///forge.db"
        )
    from forgedb.drivers.sqlite.options import sqlite_options
    from forgedb.drivers.sqlite.runner import SqliteRunner
    from forgedb.migrations.runner import schema_check

    runner = SqliteRunner(
        sqlite_options(parsed.path, {**parsed.options, **options}),
        None if clock is None else _checked_clock(clock),
        schema_check,
    )
    return Database(runner, make_context(actor), parsed)


def make_context(
    actor: str | None,
    request_id: str | None = None,
    source_ip: str | None = None,
    reason: str | None = None,
) -> Context:
    """Who acts, checked.  Raises InvalidValue."""
    return Context(
        check_optional_text("actor", actor, ACTOR_CHARS_MAX, length_min=1),
        check_optional_text("request_id", request_id, REQUEST_ID_CHARS_MAX, length_min=1),
        check_optional_text("source_ip", source_ip, SOURCE_IP_CHARS_MAX, length_min=1),
        check_optional_text("reason", reason, REASON_CHARS_MAX, length_min=1),
    )


def _checked_clock(clock: Callable[[], datetime]) -> Callable[[], datetime]:
    return lambda: check_time("clock()", clock())
