"""Scripts: split where the database would split them, refused where nobody could run them."""

from __future__ import annotations

import sqlite3
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgedb.sql.lexer import Dialect, tokens
from forgedb.sql.split import ScriptError, ScriptStatement, split, transaction_control

BOTH: tuple[Dialect, ...] = ("sqlite", "postgres")

# Each can run after any others of them: names don't clash, and nothing is left behind.
SQLITE = [
    "SELECT 1",
    'SELECT \'a;b\', "a;b", `a;b`, [a;b] FROM (SELECT 1 AS "a;b")',
    "SELECT CASE WHEN 1 THEN CASE 2 WHEN 3 THEN ';' END END /* ; */ AS x -- ;\n, 2",
    "INSERT INTO t (begin) VALUES ('it''s; $$')",
    "CREATE TRIGGER IF NOT EXISTS t1 AFTER INSERT ON t BEGIN SELECT 1; END",
    """create temp trigger if not exists t2 before update of "end" on t
       when case when new.begin then 1 else 0 end begin
         -- END;
         select case when 1 then case 2 when 3 then 4 end end as end;
         update t set begin = 'END;' where 0; /* ; */
       end""",
    "CREATE /* ; */ TEMPORARY TRIGGER IF NOT EXISTS t3 DELETE ON t BEGIN DELETE FROM t; END",
    "EXPLAIN QUERY PLAN SELECT 1",
    "EXPLAIN CREATE TRIGGER t4 AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END",
]

POSTGRES = [
    "SELECT 1",
    "SELECT 'a;b', \"a;b\", E'\\';', U&'\\0041;', $$;$$, $a$ ; $$ ; $a$, x$y$z, 1 AS \"x$y$z\"",
    "SELECT E'a'\n  -- ;\n  '\\';'",
    "SELECT a[1:2] /* ; /* ; */ ; */ -- ;\n FROM t",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN RETURN 1; END; $f$",
    """CREATE OR REPLACE FUNCTION f(begin int DEFAULT 1) RETURNS int BEGIN ATOMIC
         SELECT CASE WHEN true THEN CASE 1 WHEN 2 THEN 3 END END AS end;
         SELECT (SELECT 1); /* END */
       END""",
    "create procedure p() begin /* ; */ atomic insert into t values (';'); end",
    "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC END",
    "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC ;; SELECT 1;; END",
    "CREATE FUNCTION begin() RETURNS int RETURN 1",
    "CREATE FUNCTION f(begin atomic) RETURNS int RETURN 1",
    "SELECT begin atomic FROM t",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); DELETE FROM v)",
    "CREATE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "COPY t TO 'rows.csv'",
    "COPY (SELECT 1 FROM stdin) TO 'rows.csv'",
    "COPY stdin FROM 'rows.csv'",
    "SELECT 1 FROM stdin, stdout",
]

STATEMENTS = {"sqlite": SQLITE, "postgres": POSTGRES}

GAPS = ["", " ", "\n", "\r\n\t", "-- a ; 'comment'\n", "/* ; ' \" */", ";", "; ;", "/**/;--\n"]

SOUP = [
    *("'", "''", '"', "`", "[", "]", "/*", "*/", "--", "\n", " ", ";", "; end ;", " END ", "x"),
    *("begin ", "create ", "create trigger ", "temp ", "temporary ", "trigger ", "case ", "a$b"),
    *("1", "é", "%", "$", "@", ":", "\\"),
]


def texts(script: str, dialect: Dialect) -> list[str]:
    return [statement.text for statement in split(script, dialect)]


def scripts(dialect: Dialect) -> st.SearchStrategy[tuple[list[str], str]]:
    """Lists of statements, and a script of them with anything at all in between."""
    gap = st.lists(st.sampled_from(GAPS), max_size=3).map("".join)
    parts = st.lists(st.tuples(gap, st.sampled_from(STATEMENTS[dialect]), gap), max_size=6)

    def joined(drawn: tuple[list[tuple[str, str, str]], str]) -> tuple[list[str], str]:
        pieces, last = drawn
        script = ";".join(before + text + after for before, text, after in pieces) + last
        return [text for _, text, _ in pieces], script

    return st.tuples(parts, gap).map(joined)


@pytest.mark.parametrize("dialect", BOTH)
@settings(deadline=None)
@given(data=st.data())
def test_a_script_is_split_into_exactly_the_statements_it_was_made_of(
    dialect: Dialect, data: st.DataObject
) -> None:
    statements, script = data.draw(scripts(dialect))
    assert texts(script, dialect) == statements


@pytest.mark.parametrize("dialect", BOTH)
@settings(deadline=None)
@given(data=st.data())
def test_every_statement_stands_at_its_line_and_column(
    dialect: Dialect, data: st.DataObject
) -> None:
    _, script = data.draw(scripts(dialect))
    lines = script.split("\n")
    for statement in split(script, dialect):
        rest = "\n".join(
            [lines[statement.line - 1][statement.column - 1 :], *lines[statement.line :]]
        )
        assert rest.startswith(statement.text)


@settings(deadline=None)
@given(scripts("sqlite"))
def test_sqlite_itself_runs_the_same_statements(drawn: tuple[list[str], str]) -> None:
    _, script = drawn
    connection = apsw.Connection("")
    connection.execute('CREATE TABLE t (begin, "end")')
    ran: list[str] = []

    def record(cursor: apsw.Cursor, text: str, bindings: Any) -> bool:
        ran.append(text)
        return True

    connection.exec_trace = record
    for _ in connection.execute(script):
        pass
    whole = [found for text in ran for found in texts(text, "sqlite")]
    ran.clear()
    for statement in split(script, "sqlite"):
        for _ in connection.execute(statement.text):
            pass
    assert ran == whole == texts(script, "sqlite")


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(SOUP)).map("".join))
def test_sqlite_and_the_splitter_agree_on_what_is_complete(text: str) -> None:
    # Whether a comment without its line end is complete depends on SQLite's version.
    script = f"{text}\n"
    try:
        split(script, "sqlite")
        significant = [t for t in tokens(script, "sqlite") if t.kind not in ("space", "comment")]
        complete = bool(significant) and significant[-1].kind == "semicolon"
    except ScriptError:
        complete = False
    assert complete == sqlite3.complete_statement(script)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("script", ["", " \n", ";", " ; ;", "-- a", "/* a; */", "-- a\n;/* b */;"])
def test_a_script_without_statements_gives_none(dialect: Dialect, script: str) -> None:
    assert split(script, dialect) == []


@pytest.mark.parametrize("dialect", BOTH)
def test_a_statement_is_given_with_its_place_and_its_opening_words(dialect: Dialect) -> None:
    script = "-- a\n\n  create unique index concurrently /* b */ x on t (a) -- c\n ;select 1"
    assert split(script, dialect) == [
        ScriptStatement(
            "create unique index concurrently /* b */ x on t (a)",
            3,
            3,
            ("CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", "X", "ON"),
        ),
        ScriptStatement("select 1", 4, 3, ("SELECT",)),
    ]


def test_a_semicolon_in_parentheses_ends_a_statement_on_sqlite() -> None:
    assert texts("SELECT (1; SELECT 2", "sqlite") == ["SELECT (1", "SELECT 2"]


def test_quoted_keywords_begin_and_end_no_body() -> None:
    trigger = 'CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; "END"; END'
    assert texts(f"{trigger}; SELECT 1", "sqlite") == [trigger, "SELECT 1"]
    assert texts('CREATE "TRIGGER" t; END', "sqlite") == ['CREATE "TRIGGER" t', "END"]


REFUSED: list[tuple[Dialect, str, int, int, str]] = [
    ("sqlite", "SELECT 1;\n SELECT 'a;", 2, 9, 'the quote that begins with "\'a;" is never'),
    ("sqlite", "SELECT 1; [a", 1, 11, "the quote that begins with '[a' is never closed"),
    ("sqlite", "SELECT 1\n/* a;", 2, 1, "the comment that begins with '/* a;' is never closed"),
    (
        "sqlite",
        ";\n CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1;\n",
        2,
        2,
        "CREATE TRIGGER T",
    ),
    ("sqlite", "CREATE TEMP TRIGGER t INSERT ON x BEGIN SELECT 1; END x;", 1, 1, "no end"),
    ("postgres", "SELECT 1;\n SELECT E'\\';", 2, 9, "the quote that begins with"),
    ("postgres", "SELECT $a$ $b$", 1, 8, "the quote that begins with '$a$ $b$' is never closed"),
    ("postgres", "/* /* */", 1, 1, "the comment that begins with '/* /* */' is never closed"),
    ("postgres", "SELECT f(\n(1);", 1, 9, "'(' is never closed: close it"),
    (
        "postgres",
        "\nCREATE FUNCTION f() BEGIN ATOMIC SELECT 1;",
        2,
        1,
        "the body of CREATE FUNCTION F",
    ),
    ("postgres", "SELECT 1;\n\\connect it's\n", 2, 1, "a backslash command is psql's, not SQL"),
    ("postgres", "SELECT 1 \\gset", 1, 10, "a backslash command is psql's, not SQL"),
    (
        "postgres",
        "SELECT 1; copy t (a) from /**/ stdin;\nit's\n\\.\n",
        1,
        11,
        "COPY ... FROM STDIN",
    ),
    ("postgres", "COPY t FROM STDIN WITH (FORMAT csv)", 1, 1, "use INSERT"),
    ("postgres", "COPY t FROM STDOUT", 1, 1, "use INSERT"),
    ("postgres", "SELECT 1; COPY (SELECT 1) TO STDOUT", 1, 11, "COPY ... TO STDOUT needs a client"),
    ("postgres", "COPY t TO stdin", 1, 1, "takes the rows: take it out"),
]


@pytest.mark.parametrize(("dialect", "script", "line", "column", "why"), REFUSED)
def test_a_script_that_cannot_be_split_is_refused_with_the_place_and_the_reason(
    dialect: Dialect, script: str, line: int, column: int, why: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        split(script, dialect)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert why in error.why
    assert str(error) == f"{line}:{column}: {error.why}"


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("begin", "BEGIN"),
        ("/* a */ BEGIN -- b\n IMMEDIATE", "BEGIN"),
        ("START /* a */ TRANSACTION READ ONLY", "START TRANSACTION"),
        ("Commit", "COMMIT"),
        ("COMMIT PREPARED 'a'", "COMMIT"),
        ("END", "END"),
        ("ROLLBACK TO a", "ROLLBACK"),
        ("SAVEPOINT a", "SAVEPOINT"),
        ("RELEASE a", "RELEASE"),
        ("ABORT", "ABORT"),
        ("PREPARE TRANSACTION 'a'", "PREPARE TRANSACTION"),
        ("PREPARE transaction_count AS SELECT 1", None),
        ('"BEGIN"', None),
        ("(SELECT 1)", None),
        ("SELECT begin", None),
    ],
)
@pytest.mark.parametrize("dialect", BOTH)
def test_transaction_control_is_told_by_its_keyword(
    dialect: Dialect, text: str, keyword: str | None
) -> None:
    (statement,) = split(f"{text};", dialect)
    assert transaction_control(statement) == keyword


@pytest.mark.parametrize(
    ("dialect", "text"), [(dialect, text) for dialect in BOTH for text in STATEMENTS[dialect]]
)
def test_a_body_with_begin_and_end_is_no_transaction_control(dialect: Dialect, text: str) -> None:
    (statement,) = split(text, dialect)
    assert transaction_control(statement) is None
