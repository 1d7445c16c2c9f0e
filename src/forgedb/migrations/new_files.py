"""New migration files: the next number, in the folder of each database."""

from __future__ import annotations

import os
import re

from forgedb.errors import InvalidValue
from forgedb.migrations.files import DIALECTS, MigrationFile, load, load_repeatable, refused

DIGITS = 4

TEMPLATE = (
    "-- {words}\n--\n-- Say here why, and write the SQL below: an empty migration is refused.\n"
)

_not_in_names = re.compile(r"[^a-z0-9]+")


def create_files(directory: str, name: str) -> list[str]:
    """Write a migration's empty files and return their paths.

    Where the folder itself holds the migrations there is one, for their one database; else one in
    its ``sqlite`` and one in its ``postgres`` folder, both with the number after the highest.

    Raises InvalidValue (the name), MigrationError (the files that are there make no sense, or
    have the last number of their width).
    """
    slug = _not_in_names.sub("_", name.lower()).strip("_")
    if not slug:
        raise InvalidValue("name", name, "it needs a letter or a digit of ASCII")
    folders = [os.path.join(directory, dialect) for dialect in DIALECTS]
    if not any(map(os.path.isdir, folders)) and _holds_any(directory):
        folders = [directory]
    there = [migration for folder in folders for migration in _files_in(folder)]
    number = max((migration.version for migration in there), default=0) + 1
    digits = there[0].file.index("_") if there else DIGITS
    if len(str(number)) > digits:
        raise refused(
            there[-1].file,
            f"all numbers of {digits} digits are used: rename the files to wider ones",
        )
    paths = [os.path.join(folder, f"{number:0{digits}}_{slug}.sql") for folder in folders]
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # "x": never over a file that someone else has just made.
        with open(path, "x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(words=slug.replace("_", " ").capitalize()))
    return paths


def _holds_any(folder: str) -> bool:
    return bool(_files_in(folder)) or (os.path.isdir(folder) and bool(load_repeatable(folder)))


def _files_in(folder: str) -> list[MigrationFile]:
    return load(folder, may_be_empty=True) if os.path.isdir(folder) else []
