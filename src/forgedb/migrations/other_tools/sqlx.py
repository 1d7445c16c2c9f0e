"""sqlx: ``20240101120000_name.sql``, or the pair ``….up.sql`` and ``….down.sql``.

Its table has a row for each version, with the SHA-384 of its file and whether it went well
(https://github.com/launchbadge/sqlx).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha384
from typing import Any

from forgedb.migrations.other_tools.tool import Name, Unfit, Up

TABLE = "_sqlx_migrations"
COLUMNS = ("version", "description", "installed_on", "success", "checksum", "execution_time")
SELECT = ("version", "success", "checksum")

_name = re.compile(r"([0-9]+)_(.*?)(\.up|\.down)?\.sql", re.DOTALL)


def name_of(file: str) -> Name | None:
    parsed = _name.fullmatch(file)
    return None if parsed is None else Name(int(parsed[1]), parsed[2], parsed[3] == ".down")


def up_of(text: str) -> Up:
    return Up(text, text.startswith("-- no-transaction"))


def applied(rows: Sequence[tuple[Any, ...]], files: dict[int, bytes]) -> set[int]:
    for version, success, checksum in rows:
        if not success:
            raise Unfit(
                f"version {version} failed: finish it by hand, and set its success there to true"
            )
        if version in files and sha384(files[version]).digest() != bytes(checksum):
            raise Unfit(f"the file of version {version} was edited since: put its text back")
    return {version for version, _, _ in rows}
