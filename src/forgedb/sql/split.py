"""Splitting a script into statements that can be executed one by one; others run them.

A semicolon ends a statement except inside quotes and comments, inside PostgreSQL's parentheses
(CREATE RULE), and inside a body: SQLite's CREATE TRIGGER, PostgreSQL's BEGIN ATOMIC.  Every
statement of a body ends with a semicolon and none begins with END, so a body ends where END
follows a semicolon, whatever CASE ... END it holds; SQLite's ``sqlite3_complete`` does the same.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from forgedb.sql.lexer import Dialect, Lines, Scanner, Token, never_closed

OPENING_WORDS_MAX = 6

CREATE_TRIGGER = r"(EXPLAIN (QUERY PLAN )?)?CREATE (TEMP |TEMPORARY )*TRIGGER "
CREATE_ROUTINE = r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE) "

# PostgreSQL accepts either word for the client, in both directions.
CLIENT = frozenset({"STDIN", "STDOUT"})
COPY_REFUSED = {
    "FROM": "COPY ... FROM STDIN needs a client that sends the rows: use INSERT",
    "TO": "COPY ... TO STDOUT needs a client that takes the rows: take it out",
}

TRANSACTION_CONTROL = frozenset(
    {
        "ABORT",
        "BEGIN",
        "COMMIT",
        "END",
        "PREPARE TRANSACTION",
        "RELEASE",
        "ROLLBACK",
        "SAVEPOINT",
        "START TRANSACTION",
    }
)


class ScriptStatement(NamedTuple):
    """One statement of a script, without its semicolon, and where it starts (both from 1)."""

    text: str
    line: int
    column: int
    opening: tuple[str, ...]
    """The words it begins with, in capitals: at most six, up to the first token that is no word."""


class ScriptError(ValueError):
    """A script can't be split: ``why``, with ``line`` and ``column`` (from 1) of the cause."""

    def __init__(self, line: int, column: int, why: str) -> None:
        super().__init__(line, column, why)
        self.line = line
        self.column = column
        self.why = why

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.why}"


def split(script: str, dialect: Dialect) -> list[ScriptStatement]:
    """Split a script into its statements, without the comments and white space around them.

    Raises ScriptError for a quote, comment, parenthesis or body that is never closed, and on
    PostgreSQL for what only psql can run: COPY from or to the client, and backslash commands.
    """
    lines = Lines(script)
    statements: list[ScriptStatement] = []
    reading: _Reading | None = None
    scanner = Scanner(script, dialect)
    for token in scanner:
        if token.kind in ("space", "comment"):
            continue
        if token.kind == "semicolon" and (reading is None or reading.ends_here()):
            if reading is not None:
                statements.append(reading.statement(script))
            reading = None
            continue
        if reading is None:
            reading = _Reading(token.start, dialect, lines)
            if token.kind == "word" and reading.opens_plainly(scanner):
                continue
        reading.add(token)
        if reading.only_ends():
            reading.end = max(reading.end, scanner.skip())
    if reading is not None:
        reading.refuse_if_open()
        statements.append(reading.statement(script))
    return statements


def transaction_control(statement: ScriptStatement) -> str | None:
    """Give the keyword of a statement that begins, ends or divides a transaction, else None."""
    for words in (1, 2):
        keyword = " ".join(statement.opening[:words])
        if keyword in TRANSACTION_CONTROL:
            return keyword
    return None


class _Reading:
    """The statement that is being read: the state that decides what the next semicolon means."""

    __slots__ = (
        "body_ended",
        "dialect",
        "end",
        "has_body",
        "in_opening",
        "lines",
        "opening",
        "parentheses",
        "previous",
        "start",
    )

    def __init__(self, start: int, dialect: Dialect, lines: Lines) -> None:
        self.start = self.end = start
        self.dialect = dialect
        self.lines = lines
        self.opening: list[str] = []
        self.in_opening = True
        self.previous = ""
        self.parentheses: list[int] = []
        self.has_body = self.body_ended = False

    def opens_plainly(self, scanner: Scanner) -> bool:
        """Read a plain statement up to its possible end; False, and nothing read, for others."""
        behind = scanner.position
        scanner.position = self.start
        self.opening, self.in_opening = scanner.words(OPENING_WORDS_MAX), False
        if self.opening and self.only_ends() and not self._is_trigger():
            self.end = scanner.skip()
            return True
        self.opening, self.in_opening = [], True
        scanner.position = behind
        return False

    def add(self, token: Token) -> None:
        word = token.text.upper() if token.kind == "word" else ""
        if self.in_opening:
            self._open(word)
        if self.dialect == "postgres":
            self._refuse_psql(token, word)
            self._count_parentheses(token)
        if token.kind == "unterminated":
            raise self._refused(token.start, never_closed(token))
        begins_body = self._begins_body(word)
        self.has_body = self.has_body or begins_body
        self.body_ended = word == "END" and self.previous == ";"
        # An empty body ends as a full one does.
        self.previous = ";" if word == "ATOMIC" and begins_body else word or token.text
        self.end = token.start + len(token.text)

    def ends_here(self) -> bool:
        """Whether a semicolon here ends the statement."""
        return not self.parentheses and (self.body_ended or not self.has_body)

    def only_ends(self) -> bool:
        """Whether only the end of the statement still matters: no body or COPY can follow."""
        if self.in_opening or self.has_body:
            return False
        return self.dialect == "sqlite" or not (
            self.opening[:1] == ["COPY"] or self._opens_with(CREATE_ROUTINE)
        )

    def refuse_if_open(self) -> None:
        if self.parentheses:
            raise self._refused(self.parentheses[-1], "'(' is never closed: close it")
        if not self.ends_here():
            what = " ".join(self.opening[:4])
            raise self._refused(self.start, f"the body of {what} has no end: close it with END")

    def statement(self, script: str) -> ScriptStatement:
        line, column = self.lines.place(self.start)
        return ScriptStatement(script[self.start : self.end], line, column, tuple(self.opening))

    def _open(self, word: str) -> None:
        if word:
            self.opening.append(word)
        self.in_opening = bool(word) and len(self.opening) < OPENING_WORDS_MAX

    def _is_trigger(self) -> bool:
        # The word is looked up first: joining the words for the pattern takes longer.
        return "TRIGGER" in self.opening and self._opens_with(CREATE_TRIGGER)

    def _opens_with(self, pattern: str) -> bool:
        return re.match(pattern, " ".join((*self.opening, ""))) is not None

    def _begins_body(self, word: str) -> bool:
        if self.dialect == "sqlite":
            return word == "TRIGGER" and self._is_trigger()
        after_begin = word == "ATOMIC" and self.previous == "BEGIN" and not self.parentheses
        return after_begin and self._opens_with(CREATE_ROUTINE)

    def _count_parentheses(self, token: Token) -> None:
        if token.text == "(":
            self.parentheses.append(token.start)
        elif token.text == ")" and self.parentheses:
            self.parentheses.pop()

    def _refuse_psql(self, token: Token, word: str) -> None:
        if token.text == "\\":
            why = "a backslash command is psql's, not SQL: take it out"
            raise self._refused(token.start, why)
        by_client = self.previous in COPY_REFUSED and word in CLIENT and not self.parentheses
        if by_client and self.opening[:1] == ["COPY"]:
            raise self._refused(self.start, COPY_REFUSED[self.previous])

    def _refused(self, offset: int, why: str) -> ScriptError:
        return ScriptError(*self.lines.place(offset), why)
