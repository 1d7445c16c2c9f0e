"""Coming from another tool: its files become ours, and its history too, without a statement run."""

from __future__ import annotations

from hashlib import sha384
from pathlib import Path
from typing import Any

import pytest

from forgedb import Database, MigrationError, UsageError
from forgedb.migrations import Migrator

GOOSE_ID = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "serial PRIMARY KEY"}
BYTES = {"sqlite": "BLOB", "postgres": "bytea"}

STARS = "CREATE TABLE stars (id INTEGER PRIMARY KEY);\n"
FANS = "CREATE TABLE fans (id INTEGER PRIMARY KEY);\n"

FILES: dict[str, dict[str, str]] = {
    "dbmate": {
        "20240101_create_Stars.sql": f"-- migrate:up\n{STARS}-- migrate:down\nDROP TABLE stars;\n",
        "20240102_fans.sql": (f"-- migrate:up transaction:false\n{FANS}\n-- migrate:down\n"),
        "20240103_nothing.sql": "-- migrate:up\n\n-- migrate:down\n",
        "20240104_more.sql": "-- migrate:up\nCREATE TABLE more (id INTEGER)\n-- migrate:down\n",
    },
    "goose": {
        "00001_create_stars.sql": f"-- +goose Up\n{STARS}-- +goose Down\nDROP TABLE stars;\n",
        "00002_fans.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{FANS}",
        "00003_nothing.sql": "-- +goose Up\n-- nothing\n-- +goose Down\n",
        "00004_more.sql": (
            "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE more (id INTEGER)\n"
            "-- +goose StatementEnd\n"
        ),
        "helpers.go": "package migrations\n",
    },
    "golang-migrate": {
        "1_create_stars.up.sql": f"BEGIN;\n{STARS}COMMIT;\n",
        "1_create_stars.down.sql": "DROP TABLE stars;\n",
        "2_fans.up.sql": FANS,
        "3_nothing.up.sql": "",
        "4_more.up.sql": "CREATE TABLE more (id INTEGER)",
        "README.md": "about\n",
    },
    "sqlx": {
        "20240101_create_stars.sql": STARS,
        "20240102_fans.up.sql": f"-- no-transaction\n{FANS}",
        "20240102_fans.down.sql": "DROP TABLE fans;\n",
        "20240103_nothing.sql": "-- Add migration script here\n",
        "20240104_more.sql": "CREATE TABLE more (id INTEGER)",
    },
}


def numbers(tool: str) -> list[int]:
    first = {"dbmate": 20240101, "sqlx": 20240101}.get(tool, 1)
    return [first, first + 1, first + 2]


def history_of(tool: str, db: Database, files: dict[str, str]) -> None:
    """The table of the tool as it makes it, with the first three files in it."""
    dialect, execute = db.client.dialect, db.client.execute
    first, second, third = numbers(tool)
    if tool == "dbmate":
        execute("CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)")
        execute(f"INSERT INTO schema_migrations VALUES ('{first}'), ('{second}'), ('{third}')")
    elif tool == "goose":
        execute(
            f"CREATE TABLE goose_db_version (id {GOOSE_ID[dialect]}, version_id bigint NOT NULL,"
            " is_applied boolean NOT NULL, tstamp timestamp)"
        )
        execute(
            "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true),"
            " (2, true), (3, true), (4, true), (4, false)"
        )
    elif tool == "golang-migrate":
        execute("CREATE TABLE schema_migrations (version bigint NOT NULL, dirty boolean NOT NULL)")
        execute("INSERT INTO schema_migrations VALUES (3, false)")
    else:
        execute(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,"
            " installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,"
            f" checksum {BYTES[dialect]} NOT NULL, execution_time BIGINT NOT NULL)"
        )
        for file, text in files.items():
            version = int(file.partition("_")[0])
            if version <= third and ".down" not in file:
                execute(
                    "INSERT INTO _sqlx_migrations VALUES (:version, 'x', CURRENT_TIMESTAMP, true,"
                    " :sum, 1)",
                    {"version": version, "sum": sha384(text.encode()).digest()},
                )


class Adopting:
    """A folder of a tool's, its database, and where it goes."""

    def __init__(self, tool: Any, db: Database, path: Path) -> None:
        self.tool, self.db = tool, db
        self.theirs, self.ours = path / "theirs", path / "ours"
        self.theirs.mkdir()
        self.files = dict(FILES[tool])
        for file, text in self.files.items():
            (self.theirs / file).write_text(text)

    def with_history(self) -> Adopting:
        history_of(self.tool, self.db, self.files)
        return self

    @property
    def migrator(self) -> Migrator:
        return Migrator(self.db, self.ours, table="own_history")

    def adopt(self, **options: Any) -> Any:
        return self.migrator.adopt(self.tool, self.theirs, **options)


@pytest.fixture(params=[*FILES])
def adopting(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Adopting:
    return Adopting(request.param, db, tmp_path)


def named(adopting: Adopting) -> list[str]:
    words = ["create_stars", "fans", "nothing", "more"]
    first = numbers(adopting.tool)[0]
    digits = {"goose": 4, "golang-migrate": 4}.get(adopting.tool, 8)
    return [f"{first + place:0{digits}}_{each}" for place, each in enumerate(words)]


def test_files_and_history_are_taken_over_and_nothing_is_run(adopting: Adopting) -> None:
    taken = adopting.with_history().adopt()
    assert [entry.label for entry in taken.recorded] == named(adopting)[:3]
    assert [*taken.pending] == named(adopting)[3:]
    assert sorted(each.name for each in adopting.ours.iterdir()) == [
        f"{label}.sql" for label in named(adopting)
    ]
    states = [each.state for each in adopting.migrator.states()]
    assert states == ["applied", "applied", "applied", "pending"]
    # Nothing was run: not even the first file's table is there, which the next ones don't need.
    assert [entry.label for entry in adopting.migrator.migrate()] == named(adopting)[3:]
    assert adopting.db.client.query("SELECT id FROM more") == []
    with pytest.raises(UsageError, match="stars"):
        adopting.db.client.query("SELECT id FROM stars")


def test_what_was_taken_over_makes_the_same_in_a_new_database(adopting: Adopting) -> None:
    taken = adopting.adopt()
    assert (taken.recorded, len(taken.pending), len(taken.empty)) == ([], 4, 1)
    assert taken.history is None
    assert len(adopting.migrator.migrate()) == 4
    for table in ("stars", "fans", "more"):
        assert adopting.db.client.query(f"SELECT id FROM {table}") == []


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_way_down_is_told_and_stays_where_it_is(adopting: Adopting) -> None:
    before = {each.name: each.read_bytes() for each in adopting.theirs.iterdir()}
    assert adopting.adopt().downs
    assert {each.name: each.read_bytes() for each in adopting.theirs.iterdir()} == before
    assert "DROP" not in "".join(each.read_text() for each in adopting.ours.iterdir())


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_runs_in_no_transaction_there_does_so_here(adopting: Adopting) -> None:
    adopting.adopt()
    (fans,) = adopting.ours.glob("*_fans.sql")
    alone = adopting.tool != "golang-migrate"
    assert fans.read_text().startswith("-- forgedb: no-transaction\n") == alone


def test_a_second_database_is_taken_over_with_the_files_that_are_there(
    adopting: Adopting,
) -> None:
    adopting.with_history().adopt()
    second = Migrator(adopting.db, adopting.ours, table="second")
    assert len(second.adopt(adopting.tool, adopting.theirs).recorded) == 3
    with pytest.raises(UsageError, match="has a history already"):
        adopting.adopt()
    next(adopting.ours.iterdir()).write_text("SELECT 2;")
    third = Migrator(adopting.db, adopting.ours, table="third")
    with pytest.raises(UsageError, match="with another text"):
        third.adopt(adopting.tool, adopting.theirs)


UNSOUND = {
    "dbmate": ("INSERT INTO schema_migrations VALUES ('7')", "version 7, of which there is no"),
    "goose": (
        "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, true)",
        "version 7, of which there is no",
    ),
    "golang-migrate": ("UPDATE schema_migrations SET dirty = true", "version 3 is dirty.*force 3"),
    "sqlx": (
        "UPDATE _sqlx_migrations SET success = false WHERE version = 20240102",
        "20240102 failed",
    ),
}


def test_a_history_that_is_not_sound_is_refused_and_nothing_written(adopting: Adopting) -> None:
    statement, why = UNSOUND[adopting.tool]
    adopting.with_history()
    adopting.db.client.execute(statement)
    with pytest.raises(UsageError, match=why):
        adopting.adopt()
    assert not adopting.ours.exists()


def test_a_table_that_is_not_the_tools_is_refused(adopting: Adopting) -> None:
    adopting.db.client.execute("CREATE TABLE history (x INTEGER)")
    with pytest.raises(UsageError, match="the table history has the columns x, and not"):
        adopting.adopt(history="history")
    with pytest.raises(UsageError, match="no table's name"):
        adopting.adopt(history="a; DROP TABLE history")


@pytest.mark.parametrize("adopting", ["sqlx"], indirect=True)
def test_their_folder_is_not_written_to(adopting: Adopting) -> None:
    before = sorted(each.name for each in adopting.theirs.iterdir())
    with pytest.raises(UsageError, match="other tool's folder, which stays"):
        Migrator(adopting.db, adopting.theirs, table="x").adopt("sqlx", adopting.theirs)
    assert sorted(each.name for each in adopting.theirs.iterdir()) == before


@pytest.mark.parametrize("adopting", ["sqlx"], indirect=True)
def test_a_file_that_was_edited_after_sqlx_ran_it_is_refused(adopting: Adopting) -> None:
    adopting.with_history()
    (adopting.theirs / "20240101_create_stars.sql").write_text(f"{STARS}-- more\n")
    with pytest.raises(UsageError, match="20240101 was edited since"):
        adopting.adopt()


BAD = [
    ("dbmate", "20240105_x.sql", "SELECT 1;", "must have one `-- migrate:up`"),
    ("dbmate", "20240105_x.sql", "SELECT 1;\n-- migrate:up\nSELECT 1;", "statements above"),
    ("dbmate", "9_x.sql", "-- migrate:up\nSELECT 1;", "pad the numbers alike"),
    ("goose", "00005_x.sql", "SELECT 1;", r"must have a line `-- \+goose Up`"),
    ("goose", "00005_x.sql", "-- +goose ENVSUB ON\n-- +goose Up\nSELECT 1;", "write them out"),
    ("goose", "00005_x.go", "package x", "in Go"),
    ("golang-migrate", "4_x.up.sql", "SELECT 1;", "has the same number"),
    ("golang-migrate", "5_x.up.py", "SELECT 1;", "is no SQL"),
    ("sqlx", "20240105_x.sql", "SELECT 1; COMMIT; SELECT 2;", "COMMIT is refused"),
]


@pytest.mark.parametrize(("adopting", "file", "text", "why"), BAD, indirect=["adopting"])
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_file_that_can_not_be_taken_over_is_named(
    adopting: Adopting, file: str, text: str, why: str
) -> None:
    (adopting.theirs / file).write_text(text)
    with pytest.raises(MigrationError, match=why) as refused:
        adopting.adopt()
    assert file.partition(".")[0].lstrip("0") in str(refused.value)
    assert not adopting.ours.exists()


@pytest.mark.parametrize("adopting", ["sqlx"], indirect=True)
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_foreign_keys_that_are_off_for_a_file_make_it_a_rebuild(adopting: Adopting) -> None:
    (adopting.theirs / "20240105_x.sql").write_text(
        "-- no-transaction\nPRAGMA foreign_keys = OFF;\nBEGIN;\nDROP TABLE more;\nCOMMIT;\n"
        "PRAGMA foreign_keys = ON;\n"
    )
    adopting.adopt()
    text = (adopting.ours / "20240105_x.sql").read_text()
    assert text.startswith("-- forgedb: rebuild\n")
    assert "PRAGMA" not in text
    assert "COMMIT" not in text
    assert len(adopting.migrator.migrate()) == 5


def test_a_tool_that_is_not_known_is_refused(db: Database, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of dbmate, goose, golang-migrate, sqlx"):
        Migrator(db, tmp_path / "ours").adopt("flyway", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no file that the tool would run"):
        Migrator(db, tmp_path / "ours").adopt("goose", tmp_path)
    with pytest.raises(UsageError, match="give a folder"):
        Migrator(db).adopt("goose", tmp_path)


def test_a_history_of_the_same_name_is_left_alone(db: Database, tmp_path: Path) -> None:
    adopting = Adopting("dbmate", db, tmp_path).with_history()
    with pytest.raises(UsageError, match=r"another program's.*--table"):
        Migrator(db, adopting.ours, table="schema_migrations").adopt("dbmate", adopting.theirs)
    assert not adopting.ours.exists()
