"""Migrations: the schema's SQL files, one folder a database, and what applies them.

``Runner`` is the name that ``Migrator`` had in 0.1.  The names below are loaded when first used: a
start that has nothing to migrate needs none of them.
"""

from __future__ import annotations

# Type checkers take the name for true. Importing typing for it would cost more than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from forgedb.migrations.async_migrator import AsyncMigrator
    from forgedb.migrations.migrator import Migrator
    from forgedb.migrations.progress import Progress

    Runner = Migrator

__all__ = ["AsyncMigrator", "Migrator", "Progress", "Runner"]

_HOMES = {
    "AsyncMigrator": ("async_migrator", "AsyncMigrator"),
    "Migrator": ("migrator", "Migrator"),
    "Progress": ("progress", "Progress"),
    "Runner": ("migrator", "Migrator"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home, original = _HOMES[name]
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), original)
    return value
