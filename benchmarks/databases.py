"""The databases that rows are measured on: one is filled, and each contender gets a copy."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import datetime
from pathlib import Path

import apsw

import forgedb
from benchmarks.scale import Scale
from forgedb.drivers.sqlite.checkpoints import LOG_PAGES
from forgedb.drivers.sqlite.connection import SqliteConnection
from forgedb.drivers.sqlite.options import sqlite_options

ACTOR = "user:benchmark"
PROJECT = "platform"

HERE = "UPDATE database_identity SET system_identifier = forgedb_system_identifier()"
"""A copy's first write would find that it isn't where it was, and begin a new era: work that no
contender but forgedb has, and tokens that begin by chance.  No trigger may look at it."""


def base(scale: Scale, folder: Path) -> Path:
    """A database of one project and its repositories; filled when it is first asked for."""
    path = folder / "base.db"
    if not path.exists():
        with open_ours(path) as db:
            fill(db, scale)
    return path


def fill(db: forgedb.Database, scale: Scale) -> None:
    """Make the schema, the project and its repositories."""
    db.migrate()
    project = db.projects.create(slug=PROJECT, name="Platform")
    with db.transaction() as tx:
        for number in range(scale.repositories):
            tx.repositories.create(project_id=project.id, slug=f"repository-{number}")


def first_repository(db: forgedb.Database) -> str:
    """The id of one that objects are recorded for."""
    project = db.projects.get_by_slug(PROJECT)
    return db.repositories.list(project.id, limit=1).items[0].id


def copy(path: Path, name: str, folder: Path | None = None) -> Path:
    """Another file with the same content, in the folder or beside it; known to be where it is."""
    target = (folder or path.parent) / f"{name}.db"
    remove(target)
    shutil.copyfile(path, target)
    with closing(open_raw(target, writes=True)) as raw:
        raw.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        raw.execute(HERE)
    return target


def remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def open_ours(path: Path) -> forgedb.Database:
    return forgedb.connect(f"sqlite:///{path}", actor=ACTOR)


def open_raw(path: Path, *, writes: bool) -> apsw.Connection:
    """A connection of the driver's own, with forgedb's settings and nothing else of it."""
    options = sqlite_options(str(path), {})
    raw = SqliteConnection(options, _no_clock, writes=writes).raw
    raw.convert_binding = None
    # By SQLite itself: these take the place of forgedb's hooks.
    raw.wal_autocheckpoint(LOG_PAGES)
    raw.set_progress_handler(None)
    raw.set_busy_timeout(int(options.busy_timeout_seconds * 1000))
    return raw


def _no_clock() -> datetime:
    raise AssertionError("nothing asks a raw connection for the time")
