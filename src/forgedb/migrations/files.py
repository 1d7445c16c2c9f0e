"""Migration files: ``NNNN_name.sql`` and ``R__name.sql`` in a folder, read and checked before any
of them runs."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from forgedb.errors import MigrationError
from forgedb.limits import INTEGER_MAX
from forgedb.migrations.applied import REPEATABLE
from forgedb.migrations.checksum import digest, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forgedb.sql.lexer import Dialect

DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")
"""The folders for each database's own files."""

FILE_BYTES_MAX = 16 * 1024 * 1024

_parse_name = re.compile(r"(?:([0-9]+)_|R__)([a-z0-9_]+)\.(?:sql|py)").fullmatch


class MigrationFile(msgspec.Struct, frozen=True):
    """A migration's file in its folder; ``checksum`` is of the text without BOM and CRs."""

    version: int
    name: str
    file: str
    text: str
    checksum: str

    @property
    def label(self) -> str:
        """The file's name without its ending, such as ``0001_initial``."""
        return self.file.removesuffix(".sql").removesuffix(".py")

    @property
    def is_python(self) -> bool:
        """Whether it is a program, and not SQL."""
        return self.file.endswith(".py")

    @property
    def is_repeatable(self) -> bool:
        """Whether it is run again when its text has changed."""
        return self.version == REPEATABLE


def packaged(dialect: Dialect) -> str:
    """The folder of forgedb's own migrations for a database."""
    return os.path.join(os.path.dirname(__file__), dialect)


def own_checksums() -> set[str]:
    """The checksums of all of forgedb's own files, for either database."""
    return {each.checksum for dialect in DIALECTS for each in load(packaged(dialect))}


def load(directory: str, *, may_be_empty: bool = False) -> list[MigrationFile]:
    """Every numbered migration of the folder in the order of its number.

    Raises MigrationError for a folder without any file, a name that isn't NNNN_name.sql or
    R__name.sql, a number used twice, numbers of different widths, an empty file, text that isn't
    UTF-8 or has a NUL.  Folders in it, and files whose names begin with a dot, are left alone.
    """
    return _numbered(directory, _names(directory, may_be_empty=may_be_empty))


def load_repeatable(directory: str) -> list[MigrationFile]:
    """Every repeatable file of the folder, by name.  Raises MigrationError as load."""
    return _repeatable(directory, _names(directory, may_be_empty=True))


def load_all(directory: str) -> tuple[list[MigrationFile], list[MigrationFile]]:
    """The numbered files and the repeatable ones, of one listing of the folder.

    Raises MigrationError as load.
    """
    names = _names(directory, may_be_empty=False)
    return _numbered(directory, names), _repeatable(directory, names)


def _numbered(directory: str, names: Sequence[str]) -> list[MigrationFile]:
    files = [_read(directory, each) for each in names if not each.startswith("R__")]
    files.sort(key=lambda migration: migration.version)
    for before, after in pairwise(files):
        if before.version == after.version:
            raise refused(
                after.file, f"{before.file} has the same number: {_one_too_many(before, after)}"
            )
        if before.file.index("_") != after.file.index("_"):
            raise refused(
                after.file,
                f"its number is padded unlike {before.file}'s, and they would sort differently"
                " by name: give all numbers the same width",
            )
    return files


def _one_too_many(before: MigrationFile, after: MigrationFile) -> str:
    """What to do where two files have one number."""
    for squash, one in ((before, after), (after, before)):
        if f"-- forgedb: squashes {one.label} " in squash.text:
            folder = f"squashed-to-{squash.file.partition('_')[0]}"
            return (
                f"a squash into {squash.file} was interrupted: move the files that its header names"
                f" to the folder {folder}"
            )
    return "renumber one of them"


def _repeatable(directory: str, names: Sequence[str]) -> list[MigrationFile]:
    return [_read(directory, each) for each in names if each.startswith("R__")]


def _is_one(name: str) -> bool:
    """Whether a file counts as a migration: any SQL, and Python whose name begins with a number."""
    ending = name.lower()[-4:]
    return ending == ".sql" or (ending.endswith(".py") and name[:1].isdigit())


def _names(directory: str, *, may_be_empty: bool) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            # Files of an editor or of the system begin with a dot.
            names = sorted(
                entry.name
                for entry in entries
                if _is_one(entry.name) and not entry.name.startswith(".") and not entry.is_dir()
            )
    except OSError as error:
        raise refused(directory, f"the folder can't be read: {error.strerror}") from error
    if not names and not may_be_empty:
        # A volume that wasn't mounted, or files that weren't copied: nothing would be applied, and
        # the deploy would seem to have succeeded.
        raise refused(
            directory,
            "it holds no migration: give the folder that does, or write the first with `forgedb"
            " migrate new`",
        )
    return names


def _read(directory: str, name: str) -> MigrationFile:
    parsed = _parse_name(name)
    if parsed is None:
        raise refused(
            name,
            "a migration is named NNNN_name.sql, or R__name.sql, or NNNN_name.py, with the name in"
            " lower case: rename it",
        )
    version = REPEATABLE if parsed[1] is None else int(parsed[1])
    if version > INTEGER_MAX:
        raise refused(name, f"its number is beyond {INTEGER_MAX}: give it the next one")
    path = os.path.join(directory, name)
    try:
        with open(path, "rb", buffering=0) as file:
            # The size is checked first: read(limit) would allocate that much for each file.
            if os.fstat(file.fileno()).st_size > FILE_BYTES_MAX:
                raise refused(name, f"it is larger than {FILE_BYTES_MAX} bytes: split it")
            content = file.read()
        text = text_of(content)
    except OSError as error:
        raise refused(name, f"it can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise refused(name, f"it is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    if not text.strip():
        raise refused(name, "it is empty: write it, or remove it")
    nul = text.find("\0")
    if nul >= 0:
        line, column = text.count("\n", 0, nul) + 1, nul - text.rfind("\n", 0, nul)
        raise refused(name, "it has a NUL character: remove it", line=line, column=column)
    return MigrationFile(version, parsed[2], name, text, digest(text))


def refused(
    file: str, why: str, *, line: int = 0, column: int = 0, statement: str = ""
) -> MigrationError:
    """The error for a file of which nothing has been run."""
    return MigrationError(file, line, statement, (), (), why, column)
