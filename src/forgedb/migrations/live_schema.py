"""The live schema beside what the applied files make, run in a scratch database."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from forgedb.errors import UsageError
from forgedb.migrations.files import load, packaged
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.schema_check.comparison import Difference
from forgedb.schema_check.snapshot import Snapshot, differences_between, names_of, snapshot
from forgedb.schema_check.versions import tables_of

if TYPE_CHECKING:
    from forgedb.migrations.migrator import Migrator

OWN_TABLE = "database_identity"
"""Where this is, forgedb's tables are."""


def compared_with_scratch(
    runner: Migrator, database: MigrationRunner, given: MigrationRunner | None = None
) -> list[Difference]:
    """How the live schema is different; ``given`` is an empty database to run the files in.

    Raises UsageError, and as the runner for what fails in the scratch database.
    """
    files = runner.applied_files()
    if not files:
        return []
    with database.scratch() if given is None else nullcontext(given) as scratch:
        require_empty(scratch, database)
        runner.make(scratch, files)
        made = scratch.snapshot(snapshot(left_out=runner.tables))
    live = database.snapshot(snapshot(made.names, left_out=runner.tables))
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
    """The tables that are forgedb's own, and nothing to tell of."""
    if not any(OWN_TABLE in names for names in live.names.values()):
        return ()
    return tables_of(database.dialect, load(packaged(database.dialect))[-1].version)
