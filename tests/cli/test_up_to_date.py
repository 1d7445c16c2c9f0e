"""A plain ``migrate`` with nothing to do: answered early, and as the command itself answers."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forgedb
from forgedb.drivers.sqlite.url import url_of
from forgedb.drivers.url import DEFAULT_URL
from forgedb.migrations.up_to_date import DEFAULT, PREFIX, is_up_to_date
from tests.cli.test_starting import modules_of, tops

NOTHING = "nothing to apply\n"

Change = Callable[[Path], None]


def run(*statements: str) -> Change:
    def change(file: Path) -> None:
        with sqlite3.connect(file, isolation_level=None) as raw:
            for statement in statements:
                raw.execute(statement)
        raw.close()

    return change


def leave(file: Path) -> None:
    """As it is."""


def remove(file: Path) -> None:
    file.unlink()


def spoil(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)


def empty(file: Path) -> None:
    file.write_bytes(b"")


VIEW = (
    "ALTER TABLE schema_migrations RENAME TO kept",
    "CREATE VIEW schema_migrations AS SELECT * FROM kept",
)

CHANGES: dict[str, Change] = {
    "nothing": leave,
    "no file": remove,
    "no database": spoil,
    "an empty file": empty,
    "one is lacking": run("DELETE FROM schema_migrations WHERE version = 3"),
    "one was edited": run("UPDATE schema_migrations SET checksum = replace(checksum, 'a', 'b')"),
    "one was renamed": run("UPDATE schema_migrations SET name = 'other' WHERE version = 2"),
    "a newer one": run(
        "INSERT INTO schema_migrations SELECT 4, name, checksum, applied_at, duration_ms"
        " FROM schema_migrations WHERE version = 3"
    ),
    "no history": run("DROP TABLE schema_migrations"),
    "a view": run(*VIEW),
    "a trigger": run(
        "CREATE TRIGGER strange AFTER INSERT ON schema_migrations BEGIN SELECT 1; END"
    ),
    "one begun": run("CREATE TABLE schema_migrations_begun (version)"),
    "a table of one's own": run("CREATE TABLE stars (id)"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "forge.db"
    with forgedb.connect(f"sqlite:///{file}") as db:
        db.migrate()
    return file


def environment_of(file: Path, **more: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    return {**kept, "FORGEDB_URL": f"sqlite:///{file}", **more}


def command_line(file: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command itself, not asked whether it is needed, in the file's folder."""
    words = "import forgedb.cli; forgedb.cli.main()"
    command = [sys.executable, "-c", words, *arguments]
    environment = environment_of(file, **more)
    return subprocess.run(
        command, env=environment, cwd=file.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_answers_early_only_what_the_command_answers(file: Path, change: Change) -> None:
    change(file)
    was_early = is_up_to_date(["migrate"], environment_of(file))
    done = command_line(file, "migrate")
    if was_early:
        assert (done.returncode, done.stdout, done.stderr) == (0, NOTHING, "")
    assert was_early == (change in (leave, CHANGES["a table of one's own"]))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["status"],
        ["migrate", "--json"],
        ["migrate", "status"],
        ["--url", "x", "migrate"],
        ["--url", "migrate"],
        ["migrate", "--url"],
        ["--url", "sqlite:///forge.db", "status"],
        ["--url", "sqlite:///forge.db", "migrate", "--url", "sqlite:///forge.db"],
        ["--actor", "sqlite:///forge.db", "migrate"],
        ["migrate", "--dir", "sqlite:///forge.db"],
    ],
)
def test_whatever_is_asked_for_beside_it_is_for_the_command(
    file: Path, arguments: list[str]
) -> None:
    assert not is_up_to_date(arguments, environment_of(file))


@pytest.mark.parametrize(
    "more",
    [
        {"FORGEDB_ACTOR": ""},
        {"FORGEDB_ACTOR": "user:\u202eada"},
        {"FORGEDB_ACTOR": " ada"},
        {"FORGEDB_URL": ""},
        {"FORGEDB_URL": "sqlite://"},
        {"FORGEDB_URL": "sqlite:///"},
        {"FORGEDB_URL": "postgresql://localhost/forge"},
    ],
)
def test_an_environment_that_must_be_looked_at_is_for_the_command(
    file: Path, more: dict[str, str]
) -> None:
    assert not is_up_to_date(["migrate"], environment_of(file, **more))
    assert is_up_to_date(["migrate"], environment_of(file, FORGEDB_ACTOR="service:deploy-1"))


UNSET = {"FORGEDB_URL": "", "DB_DRIVER": "", "DB_PATH": "", "DATABASE_URL": ""}


@pytest.mark.parametrize(
    ("arguments", "more", "early"),
    [
        (["--url", "sqlite:///forge.db", "migrate"], {"FORGEDB_URL": "sqlite:///other.db"}, True),
        (["migrate", "--url", "sqlite:///forge.db"], {"DB_DRIVER": "oracle"}, True),
        (["--url=sqlite:///forge.db", "migrate"], {}, True),
        (["migrate", "--url=sqlite:///forge.db"], {}, True),
        (["migrate"], {}, True),
        (["migrate"], {"DB_PATH": "other.db"}, True),
        (["migrate"], {"DATABASE_URL": "sqlite:///forge.db"}, True),
        (["migrate"], {"DATABASE_URL": "sqlite:///:memory:"}, False),
        (["migrate"], {"DB_DRIVER": "sqlite", "DB_PATH": "other.db"}, False),
        (["migrate"], {"DB_DRIVER": "pg", "DATABASE_URL": "sqlite:///forge.db"}, False),
        (["migrate", "--url", "sqlite:///:memory:"], {}, False),
        (["migrate", "--url", "sqlite:///forge%2Edb"], {}, False),
        (["migrate", "--url", "sqlite:///forge.db?mode=ro"], {}, False),
        (["migrate", "--url", "sqlite:forge.db"], {}, False),
        (["migrate", "--url", "forge.db"], {}, False),
        (["migrate", "--url="], {}, False),
    ],
)
def test_the_file_is_the_one_that_the_command_takes(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    more: dict[str, str],
    early: bool,
) -> None:
    # A file of this name is no database in memory.
    file.with_name(":memory:").write_bytes(file.read_bytes())
    monkeypatch.chdir(file.parent)
    assert is_up_to_date(arguments, {**UNSET, **more}) == early
    done = command_line(file, *arguments, **{**UNSET, **more})
    if early:
        assert (done.returncode, done.stdout, done.stderr) == (0, NOTHING, "")
        file.rename(file.with_name("another.db"))
        assert not is_up_to_date(arguments, {**UNSET, **more})


def test_the_default_is_the_commands() -> None:
    assert (DEFAULT_URL, url_of("")) == (DEFAULT, PREFIX)


def test_options_in_the_url_are_for_the_command(file: Path) -> None:
    given = environment_of(file, FORGEDB_URL=f"sqlite:///{file}?synchronous=OFF")
    assert not is_up_to_date(["migrate"], given)


def test_it_imports_nothing_of_the_command_line_and_leaves_nothing_behind(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGEDB_URL", f"sqlite:///{file}")
    monkeypatch.delenv("FORGEDB_ACTOR", raising=False)
    for arguments in (["migrate"], ["--url", f"sqlite:///{file}", "migrate"]):
        modules = modules_of("-m", "forgedb", *arguments)
        assert "apsw" in tops(modules)
        assert not tops(modules) & {"click", "msgspec", "rich", "psycopg", "typing"}
        assert "forgedb.cli" not in modules
    assert [each.name for each in file.parent.iterdir()] == ["forge.db"]


def test_the_program_says_it(file: Path) -> None:
    command = [sys.executable, "-m", "forgedb", "migrate"]
    done = subprocess.run(
        command, env=environment_of(file), capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (NOTHING, "")
    run("DELETE FROM schema_migrations WHERE version = 3")(file)
    done = subprocess.run(
        command, env=environment_of(file), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
