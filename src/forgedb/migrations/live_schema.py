"""Comparing the live schema with what the applied files make in a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext

from forgedb.errors import UsageError
from forgedb.migrations.files import load, packaged
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.schema_check.comparison import Difference
from forgedb.schema_check.snapshot import Snapshot, differences_between, names_of, snapshot
from forgedb.schema_check.versions import tables_of

OWN_TABLE = "database_identity"
"""A database that has this table has forgedb's schema."""


def compared_with_scratch(
    database: MigrationRunner,
    given: MigrationRunner | None,
    make: Callable[[MigrationRunner], None],
    left_out: Collection[str],
) -> list[Difference]:
    """How the live schema is different from what ``make`` makes, the tables ``left_out`` apart.

    It is made in a scratch database, or in the empty one that is ``given``.

    Raises UsageError, and what ``make`` raises.
    """
    with database.scratch() if given is None else nullcontext(given) as scratch:
        require_empty(scratch, database)
        make(scratch)
        made = scratch.snapshot(snapshot(left_out=left_out))
    live = database.snapshot(snapshot(made.names, left_out=left_out))
    return differences_between(made, live, _forgedbs(live, database))


def require_empty(scratch: MigrationRunner, database: MigrationRunner) -> None:
    """Refuse a scratch database that has anything in it, or is of the other kind."""
    if scratch.dialect != database.dialect:
        raise UsageError(
            f"the scratch database is of {scratch.dialect}, and the files are for"
            f" {database.dialect}: name an empty one of {database.dialect}"
        )
    there = [name for names in scratch.read(names_of()).values() for name in names]
    if there:
        raise UsageError(
            f"the scratch database isn't empty, it has {there[0]}: name an empty one, for the files"
            " are run in it"
        )


def _forgedbs(live: Snapshot, database: MigrationRunner) -> tuple[str, ...]:
    """The tables that are forgedb's own, which are no differences."""
    if not any(OWN_TABLE in names for names in live.names.values()):
        return ()
    return tables_of(database.dialect, load(packaged(database.dialect))[-1].version)
