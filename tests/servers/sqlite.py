"""SQLite's file of a migrated database: migrated once, and copied for each test."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import forgedb


@cache
def migrated_file() -> bytes:
    """The file of a database with forgedb's schema and nothing in it."""
    with TemporaryDirectory(prefix="forgedb-migrated-") as folder:
        path = Path(folder) / "forge.db"
        with forgedb.connect(f"sqlite:///{path}") as db:
            db.migrate()
        return path.read_bytes()
