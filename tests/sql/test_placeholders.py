"""``:name`` parameters: found where they are parameters, left alone everywhere else."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgedb.errors import UsageError
from forgedb.sql.lexer import Dialect
from forgedb.sql.placeholders import compile_text

NO_PARAMETER = {
    "sqlite": [
        *("':a'", '":a"', "`:a`", "[:a]", "/* :a ? */ 1", "'it''s :a'", "5 % 2", "'%s'", "'%(a)s'"),
        *("""'{"a": 1}' ->> '$.a'""", "1 -- :a @b $c ?\n", "CASE WHEN 1 THEN ':a' END"),
    ],
    "postgres": [
        *("':a'", '":a"', "$$:a$$", "$q$:a $1$q$", "E'\\':a'", "/* :a /* $1 */ :b */ 1", "5 % 2"),
        *("'%s'", "'%(a)s'", "1::text", "a[1:2]", "a[x : y]", "f(x := 1)", "j ? 'k'", "j ?| x"),
        *("j @> '{}'", "j ->> 'k'", "j #>> '{k}'", "1 -- :a $1\n"),
    ],
}


def undone(text: str, names: tuple[str, ...]) -> str:
    """What psycopg makes of its text again, with the values' places named as they were."""
    return text % {name: f":{name}" for name in names}


@pytest.mark.parametrize("text", NO_PARAMETER["sqlite"])
def test_sqlite_text_without_parameters_is_left_alone(text: str) -> None:
    assert compile_text(text, "sqlite") == (text, ())


@pytest.mark.parametrize("text", NO_PARAMETER["postgres"])
def test_postgres_text_without_parameters_only_has_its_percents_doubled(text: str) -> None:
    assert compile_text(text, "postgres") == (text.replace("%", "%%"), ())


def test_names_come_in_the_order_of_first_appearance_and_once() -> None:
    text = "SELECT :b, :a, ':c', :b, :_d1"
    assert compile_text(text, "sqlite") == (text, ("b", "a", "_d1"))
    assert compile_text(text, "postgres") == (
        "SELECT %(b)s, %(a)s, ':c', %(b)s, %(_d1)s",
        ("b", "a", "_d1"),
    )


def test_a_cast_of_a_parameter_is_a_parameter_and_a_cast() -> None:
    assert compile_text(":a::int + :b::text", "postgres").text == "%(a)s::int + %(b)s::text"


def test_percents_survive_everywhere_beside_a_parameter() -> None:
    text = """SELECT :a % 2, '%(a)s', "50%", $$%%$$ /* % */ -- %s"""
    compiled = compile_text(text, "postgres")
    assert compiled.text == """SELECT %(a)s %% 2, '%%(a)s', "50%%", $$%%%%$$ /* %% */ -- %%s"""
    assert undone(*compiled) == text


def test_an_array_slice_up_to_a_name_is_a_parameter_unless_spaced() -> None:
    assert compile_text("a[low:high]", "postgres").names == ("high",)
    assert compile_text("a[low: high]", "postgres") == ("a[low: high]", ())


@pytest.mark.parametrize(
    ("dialect", "parameter"),
    [
        *(("sqlite", text) for text in ("?", "?1", "@a", "$a", "#a", ":1", ":é", ":a$b")),
        *(("sqlite", text) for text in (":a::int", ":a(b)")),
        *(("postgres", text) for text in ("$1", ":é", ":a$b")),
    ],
)
def test_any_other_style_of_parameter_is_refused_with_its_place(
    dialect: Dialect, parameter: str
) -> None:
    with pytest.raises(UsageError) as caught:
        compile_text(f"SELECT :fine,\n {parameter}", dialect)
    assert str(caught.value) == (
        f"SQL text, 2:2: {parameter!r} is not a parameter that forgedb takes:"
        " write it as :name, in ASCII"
    )


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
@pytest.mark.parametrize("text", ["SELECT\n  'a", "SELECT\n  /* :a", 'SELECT\n  "a""'])
def test_text_with_an_open_quote_or_comment_is_refused_with_its_place(
    dialect: Dialect, text: str
) -> None:
    with pytest.raises(UsageError, match=r"SQL text, 2:3: the .* is never closed"):
        compile_text(text, dialect)


PIECES = st.sampled_from([":a", ":b_2", ":_", *(f"({text})" for text in NO_PARAMETER["sqlite"])])


@settings(deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=8))
def test_sqlite_itself_finds_the_same_parameters(pieces: list[str]) -> None:
    compiled = compile_text(f"SELECT {', '.join(pieces)} FROM (SELECT 1 AS ':a')", "sqlite")
    cursor = apsw.Connection("").cursor()
    cursor.execute(compiled.text, dict.fromkeys(compiled.names, 1))
    assert cursor.bindings_names == compiled.names
    assert set(compiled.names) == {piece[1:] for piece in pieces if piece.startswith(":")}


@settings(deadline=None)
@given(st.lists(st.sampled_from([":a", ":b ", *NO_PARAMETER["postgres"]])).map(" ".join))
def test_psycopg_text_says_what_the_text_said(text: str) -> None:
    assert undone(*compile_text(text, "postgres")) == text
