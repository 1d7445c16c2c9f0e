"""Puts a backup in the place of a database, and begins a new era."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import msgspec

from forgedb.database import Database, connect
from forgedb.drivers.sqlite.url import sqlite_url, url_of
from forgedb.errors import ForgeDbError, InvalidValue, UsageError
from forgedb.handle import make_context, read_url


class Restored(msgspec.Struct, frozen=True):
    """What ``restore`` did; ``kept`` is the path of a copy of the old database, if any."""

    database: str
    backup: str
    kept: str | None
    era: int
    migrated: list[str]


def restore(
    backup: str | os.PathLike[str],
    url: str | None = None,
    *,
    actor: str,
    reason: str | None = None,
) -> Restored:
    """Put a backup of an SQLite database in its place, and begin a new era of fencing tokens.

    The backup stays as it is; a copy of the old database is kept beside the new one.  Connections
    that are open go on with the new content.  A backup of an older schema is migrated.  If the
    restore is interrupted at any point, the database is either the old one or the new one.

    Raises InvalidValue (the backup is no forgedb database, or the reason is empty), LockTimeout
    (another process writes to the database), Unavailable (the backup is damaged, or the disk is
    full), UsageError (the URL is PostgreSQL's), MigrationError.
    """
    parsed = read_url(url)
    if parsed.dialect != "sqlite":
        raise UsageError(
            f"{parsed.shown} is PostgreSQL's: pg_restore puts a dump in place, and forgedb knows by"
            " itself that it was restored"
        )
    if parsed.is_in_memory:
        raise InvalidValue(
            "url", parsed.shown, "nothing is put in the place of a database in memory"
        )
    context = make_context(actor)
    from forgedb.drivers.sqlite.restoring import (
        copy_beside,
        identifier_at,
        open_copy,
        put_in_place,
    )

    backup, path = os.fspath(backup), os.path.realpath(parsed.path)
    kept = f"{path}.before-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    with copy_beside(backup, path) as copy:
        runner = open_copy(copy, identifier_at(path))
        with Database(runner, context, sqlite_url(url_of(copy))) as db:
            migrated = [each.label for each in db.migrate()]
            identity = db.identity.advance_era(
                reason or f"restored from {backup}", above=_era_of(path)
            )
        was_kept = put_in_place(copy, path, kept)
    return Restored(parsed.path, backup, was_kept, identity.era, migrated)


def _era_of(path: str) -> int:
    """The era of the database at the path; 0 if there is none, or it can't be read."""
    if not os.path.exists(path):
        return 0
    try:
        with connect(url_of(path), mode="rw") as db:
            return max(db.identity.get().era, 0)
    except ForgeDbError:
        return 0
