"""Migrations: the schema's SQL files, one folder a database, and what applies them."""

from forgedb.migrations.runner import Runner

__all__ = ["Runner"]
