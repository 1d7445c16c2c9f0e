"""The databases and surfaces that must all do the same, and how a test reaches each."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

import forgedb
from forgedb import Database
from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.postgres import Databases
from tests.servers.sqlite import migrated_file
from tests.servers.tasks import Tasks, Waited


class Reached(NamedTuple):
    """A database and a surface: which URL, whether tasks use it, as which role, by which way."""

    url: str
    by_tasks: bool = False
    by_role: bool = False
    by_pgbouncer: bool = False


DATABASES = {
    "sqlite-file": Reached("sqlite:///{folder}/forge.db"),
    "sqlite-memory": Reached("sqlite://"),
    "sqlite-tasks": Reached("sqlite:///{folder}/forge.db", by_tasks=True),
    "postgres": Reached("postgresql://"),
    "postgres-tasks": Reached("postgresql://", by_tasks=True),
    "postgres-role": Reached("postgresql://", by_role=True),
}

BY_TASKS_AND_PGBOUNCER = "pgbouncer-tasks"

# Who has no PgBouncer does without; where all is checked, a missing one is a failure.
if pgbouncer_program() is not None or os.environ.get("CI"):
    DATABASES |= {
        "pgbouncer": Reached("postgresql://", by_pgbouncer=True),
        BY_TASKS_AND_PGBOUNCER: Reached("postgresql://", by_tasks=True, by_pgbouncer=True),
    }

USUAL = [name for name in DATABASES if name != BY_TASKS_AND_PGBOUNCER]
"""What most tests run on: each surface, and each way, but not all pairs of them."""

on_every_pair = pytest.mark.parametrize("connect", DATABASES, indirect=True)
"""For what holds a connection longer than a statement does: transactions, leases, streamed rows."""

EACH_DATABASE = ["sqlite-tasks", "postgres"]
"""Each database and each surface once, where both are reached as their owner."""

on_each_database = pytest.mark.parametrize("connect", EACH_DATABASE, indirect=True)
"""For a value that is refused before any statement, or where only a statement could be wrong.

Which way it goes to the database then shows nothing new.
"""


class Connect(ExitStack):
    """A context manager: opens one database, as often as asked, and closes it in the end."""

    def __init__(self, reached: Reached, folder: Path, postgres: Callable[[], Databases]) -> None:
        super().__init__()
        self._reached = reached
        self._folder = folder
        self._postgres = postgres
        self._url: str | None = None
        self._tasks: Tasks | None = None

    def __call__(self, **options: Any) -> Database:
        """The database, with no table in it yet."""
        return self._open(options, migrated=False)

    def migrated(self, **options: Any) -> Database:
        """The database, with forgedb's schema."""
        if self._reached.url == "sqlite://":
            db = self._open(options, migrated=False)
            db.migrate()
            return db
        if self._url is None and self._reached.url.startswith("sqlite"):
            (self._folder / "forge.db").write_bytes(migrated_file())
        return self._open(options, migrated=True)

    def _open(self, options: dict[str, Any], *, migrated: bool) -> Database:
        if self._url is None:
            self._url = self._reached.url.format(folder=self._folder)
            if self._url == "postgresql://":
                made = self._postgres().new(migrated=migrated)
                self._url = self.enter_context(made)
                if self._reached.by_role and migrated:
                    self._url = self._postgres().as_application(self._url)
                if self._reached.by_pgbouncer:
                    pooled = self._postgres().through_pgbouncer(self._url)
                    self._url = f"{pooled}?prepare_threshold=never"
        if not self._reached.by_tasks:
            return self.enter_context(forgedb.connect(self._url, **options))
        if self._tasks is None:
            self._tasks = self.enter_context(Tasks())
        tasks, url = self._tasks, self._url
        db = Waited(tasks.run(lambda: forgedb.connect_async(url, **options)), tasks)
        return cast("Database", self.enter_context(db))
