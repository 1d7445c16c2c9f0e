"""Migration files that a test writes, and what it asks of the database that they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forgedb import Database
from forgedb.migrations import Runner
from forgedb.migrations.history import BESIDE, FOLDERS_TABLE, TABLE

A = "CREATE TABLE a (id INTEGER PRIMARY KEY);"
B = "CREATE TABLE b (id INTEGER PRIMARY KEY);\nINSERT INTO b VALUES (1);"
C = "-- third\nINSERT INTO b VALUES (2);\n"

TABLES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}


class Folder:
    """A folder of migrations, and a database to apply them to."""

    def __init__(self, path: Path, db: Database) -> None:
        self.path = path
        self.db = db
        path.mkdir()

    def write(self, **files: str | bytes) -> Folder:
        """Write ``0001_a.sql`` where the name given is ``m0001_a``."""
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            (self.path / f"{name.removeprefix('m')}.sql").write_bytes(raw)
        return self

    def remove(self, label: str) -> Folder:
        (self.path / f"{label}.sql").unlink()
        return self

    @property
    def runner(self) -> Runner:
        return self.runner_with()

    def runner_with(self, **options: Any) -> Runner:
        return Runner(self.db, self.path, **options)

    def labels(self) -> list[str]:
        return [entry.label for entry in self.runner.applied()]

    def states(self) -> dict[str, str]:
        return {each.label: each.state for each in self.runner.states()}

    def tables(self) -> set[str]:
        """The tables, without the history's."""
        found = self.db.client.query(TABLES[self.db.client.dialect])
        kept = {f"{name}{end}" for name in (TABLE, FOLDERS_TABLE) for end in ("", *BESIDE)}
        return {name for (name,) in found} - kept
