"""A rehearsal: everything is run, and nothing of it stays."""

from __future__ import annotations

import apsw
import psycopg
import pytest

from forgedb import LockTimeout, MigrationDrift, MigrationError
from forgedb.migrations import lock_retry
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


ALONE = "-- forgedb: no-transaction\n"


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_file_that_runs_in_no_transaction_is_named_and_what_comes_after_it(
    three: Folder,
) -> None:
    heard = Heard()
    three.write(m0004_d=f"{ALONE}CREATE TABLE d (id INTEGER)", m0005_e="INSERT INTO d VALUES (1)")
    rehearsed = three.runner_with(progress=heard).rehearse()
    assert [each.version for each in rehearsed] == [1, 2, 3]
    assert heard.applied_labels == ["0001_a", "0002_b", "0003_c"]
    assert [(each.label, each.why) for each in rehearsed.unrehearsed] == [
        ("0004_d", "it runs in no transaction, and couldn't be undone"),
        ("0005_e", "it comes after 0004_d"),
    ]
    assert three.tables() == set()
    assert len(three.runner.migrate()) == 5


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_on_sqlite_it_is_tried_on_a_copy(three: Folder) -> None:
    three.write(
        m0004_d=f"{ALONE}CREATE TABLE d (id INTEGER);VACUUM", m0005_e="INSERT INTO d VALUES (1)"
    )
    rehearsed = three.runner.rehearse()
    assert ([each.version for each in rehearsed], rehearsed.unrehearsed) == ([1, 2, 3, 4, 5], ())
    assert three.tables() == set()
    assert three.labels() == []
    three.write(m0004_d=f"{ALONE}CREATE TABLE d (id INTEGER);\nINSERT INTO nowhere VALUES (1)")
    with pytest.raises(MigrationError, match=r"^0004_d\.sql:3:1: .*nowhere"):
        three.runner.rehearse()
    assert three.runner.unfinished() == []


ADDS = "ALTER TYPE mood ADD VALUE 'ok'; ALTER TYPE mood ADD VALUE 'fine';"


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_value_that_a_file_before_adds_to_an_enum_can_not_be_tried_and_is_no_failure(
    folder: Folder,
) -> None:
    folder.write(m0001_a="CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE a (m mood)")
    folder.runner.migrate()
    uses = "CREATE TABLE b (id INT); INSERT INTO a VALUES ('fine')"
    folder.write(
        m0002_b=ADDS, m0003_c="INSERT INTO a VALUES ('sad')", m0004_d=uses, m0005_e="SELECT 1"
    )
    rehearsed = folder.runner.rehearse()
    assert [each.version for each in rehearsed] == [2, 3]
    assert [(each.label, each.why) for each in rehearsed.unrehearsed] == [
        (
            "0004_d",
            "it uses a value of an enum that a file before it adds, which needs a COMMIT between",
        ),
        ("0005_e", "it comes after 0004_d"),
    ]
    # It is one where a run would fail as well.
    folder.write(m0004_d=f"ALTER TYPE mood ADD VALUE 'new'; {uses.replace('fine', 'new')}")
    with pytest.raises(MigrationError, match=r"^0004_d\.sql:1:.*put what uses it into the next"):
        folder.runner.rehearse()
    folder.write(m0004_d=uses)
    assert len(folder.runner.migrate()) == 4


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_rehearsal_that_needs_more_locks_than_there_are_names_the_file(
    folder: Folder,
) -> None:
    refuses = "DO $$ BEGIN RAISE 'out of shared memory' USING ERRCODE = '53200'; END $$"
    folder.write(m0001_a="CREATE TABLE a (id int)", m0002_b=refuses)
    (unrehearsed,) = folder.runner.rehearse().unrehearsed
    assert unrehearsed.label == "0002_b"
    assert "more locks than one transaction may have" in unrehearsed.why
    folder.remove("0001_a")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:1: .*out of "):
        folder.runner.rehearse()


@pytest.mark.parametrize("dialect", ["postgres"])
def test_a_rehearsal_that_begins_anew_tells_of_each_file_once(
    folder: Folder, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_retry, "SILENT_SECONDS", 0.0)
    folder.write(m0001_a="CREATE TABLE a (id int)").runner.migrate()
    folder.write(m0002_b="CREATE TABLE b (id int)", m0003_c="ALTER TABLE a ADD COLUMN note text")
    with psycopg.connect(url) as reader:
        reader.execute("SELECT * FROM a")

        class LetsGo(Heard):
            def waiting(self, why: str) -> None:
                super().waiting(why)
                reader.rollback()

        heard = LetsGo()
        runner = folder.runner_with(progress=heard, lock_wait_seconds=0.05)
        assert len(runner.rehearse()) == 2
    assert heard.reasons
    assert heard.applied_labels == ["0002_b", "0003_c"]
    # As often as it is asked.
    assert len(runner.rehearse()) == 2
    assert len(runner.migrate()) == 2
    assert heard.applied_labels == 3 * ["0002_b", "0003_c"]


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
