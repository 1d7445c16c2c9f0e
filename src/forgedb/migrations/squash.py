"""Making one file of many: their texts are joined, tested in scratch databases, and put in place.

The text is that of the files, one after the other, so that it changes rows as they do.  A dump of
the schema would lose the rows that they write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import TypeAlias

import msgspec

from forgedb.errors import InvalidValue, UsageError
from forgedb.migrations.files import DIALECTS, FILE_BYTES_MAX, MigrationFile, load
from forgedb.migrations.header import header_of, without_header
from forgedb.migrations.squashed import header_lines, kept_in
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps, rows
from forgedb.schema_check.snapshot import Snapshot, differences_between, snapshot
from forgedb.sql.catalogue import Sql
from forgedb.sql.lexer import Dialect
from forgedb.sql.split import split

Make: TypeAlias = Callable[[MigrationRunner, str, Sequence[MigrationFile]], Collection[str]]
"""Applies files of a folder to an empty database; returns the names of the history's tables."""

NAME = "squashed"

KEPT = ("no-transaction", "rebuild")
"""Directives of a file's header that the joined file keeps.

Of the others, ``squashes`` is written anew, and ``after`` is for repeatable files.
"""

_is_name = re.compile(r"[a-z0-9_]+").fullmatch


class Squash(msgspec.Struct, frozen=True):
    """A file to be written, and those that it replaces."""

    folder: str
    file: str
    text: str
    replaced: Sequence[MigrationFile]


def squash(
    directory: str,
    databases: Mapping[Dialect, MigrationRunner],
    to: int,
    name: str,
    make: Make,
) -> list[str]:
    """Put one file in the place of those up to a number, in each database's folder.

    ``make`` applies them to scratch databases.  Nothing is written before all of them have been
    tested.  Returns the paths of the files that were written.

    Raises UsageError (no such number, files that can't be joined, a folder without a database to
    prove it on), InvalidValue (the name), MigrationError.
    """
    if not _is_name(name):
        raise InvalidValue("name", name, "it must be of a-z, 0-9 and _")
    folders: dict[Dialect, str] = {each: os.path.join(directory, each) for each in DIALECTS}
    parted: dict[Dialect, str] = {
        each: folder for each, folder in folders.items() if os.path.isdir(folder)
    }
    if not parted:
        parted[next(iter(databases))] = directory
    with ExitStack() as stack:
        found = {each: _database_for(each, databases, stack) for each in parted}
        squashes = [_proven(found[each], folder, to, name, make) for each, folder in parted.items()]
    for each in squashes:
        _put_in_place(each)
    return [os.path.join(each.folder, each.file) for each in squashes]


def joined(files: Sequence[MigrationFile], dialect: Dialect) -> str:
    """The text of one file that does what these do.  Raises UsageError naming what can't be."""
    asked: dict[str, str] = {}
    for migration in files:
        if not migration.file.endswith(".sql"):
            raise UsageError(f"{migration.file} is no SQL: squash up to the one before it")
        for word in header_of(migration, dialect):
            if word in KEPT:
                asked.setdefault(word, migration.file)
    if len(asked) > 1:
        (one, first), (other, second) = asked.items()
        raise UsageError(
            f"{first} asks for {one} and {second} for {other}, which one file can't: squash up to"
            " the one before the second of them"
        )
    return "\n".join([*_lines(files, asked, dialect), ""])


def _lines(
    files: Sequence[MigrationFile], asked: Mapping[str, str], dialect: Dialect
) -> Iterator[str]:
    yield from (f"-- forgedb: {word}" for word in asked)
    yield from header_lines(files)
    for migration in files:
        text = without_header(migration, dialect).strip()
        yield f"\n-- {migration.file}\n\n{text}"
        # The last statement has no semicolon, perhaps with a comment after it.
        if len(split(f"{text}\nSELECT 1", dialect)) == len(split(text, dialect)):
            yield ";"


def _proven(database: MigrationRunner, folder: str, to: int, name: str, make: Make) -> Squash:
    """The joined file, once it is shown to make the same as the files it replaces."""
    files = load(folder)
    if to not in {migration.version for migration in files}:
        raise UsageError(f"there is no migration {to} in {folder}")
    replaced = [migration for migration in files if migration.version <= to]
    if len(replaced) < 2:
        raise UsageError(f"{replaced[0].file} is the only file up to {to}: nothing is to be joined")
    text = joined(replaced, database.dialect)
    if len(text.encode()) > FILE_BYTES_MAX:
        raise UsageError(f"the file would be larger than {FILE_BYTES_MAX} bytes: squash fewer")
    file = f"{replaced[-1].file.partition('_')[0]}_{name}.sql"
    if file == replaced[-1].file:
        raise UsageError(f"{file} is the last of them: give the new file another --name")
    with TemporaryDirectory(prefix="forgedb-squash-") as alone:
        with open(os.path.join(alone, file), "x", encoding="utf-8", newline="\n") as written:
            written.write(text)
        many, counts_of_many = _made(make, database, folder, replaced)
        one, counts = _made(make, database, alone, load(alone))
    different = [str(each) for each in differences_between(many, one)]
    different += [
        f"{table} has {counts.get(table, 0)} row(s), and not {count}"
        for table, count in counts_of_many.items()
        if counts.get(table, 0) != count
    ]
    if different:
        raise UsageError(
            f"the files up to {to} in {folder} don't make in one file what they make one by one:"
            f" {'; '.join(different)}; squash up to a lower number"
        )
    kept = os.path.join(folder, kept_in(replaced[-1]))
    if os.path.exists(kept):
        raise UsageError(f"{kept} is there already, from an earlier squash: remove or rename it")
    return Squash(folder, file, text, replaced)


def _made(
    make: Make, database: MigrationRunner, folder: str, files: Sequence[MigrationFile]
) -> tuple[Snapshot, dict[str, int]]:
    """The schema that files make in an empty database, and how many rows each table has then."""
    with database.scratch() as scratch:
        history = make(scratch, folder, files)
        there = scratch.snapshot(snapshot(left_out=history))
        return there, scratch.read(_counted(there))


def _counted(there: Snapshot) -> Steps[dict[str, int]]:
    counts: dict[str, int] = {}
    for schema, names in there.names.items():
        for name, kind in names.items():
            if kind == "table":
                full = f"{_quoted(schema)}.{_quoted(name)}"
                text = f"SELECT count(*) FROM {full}"
                ((counts[full],),) = yield from rows(Sql(text, text))
    return counts


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _put_in_place(squash: Squash) -> None:
    """Write the file, and move the others away: none is removed.

    While both are there, two files have the same number, and such a folder is refused: so nobody
    runs only a part of them.
    """
    path = os.path.join(squash.folder, squash.file)
    unready = os.path.join(squash.folder, f".{squash.file}.new")
    with open(unready, "x", encoding="utf-8", newline="\n") as file:
        file.write(squash.text)
        file.flush()
        os.fsync(file.fileno())
    kept = os.path.join(squash.folder, kept_in(squash.replaced[-1]))
    os.mkdir(kept)
    os.rename(unready, path)
    for migration in squash.replaced:
        os.rename(os.path.join(squash.folder, migration.file), os.path.join(kept, migration.file))


def _database_for(
    dialect: Dialect, databases: Mapping[Dialect, MigrationRunner], stack: ExitStack
) -> MigrationRunner:
    if dialect in databases:
        return databases[dialect]
    if dialect == "sqlite":
        from forgedb.drivers.sqlite.options import sqlite_options
        from forgedb.drivers.sqlite.runner import SqliteRunner

        memory = SqliteRunner(sqlite_options(":memory:", {}))
        stack.callback(memory.close)
        return memory
    raise UsageError(
        "the folder postgres is squashed along with sqlite, and proven on a server: name a database"
        " there too, with --also postgresql://..."
    )
