"""The tokenizer: nothing is lost, quotes and comments end where each database ends them."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgedb.sql.lexer import Dialect, Lines, Scanner, never_closed, tokens

BOTH: tuple[Dialect, ...] = ("sqlite", "postgres")

FRAGMENTS = [
    *("'", "''", '"', "`", "[", "]", "$", "$$", "$tag$", "E'", "\\", "\\'", "/*", "*/", "--"),
    *("\n", "\r", " ", "\t", "\ufeff", "\x00", "\ud800", ";", ":", "::", ":name", ":é", "@a"),
    *("?", "?1", "$1", "#", "%", "(", ")", "->>", "a$b", "é", "x", "1.5", "BEGIN", "END"),
]

QUOTED = {
    "sqlite": ["''", "'it''s;'", "'\\'", '"a "" b"', "`a `` b`", "[a ' b]", "'--'", "'\n'"],
    "postgres": [
        *("''", "'it''s;'", "'\\'", '"a "" b"', "E'\\''", "e'\\\\'", "E'a''b'", "'--'", "'\n'"),
        *("$$;'$$", "$a$ $$ $b$ $a$", "$é1$ $e$ $é1$", "$a$$a$", "E'a'\n'\\''", "E'' -- c\n '\\''"),
    ],
}

COMMENTS = {
    "sqlite": ["--", "-- ';", "-- a\r b", "/**/", "/*/ */", "/* /* */", "/* ' \n -- */"],
    "postgres": ["--", "-- ';", "/**/", "/*/ */", "/* /* */ */", "/*/**//**/*/", "/* ' \n -- */"],
}

OPEN = {
    "sqlite": ["'", "'a''", '"a', "`a", "[a", "/*", "/*/", "/* *", "'\\''"],
    "postgres": [
        *("'", "'a''", '"a', "/*", "/*/", "/* /* */", "E'\\'", "$$", "$a$ $$", "$a$ $A$"),
        "E'a'\n'\\'",
    ],
}


def kinds(text: str, dialect: Dialect) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens(text, dialect)]


def of_both(texts: dict[str, list[str]]) -> list[tuple[Dialect, str]]:
    return [(dialect, text) for dialect in BOTH for text in texts[dialect]]


@pytest.mark.parametrize("dialect", BOTH)
@settings(deadline=None)
@given(text=st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join))
def test_the_tokens_of_any_text_are_the_text_itself(dialect: Dialect, text: str) -> None:
    found = list(tokens(text, dialect))
    assert "".join(token.text for token in found) == text
    assert all(text.startswith(token.text, token.start) for token in found)
    assert all(token.text for token in found)


@pytest.mark.parametrize("dialect", BOTH)
@settings(deadline=None)
@given(text=st.lists(st.sampled_from(FRAGMENTS)).map("".join), after=st.integers(0, 5))
def test_what_is_skipped_is_whole_tokens_that_end_no_statement(
    dialect: Dialect, text: str, after: int
) -> None:
    every = list(tokens(text, dialect))
    scanner = Scanner(text, dialect)
    read = list(islice(scanner, after))
    end = scanner.skip()
    skipped = [token for token in every[len(read) :] if token.start < end]
    assert read + skipped + list(scanner) == every
    texts = [token.text for token in skipped]
    assert texts.count("(") == texts.count(")") or dialect == "sqlite"
    assert ";" not in texts
    assert "unterminated" not in {token.kind for token in skipped}
    # It ends with something, not with the space before what comes next.
    assert not skipped or skipped[-1].kind not in ("space", "comment")


@pytest.mark.parametrize(("dialect", "text"), of_both(QUOTED))
def test_a_quote_is_one_token(dialect: Dialect, text: str) -> None:
    assert kinds(f"{text};", dialect) == [("quoted", text), ("semicolon", ";")]


@pytest.mark.parametrize(("dialect", "text"), of_both(COMMENTS))
def test_a_comment_is_one_token(dialect: Dialect, text: str) -> None:
    after = "\n" if text.startswith("--") else ";"
    assert kinds(text + after, dialect)[0] == ("comment", text)
    assert len(kinds(text + after, dialect)) == 2


@pytest.mark.parametrize(("dialect", "text"), of_both(OPEN))
def test_what_is_never_closed_is_one_token_to_the_end(dialect: Dialect, text: str) -> None:
    *before, last = tokens(f"a; {text}", dialect)
    assert (last.kind, last.text, last.start) == ("unterminated", text, 3)
    assert [token.text for token in before] == ["a", ";", " "]


def test_what_is_never_closed_is_told_by_how_it_begins() -> None:
    (comment,) = tokens("/* a", "sqlite")
    (quote,) = tokens("'" + "a" * 100, "sqlite")
    assert never_closed(comment) == "the comment that begins with '/* a' is never closed: close it"
    assert never_closed(quote).startswith('the quote that begins with "\'aaaaaaaaaaaaaaaaaaa"')


def test_sqlite_comments_do_not_nest_and_postgres_comments_do() -> None:
    assert kinds("/* /* */ */", "sqlite")[0] == ("comment", "/* /* */")
    assert kinds("/* /* */ */", "postgres") == [("comment", "/* /* */ */")]


def test_a_carriage_return_ends_a_line_comment_on_postgres_only() -> None:
    assert kinds("--a\rb", "sqlite") == [("comment", "--a\rb")]
    assert kinds("--a\rb", "postgres") == [("comment", "--a"), ("space", "\r"), ("word", "b")]


def test_a_dollar_inside_a_name_opens_no_quote() -> None:
    assert kinds("a$b$ $b$c$b$", "postgres") == [
        ("word", "a$b$"),
        ("space", " "),
        ("quoted", "$b$c$b$"),
    ]


def test_a_dollar_after_a_number_opens_a_quote() -> None:
    assert kinds("1$$;$$", "postgres") == [("number", "1"), ("quoted", "$$;$$")]


def test_an_e_at_the_end_of_a_name_makes_no_escape_string() -> None:
    assert kinds("name'\\'", "postgres") == [("word", "name"), ("quoted", "'\\'")]


def test_an_escape_string_after_a_colon_is_no_parameter() -> None:
    assert kinds(":E'\\''", "postgres") == [("punctuation", ":"), ("quoted", "E'\\''")]


def test_brackets_quote_on_sqlite_and_index_on_postgres() -> None:
    assert kinds("[a]", "sqlite") == [("quoted", "[a]")]
    assert [text for _, text in kinds("a[1:2]", "postgres")] == ["a", "[", "1", ":", "2", "]"]


@pytest.mark.parametrize("dialect", BOTH)
def test_a_cast_is_no_parameter(dialect: Dialect) -> None:
    assert kinds("a::text", dialect) == [("word", "a"), ("cast", "::"), ("word", "text")]


@pytest.mark.parametrize(
    ("dialect", "parameter"),
    [
        *(("sqlite", text) for text in (":a", ":1", "@a", "$a", "#a", "?", "?12", ":é", ":a$b")),
        *(("sqlite", text) for text in (":a::b", ":a(b)", ":a(", "$::a")),
        *(("postgres", text) for text in (":a", ":é", ":a$b", "$1")),
    ],
)
def test_a_parameter_is_one_token_as_the_database_reads_it(
    dialect: Dialect, parameter: str
) -> None:
    assert kinds(f"{parameter} ", dialect) == [("parameter", parameter), ("space", " ")]


@pytest.mark.parametrize("operator", [":=", "->>", "#>>", "@>", "?|", "?", "%", "<@", "@@", "|/"])
def test_no_operator_of_postgres_is_a_parameter(operator: str) -> None:
    assert {kind for kind, _ in kinds(operator, "postgres")} == {"punctuation"}


@pytest.mark.parametrize("unit", ["'", "/*", "/*/", "$", "$a$b", "E'\\", "E''\n", ":a("])
@pytest.mark.parametrize("dialect", BOTH)
def test_a_long_text_of_anything_is_read_in_linear_time(dialect: Dialect, unit: str) -> None:
    text = unit * (300_000 // len(unit))
    # A moment where it is linear; an hour where it isn't, and then the run's own limit ends it.
    assert sum(len(token.text) for token in tokens(text, dialect)) == len(text)


def test_places_are_counted_from_one_in_characters() -> None:
    text = "é\n\nab\r\nc"
    places = [Lines(text).place(offset) for offset in range(len(text) + 1)]
    assert places == [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (3, 3), (3, 4), (4, 1), (4, 2)]
