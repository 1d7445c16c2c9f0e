"""A migration's file as it will be run: its statements, and what its header asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from forgedb.migrations.files import MigrationFile, refused
from forgedb.sql.lexer import Dialect, Lines, Token, tokens
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

Mode = Literal["transaction", "no-transaction", "rebuild"]

MODES: dict[str, Mode] = {"no-transaction": "no-transaction", "rebuild": "rebuild"}
"""What may stand in a header, as in ``-- forgedb: no-transaction``."""

# Someone who leaves out the colon, or writes the other kind of comment, means it no less.
DIRECTIVE = r"(?:--|/\*)\s*forgedb(?::\s*(.*?)|\s+(no-transaction|rebuild))\s*(?:\*/)?"

FOREIGN_KEYS = r"\s*PRAGMA\s+(?:\w+\s*\.\s*)?foreign_keys\b"


class Script(msgspec.Struct, frozen=True):
    """A file's statements, and how they are run."""

    migration: MigrationFile
    statements: Sequence[ScriptStatement]
    mode: Mode


def parse(migration: MigrationFile, dialect: Dialect) -> Script:
    """Read a file's statements.  Raises MigrationError for text that can't be split or run."""
    try:
        statements = split(migration.text, dialect)
    except ScriptError as error:
        raise refused(migration.file, error.why, line=error.line, column=error.column) from error
    if not statements:
        raise refused(migration.file, "it holds no statement: write its SQL, or remove it")
    mode = _mode(migration, statements[0], dialect)
    for statement in statements:
        keyword = transaction_control(statement)
        if keyword is not None:
            where = (
                "this file's statements run in no transaction, each by itself"
                if mode == "no-transaction"
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
    return Script(migration, statements, mode)


def _mode(migration: MigrationFile, first: ScriptStatement, dialect: Dialect) -> Mode:
    mode: Mode = "transaction"
    if "forgedb" not in migration.text.lower():
        return mode
    lines = Lines(migration.text)
    for token in tokens(migration.text, dialect):
        directive = _directive(token)
        if directive is None:
            continue
        line, column = lines.place(token.start)
        if (line, column) > (first.line, first.column):
            why = "it says how the file is run, and stands too late: move it above the SQL"
        elif directive not in MODES:
            why = f"{directive!r} is nothing that it can ask for: one of {', '.join(MODES)}"
        elif mode not in ("transaction", directive):
            why = f"the file asks for {mode} already: split it into two files"
        elif directive == "rebuild" and dialect == "postgres":
            why = "PostgreSQL alters tables in place: remove it"
        else:
            mode = MODES[directive]
            continue
        raise refused(migration.file, why, line=line, column=column, statement=token.text)
    return mode


def _directive(token: Token) -> str | None:
    if token.kind != "comment":
        return None
    parsed = re.fullmatch(DIRECTIVE, token.text.rstrip(), re.IGNORECASE)
    return None if parsed is None else (parsed[1] or parsed[2] or "").lower()


def _sets_foreign_keys(statement: ScriptStatement) -> bool:
    is_pragma = statement.opening[:1] == ("PRAGMA",)
    return is_pragma and re.match(FOREIGN_KEYS, statement.text, re.IGNORECASE) is not None
