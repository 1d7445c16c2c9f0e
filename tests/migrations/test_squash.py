"""One file of many: what it makes, which databases pass over it, and which it is refused for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import forgedb
from forgedb import Database, InvalidValue, MigrationDrift, MigrationError, UsageError
from forgedb.migrations import Migrator
from forgedb.migrations.files import load
from tests.migrations.folder import A, Folder

# Without a semicolon, and with a comment at its end, as people write them.
B = "CREATE TABLE b (id INTEGER PRIMARY KEY);\nINSERT INTO b VALUES (1) -- one"
C = "-- third\nINSERT INTO b VALUES (2);\n"


@pytest.fixture
def three(folder: Folder) -> Folder:
    return folder.write(m0001_a=A, m0002_b=B, m0003_c=C)


def files(folder: Folder) -> list[str]:
    return [each.file for each in load(str(folder.path))]


def test_many_files_become_one_and_the_many_are_kept(three: Folder) -> None:
    three.write(m0004_d="CREATE TABLE d (id INTEGER PRIMARY KEY)")
    (written,) = three.runner.squash(3)
    assert written == str(three.path / "0003_squashed.sql")
    assert files(three) == ["0003_squashed.sql", "0004_d.sql"]
    kept = three.path / "squashed-to-0003"
    assert sorted(os.listdir(kept)) == ["0001_a.sql", "0002_b.sql", "0003_c.sql"]
    assert (kept / "0002_b.sql").read_text() == B


def test_a_new_database_runs_the_one_file_with_its_rows(three: Folder) -> None:
    three.runner.squash(3)
    assert [each.label for each in three.runner.migrate()] == ["0003_squashed"]
    assert three.tables() == {"a", "b"}
    assert three.db.client.query("SELECT id FROM b ORDER BY id") == [(1,), (2,)]


def test_a_database_that_has_the_many_passes_over_it(three: Folder) -> None:
    three.runner.migrate()
    before = three.runner.applied()
    three.runner.squash(3)
    three.write(m0004_d="CREATE TABLE d (id INTEGER PRIMARY KEY)")
    assert three.states() == {"0003_squashed": "applied", "0004_d": "pending"}
    assert [each.label for each in three.runner.migrate()] == ["0004_d"]
    assert three.runner.applied()[:3] == before


def test_a_database_that_has_some_of_them_is_told_to_run_the_rest_first(three: Folder) -> None:
    three.runner.migrate(2)
    three.runner.squash(3)
    with pytest.raises(MigrationError, match=r"2 of the 3 files .* squashed-to-0003") as refused:
        three.runner.migrate()
    assert "0003_squashed.sql was made of" in str(refused.value)
    assert three.labels() == ["0001_a", "0002_b"]
    Migrator(three.db, three.path / "squashed-to-0003").migrate()
    assert three.runner.migrate() == []


def test_a_database_whose_file_was_another_text_is_told_which(three: Folder) -> None:
    three.runner.migrate()
    three.write(m0002_b=f"{B}, edited")
    three.runner.mark(2, "applied", reason="a comment")
    three.write(m0002_b=B)
    three.runner.squash(3)
    with pytest.raises(MigrationError, match="made of 0002_b with another text"):
        three.runner.migrate()


def test_the_rest_done_by_hand_is_marked(three: Folder) -> None:
    three.runner.migrate(2)
    three.runner.squash(3)
    three.runner.mark(3, "applied", reason="by hand", allow_out_of_order=True)
    assert three.states() == {"0003_squashed": "applied"}
    assert three.runner.migrate() == []


def test_a_squashed_file_is_squashed_again_and_every_history_counts(
    three: Folder, tmp_path: Path
) -> None:
    three.runner.migrate()
    three.runner.squash(3)
    three.write(m0004_d="CREATE TABLE d (id INTEGER PRIMARY KEY)")
    three.runner.migrate()
    with forgedb.connect(f"sqlite:///{tmp_path}/second.db") as second:
        if three.db.client.dialect == "sqlite":
            Migrator(second, three.path).migrate()
        three.runner.squash(4, name="all")
        assert three.runner.migrate() == []
        if three.db.client.dialect == "sqlite":
            assert Migrator(second, three.path).migrate() == []
    assert three.states() == {"0004_all": "applied"}


def test_who_waits_while_others_run_the_many_finds_them_run(three: Folder) -> None:
    three.runner.squash(3)
    waiting = three.runner
    planned = waiting.check()
    Migrator(three.db, three.path / "squashed-to-0003").migrate()
    waiting._files = None
    assert [each.label for each in planned] == ["0003_squashed"]
    assert waiting.migrate() == []


@pytest.mark.parametrize("dialect", ["postgres"])
def test_what_one_file_can_not_do_is_found_before_anything_is_written(folder: Folder) -> None:
    folder.write(
        m0001_a="CREATE TABLE a (x xid8); INSERT INTO a VALUES (pg_current_xact_id())",
        m0002_b="CREATE TABLE b AS SELECT x FROM a WHERE x <> pg_current_xact_id()",
    )
    with pytest.raises(UsageError, match=r'don\'t make in one file.*"b" has 0 row'):
        folder.runner.squash(2)
    assert files(folder) == ["0001_a.sql", "0002_b.sql"]
    assert sorted(os.listdir(folder.path)) == files(folder)


def test_a_file_outside_a_transaction_makes_the_one_run_outside_it(three: Folder) -> None:
    three.write(m0004_d="-- forgedb: no-transaction\nCREATE TABLE d (id INTEGER PRIMARY KEY);")
    three.runner.squash(4)
    text = (three.path / "0004_squashed.sql").read_text()
    assert text.startswith("-- forgedb: no-transaction\n-- forgedb: squashes 0001_a ")
    assert text.count("no-transaction") == 1
    assert [each.label for each in three.runner.migrate()] == ["0004_squashed"]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_files_that_are_run_in_two_ways_are_named(three: Folder) -> None:
    three.write(m0004_d="-- forgedb: no-transaction\nSELECT 1")
    three.write(m0005_e="-- forgedb: rebuild\nSELECT 1")
    with pytest.raises(UsageError, match=r"0004_d\.sql asks for no-tran.* 0005_e\.sql for rebuild"):
        three.runner.squash(5)
    assert len(files(three)) == 5


def test_a_file_in_python_is_named_and_not_joined(three: Folder) -> None:
    (three.path / "0004_d.py").write_text("def migrate(db):\n    pass\n")
    with pytest.raises(UsageError, match=r"0004_d\.py is no SQL"):
        three.runner.squash(4)
    assert len(files(three)) == 4
    assert len(three.runner.squash(3)) == 1


@pytest.mark.parametrize(
    ("to", "name", "why"),
    [(9, "x", "no migration 9"), (1, "x", "nothing is to be joined"), (3, "c", "another --name")],
)
def test_a_squash_that_makes_no_sense_is_refused(
    three: Folder, to: int, name: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        three.runner.squash(to, name=name)
    with pytest.raises(InvalidValue, match="name"):
        three.runner.squash(3, name="../x")
    assert len(files(three)) == 3
    assert sorted(os.listdir(three.path)) == files(three)


def test_a_squash_that_was_interrupted_lets_nobody_run_a_part(
    three: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, renamed = os.rename, []

    def rename_twice(*paths: str) -> None:
        if len(renamed) == 2:
            raise KeyboardInterrupt
        renamed.append(paths)
        rename(*paths)

    monkeypatch.setattr(os, "rename", rename_twice)
    with pytest.raises(KeyboardInterrupt):
        three.runner.squash(3)
    monkeypatch.undo()
    with pytest.raises(MigrationError, match="interrupted: move the files that its header names"):
        three.runner.migrate()
    for left in ("0002_b.sql", "0003_c.sql"):
        os.rename(three.path / left, three.path / "squashed-to-0003" / left)
    assert [each.label for each in three.runner.migrate()] == ["0003_squashed"]


@pytest.mark.parametrize("dialect", ["postgres"])
def test_the_folders_of_both_databases_are_squashed_together_or_neither_is(
    tmp_path: Path, db: Database
) -> None:
    for each in ("sqlite", "postgres"):
        (tmp_path / "both" / each).mkdir(parents=True)
        (tmp_path / "both" / each / "0001_a.sql").write_text(A)
        (tmp_path / "both" / each / "0002_b.sql").write_text(B)
    written = Migrator(db, tmp_path / "both").squash(2)
    assert [os.path.relpath(each, tmp_path) for each in written] == [
        "both/sqlite/0002_squashed.sql",
        "both/postgres/0002_squashed.sql",
    ]
    with forgedb.connect("sqlite://") as other, pytest.raises(UsageError, match="--also"):
        Migrator(other, tmp_path / "both").squash(2, name="again")


def test_forgedbs_own_files_are_not_squashed(db: Database) -> None:
    with pytest.raises(UsageError, match="forgedb's own"):
        Migrator(db).squash(2)


def test_the_file_itself_is_not_to_be_edited(three: Folder) -> None:
    three.runner.squash(3)
    three.runner.migrate()
    path = three.path / "0003_squashed.sql"
    path.write_text(path.read_text() + "-- more\n")
    with pytest.raises(MigrationDrift, match="0003_squashed"):
        three.runner.migrate()
