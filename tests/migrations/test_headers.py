"""What a file says of how it is to be run, above its SQL; what can't be meant is refused."""

from __future__ import annotations

import pytest

from forgedb import MigrationError
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.header import DIRECTIVES, Directive, header_of
from forgedb.migrations.script import Mode, parse
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import A, Folder


def _mode(text: str, dialect: Dialect = "sqlite") -> Mode:
    return parse(MigrationFile(1, "a", "0001_a.sql", text, ""), dialect).mode


@pytest.mark.parametrize(
    ("header", "mode"),
    [
        ("", "transaction"),
        ("-- forgedb is great\n", "transaction"),
        ("-- forgedb: no-transaction\n", "no-transaction"),
        ("-- forgedb: rebuild\n", "rebuild"),
        ("--forgedb:rebuild  \n", "rebuild"),
        ("\n\n  -- Forgedb:\tREBUILD\n", "rebuild"),
        ("-- why\n/* how */ -- forgedb: no-transaction\n-- more\n", "no-transaction"),
        ("-- forgedb: rebuild\n-- forgedb: rebuild\n", "rebuild"),
        ("/* forgedb: rebuild */\n", "rebuild"),
        ("/*\n  forgedb: no-transaction\n*/", "no-transaction"),
        ("-- forgedb no-transaction\n", "no-transaction"),
        ("-- forgedb rebuilds this table\n", "transaction"),
        ("-- forgedb rebuild now\n", "transaction"),
        ("-- forgedbrebuild\n", "transaction"),
        ("; -- forgedb: rebuild\n", "rebuild"),
    ],
)
def test_a_header_says_how_the_file_is_run(header: str, mode: Mode) -> None:
    assert _mode(f"{header}{A}") == mode


def test_what_is_no_comment_is_no_header() -> None:
    assert _mode("SELECT '\n-- forgedb: rebuild\n', \"-- forgedb: x\"") == "transaction"


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        (f"-- forgedb: fast\n{A}", (1, 1), "'fast' is nothing that it can ask for: one of no-tra"),
        (f"-- forgedb:\n{A}", (1, 1), "'' is nothing that it can ask for"),
        (f"-- é\n  -- forgedb: rebuild now\n{A}", (2, 3), "'rebuild now' is nothing"),
        (f"{A}\n\n   -- forgedb: no-transaction\n", (3, 4), "too late: move it above the SQL"),
        (f"{A} -- forgedb: no-transaction", (1, 42), "too late: move it above the SQL"),
        ("SELECT\n-- forgedb: no-transaction\n1", (2, 1), "too late"),
        (
            f"-- forgedb: no-transaction\n-- forgedb: rebuild\n{A}",
            (2, 1),
            "the file asks for no-transaction already: split it into two files",
        ),
    ],
)
def test_a_header_that_can_not_be_followed_is_refused_before_anything_runs(
    folder: Folder, text: str, place: tuple[int, int], why: str
) -> None:
    folder.write(m0001_a=A, m0002_b=text)
    with pytest.raises(MigrationError, match=why) as refused:
        folder.runner.migrate()
    assert (refused.value.line, refused.value.column) == place
    assert str(refused.value).startswith(f"0002_b.sql:{place[0]}:{place[1]}: ")
    assert folder.tables() == set()
    assert folder.labels() == []


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directive with a value, which a table more is enough for."""
    directive = Directive(value=r"[0-9]+", form="N", without=frozenset({"rebuild"}))
    monkeypatch.setitem(DIRECTIVES, "order", directive)


@pytest.mark.usefixtures("ordered")
@pytest.mark.parametrize(
    ("header", "given"),
    [
        ("-- forgedb: order 7\n", {"order": "7"}),
        (
            "/* forgedb: ORDER\n\t7 */ -- forgedb: no-transaction",
            {"order": "7", "no-transaction": ""},
        ),
        ("-- forgedb order 7\n-- forgedb: order 7\n", {"order": "7"}),
        ("-- forgedb order of things\n", {}),
    ],
)
def test_a_directive_may_have_a_value(header: str, given: dict[str, str]) -> None:
    assert header_of(MigrationFile(1, "a", "0001_a.sql", f"{header}\n{A}", ""), "sqlite") == given


@pytest.mark.usefixtures("ordered")
@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("-- forgedb: order\n", "'order' is nothing .*: one of no-trans.*, order N;"),
        ("-- forgedb: order x\n", "'order x' is nothing that it can ask for"),
        ("-- forgedb: order 7\n-- forgedb: order 8\n", ":2:1: the file asks for order 7 already"),
        ("-- forgedb: rebuild\n-- forgedb: order 8\n", ":2:1: the file asks for rebuild already"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(header: str, why: str) -> None:
    with pytest.raises(MigrationError, match=why):
        header_of(MigrationFile(1, "a", "0001_a.sql", f"{header}{A}", ""), "sqlite")


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_rebuild_is_refused_on_postgresql_which_alters_tables_in_place(folder: Folder) -> None:
    folder.write(m0001_a=f"-- why\n-- forgedb: rebuild\n{A}")
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:2:1: PostgreSQL alters tables in pl"):
        folder.runner.migrate()
    assert folder.tables() == set()
