"""golang-migrate: ``000001_name.up.sql``, and ``000001_name.down.sql`` beside it.

Its table has one row: the newest version, and whether it failed
(https://github.com/golang-migrate/migrate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from forgedb.migrations.other_tools.tool import Name, Unfit, Up

TABLE = "schema_migrations"
COLUMNS = ("version", "dirty")
SELECT = ("version", "dirty")

_name = re.compile(r"([0-9]+)_(.*)\.(up|down)\.(.*)", re.DOTALL)

# golang-migrate runs a file of one statement in no transaction.
_alone = re.compile(r"\b(?:CONCURRENTLY|VACUUM|CREATE\s+DATABASE|ALTER\s+SYSTEM)\b", re.IGNORECASE)


def name_of(file: str) -> Name | None:
    parsed = _name.fullmatch(file)
    if parsed is None:
        return None
    if parsed[4] != "sql":
        raise Unfit("it is no SQL: write what it does in SQL, under the same number")
    return Name(int(parsed[1]), parsed[2], parsed[3] == "down")


def up_of(text: str) -> Up:
    plain = re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    return Up(text, _alone.search(plain) is not None)


def applied(rows: Sequence[tuple[Any, ...]], files: dict[int, bytes]) -> set[int]:
    if len(rows) > 1:
        raise Unfit("it has more than one line, and must have one")
    for version, dirty in rows:
        if dirty:
            raise Unfit(
                f"version {version} is dirty: finish by hand what failed, and clear it there with"
                f" `migrate force {version}`"
            )
        if version not in files:
            raise Unfit(f"it is at version {version}, of which there is no file")
        return {each for each in files if each <= version}
    return set()
