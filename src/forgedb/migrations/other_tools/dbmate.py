"""dbmate: ``20240101120000_name.sql`` with ``-- migrate:up`` and ``-- migrate:down`` in it.

Its table has a row for each applied version, as text (https://github.com/amacneil/dbmate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from forgedb.migrations.other_tools.tool import Name, Unfit, Up

TABLE = "schema_migrations"
COLUMNS = ("version",)
SELECT = ("version",)

_name = re.compile(r"([0-9]+)(.*)\.sql", re.DOTALL)
_directive = re.compile(r"^--\s*migrate:(up|down)(?:[ \t]+(\S.*))?[ \t]*$", re.MULTILINE)


def name_of(file: str) -> Name | None:
    parsed = _name.fullmatch(file)
    return None if parsed is None else Name(int(parsed[1]), parsed[2])


def up_of(text: str) -> Up:
    found = list(_directive.finditer(text))
    ups = [each for each in found if each[1] == "up"]
    if len(ups) != 1 or found[0] is not ups[0]:
        raise Unfit("it must have one `-- migrate:up`, above its `-- migrate:down`")
    end = found[1].start() if len(found) > 1 else len(text)
    options = (ups[0][2] or "").split()
    above = text[: ups[0].start()].strip()
    if any(line.strip() and not line.strip().startswith("--") for line in above.splitlines()):
        raise Unfit("it has statements above `-- migrate:up`, which dbmate refuses")
    return Up(text[ups[0].end() : end], "transaction:false" in options, len(found) > 1)


def applied(rows: Sequence[tuple[Any, ...]], files: dict[int, bytes]) -> set[int]:
    if not all(str(version).isdecimal() for (version,) in rows):
        raise Unfit("a version in it is no number")
    return {int(version) for (version,) in rows}
