"""Where a history is on PostgreSQL: in one schema, whatever the search_path says meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

import forgedb
from forgedb import Database, MigrationError, UsageError
from forgedb.migrations import Migrator
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import A, B, Folder
from tests.migrations.mutants import EntersNoSchema, FollowsTheSearchPath

ALONE = "-- forgedb: no-transaction\n"

HISTORIES = """
SELECT schemaname || '.' || tablename FROM pg_tables WHERE tablename LIKE '%schema_migrations'
ORDER BY 1
"""

TABLES = """
SELECT schemaname || '.' || tablename FROM pg_tables
WHERE tablename !~ 'schema_migrations' AND schemaname !~ '^(pg_|information_schema)' ORDER BY 1
"""


@pytest.fixture
def dialect() -> Dialect:
    return "postgres"


@pytest.fixture
def schemas(folder: Folder) -> Folder:
    """Two files, and schemas beside public for them."""
    folder.db.client.execute("CREATE SCHEMA tenant1")
    folder.db.client.execute("""CREATE SCHEMA "Te'na""nt %s :two" """)
    return folder.write(m0001_a=A, m0002_b=B)


ODD = """Te'na"nt %s :two"""


@contextmanager
def along(url: str, *path: str) -> Iterator[Database]:
    """A handle whose search_path is this."""
    names = ",".join('"' + name.replace('"', '""') + '"' for name in path)
    option = quote(f"-c search_path={names}".replace(" ", "\\ ").replace("-c\\ ", "-c "))
    with forgedb.connect(f"{url}?options={option}") as db:
        yield db


def names(db: Database, text: str) -> list[str]:
    return [name for (name,) in db.client.query(text)]


def test_where_no_schema_is_to_be_made_in_it_is_said_at_once_with_the_way_out(
    schemas: Folder, url: str
) -> None:
    with along(url, "nowhere", "nor here") as db:
        for options in ({}, {"history_schema": "public"}):
            runner = Migrator(db, schemas.path, **options)
            for call in (
                runner.migrate,
                runner.rehearse,
                runner.pending,
                runner.states,
                partial(runner.baseline, 1),
                db.migrate,
            ):
                with pytest.raises(
                    UsageError, match="no schema of the search_path is there, so that"
                ):
                    call()
        assert names(db, HISTORIES) == []
        assert len(Migrator(db, schemas.path, schema="tenant1").migrate()) == 2
    assert names(schemas.db, TABLES) == ["tenant1.a", "tenant1.b"]


@pytest.mark.parametrize("header", ["", ALONE])
@pytest.mark.parametrize(
    "setting",
    [
        "SET search_path = tenant1",
        "SET LOCAL search_path = tenant1",
        "SELECT set_config('search_path', '', false)",
        (
            "DO $$ BEGIN EXECUTE format("
            "'ALTER DATABASE %I SET search_path = tenant1', current_database()); END $$"
        ),
    ],
)
def test_a_file_that_changes_the_search_path_is_recorded_where_the_others_are(
    schemas: Folder, header: str, setting: str
) -> None:
    schemas.write(m0003_c=f"{header}{setting};\nSELECT 1", m0004_d="SELECT 1")
    assert len(schemas.runner.migrate()) == 4
    assert names(schemas.db, HISTORIES) == ["public.app_schema_migrations"]
    assert schemas.runner_with(history_schema="public").migrate() == []


def test_nothing_is_run_again_since_the_search_path_has_become_another(
    schemas: Folder, url: str
) -> None:
    schemas.runner.migrate()
    for path in (("tenant1", "public"), ("tenant1",)):
        with along(url, *path) as db:
            runner = Migrator(db, schemas.path)
            calls: list[Callable[[], object]] = [
                runner.migrate,
                runner.rehearse,
                runner.pending,
                runner.check,
                runner.states,
                partial(runner.baseline, 1),
            ]
            for call in calls:
                with pytest.raises(
                    MigrationError,
                    match=r"nothing of these files is in tenant1\.app_schema_migrations, and a"
                    r" history of them is in public\.app_schema_migrations: .*--schema public.*"
                    r"--history-schema public.*--schema tenant1",
                ):
                    call()
    assert names(schemas.db, HISTORIES) == ["public.app_schema_migrations"]


def test_a_runner_along_the_search_path_would_leave_a_tenant_without_its_tables(
    schemas: Folder, url: str
) -> None:
    schemas.runner.migrate()
    with along(url, "tenant1", "public") as db:
        assert FollowsTheSearchPath(db, schemas.path).migrate() == []
        with pytest.raises(MigrationError):
            Migrator(db, schemas.path).migrate()


def test_a_runner_that_enters_no_schema_would_mix_the_tenants_tables(schemas: Folder) -> None:
    EntersNoSchema(schemas.db, schemas.path, schema="tenant1").migrate()
    assert names(schemas.db, TABLES) == ["public.a", "public.b"]


def test_a_history_that_is_found_is_gone_on_with_where_that_is_said(
    schemas: Folder, url: str
) -> None:
    schemas.runner.migrate(1)
    with along(url, "tenant1", "public") as db:
        runner = Migrator(db, schemas.path, history_schema="public")
        assert [each.label for each in runner.migrate()] == ["0002_b"]
        assert runner.place() == "public.app_schema_migrations"
        schemas.write(m0003_c="CREATE TABLE c (id integer)")
        assert len(Migrator(db, schemas.path, schema="public").migrate()) == 1
    assert names(schemas.db, TABLES) == ["public.a", "public.c", "tenant1.b"]
    assert schemas.runner.migrate() == []


def test_all_is_run_anew_where_that_is_said(schemas: Folder, url: str) -> None:
    schemas.runner.migrate()
    with along(url, "tenant1", "public") as db:
        assert len(Migrator(db, schemas.path, history_schema="tenant1").migrate()) == 2
        assert Migrator(db, schemas.path).migrate() == []
        assert Migrator(db, schemas.path).place() == "tenant1.app_schema_migrations"
    assert names(schemas.db, TABLES) == ["public.a", "public.b", "tenant1.a", "tenant1.b"]


def test_a_history_of_other_files_elsewhere_is_no_hindrance(
    schemas: Folder, url: str, tmp_path: Path
) -> None:
    schemas.runner.migrate()
    other = tmp_path / "other"
    other.mkdir()
    (other / "0001_x.sql").write_text("CREATE TABLE x (id integer)")
    with along(url, "tenant1", "public") as db:
        assert [each.label for each in Migrator(db, other).migrate()] == ["0001_x"]


def test_a_file_that_was_begun_elsewhere_is_a_history_too(schemas: Folder, url: str) -> None:
    schemas.write(m0001_a=f"{ALONE}SELECT nope")
    with pytest.raises(MigrationError, match="nope"):
        schemas.runner.migrate()
    with (
        along(url, "tenant1") as db,
        pytest.raises(MigrationError, match=r"is in public\.app_schema_migrations"),
    ):
        Migrator(db, schemas.path).migrate()


@pytest.mark.parametrize("name", ["tenant1", ODD])
@pytest.mark.parametrize("header", ["", ALONE])
def test_the_files_are_run_in_a_tenants_schema_with_their_history(
    schemas: Folder, name: str, header: str
) -> None:
    schemas.runner.migrate()
    schemas.write(
        m0003_c=f"{header}CREATE TABLE c (id integer);\nINSERT INTO c SELECT id FROM b;",
        m0004_d=f"{header}SET search_path = public;\nSELECT 1",
        m0005_e="CREATE TABLE e (id integer)",
    )
    runner = schemas.runner_with(schema=name)
    assert len(runner.migrate()) == 5
    assert runner.migrate() == []
    assert (runner.place(), runner.unfinished()) == (f"{name}.app_schema_migrations", [])
    made = [f"{name}.{table}" for table in "abce"]
    assert names(schemas.db, TABLES) == sorted([*made, "public.a", "public.b"])
    assert [each.state for each in runner.states()] == ["applied"] * 5
    assert schemas.states()["0003_c"] == "pending"


def test_programs_are_run_in_a_tenants_schema_too(schemas: Folder) -> None:
    insert = 'db.execute("INSERT INTO b VALUES (:id)", {"id": '
    (schemas.path / "0003_c.py").write_text(f"def migrate(db):\n    {insert}2}})\n")
    (schemas.path / "0004_d.py").write_text(
        f"def batch(db, after):\n    {insert}(after or 2) + 1}})\n    return None if after else 3\n"
    )
    runner = schemas.runner_with(schema="tenant1")
    assert len(runner.rehearse(3)) == 3
    assert len(runner.migrate()) == 4
    ids = "SELECT id FROM tenant1.b ORDER BY id"
    assert schemas.db.client.query(ids) == [(1,), (2,), (3,), (4,)]


def test_views_are_made_anew_in_a_tenants_schema_too(schemas: Folder) -> None:
    view = schemas.path / "R__named.sql"
    runner = schemas.runner_with(schema="tenant1")
    for number in (1, 2):
        view.write_text(f"DROP VIEW IF EXISTS named; CREATE VIEW named AS SELECT {number} AS n")
        assert runner.migrate()[-1].name == "named"
        assert schemas.db.client.query_value("SELECT n FROM tenant1.named") == number
    assert runner.migrate() == []
    assert [each.state for each in runner.states()] == ["applied"] * 3
    assert names(schemas.db, HISTORIES) == ["tenant1.app_schema_migrations"]


def test_a_tenants_history_may_be_kept_in_another_schema(schemas: Folder) -> None:
    runner = schemas.runner_with(schema="tenant1", history_schema="public", table="of_tenant1")
    assert len(runner.migrate()) == 2
    assert names(schemas.db, TABLES) == ["public.of_tenant1", "tenant1.a", "tenant1.b"]


def test_a_tenants_files_are_tried_and_undone(schemas: Folder) -> None:
    runner = schemas.runner_with(schema="tenant1")
    assert len(runner.rehearse()) == 2
    assert names(schemas.db, TABLES) == names(schemas.db, HISTORIES) == []
    assert len(runner.baseline(2)) == 2
    assert names(schemas.db, HISTORIES) == ["tenant1.app_schema_migrations"]


def test_what_is_in_public_is_found_from_a_tenants_schema(schemas: Folder) -> None:
    schemas.db.client.execute("CREATE FUNCTION public.seven() RETURNS integer RETURN 7")
    schemas.write(m0003_c="INSERT INTO b VALUES (seven())")
    schemas.runner_with(schema="tenant1").migrate()
    assert schemas.db.client.query("SELECT id FROM tenant1.b ORDER BY id") == [(1,), (7,)]


def test_the_search_path_of_the_session_is_left_as_it_was(schemas: Folder) -> None:
    before = schemas.db.client.query_value("SHOW search_path")
    schemas.write(m0003_c=f"{ALONE}SELECT 1")
    schemas.runner_with(schema="tenant1").migrate()
    for _ in range(20):
        assert schemas.db.client.query_value("SHOW search_path") == before


def test_an_index_that_failed_in_a_tenants_schema_is_made_anew(schemas: Folder) -> None:
    schemas.write(
        m0003_c="CREATE TABLE c (id integer); INSERT INTO c VALUES (1), (1)",
        m0004_d=f"{ALONE}CREATE UNIQUE INDEX CONCURRENTLY once ON c (id)",
    )
    runner = schemas.runner_with(schema="tenant1")
    with pytest.raises(MigrationError, match=r"tenant1\.once is INVALID.*--schema tenant1`"):
        runner.migrate()
    assert runner.invalid_indexes() == ["tenant1.once"]
    assert schemas.runner_with(schema="public").invalid_indexes() == []
    schemas.db.client.execute("DELETE FROM tenant1.c")
    assert "dropped the INVALID index tenant1.once" in runner.resolve(4, "retry")
    assert [each.label for each in runner.migrate()] == ["0004_d"]


@pytest.mark.parametrize("option", ["schema", "history_schema"])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", 'there is no schema nowhere: make it first, with CREATE SCHEMA "nowhere"'),
        ("", "is no schema's name"),
        ("x" * 64, "is no schema's name"),
        ("pg_catalog", "no schema for tables of one's own"),
        ("information_schema", "no schema for tables of one's own"),
    ],
)
def test_a_schema_that_can_hold_nothing_is_refused(
    schemas: Folder, option: str, name: str, why: str
) -> None:
    given: dict[str, Any] = {option: name}
    with pytest.raises(UsageError, match=why):
        schemas.runner_with(**given).migrate()
    assert names(schemas.db, TABLES) == []


@pytest.mark.parametrize("option", ["schema", "history_schema"])
@pytest.mark.parametrize("dialect", ["sqlite"])
def test_sqlite_has_no_schemas(folder: Folder, option: str) -> None:
    given: dict[str, Any] = {option: "main"}
    with pytest.raises(UsageError, match=r"is for PostgreSQL: .* a file of its own"):
        folder.runner_with(**given)


def test_a_search_path_without_any_schema_is_told(schemas: Folder, url: str) -> None:
    with along(url, "nowhere") as db, pytest.raises(UsageError, match="no schema of the search"):
        Migrator(db, schemas.path).migrate()
    with along(url, "nowhere") as db:
        assert len(Migrator(db, schemas.path, schema="tenant1").migrate()) == 2


def test_a_runner_looks_for_its_place_at_each_run(schemas: Folder, url: str) -> None:
    with forgedb.connect(url) as db:
        runner = Migrator(db, schemas.path)
        runner.migrate()
        with psycopg.connect(url, autocommit=True) as raw:
            raw.execute("ALTER TABLE app_schema_migrations SET SCHEMA tenant1")
        with pytest.raises(MigrationError, match=r"is in tenant1\.app_schema_migrations"):
            runner.migrate()


# forgedb's own, whose tables are found along the search_path.


def test_forgedbs_own_history_is_where_its_tables_are_found(db: Database, url: str) -> None:
    db.migrate()
    db.client.execute("CREATE SCHEMA tenant1")
    with along(url, "tenant1", "public") as other:
        assert other.projects.list().items == []
        assert other.pending_migrations() == []
        runner = Migrator(other)
        assert runner.differences() == []
        assert runner.place() == "public.schema_migrations"
        assert {each.state for each in runner.states()} == {"applied"}
        for call in (runner.migrate, runner.rehearse, runner.check, lambda: runner.baseline(1)):
            with pytest.raises(
                MigrationError,
                match=r"is in public\.schema_migrations, .* in tenant1, .*--schema public.*"
                r"--schema tenant1",
            ):
                call()
        assert Migrator(other, schema="public").migrate() == []
        assert Migrator(other, schema="tenant1").migrate() != []
        assert Migrator(other).place() == "tenant1.schema_migrations"
        assert Migrator(other).migrate() == []
        assert other.projects.list().items == []


def test_forgedbs_own_schema_is_not_made_a_second_time_unasked(db: Database, url: str) -> None:
    db.migrate()
    db.client.execute("CREATE SCHEMA tenant1")
    with along(url, "tenant1") as other:
        for call in (other.migrate, other.pending_migrations):
            with pytest.raises(MigrationError, match=r"is in public\.schema_migrations"):
                call()
        assert len(Migrator(other, schema="tenant1").migrate()) == len(Migrator(db).applied())
        assert Migrator(db, schema="tenant1").differences() == []
        assert other.projects.list().items == []
        assert other.migrate() == []
