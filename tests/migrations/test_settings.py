"""What a file sets for its session on PostgreSQL: it holds in the file, and nowhere else."""

from __future__ import annotations

import psycopg
import pytest

from forgedb import LockTimeout, MigrationError, UsageError
from forgedb.migrations import Runner
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import Folder

HEADER = "-- forgedb: no-transaction\n"

PG_DUMP = """
SET statement_timeout = 0;
SET row_security = off;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.dumped (id integer);
"""

WHERE = "SELECT schemaname FROM pg_tables WHERE tablename = 'here'"


@pytest.fixture
def dialect() -> Dialect:
    return "postgres"


@pytest.fixture
def app(folder: Folder) -> Folder:
    """A schema beside public."""
    folder.write(m0001_a="CREATE SCHEMA app").runner.migrate()
    return folder


@pytest.mark.parametrize("header", ["", HEADER])
def test_what_pg_dump_wrote_is_applied_and_recorded(folder: Folder, header: str) -> None:
    folder.write(m0001_a=f"{header}{PG_DUMP}", m0002_b="CREATE TABLE here (id integer)")
    folder.runner.migrate()
    assert folder.labels() == ["0001_a", "0002_b"]
    assert folder.tables() == {"dumped", "here"}
    assert folder.db.client.query_value("SHOW search_path") == '"$user", public'


@pytest.mark.parametrize("header", ["", HEADER])
def test_a_setting_holds_to_the_end_of_its_file_alone(app: Folder, header: str) -> None:
    app.write(m0002_b=f"{header}SET search_path = app, public;\nCREATE TABLE here (id integer);")
    app.write(m0003_c="CREATE TABLE there (id integer)")
    app.runner.migrate()
    assert app.db.client.query(WHERE) == [("app",)]
    assert app.tables() == {"there"}


def test_a_setting_holds_again_where_its_file_is_taken_up(app: Folder) -> None:
    text = f"{HEADER}SET search_path = app, public;\nCREATE TABLE here (id integer);\n"
    app.write(m0002_b=f"{text}SELECT nothing;")
    with pytest.raises(MigrationError):
        app.runner.migrate()
    app.runner.resolve(2, "retry")
    app.write(m0002_b=f"{text}INSERT INTO here VALUES (1);").runner.migrate()
    assert app.db.client.query("SELECT id FROM app.here") == [(1,)]


def test_a_history_that_somebody_locked_is_given_up_in_time(folder: Folder, url: str) -> None:
    folder.write(m0001_a="SELECT 1").runner.migrate()
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE app_schema_migrations IN ACCESS EXCLUSIVE MODE")
        hurried = folder.runner_with(lock_timeout_seconds=0.3)
        for call in (hurried.migrate, hurried.states, hurried.applied):
            with pytest.raises(LockTimeout, match="gave up after"):
                call()
    assert folder.labels() == ["0001_a"]


def test_a_migration_is_no_part_of_a_transaction(folder: Folder) -> None:
    folder.write(m0001_a="SELECT 1")
    with folder.db.transaction() as tx, pytest.raises(UsageError, match="a migration isn't part"):
        Runner(tx, folder.path).migrate()
