"""A migration's statements, which go to the server as one text, and the one that an error is about.

The server parses the whole text before it runs the first statement.  So it reports a syntax error
before anything was run, with its position in the whole text; and a character that the database
can't hold, without a position.
"""

from __future__ import annotations

from collections.abc import Sequence

SEPARATOR = "\n;\n"
"""Between statements that are sent together; a statement's last line may be a comment."""


def joined(texts: Sequence[str]) -> bytes:
    """The statements as one text."""
    return SEPARATOR.join(texts).encode()


def characters(texts: Sequence[str], position: int, server_encoding: str | None) -> int:
    """How many characters of the text come before a position that the server gave, from 1.

    The server counts the characters of its own encoding; under SQL_ASCII these are bytes.
    """
    if server_encoding != "SQL_ASCII":
        return position - 1
    return len(joined(texts)[: position - 1].decode(errors="ignore"))


def place(texts: Sequence[str], offset: int) -> tuple[int, int]:
    """The number of the statement that has this character of the text, and its offset there.

    Where a statement is incomplete, the error is at the separator: that is the statement's end.
    """
    for number, text in enumerate(texts):
        if offset < len(text) + len(SEPARATOR) or number == len(texts) - 1:
            return number, min(offset, len(text))
        offset -= len(text) + len(SEPARATOR)
    raise AssertionError("a script has a statement")
