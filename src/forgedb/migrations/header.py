"""How a file asks to be run, in comments above its SQL: ``-- forgedb: rebuild``."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from forgedb.migrations.files import MigrationFile, refused
from forgedb.sql.lexer import Dialect, Lines, Token, tokens

Header = Mapping[str, str]
"""The directives that a file gives, by their words, each with what follows it there."""


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """What a header can ask for."""

    value: str = ""
    """The pattern of what follows the word, in lower case and with single spaces."""
    form: str = ""
    """How that is written, for the message about a wrong one."""
    many: bool = False
    """Whether it may be given several times, each with its own value on a line of its own."""
    without: frozenset[str] = frozenset()
    """The directives that can't stand beside it."""
    refused_by: Mapping[Dialect, str] = {}
    """The databases on which it makes no sense, and why."""


AFTER = "after"

DIRECTIVES: dict[str, Directive] = {
    "no-transaction": Directive(without=frozenset({"rebuild"})),
    "rebuild": Directive(
        without=frozenset({"no-transaction"}),
        refused_by={"postgres": "PostgreSQL alters tables in place: remove it"},
    ),
    "squashes": Directive(
        value=r"[0-9]+_[a-z0-9_]+ [0-9a-f]{64}", form="NNNN_name CHECKSUM", many=True
    ),
    AFTER: Directive(value=r"r__[a-z0-9_]+(?:,? r__[a-z0-9_]+)*", form="R__name", many=True),
}

# A directive without the colon, or in the other kind of comment, is recognised, too.
BEGUN = r"(?is)(?:--|/\*)\s*forgedb"
WRITTEN = rf"{BEGUN}(?:(:)\s*|\s+)(.*?)\s*(?:\*/)?"


def header_of(migration: MigrationFile, dialect: Dialect) -> Header:
    """The directives above a file's first statement.

    Raises MigrationError for one that isn't known, comes after the first statement, or excludes
    another one that is given.
    """
    given: dict[str, str] = {}
    # Splitting a file into tokens takes as long as all else here, and most files have no directive.
    if re.search(BEGUN, migration.text) is None:
        return given
    lines = Lines(migration.text)
    is_above = True
    for token in tokens(migration.text, dialect):
        is_above = is_above and token.kind in ("space", "comment", "semicolon")
        asked = _asked(token)
        if asked is None:
            continue
        word, value = asked
        why = _refusal(word, value, given, dialect)
        if not is_above:
            why = "it says how the file is run, and stands too late: move it above the SQL"
        if why:
            line, column = lines.place(token.start)
            raise refused(migration.file, why, line=line, column=column, statement=token.text)
        given[word] = (
            f"{given[word]}\n{value}" if word in given and DIRECTIVES[word].many else value
        )
    return given


def without_header(migration: MigrationFile, dialect: Dialect) -> str:
    """A file's text without its directives."""
    if "forgedb" not in migration.text.lower():
        return migration.text
    found = tokens(migration.text, dialect)
    return "".join(token.text for token in found if _asked(token) is None)


def _asked(token: Token) -> tuple[str, str] | None:
    """The word of a directive, and what follows it."""
    if token.kind != "comment":
        return None
    parsed = re.fullmatch(WRITTEN, token.text.rstrip())
    if parsed is None:
        return None
    colon, words = parsed.groups()
    word, _, value = " ".join(words.lower().split()).partition(" ")
    if colon or _is_known(word, value):
        return word, value
    # Prose, such as "-- forgedb rebuilds this table".
    return None


def _is_known(word: str, value: str) -> bool:
    directive = DIRECTIVES.get(word)
    return directive is not None and re.fullmatch(directive.value, value) is not None


def _refusal(word: str, value: str, given: Header, dialect: Dialect) -> str:
    """Why a directive can't be followed; empty where it can."""
    if not _is_known(word, value):
        forms = [f"{each} {known.form}".rstrip() for each, known in DIRECTIVES.items()]
        asked = f"{word} {value}".rstrip()
        return f"{asked!r} is nothing that it can ask for: one of {', '.join(forms)}"
    others = DIRECTIVES[word].without & given.keys()
    if others:
        return f"the file asks for {min(others)} already: split it into two files"
    if given.get(word, value) != value and not DIRECTIVES[word].many:
        return f"the file asks for {word} {given[word]} already: leave one of them out"
    return DIRECTIVES[word].refused_by.get(dialect, "")
