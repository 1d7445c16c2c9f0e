"""Migrations: the schema's SQL files, one folder a database, and what applies them."""

from __future__ import annotations

from forgedb.migrations.progress import Progress
from forgedb.migrations.runner import Runner

__all__ = ["Progress", "Runner"]
