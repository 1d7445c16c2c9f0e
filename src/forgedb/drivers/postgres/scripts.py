"""A migration's statements, which go to the server as one text, and the one that an error is about.

The server reads the whole text before it runs the first statement.  So a syntax error is told of
the text, before anything was run, with its place in it; and a character that the database can't
hold without one.
"""

from __future__ import annotations

from collections.abc import Sequence

SEPARATOR = "\n;\n"
"""Between statements that go together; the last of one's lines may be a comment."""


def joined(texts: Sequence[str]) -> bytes:
    """The statements as one text."""
    return SEPARATOR.join(texts).encode()


def characters(texts: Sequence[str], position: int, server_encoding: str | None) -> int:
    """How many characters of the text come before a place that the server told, which is from 1.

    It counts what its own encoding takes for characters; without one these are bytes.
    """
    if server_encoding != "SQL_ASCII":
        return position - 1
    return len(joined(texts)[: position - 1].decode(errors="ignore"))


def place(texts: Sequence[str], offset: int) -> tuple[int, int]:
    """The statement in which a character of the text stands, and how many come before it there.

    Where a statement goes on, the error is at the separator: then it is at the statement's end.
    """
    for number, text in enumerate(texts):
        if offset < len(text) + len(SEPARATOR) or number == len(texts) - 1:
            return number, min(offset, len(text))
        offset -= len(text) + len(SEPARATOR)
    raise AssertionError("a script has a statement")
