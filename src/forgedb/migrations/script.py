"""A migration's file as it will be run: its statements, and what its header asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from forgedb.migrations.files import MigrationFile, refused
from forgedb.migrations.header import Header, header_of
from forgedb.sql.lexer import Dialect
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

Mode = Literal["transaction", "no-transaction", "rebuild"]

FOREIGN_KEYS = r"\s*PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\b"


class Script(msgspec.Struct, frozen=True):
    """A file's statements, and how they are run."""

    migration: MigrationFile
    statements: Sequence[ScriptStatement]
    header: Header

    @property
    def mode(self) -> Mode:
        """Whether a transaction is around them, and with SQLite's foreign keys off."""
        if "no-transaction" in self.header:
            return "no-transaction"
        return "rebuild" if "rebuild" in self.header else "transaction"


def parse(migration: MigrationFile, dialect: Dialect) -> Script:
    """Read a file's statements.  Raises MigrationError for text that can't be split or run."""
    try:
        statements = split(migration.text, dialect)
    except ScriptError as error:
        raise refused(migration.file, error.why, line=error.line, column=error.column) from error
    if not statements:
        raise refused(migration.file, "it holds no statement: write its SQL, or remove it")
    script = Script(migration, statements, header_of(migration, dialect))
    for statement in statements:
        keyword = transaction_control(statement)
        if keyword is not None:
            where = (
                "this file's statements run in no transaction, each by itself"
                if script.mode == "no-transaction"
                else "each file runs in one transaction of the runner's"
            )
            raise refused(
                migration.file,
                f"{keyword} is refused: {where}",
                line=statement.line,
                column=statement.column,
                statement=statement.text,
            )
        if dialect == "sqlite" and _sets_foreign_keys(statement):
            raise refused(
                migration.file,
                "foreign keys can't be turned off in a transaction, and would stay off for later"
                " files: begin the file with `-- forgedb: rebuild`, and leave this out",
                line=statement.line,
                column=statement.column,
                statement=statement.text,
            )
    return script


def _sets_foreign_keys(statement: ScriptStatement) -> bool:
    is_pragma = statement.opening[:1] == ("PRAGMA",)
    return is_pragma and re.match(FOREIGN_KEYS, statement.text, re.IGNORECASE) is not None
