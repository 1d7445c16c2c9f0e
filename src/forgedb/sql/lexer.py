"""The tokens of SQL text, as SQLite and PostgreSQL read it; their meaning is not decided here.

The rules are those of SQLite's ``tokenize.c`` and PostgreSQL's ``scan.l`` (with
``standard_conforming_strings`` on), as far as they say where a quote, a comment, a word or a
parameter begins and ends.  Anything else, valid or not, is punctuation, each character a token.
Every repetition that could be tried twice is possessive, so reading takes linear time.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

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

# Every character beyond ASCII is a letter to both databases.  The classes are negated, since re
# takes a hundred times longer to compile a class that lists all letters.
LETTER = r"[^\x00-@\[-\^`{-\x7f]"
LETTER_OR_DIGIT = r"[^\x00-/:-@\[-\^`{-\x7f]"
NAME_CHARACTER = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"

WORD = rf"(?! [eE]' ) {LETTER} {NAME_CHARACTER}*+"
ESCAPED = r"' [^'\\]*+ (?: (?: '' | \\. ) [^'\\]*+ )*+ '"
# A string continues after white space with a line end in it, under the rules of its first part.
CONTINUED = r"(?: [ \t\f\v] | --[^\n\r]*+ )*+ [\n\r] (?: [ \t\n\r\f\v] | --[^\n\r]*+ [\n\r] )*+"
DOLLARS = rf"\$ (?: {LETTER} {LETTER_OR_DIGIT}*+ )? \$"

STRING = r"' [^']*+ (?: '' [^']*+ )*+ '"
IDENTIFIER = r"""" [^"]*+ (?: "" [^"]*+ )*+ \""""
NUMBER = r"[0-9] [0-9A-Za-z_.]*+"

# SQLite takes `:a::b(c)` for one parameter, as Tcl does: its documentation, "Parameters".
SQLITE = {
    "space": r"[ \t\n\r\f\v\ufeff]+",
    "word": rf"{LETTER} {NAME_CHARACTER}*+",
    "comment": r"--[^\n]* | /\*.*?\*/",
    "quoted": rf"{STRING} | {IDENTIFIER} | ` [^`]*+ (?: `` [^`]*+ )*+ ` | \[ [^\]]*+ \]",
    "unterminated": r"(?: ['\"`\[] | /\* ) .*",
    "cast": r"::",
    "parameter": rf"""
        \? [0-9]*
      | [:@\#$] (?: :: )*+ {NAME_CHARACTER} (?: {NAME_CHARACTER} | :: )*+ (?: \( [^\s)]*+ \)? )?
    """,
    "number": NUMBER,
    "semicolon": ";",
    "punctuation": ".",
}

QUOTED = rf"""
    {STRING}
  | [eE] {ESCAPED} (?: {CONTINUED} {ESCAPED} )*+ (?! {CONTINUED} ' )
  | {IDENTIFIER}
"""

POSTGRES = {
    "space": r"[ \t\n\r\f\v]+",
    "word": WORD,
    "comment": r"--[^\n\r]*",
    "nested": r"/\*",
    "quoted": rf"{QUOTED} | (?P<dollars> {DOLLARS} ) .*? (?P=dollars)",
    "unterminated": rf"(?: [eE]?' | \" | {DOLLARS} ) .*",
    "cast": "::",
    "parameter": rf": {WORD} | \$ [0-9]+",
    "number": NUMBER,
    "semicolon": ";",
    "punctuation": ".",
}

RULES = {"sqlite": SQLITE, "postgres": POSTGRES}
"""By dialect, the pattern of each kind of token; if two match, the earlier one counts."""

STOPS = {"sqlite": ";", "postgres": r";()\\"}
"""By dialect, the punctuation that matters in the search for a statement's end."""

COMMENT_EDGE = r"/\*|\*/"

FLAGS = re.VERBOSE | re.DOTALL


class Token(msgspec.Struct, frozen=True, gc=False):
    """A piece of SQL text and the offset at which it starts."""

    kind: Kind
    text: str
    start: int


class Scanner:
    """The tokens of any text, from ``position`` on; their texts, joined, are the text.

    A quote or comment that is never closed is one token of the kind ``unterminated``, up to the
    end of the text, so that the caller can refuse it and say where it begins.
    """

    __slots__ = ("_dialect", "_text", "position")

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect: Dialect = dialect
        self.position = 0

    def __iter__(self) -> Iterator[Token]:
        text = self._text
        match = _token(self._dialect).match
        kind: Any
        while found := match(text, self.position):
            kind, start, end = found.lastgroup, self.position, found.end()
            if kind == "nested":
                kind, end = _nested_comment(text, end)
            self.position = end
            yield Token(kind, text[start:end], start)

    def words(self, most: int) -> list[str]:
        """Move past the next words, at most ``most``, and return them in capitals.

        Returns an empty list if a nested comment is between them.
        """
        plain = _words(self._dialect, most).match(self._text, self.position)
        if (
            plain is not None
            and plain[1].isascii()
            and not self._text.startswith(("--", "/*"), plain.end())
        ):
            # Mostly only white space is between the words: they are read in one step.
            self.position = plain.end(1)
            return plain[1].upper().split()
        word, between = _word(self._dialect).match, _between(self._dialect).match
        found: list[str] = []
        start = self.position
        while len(found) < most and (read := word(self._text, start)):
            found.append(read[0].upper())
            self.position = read.end()
            space = between(self._text, self.position)
            start = self.position if space is None else space.end()
            if self._text.startswith("/*", start):
                return []
        return found

    def skip(self) -> int:
        """Move past all tokens that don't matter for a statement's end, in one step.

        The next token, after white space and comments, is a semicolon, an unterminated token or
        the end; on PostgreSQL also a nested comment, a dollar quote, a backslash or a parenthesis.
        """
        found = _run(self._dialect).match(self._text, self.position)
        assert found is not None, "an empty run is one too"
        self.position = found.end()
        return self.position


def tokens(text: str, dialect: Dialect) -> Iterator[Token]:
    """Yield all tokens of a text, as Scanner does."""
    return iter(Scanner(text, dialect))


# Compiled when first used, so that a program that runs no SQL starts faster.
@cache
def _token(dialect: Dialect) -> re.Pattern[str]:
    rules = RULES[dialect].items()
    return re.compile("|".join(f"(?P<{kind}> {rule} )" for kind, rule in rules), FLAGS)


@cache
def _word(dialect: Dialect) -> re.Pattern[str]:
    return re.compile(RULES[dialect]["word"], FLAGS)


@cache
def _words(dialect: Dialect, most: int) -> re.Pattern[str]:
    word, space = RULES[dialect]["word"], RULES[dialect]["space"]
    rest = f"(?: (?: {space} )++ {word} ){{0,{most - 1}}}+"
    return re.compile(f"( {word} {rest} ) (?: {space} )*+", FLAGS)


@cache
def _between(dialect: Dialect) -> re.Pattern[str]:
    rules = RULES[dialect]
    return re.compile(f"(?: {rules['space']} | {rules['comment']} )++", FLAGS)


@cache
def _run(dialect: Dialect) -> re.Pattern[str]:
    rules = RULES[dialect]
    # Python 3.11 fails on a named group in a possessive group: Scanner reads dollar quotes.
    quoted = rules["quoted"] if dialect == "sqlite" else QUOTED
    between = f"{rules['space']} | {rules['comment']}"
    others = "|".join(rules[kind] for kind in ("word", "cast", "parameter", "number"))
    other = rf"(?! {rules['unterminated']} | /\* ) [^{STOPS[dialect]}]"
    any_of = f"{others} | {quoted} | {other}"
    if dialect == "postgres":
        # Most parentheses hold no others, so a long list of VALUES is read at once.
        any_of += rf"| \( (?: {between} | {any_of} )*+ \)"
    return re.compile(f"(?: (?: {between} )*+ (?: {any_of} ) )*+", FLAGS)


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
    """Lines and columns of a text, for messages."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column of an offset, both from 1, the column in characters."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
