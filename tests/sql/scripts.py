"""SQL scripts that nobody wrote, for tests that compare how they are read; nothing is run here."""

from __future__ import annotations

from hypothesis import strategies as st

LITERALS = [
    "'a;b'",
    "'it''s; here'",
    "'\\'",
    "E'\\';'",
    "E'a'\n -- ;\n '\\';'",
    "$$;'$$",
    "$tag$ ; $$ ; $other$ $tag$",
    "$a1$;$a1$",
    "x$a$",
    '"a;b"',
    '"a"";"',
    "U&'\\0041;'",
    "B'01'",
    "1",
    "a.b",
    "CASE WHEN true THEN ';' ELSE CASE 1 WHEN 2 THEN 'END;' END END",
    "(SELECT ';')",
    "ARRAY[1, 2]",
]
COMMENTS = ["", " ", "\n", "/* ; */", "/* /* ; */ ; */", "-- ; '\n", "/* $$ */", "\t", "--\r"]
FORMS = [
    "SELECT {0} AS a, {1}",
    "SELECT {0} {c} FROM t {c} WHERE {1} IS NULL",
    "INSERT INTO t VALUES ({0}, {1})",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {c} RETURN {0}; END; $f$",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT {0}; {c} SELECT {1}; END",
    "CREATE OR REPLACE PROCEDURE f() BEGIN {c} ATOMIC {c} END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT {0}; {c} SELECT {1})",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW WHEN ({0} IS NULL) EXECUTE FUNCTION f()",
    "DO $do$ BEGIN PERFORM {0}; END $do$",
    "COMMENT ON TABLE t IS 'a;b'",
]

SQLITE_LITERALS = [
    "'a;b'",
    "'it''s; here'",
    '"a;b"',
    "`a;b`",
    "[a;b]",
    "x'00'",
    "1",
    "CASE WHEN 1 THEN ';' ELSE CASE 1 WHEN 2 THEN 'END;' END END",
    "(SELECT ';')",
]
SQLITE_COMMENTS = ["", " ", "\n", "/* ; */", "-- ; '\n", "/* END; */", "\t"]
SQLITE_FORMS = [
    "SELECT {0} AS a, {1}",
    "INSERT INTO t VALUES ({0}, {1})",
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN {c} SELECT {0}; UPDATE t SET a = {1}; {c} END",
    "CREATE TEMP TRIGGER g DELETE ON t WHEN {0} BEGIN DELETE FROM t WHERE {1}; END",
    "CREATE TRIGGER IF NOT EXISTS g UPDATE OF a ON t BEGIN SELECT {0}, END FROM t; END",
    "CREATE TABLE end (begin DEFAULT {0}, CHECK ({1}))",
    "EXPLAIN SELECT {0}",
]

# What begins and ends PostgreSQL's tokens, and what looks as if it did.
PIECES = [
    *("'", "''", "E'", "e'", "U&'", "N'", "b'", "x'", '"', 'U&"', "\\", "\\'", "$$", "$a$", "$1"),
    *("$", "--", "/*", "*/", "\n", "\r", " ", "\t", "\f", "\u00a0", ";", "(", ")", "::", ":a"),
    *("+", "-", "*", "/", "@", "a", "é", "_", "1", "1.5", "1e5", "x"),
]


def postgres_scripts() -> st.SearchStrategy[str]:
    """Scripts that PostgreSQL's parser takes, which knows nothing of the names in them."""
    return _scripts(FORMS, LITERALS, COMMENTS)


def sqlite_scripts() -> st.SearchStrategy[str]:
    """Scripts whose statements end where SQLite sees them end; not all of them could run."""
    return _scripts(SQLITE_FORMS, SQLITE_LITERALS, SQLITE_COMMENTS)


def postgres_pieces() -> st.SearchStrategy[str]:
    """Text of pieces of PostgreSQL's tokens, which is no SQL but by chance."""
    return st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def _scripts(forms: list[str], literals: list[str], comments: list[str]) -> st.SearchStrategy[str]:
    comment, literal = st.sampled_from(comments), st.sampled_from(literals)

    def filled(form: str) -> st.SearchStrategy[str]:
        made = st.builds(
            lambda first, second, inner: form.format(first, second, c=inner),
            literal,
            literal,
            comment,
        )
        return st.builds(
            lambda before, text, after: f"{before}{text}{after}", comment, made, comment
        )

    several = st.lists(st.sampled_from(forms).flatmap(filled), min_size=1, max_size=6)
    # The last semicolon may be missing, and others be there for nothing.
    return st.builds(
        lambda statements, between, last: between.join(statements) + last,
        several,
        st.sampled_from([";", "\n;", ";;", ";\n-- ;\n;"]),
        st.sampled_from(["", ";", ";\n", "; /* ; */"]),
    )
