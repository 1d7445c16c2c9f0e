"""Taking over another tool's files and history: nothing is run, and its folder stays as it is.

What is written is forgedb's own: its files in a folder, and its history in one transaction.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Literal, TypeVar, cast, get_args

import msgspec

from forgedb.errors import UsageError
from forgedb.migrations.applied import AppliedMigration
from forgedb.migrations.checksum import digest
from forgedb.migrations.files import MigrationFile, refused
from forgedb.migrations.other_tools.tool import Tool, Unfit, Up
from forgedb.migrations.script import parse
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import Sql, sql
from forgedb.sql.lexer import Dialect
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

R = TypeVar("R")

Tools = Literal["dbmate", "goose", "golang-migrate", "sqlx"]

TOOLS: tuple[str, ...] = get_args(Tools)

EMPTY = "SELECT 1;\n"
"""The text for a file that did nothing, so that its number stays in the history."""

COLUMNS = sql(
    sqlite="SELECT name FROM pragma_table_info(:name)",
    postgres="""
    SELECT CAST(a.attname AS text)
    FROM pg_attribute AS a
    WHERE a.attrelid = CAST(pg_catalog.to_regclass(:name) AS oid)
      AND a.attnum > 0 AND NOT a.attisdropped
    """,
)
"""The columns of another tool's table."""

_sets_foreign_keys = re.compile(r"PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\b", re.IGNORECASE).match

_is_table = re.compile(r"(?:[A-Za-z_]\w*\.)?[A-Za-z_]\w*").fullmatch


class Adoption(msgspec.Struct, frozen=True):
    """What was taken over: the files' names, what is in the history, and what was left behind."""

    files: Sequence[str]
    recorded: Sequence[AppliedMigration]
    pending: Sequence[str]
    downs: Sequence[str]
    """The other tool's files that have a down migration, which isn't taken over."""
    empty: Sequence[str]
    """Files that did nothing."""
    history: str | None
    """The other tool's table, None where there is none."""


class Sources(msgspec.Struct, frozen=True):
    """The content of another tool's folder, as forgedb's files."""

    files: Sequence[MigrationFile]
    raw: Mapping[int, bytes]
    """The bytes of each file of theirs, by its number."""
    downs: Sequence[str]
    empty: Sequence[str]


def tool_named(name: str) -> Tool:
    """What is known of a tool.  Raises UsageError."""
    if name not in TOOLS:
        raise UsageError(f"{name!r} is no tool that is known: one of {', '.join(TOOLS)}")
    module = import_module(f"forgedb.migrations.other_tools.{name.replace('-', '_')}")
    return cast("Tool", module)


def sources_of(tool: Tool, folder: str, dialect: Dialect) -> Sources:
    """Read a folder of theirs.  Raises MigrationError naming a file that can't be taken over."""
    found: dict[int, tuple[str, str]] = {}
    downs: list[str] = []
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError as error:
        raise refused(folder, f"the folder can't be read: {error.strerror}") from error
    for file in names:
        name = _asked(file, partial(tool.name_of, file))
        if name is None:
            continue
        if name.is_down:
            downs.append(file)
            continue
        if name.version in found:
            raise refused(file, f"{found[name.version][0]} has the same number: renumber one")
        found[name.version] = file, _slug(name.words)
    if not found:
        raise UsageError(f"{folder} holds no file that the tool would run: give its folder")
    if [*found] != sorted(found):
        later = next(b for a, b in zip(found, [*found][1:], strict=False) if b < a)
        raise refused(
            found[later][0],
            "its number is lower than one that sorts before it by name: pad the numbers alike",
        )
    digits = max(4, *(len(str(version)) for version in found))
    raw: dict[int, bytes] = {}
    files: list[MigrationFile] = []
    empty: list[str] = []
    for version, (file, words) in found.items():
        with open(os.path.join(folder, file), "rb") as opened:
            raw[version] = opened.read()
        try:
            text = raw[version].decode().removeprefix("\ufeff").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise refused(
                file, f"it is not UTF-8 (byte {error.start}): save it as UTF-8"
            ) from error
        up = _asked(file, partial(tool.up_of, text))
        if up.has_down:
            downs.append(file)
        own = _text_of(file, up, dialect)
        if own is None:
            empty.append(file)
        own = f"-- Taken over from {file}.\n\n{EMPTY}" if own is None else own
        ours = f"{version:0{digits}}_{words}.sql"
        files.append(MigrationFile(version, words, ours, own, digest(own)))
        parse(files[-1], dialect)
    return Sources(files, raw, downs, empty)


def write(files: Sequence[MigrationFile], folder: str, source: str) -> list[str]:
    """Write the files that aren't there yet.  Raises UsageError for a folder with others."""
    os.makedirs(folder, exist_ok=True)
    if os.path.samefile(folder, source):
        raise UsageError(f"{source} is the other tool's folder, which stays: give a new one")
    there = {name for name in os.listdir(folder) if name.endswith(".sql")}
    for migration in files:
        path = os.path.join(folder, migration.file)
        if migration.file in there:
            with open(path, "rb") as file:
                if file.read() != migration.text.encode():
                    raise UsageError(f"{path} is there with another text: give a new folder")
    others = there - {migration.file for migration in files}
    if others and not there - others:
        raise UsageError(f"{folder} has other files, such as {min(others)}: give a new folder")
    written: list[str] = []
    for migration in files:
        if migration.file not in there:
            path = os.path.join(folder, migration.file)
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                file.write(migration.text)
            written.append(path)
    return written


def applied_there(tool: Tool, table: str, sources: Sources) -> Steps[set[int]]:
    """The numbers that the database has by the other tool's history; none without one.

    Raises UsageError for a history that isn't that tool's, or isn't sound.
    """
    if not _is_table(table):
        raise UsageError(f"{table!r} is no table's name: give it as name or schema.name")
    columns = {name for (name,) in (yield from rows(COLUMNS, name=table))}
    if not columns:
        return set()
    if columns != set(tool.COLUMNS):
        raise UsageError(
            f"the table {table} has the columns {', '.join(sorted(columns))}, and not"
            f" {', '.join(tool.COLUMNS)}: name their history with --history"
        )
    text = f"SELECT {', '.join(tool.SELECT)} FROM {table}"
    found = yield from rows(Sql(text, text))
    try:
        applied = tool.applied(found, dict(sources.raw))
    except Unfit as error:
        raise UsageError(f"the history in {table} can't be taken over: {error}") from error
    unknown = sorted(applied - sources.raw.keys())
    if unknown:
        raise UsageError(
            f"the history in {table} has version {unknown[0]}, of which there is no file: put it"
            " back, or take it out there"
        )
    return applied


def taken_over(
    tool: Tool,
    table: str,
    sources: Sources,
    record: Callable[[Sequence[MigrationFile]], Steps[list[AppliedMigration]]],
) -> Steps[Adoption]:
    """Record what the database has by the other tool's history, read again in the transaction."""
    applied = yield from applied_there(tool, table, sources)
    has = [migration for migration in sources.files if migration.version in applied]
    recorded = yield from record(has)
    lacks = [each.label for each in sources.files if each.version not in applied]
    names = [migration.file for migration in sources.files]
    is_there = bool((yield from rows(COLUMNS, name=table)))
    history = table if is_there else None
    return Adoption(names, recorded, lacks, sources.downs, sources.empty, history)


def _asked(file: str, ask: Callable[[], R]) -> R:
    try:
        return ask()
    except Unfit as error:
        raise refused(file, str(error)) from error


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "migration"


def _text_of(file: str, up: Up, dialect: Dialect) -> str | None:
    """A file's text as forgedb runs it; None where it does nothing.

    A BEGIN and COMMIT around all of it are removed, since the runner has a transaction; so are the
    PRAGMAs that turn SQLite's foreign keys off and on, for which there is a header.
    """
    try:
        statements = split(up.text, dialect)
    except ScriptError as error:
        raise refused(file, error.why, line=error.line, column=error.column) from error
    around = _around(statements, dialect)
    if len(around) == len(statements):
        return None
    text = up.text
    for statement in reversed(around):
        text = _without(text, statement)
    is_rebuild = any(each.opening[:1] == ("PRAGMA",) for each in around)
    in_transaction = any(transaction_control(each) for each in around)
    header = "-- forgedb: rebuild\n" if is_rebuild else ""
    if up.alone and not is_rebuild and not in_transaction:
        header = "-- forgedb: no-transaction\n"
    return f"{header}{text.strip()}\n"


def _around(statements: Sequence[ScriptStatement], dialect: Dialect) -> list[ScriptStatement]:
    """The statements at a file's beginning and end that only set how the rest is run."""

    def only_says_how(statement: ScriptStatement) -> bool:
        keyword = transaction_control(statement)
        if keyword is not None:
            return keyword in ("BEGIN", "START TRANSACTION", "COMMIT", "END")
        return dialect == "sqlite" and bool(_sets_foreign_keys(statement.text))

    begin, end = 0, len(statements)
    while begin < end and only_says_how(statements[begin]):
        begin += 1
    while end > begin and only_says_how(statements[end - 1]):
        end -= 1
    return [*statements[:begin], *statements[end:]]


def _without(text: str, statement: ScriptStatement) -> str:
    lines = text.split("\n")
    start = sum(len(line) + 1 for line in lines[: statement.line - 1]) + statement.column - 1
    before, after = text[:start], text[start + len(statement.text) :]
    return before + re.sub(r"\A\s*;[ \t]*\n?", "", after)
