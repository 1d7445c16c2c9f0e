"""A rehearsal: everything is run, and nothing of it stays."""

from __future__ import annotations

import apsw
import psycopg
import pytest

from forgedb import LockTimeout, MigrationDrift, MigrationError, UsageError
from tests.migrations.folder import A, B, Folder
from tests.migrations.watching import Heard


def test_a_rehearsal_tells_what_it_applied_and_leaves_nothing(three: Folder) -> None:
    heard = Heard()
    rehearsed = three.runner_with(progress=heard).rehearse()
    assert [each.label for each in rehearsed] == ["0001_a", "0002_b", "0003_c"]
    assert heard.planned_labels == heard.applied_labels == ["0001_a", "0002_b", "0003_c"]
    assert three.tables() == set()
    assert three.runner.applied() == []
    assert [each.label for each in three.runner.migrate()] == ["0001_a", "0002_b", "0003_c"]


def test_a_rehearsal_on_top_of_a_history_leaves_it_as_it_was(three: Folder) -> None:
    three.runner.migrate(2)
    before = three.runner.applied()
    assert [each.label for each in three.runner.rehearse()] == ["0003_c"]
    assert three.runner.applied() == before
    assert three.db.client.query("SELECT id FROM b") == [(1,)]


def test_a_rehearsal_goes_as_far_as_its_target(three: Folder) -> None:
    assert [each.version for each in three.runner.rehearse(2)] == [1, 2]
    three.runner.migrate()
    assert three.runner.rehearse() == []


def test_a_rehearsal_finds_the_statement_that_will_fail(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1)")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:2:1: ") as failed:
        folder.runner.rehearse()
    assert (failed.value.applied, failed.value.pending) == (("0001_a",), ("0002_b",))
    assert folder.tables() == set()
    assert folder.labels() == []


def test_a_rehearsal_refuses_what_a_migration_refuses(three: Folder) -> None:
    three.runner.migrate()
    three.write(m0002_b=f"{B} SELECT 1", m0004_d=A)
    with pytest.raises(MigrationDrift, match="0002_b"):
        three.runner.rehearse()


def test_a_file_that_runs_in_no_transaction_can_not_be_rehearsed(three: Folder) -> None:
    three.write(m0004_d="-- forgedb: no-transaction\nCREATE TABLE d (id INTEGER)")
    with pytest.raises(UsageError, match=r"0004_d\.sql runs in no transaction.*as the target"):
        three.runner.rehearse()
    assert three.tables() == set()
    assert len(three.runner.rehearse(3)) == 3


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_rebuild_is_rehearsed_with_foreign_keys_off_and_they_are_on_afterwards(
    folder: Folder,
) -> None:
    folder.write(
        m0001_a="""
        CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (id INTEGER, p INTEGER REFERENCES p ON DELETE CASCADE);
        INSERT INTO p VALUES (1);
        INSERT INTO c VALUES (7, 1);
        """
    ).runner.migrate()
    folder.write(
        m0002_b="""-- forgedb: rebuild
        CREATE TABLE q (id INTEGER PRIMARY KEY, note TEXT);
        INSERT INTO q (id) SELECT id FROM p;
        DROP TABLE p;
        ALTER TABLE q RENAME TO p;
        """,
        m0003_c="CREATE TABLE was AS SELECT count(*) AS children FROM c;"
        " CREATE TABLE one (n INTEGER CHECK (n = 1)); INSERT INTO one SELECT children FROM was",
    )
    assert [each.version for each in folder.runner.rehearse()] == [2, 3]
    assert folder.tables() == {"p", "c"}
    assert folder.db.client.query("SELECT * FROM p") == [(1,)]
    folder.db.client.execute("DELETE FROM p")
    assert folder.db.client.query("SELECT * FROM c") == []


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_rehearsal_waits_for_a_table_no_longer_than_it_may(folder: Folder, url: str) -> None:
    folder.write(m0001_a=A).runner.migrate()
    folder.write(m0002_b="ALTER TABLE a ADD COLUMN note text")
    runner = folder.runner_with(lock_timeout_seconds=0.2, lock_wait_seconds=0.05)
    with psycopg.connect(url) as reader:
        reader.execute("SELECT * FROM a")
        with pytest.raises(LockTimeout, match="gave up after"):
            runner.rehearse()
    assert [each.label for each in runner.rehearse()] == ["0002_b"]


def test_a_rehearsal_finds_what_the_commit_would(folder: Folder) -> None:
    child = "CREATE TABLE b (a INTEGER REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
    folder.write(m0001_a=A, m0002_b=f"{child}\nINSERT INTO b VALUES (7);")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql: "):
        folder.runner.rehearse()
    assert folder.tables() == set()
    folder.write(m0002_b=f"{child}\nINSERT INTO b VALUES (7);\nINSERT INTO a VALUES (7);")
    assert len(folder.runner.rehearse()) == 2
    assert folder.tables() == set()


def test_a_rehearsal_finds_what_the_commit_of_each_file_would(folder: Folder) -> None:
    child = "CREATE TABLE b (a INTEGER REFERENCES a DEFERRABLE INITIALLY DEFERRED);"
    late = {"m0001_a": A, "m0002_b": f"{child}\nINSERT INTO b VALUES (7);"}
    folder.write(**late, m0003_c="INSERT INTO a VALUES (7);")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql: "):
        folder.runner.rehearse()
    # Behind it constraints are deferred as in any new transaction.
    folder.write(m0002_b=child, m0003_c="INSERT INTO b VALUES (7);\nINSERT INTO a VALUES (7);")
    assert len(folder.runner.rehearse()) == 3
    assert folder.tables() == set()


def test_a_rehearsal_does_not_blame_a_file_for_what_was_wrong_before(folder: Folder) -> None:
    if folder.db.client.dialect == "postgres":
        # It never has such rows.
        folder.write(m0001_a=A).runner.migrate()
    else:
        folder.write(m0001_a=f"{A}CREATE TABLE b (a INTEGER REFERENCES a);").runner.migrate()
        folder.write(m0002_b="-- forgedb: rebuild\nSELECT 1;").runner.migrate()
        raw = apsw.Connection(folder.db._url.path)
        raw.execute("INSERT INTO b VALUES (7)")
        raw.close()
    folder.write(m0003_c="CREATE TABLE c (id INTEGER)")
    assert [each.label for each in folder.runner.rehearse()] == ["0003_c"]
