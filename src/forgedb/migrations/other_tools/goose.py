"""goose: ``00001_name.sql`` with ``-- +goose Up`` and ``-- +goose Down`` in it.

Its table has a row for each step up or down, and a version's newest row says whether it is applied.
Version 0 is the beginning (https://github.com/pressly/goose).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from forgedb.migrations.other_tools.tool import Name, Unfit, Up

TABLE = "goose_db_version"
COLUMNS = ("id", "version_id", "is_applied", "tstamp")
SELECT = ("id", "version_id", "is_applied")

_name = re.compile(r"([0-9]+)_(.*)\.(sql|go)", re.DOTALL)


def name_of(file: str) -> Name | None:
    parsed = _name.fullmatch(file)
    if parsed is None or int(parsed[1]) < 1 or file.endswith("_test.go"):
        return None
    if parsed[3] == "go":
        raise Unfit("it is written in Go: write what it does in SQL, under the same number")
    return Name(int(parsed[1]), parsed[2])


def up_of(text: str) -> Up:
    lines: list[str] = []
    alone, direction = False, ""
    for line in text.splitlines():
        words = line.removeprefix("--").split()
        if not (line.startswith("--") and words[:1] == ["+goose"]):
            if direction == "up":
                lines.append(line)
            continue
        asked = " ".join(words[1:]).lower()
        if asked in ("up", "down"):
            direction = asked
        elif asked == "no transaction":
            alone = True
        elif asked == "statementend" and direction == "up":
            # It ends the statement, which may have no semicolon.
            last = next((each for each in reversed(lines) if each.strip()), ";")
            lines += [] if last.rstrip().endswith(";") else [";"]
        elif asked.startswith("envsub"):
            raise Unfit(
                f"{' '.join(words[1:])} puts variables of the environment in: write them out"
            )
    if not direction:
        raise Unfit("it must have a line `-- +goose Up`")
    return Up("\n".join(lines), alone, direction == "down")


def applied(rows: Sequence[tuple[Any, ...]], files: dict[int, bytes]) -> set[int]:
    newest = {version: bool(is_applied) for _, version, is_applied in sorted(rows)}
    return {version for version, is_applied in newest.items() if is_applied and version > 0}
