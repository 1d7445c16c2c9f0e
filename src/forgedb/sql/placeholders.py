"""SQL text with ``:name`` parameters, turned into what a driver takes; values are not seen here."""

from __future__ import annotations

from typing import NamedTuple

from forgedb.errors import UsageError
from forgedb.sql.lexer import Dialect, Lines, Token, never_closed, tokens


class Compiled(NamedTuple):
    """A driver's own text, and the parameters it takes, in the order of first appearance.

    PostgreSQL's text is always in psycopg's format, with ``%`` doubled even without parameters:
    run it with a mapping, at least an empty one, since psycopg undoubles ``%`` only then.
    """

    text: str
    names: tuple[str, ...]


def compile_text(text: str, dialect: Dialect) -> Compiled:
    """Turn text with ``:name`` parameters, names being ``[A-Za-z_][A-Za-z0-9_]*``, for the driver.

    SQLite takes such text as it is; for psycopg, ``:name`` becomes ``%(name)s`` and every other
    ``%`` becomes ``%%``.  Quotes, comments, casts and operators stay what they are.

    A colon right before a name is a parameter in an array slice too: ``a[low:high]`` asks for
    ``high``.  With a space after the colon, ``a[low: high]``, it is the column.

    Raises UsageError, with line and column, for parameters of any other style (``?``, ``?1``,
    ``@name``, ``$name`` on SQLite, ``$1`` on PostgreSQL) and for a quote or comment that is
    never closed.
    """
    names: dict[str, None] = {}
    pieces: list[str] = []
    for token in tokens(text, dialect):
        piece = token.text
        if token.kind == "parameter":
            name = _name(token, text)
            names[name] = None
            piece = f"%({name})s"
        elif token.kind == "unterminated":
            raise _refused(token, text, never_closed(token))
        elif "%" in piece:
            piece = piece.replace("%", "%%")
        pieces.append(piece)
    return Compiled(text if dialect == "sqlite" else "".join(pieces), tuple(names))


def _name(token: Token, text: str) -> str:
    name = token.text[1:]
    if token.text[0] == ":" and name.isascii() and name.isidentifier():
        return name
    why = f"{token.text[:80]!r} is not a parameter that forgedb takes: write it as :name, in ASCII"
    raise _refused(token, text, why)


def _refused(token: Token, text: str, why: str) -> UsageError:
    line, column = Lines(text).place(token.start)
    return UsageError(f"SQL text, {line}:{column}: {why}")
