"""Migrations: the schema's SQL files, one folder a database, and what applies them.

``Runner`` is the name that ``Migrator`` had in 0.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forgedb.migrations.migrator import Migrator, Runner
from forgedb.migrations.progress import Progress

if TYPE_CHECKING:
    from forgedb.migrations.async_migrator import AsyncMigrator

__all__ = ["AsyncMigrator", "Migrator", "Progress", "Runner"]


def __getattr__(name: str) -> Any:
    # Needed by programs of tasks alone.
    if name == "AsyncMigrator":
        from forgedb.migrations.async_migrator import AsyncMigrator

        return AsyncMigrator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
