"""A migration's file as it will be run: its statements, and what its header asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from forgedb.errors import MigrationError
from forgedb.migrations.files import MigrationFile, refused
from forgedb.migrations.header import AFTER, Header, header_of
from forgedb.migrations.isolation import opening_of
from forgedb.migrations.isolation import refusal as transaction_refused
from forgedb.sql.lexer import Dialect
from forgedb.sql.pragmas import pragma_of, refusal_of
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

if TYPE_CHECKING:
    from forgedb.migrations.python_file import PythonFile

Mode = Literal["transaction", "no-transaction", "rebuild", "batches"]


class Script(msgspec.Struct, frozen=True):
    """A file's statements, and how they are run."""

    migration: MigrationFile
    statements: Sequence[ScriptStatement]
    header: Header
    python: PythonFile | None = None
    """What is run in the place of statements."""
    opening: Sequence[ScriptStatement] = ()
    """The statements that set up the file's transaction, sent ahead of all others."""

    @property
    def mode(self) -> Mode:
        """How they run: in a transaction, in none, in one with foreign keys off, or in batches."""
        if self.python is not None and self.python.entry == "batch":
            return "batches"
        if "no-transaction" in self.header:
            return "no-transaction"
        return "rebuild" if "rebuild" in self.header else "transaction"


def parse(migration: MigrationFile, dialect: Dialect) -> Script:
    """Read a file's statements.  Raises MigrationError for text that can't be split or run."""
    if migration.is_python:
        from forgedb.migrations.python_file import parse_python

        return Script(migration, (), {}, parse_python(migration))
    try:
        statements = split(migration.text, dialect)
    except ScriptError as error:
        raise refused(migration.file, error.why, line=error.line, column=error.column) from error
    if not statements:
        raise refused(migration.file, "it holds no statement: write its SQL, or remove it")
    script = Script(migration, statements, header_of(migration, dialect))
    if migration.is_repeatable and script.mode != "transaction":
        raise refused(
            migration.file,
            f"a repeatable file runs in a transaction like any other: leave {script.mode} out, or"
            " give the file a number",
        )
    if AFTER in script.header and not migration.is_repeatable:
        raise refused(
            migration.file,
            "its number says what it comes after: leave that line out",
        )
    for statement in statements:
        keyword = transaction_control(statement)
        if keyword is not None:
            where = (
                "this file's statements run in no transaction, each by itself"
                if script.mode == "no-transaction"
                else "each file runs in one transaction of the runner's"
            )
            raise _refused(migration, statement, f"{keyword} is refused: {where}")
        why = _pragma_refused(statement, script.mode) if dialect == "sqlite" else None
        if why is not None:
            raise _refused(migration, statement, why)
    return _opened(script) if dialect == "postgres" and script.mode == "transaction" else script


def _opened(script: Script) -> Script:
    """The same, with the statements that set up its transaction apart.  Raises MigrationError."""
    opening = opening_of(script.statements)
    for statement in opening:
        why = transaction_refused(statement)
        if why is not None:
            raise _refused(script.migration, statement, why)
    statements = [each for each in script.statements if each not in opening]
    return msgspec.structs.replace(script, statements=statements, opening=opening)


def _refused(migration: MigrationFile, statement: ScriptStatement, why: str) -> MigrationError:
    line, column = statement.line, statement.column
    return refused(migration.file, why, line=line, column=column, statement=statement.text)


def _pragma_refused(statement: ScriptStatement, mode: Mode) -> str | None:
    """Why a PRAGMA is refused on any database; what depends on the database is checked later."""
    found = pragma_of(statement.text) if statement.opening[:1] == ("PRAGMA",) else None
    if found is None:
        return None
    refusal = refusal_of(*found, in_transaction=mode != "no-transaction")
    return None if refusal is None or refusal.unless_it_is_so else refusal.why
