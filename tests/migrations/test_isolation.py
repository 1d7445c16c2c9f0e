"""Files that say of their transaction, at their top, how it is isolated, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from forgedb import AppliedMigration, MigrationError
from forgedb.migrations import Runner
from forgedb.migrations.history import FOLDERS_TABLE
from tests.migrations.folder import Folder
from tests.migrations.mutants import TakesItsSnapshotWithoutTheTablesLock
from tests.migrations.watching import until

pytestmark = pytest.mark.parametrize("dialect", ["postgres"])

REPEATABLE = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
SERIALIZABLE = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"

LEVEL = "current_setting('transaction_isolation')"

HELD_UP = "SELECT count(*) FROM pg_locks WHERE NOT granted"

WAYS = {
    REPEATABLE: "repeatable read",
    f"-- why\n/* and /* how */ */ ;\n{SERIALIZABLE}": "serializable",
    "set transaction isolation level\n  serializable, read write , deferrable;": "serializable",
    f"SET TRANSACTION READ WRITE; {REPEATABLE}": "repeatable read",
    f"SET LOCAL work_mem TO '8MB'; {REPEATABLE}": "repeatable read",
    "SET LOCAL TRANSACTION ISOLATION LEVEL SERIALIZABLE;": "serializable",
    "SET transaction_isolation TO 'repeatable read';": "repeatable read",
    "SET search_path TO pg_catalog, public; SET SESSION transaction_isolation = 'serializable';": (
        "serializable"
    ),
    "": "read committed",
}


@pytest.fixture
def other(url: str) -> Iterator[psycopg.Connection]:
    """A session of another program's."""
    with psycopg.connect(url) as other:
        yield other


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


def test_a_file_that_begins_with_its_isolation_level_is_run_under_it(folder: Folder) -> None:
    for number, (way, level) in enumerate(WAYS.items()):
        holds = f"SELECT 1 / CAST({LEVEL} = '{level}' AS integer)"
        folder.write(**{f"{number}1_asks": f"{way}\n{holds}"})
        folder.write(**{f"{number}2_next": f"SELECT 1 / CAST({LEVEL} = 'read committed' AS int)"})
    folder.write(R__again=f"{REPEATABLE} SELECT 1 / CAST({LEVEL} = 'repeatable read' AS int)")
    assert len(folder.runner.migrate(1)) == 1, "where there was no history"
    assert len(folder.runner.migrate()) == 2 * len(WAYS)
    assert set(folder.states().values()) == {"applied"}
    assert folder.db.client.query_value(f"SELECT {LEVEL}") == "read committed"


def test_the_history_that_is_locked_is_the_one_in_the_schema_that_was_chosen(
    folder: Folder,
) -> None:
    folder.db.client.execute("""CREATE SCHEMA "ke""p't :x %s" """)
    folder.write(m0001_a=f"{REPEATABLE} CREATE TABLE a (id int)")
    runner = folder.runner_with(history_schema="ke\"p't :x %s", table="its_own")
    assert len(runner.migrate()) == 1
    assert folder.db.client.query_value('SELECT count(*) FROM "ke""p\'t :x %s".its_own') == 1
    assert folder.db.client.query_value("SELECT to_regclass('schema_migrations')") is None


def test_a_rehearsal_leaves_it_out(folder: Folder) -> None:
    folder.write(m0001_a="CREATE TABLE a (id int)", m0002_b=f"{REPEATABLE} SELECT id FROM a")
    folder.write(m0003_c=SERIALIZABLE)
    assert len(folder.runner.rehearse()) == 3
    assert len(folder.runner.migrate()) == 3


def test_an_error_names_its_place(folder: Folder) -> None:
    folder.write(m0001_a=f"-- why\n{REPEATABLE}\nSELECT 1;\n  SELECT nope;")
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:4:10: "):
        folder.runner.migrate()
    folder.write(m0001_a="SELECT 1", m0002_b="-- why\n  SET TRANSACTION ISOLATION LEVEL HIGH;")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:2:35: .* syntax error at .*\"HIGH\""):
        folder.runner.migrate()
    assert folder.labels() == ["0001_a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, read /**/ only", "leave out READ ONLY"),
        (f"{REPEATABLE} SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", "leave it out"),
    ],
)
def test_what_the_history_could_not_be_kept_under_is_refused_before_anything_is_run(
    folder: Folder, text: str, why: str
) -> None:
    folder.write(m0001_a="CREATE TABLE a (id int)", m0002_b=text)
    for call in (folder.runner.rehearse, folder.runner.migrate):
        with pytest.raises(MigrationError, match=rf"^0002_b\.sql:1:\d+: .*{why}"):
            call()
    assert folder.labels() == []


def _applied_meanwhile(
    kind: type[Runner], folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> list[AppliedMigration]:
    """Let a runner find that another process is about to have applied what it begins."""
    folder.write(m0001_a="SELECT 1").runner.migrate()
    folder.write(m0002_b=f"{SERIALIZABLE} CREATE TABLE b (id int)")
    (pending,) = folder.runner.pending()
    # Not under the runners' own lock: what was written, and isn't committed yet, must be enough.
    line = f"INSERT INTO {FOLDERS_TABLE} VALUES (2, 'b', %s, now(), 0)"
    other.execute(line.encode(), [pending.checksum])
    waiting = threads.submit(kind(folder.db, folder.path).migrate)
    assert until(lambda: folder.db.client.query_value(HELD_UP))
    other.commit()
    return waiting.result()


def test_it_sees_what_another_process_has_applied_until_it_had_the_lock(
    folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    assert _applied_meanwhile(Runner, folder, other, threads) == []
    assert folder.labels() == ["0001_a", "0002_b"]
    assert folder.tables() == set()


def test_a_snapshot_without_the_lock_would_be_one_of_the_past(
    folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    with pytest.raises(MigrationError, match="its line of the history can't be written"):
        _applied_meanwhile(TakesItsSnapshotWithoutTheTablesLock, folder, other, threads)


def test_a_file_whose_snapshot_was_overtaken_is_tried_again(
    folder: Folder, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    folder.write(m0001_a="CREATE TABLE a (n int); INSERT INTO a VALUES (1)").runner.migrate()
    folder.write(m0002_b=f"{REPEATABLE} UPDATE a SET n = n + 1")
    other.execute("UPDATE a SET n = 10")
    waiting = threads.submit(folder.runner.migrate)
    assert until(lambda: folder.db.client.query_value(HELD_UP))
    other.commit()
    assert len(waiting.result()) == 1
    assert folder.db.client.query("SELECT n FROM a") == [(11,)]


def test_so_is_one_that_its_commit_would_have_out_of_order(
    folder: Folder, url: str, other: psycopg.Connection, threads: ThreadPoolExecutor
) -> None:
    tables = "CREATE TABLE x (n int); CREATE TABLE y (n int);"
    rows = "INSERT INTO x VALUES (1); INSERT INTO y VALUES (2);"
    folder.write(m0001_a=f"{tables} {rows}").runner.migrate()
    swap = "UPDATE y SET n = (SELECT n FROM x); SELECT pg_advisory_xact_lock(77);"
    folder.write(m0002_b=f"{SERIALIZABLE} {swap}")
    other.execute("SELECT pg_advisory_xact_lock(77)")
    waiting = threads.submit(folder.runner.migrate)
    assert until(lambda: folder.db.client.query_value(HELD_UP))
    with psycopg.connect(url) as third:
        third.execute(SERIALIZABLE.encode())
        third.execute("UPDATE x SET n = (SELECT n FROM y)")
    other.commit()
    assert len(waiting.result()) == 1
    assert folder.db.client.query("SELECT x.n, y.n FROM x, y") == [(2, 2)]
