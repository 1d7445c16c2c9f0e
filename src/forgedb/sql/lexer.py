"""The tokens of SQL text, as SQLite and PostgreSQL read it; what they mean is not decided here.

The rules are those of SQLite's ``tokenize.c`` and PostgreSQL's ``scan.l`` (with
``standard_conforming_strings`` on), as far as they say where a quote, a comment, a word or a
parameter begins and ends.  Anything else, valid or not, is punctuation, one character a token.
Every repetition that could be tried twice is possessive, so reading takes linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal, cast

import msgspec

Dialect = Literal["sqlite", "postgres"]

Kind = Literal[
    "space",
    "comment",
    "quoted",
    "unterminated",
    "cast",
    "parameter",
    "word",
    "number",
    "semicolon",
    "punctuation",
]

# Every character beyond ASCII is a letter to both databases.  Said by exclusion: re takes a
# hundred times longer to compile a class that lists them.
LETTER = r"[^\x00-@\[-\^`{-\x7f]"
LETTER_OR_DIGIT = r"[^\x00-/:-@\[-\^`{-\x7f]"
NAME_CHARACTER = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"

# SQLite takes `:a::b(c)` for one parameter, as Tcl does: its documentation, "Parameters".
SQLITE = rf"""
  (?P<space> [ \t\n\r\f\v\ufeff]+ )
| (?P<word> {LETTER} {NAME_CHARACTER}*+ )
| (?P<comment> --[^\n]* | /\*.*?\*/ )
| (?P<quoted>
    ' [^']*+ (?: '' [^']*+ )*+ '
  | " [^"]*+ (?: "" [^"]*+ )*+ "
  | ` [^`]*+ (?: `` [^`]*+ )*+ `
  | \[ [^\]]*+ \]
  )
| (?P<unterminated> (?: ['"`\[] | /\* ) .* )
| (?P<cast> :: )
| (?P<parameter>
    \? [0-9]*
  | [:@\#$] (?: :: )*+ {NAME_CHARACTER} (?: {NAME_CHARACTER} | :: )*+ (?: \( [^\s)]*+ \)? )?
  )
| (?P<number> [0-9] [0-9A-Za-z_.]*+ )
| (?P<semicolon> ; )
| (?P<punctuation> . )
"""

WORD = rf"(?! [eE]' ) {LETTER} {NAME_CHARACTER}*+"
ESCAPED = r"' [^'\\]*+ (?: (?: '' | \\. ) [^'\\]*+ )*+ '"
# A string goes on, under the rules of its first part, after white space with a line end in it.
CONTINUED = r"(?: [ \t\f\v] | --[^\n\r]*+ )*+ [\n\r] (?: [ \t\n\r\f\v] | --[^\n\r]*+ [\n\r] )*+"
DOLLARS = rf"\$ (?: {LETTER} {LETTER_OR_DIGIT}*+ )? \$"

POSTGRES = rf"""
  (?P<space> [ \t\n\r\f\v]+ )
| (?P<word> {WORD} )
| (?P<comment> --[^\n\r]* )
| (?P<nested> /\* )
| (?P<quoted>
    ' [^']*+ (?: '' [^']*+ )*+ '
  | [eE] {ESCAPED} (?: {CONTINUED} {ESCAPED} )*+ (?! {CONTINUED} ' )
  | " [^"]*+ (?: "" [^"]*+ )*+ "
  | (?P<dollars> {DOLLARS} ) .*? (?P=dollars)
  )
| (?P<unterminated> (?: [eE]?' | " | {DOLLARS} ) .* )
| (?P<cast> :: )
| (?P<parameter> : {WORD} | \$ [0-9]+ )
| (?P<number> [0-9] [0-9A-Za-z_.]*+ )
| (?P<semicolon> ; )
| (?P<punctuation> . )
"""

PATTERNS = {"sqlite": SQLITE, "postgres": POSTGRES}

COMMENT_EDGE = r"/\*|\*/"


class Token(msgspec.Struct, frozen=True, gc=False):
    """A piece of SQL text and the offset at which it starts."""

    kind: Kind
    text: str
    start: int


def tokens(text: str, dialect: Dialect) -> Iterator[Token]:
    """Yield the tokens of any text whatsoever; their texts, joined, are the text itself.

    A quote or comment that is never closed is one token of the kind ``unterminated``, up to the
    end of the text, so that the caller can refuse it and say where it begins.
    """
    # Compiled here, and kept by re: a start that runs no SQL doesn't pay for it.
    match = re.compile(PATTERNS[dialect], re.VERBOSE | re.DOTALL).match
    start = 0
    while found := match(text, start):
        kind, end = found.lastgroup, found.end()
        if kind == "nested":
            kind, end = _nested_comment(text, end)
        yield Token(cast("Kind", kind), text[start:end], start)
        start = end


def _nested_comment(text: str, inside: int) -> tuple[Kind, int]:
    depth = 1
    for edge in re.compile(COMMENT_EDGE).finditer(text, inside):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return "comment", edge.end()
    return "unterminated", len(text)


def never_closed(token: Token) -> str:
    """Say what is wrong with a token of the kind ``unterminated``."""
    what = "comment" if token.text.startswith("/*") else "quote"
    return f"the {what} that begins with {token.text[:20]!r} is never closed: close it"


class Lines:
    """The places in a text as people count them."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Give an offset's line and column, each from 1, the column in characters."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
