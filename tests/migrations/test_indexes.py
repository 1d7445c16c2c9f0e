"""CREATE INDEX CONCURRENTLY on PostgreSQL: it locks nobody out, and can leave an INVALID index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import forgedb
from forgedb import Conflict, LockTimeout, MigrationError
from forgedb.migrations import Runner
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import Folder
from tests.migrations.watching import Heard, until

HEADER = "-- forgedb: no-transaction\n"

TABLE = "CREATE TABLE t (id INTEGER, name TEXT);\nINSERT INTO t VALUES (1, 'x'), (2, 'x');"
INDEX = "CREATE INDEX CONCURRENTLY t_by_name ON t (name);"
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY t_one_name ON t (name);"

RUNS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'"
WAITING = f"SELECT count(*) FROM ({RUNS} AND wait_event_type = 'Lock') AS waiting"
IDLE = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"


@pytest.fixture
def dialect() -> Dialect:
    return "postgres"


@pytest.fixture
def filled(folder: Folder) -> Folder:
    folder.write(m0001_t=TABLE).runner.migrate()
    return folder


@pytest.fixture
def writer(url: str, filled: Folder) -> Iterator[psycopg.Connection]:
    """A session whose open transaction has written: a concurrent index waits for its end."""
    with psycopg.connect(url) as writer:
        writer.execute("INSERT INTO t VALUES (3, 'z')")
        yield writer


@pytest.fixture
def failed(filled: Folder) -> Folder:
    """The unique index met two rows of one name, after another statement that went well."""
    filled.write(m0002_u=f"{HEADER}INSERT INTO t VALUES (9, 'y');\n{UNIQUE}", m0003_v="SELECT 1")
    with pytest.raises(MigrationError):
        filled.runner.migrate()
    return filled


def _is_valid(folder: Folder, name: str) -> bool | None:
    found = folder.db.client.query(VALID, {"name": name})
    return found[0][0] if found else None


def test_an_index_is_made_concurrently(filled: Folder) -> None:
    filled.write(m0002_i=f"{HEADER}{INDEX}").runner.migrate()
    assert _is_valid(filled, "t_by_name") is True
    assert filled.runner.invalid_indexes() == []


def test_without_the_header_postgresql_refuses_and_nothing_is_left(filled: Folder) -> None:
    filled.write(m0002_i=INDEX)
    with pytest.raises(MigrationError, match="cannot run inside a transaction block"):
        filled.runner.migrate()
    assert _is_valid(filled, "t_by_name") is None
    assert filled.runner.unfinished() == []
    assert len(filled.write(m0002_i=f"{HEADER}{INDEX}").runner.migrate()) == 1


def test_what_is_begun_is_on_record_meanwhile_and_locks_nobody_out(
    filled: Folder, writer: psycopg.Connection, url: str
) -> None:
    filled.write(m0002_i=f"{HEADER}SELECT 1;\n{INDEX}", m0003_u="CREATE TABLE u (id INTEGER)")
    with ThreadPoolExecutor() as threads, forgedb.connect(url) as looking:
        migrating = threads.submit(filled.runner.migrate)
        try:
            assert until(lambda: looking.client.query_value(WAITING))
            (begun,) = filled.runner.unfinished()
            assert (begun.label, begun.state, begun.done) == ("0002_i", "running", 1)
            assert looking.client.query_value(ADVISORY) == 0
            assert looking.client.query_value(IDLE) == 1, "the writer's, and no other"
            looking.client.execute("INSERT INTO t VALUES (4, 'w')")
            with pytest.raises(LockTimeout, match=f"process {os.getpid()} on .*resolve 2"):
                filled.runner_with(lock_timeout_seconds=0.1).migrate()
        finally:
            writer.commit()
        assert [entry.version for entry in migrating.result()] == [2, 3]
    assert filled.runner.unfinished() == []
    assert _is_valid(filled, "t_by_name") is True


def test_an_index_that_failed_is_told_as_invalid_with_the_way_out(filled: Folder) -> None:
    filled.write(m0002_u=f"{HEADER}\n{UNIQUE}")
    with pytest.raises(
        MigrationError, match=r"public\.t_one_name is INVALID.*see `forgedb migrate resolve 2 --dir"
    ) as refused:
        filled.runner.migrate()
    assert (refused.value.line, refused.value.statement) == (3, UNIQUE.removesuffix(";"))
    assert _is_valid(filled, "t_one_name") is False
    assert filled.runner.invalid_indexes() == ["public.t_one_name"]
    assert filled.states()["0002_u"] == "failed"
    with pytest.raises(MigrationError, match=r"is INVALID.*see `forgedb migrate resolve 2 --dir"):
        filled.runner.migrate()


def test_a_retry_drops_the_invalid_index_and_runs_no_statement_twice(failed: Folder) -> None:
    assert failed.runner.resolve(2, "retry") == [
        "dropped the INVALID index public.t_one_name",
        "the next `forgedb migrate` goes on with statement 2 of 0002_u",
    ]
    assert _is_valid(failed, "t_one_name") is None
    failed.db.client.execute("DELETE FROM t WHERE id = 2")
    assert [entry.version for entry in failed.runner.migrate()] == [2, 3]
    assert _is_valid(failed, "t_one_name") is True
    assert failed.db.client.query_value("SELECT count(*) FROM t WHERE name = 'y'") == 1


def test_an_invalid_index_is_not_taken_for_applied(failed: Folder) -> None:
    with pytest.raises(Conflict, match=r"isn't applied: the index public\.t_one_name is INVALID"):
        failed.runner.resolve(2, "applied")
    assert failed.states()["0002_u"] == "failed"
    failed.db.client.execute("DROP INDEX t_one_name")
    failed.db.client.execute("DELETE FROM t WHERE id = 2")
    failed.db.client.execute("CREATE UNIQUE INDEX t_one_name ON t (name)")
    failed.runner.resolve(2, "applied")
    assert [entry.version for entry in failed.runner.migrate()] == [3]


@pytest.mark.parametrize("name", ["by_name", "t_by", "index_"])
def test_an_invalid_index_of_another_name_is_not_blamed_on_a_statement(
    filled: Folder, url: str, name: str
) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("CREATE TABLE o (x INTEGER)")
        other.execute("INSERT INTO o VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            other.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON o (x)".encode())
    filled.write(m0002_i=f"{HEADER}{INDEX}").runner.migrate()
    assert filled.runner.invalid_indexes() == [f"public.{name}"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE UNIQUE INDEX CONCURRENTLY T_One_Name ON t (name)",
        'CREATE UNIQUE INDEX CONCURRENTLY "T one" ON t (name)',
        "CREATE UNIQUE INDEX CONCURRENTLY ON t (name)",
    ],
)
def test_an_index_that_failed_is_found_however_it_is_written(
    filled: Folder, statement: str
) -> None:
    filled.write(m0002_u=f"{HEADER}{statement}")
    with pytest.raises(MigrationError, match="is INVALID"):
        filled.runner.migrate()
    (name,) = filled.runner.invalid_indexes()
    assert filled.runner.resolve(2, "retry")[0] == f"dropped the INVALID index {name}"
    assert filled.runner.invalid_indexes() == []


def test_an_invalid_index_that_was_there_before_is_not_taken_for_the_new_one(
    failed: Folder,
) -> None:
    again = UNIQUE.replace("t_one_name", "IF NOT EXISTS T_One_Name")
    Runner(failed.db, failed.write(m0002_u=f"{HEADER}{again}").path, table="other").baseline(1)
    with pytest.raises(MigrationError, match=r"the index public\.t_one_name is INVALID"):
        Runner(failed.db, failed.path, table="other").migrate()


def test_a_second_deploy_waits_for_the_first_ones_index(
    filled: Folder, writer: psycopg.Connection, url: str
) -> None:
    filled.write(m0002_i=f"{HEADER}{INDEX}", m0003_u="CREATE TABLE u (id INTEGER)")
    heard = Heard()
    with ThreadPoolExecutor() as threads, forgedb.connect(url) as second:
        first = threads.submit(filled.runner.migrate, 2)
        try:
            assert until(lambda: second.client.query_value(WAITING))
            waiting = threads.submit(Runner(second, filled.path, progress=heard).migrate)
            assert until(lambda: heard.reasons)
        finally:
            writer.commit()
        assert [entry.version for entry in first.result()] == [2]
        assert [entry.version for entry in waiting.result()] == [3]
    assert heard.reasons[0].startswith(f"0002_i is being run by process {os.getpid()} on ")


MIGRATE = """
import sys, forgedb
from forgedb.migrations import Runner
with forgedb.connect(sys.argv[1]) as db:
    Runner(db, sys.argv[2]).migrate()
"""


def test_a_process_that_was_killed_in_the_middle_is_waited_for_and_then_resolved(
    filled: Folder, writer: psycopg.Connection, url: str
) -> None:
    filled.write(m0002_i=f"{HEADER}INSERT INTO t VALUES (9, 'y');\n{INDEX}")
    environment = {**os.environ, "PYTHONPATH": str(Path(forgedb.__file__).parents[1])}
    migrating = subprocess.Popen(
        [sys.executable, "-c", MIGRATE, url, str(filled.path)], env=environment
    )
    with forgedb.connect(url) as looking:
        try:
            assert until(lambda: looking.client.query_value(WAITING))
        finally:
            migrating.send_signal(signal.SIGKILL)
            migrating.wait()
        looking.client.query(f"SELECT pg_terminate_backend(pid) FROM ({RUNS}) AS of")
        assert until(lambda: not looking.client.query(RUNS))
    writer.commit()
    with pytest.raises(
        LockTimeout, match=rf"0002_i is being run by process {migrating.pid} on .*resolve 2 --dir"
    ):
        filled.runner_with(lock_timeout_seconds=0.1).migrate()
    assert filled.states()["0002_i"] == "running"
    filled.runner.resolve(2, "retry")
    assert [entry.version for entry in filled.runner.migrate()] == [2]
    assert _is_valid(filled, "t_by_name") is True
    assert filled.db.client.query_value("SELECT count(*) FROM t WHERE name = 'y'") == 1


def test_what_the_server_is_still_at_is_not_resolved(
    filled: Folder, writer: psycopg.Connection, url: str
) -> None:
    filled.write(m0002_i=f"{HEADER}{INDEX}")
    with ThreadPoolExecutor() as threads, forgedb.connect(url) as looking:
        migrating = threads.submit(filled.runner.migrate)
        try:
            assert until(lambda: looking.client.query_value(WAITING))
            for how in ("retry", "applied"):
                with pytest.raises(Conflict, match=r"server process \d+ is at 'CREATE"):
                    filled.runner.resolve(2, how)
        finally:
            writer.commit()
        assert len(migrating.result()) == 1
    assert _is_valid(filled, "t_by_name") is True
