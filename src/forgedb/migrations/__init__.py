"""Migrations: the schema's SQL files, one folder a database, and what applies them.

``Runner`` is the name that ``Migrator`` had in 0.1.  The names below are loaded when first used: a
start that has nothing to migrate needs none of them.
"""

from __future__ import annotations

# Type checkers take this name as true.  Importing typing for it would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from forgedb.migrations.adoption import Adoption as Adoption
    from forgedb.migrations.applied import AppliedMigration as AppliedMigration
    from forgedb.migrations.async_migrator import AsyncMigrator as AsyncMigrator
    from forgedb.migrations.comparison import MigrationState as MigrationState
    from forgedb.migrations.files import MigrationFile as MigrationFile
    from forgedb.migrations.history import BegunMigration as BegunMigration
    from forgedb.migrations.marks import Mark as Mark
    from forgedb.migrations.migrator import Migrator as Migrator
    from forgedb.migrations.progress import Progress as Progress
    from forgedb.migrations.rehearsal import Rehearsed as Rehearsed
    from forgedb.migrations.rehearsal import Unrehearsed as Unrehearsed
    from forgedb.schema_check.comparison import Difference as Difference

    Runner = Migrator

_HOMES = {
    "Adoption": "forgedb.migrations.adoption",
    "AppliedMigration": "forgedb.migrations.applied",
    "AsyncMigrator": "forgedb.migrations.async_migrator",
    "BegunMigration": "forgedb.migrations.history",
    "Difference": "forgedb.schema_check.comparison",
    "Mark": "forgedb.migrations.marks",
    "MigrationFile": "forgedb.migrations.files",
    "MigrationState": "forgedb.migrations.comparison",
    "Migrator": "forgedb.migrations.migrator",
    "Progress": "forgedb.migrations.progress",
    "Rehearsed": "forgedb.migrations.rehearsal",
    "Runner": "forgedb.migrations.migrator",
    "Unrehearsed": "forgedb.migrations.rehearsal",
}

_FORMER = {"Runner": "Migrator"}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), _FORMER.get(name, name))
    return value
