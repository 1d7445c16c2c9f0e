"""What is left on a session of PostgreSQL's: prepared statements, settings, limits, locks."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from forgedb import Database, Unavailable
from tests.faults.surfaces import Surface, fill_pool

OFTEN = 8
"""More uses than it takes to prepare a statement."""

CONNECTIONS = 10

QUERY = "SELECT * FROM things WHERE thing = :thing"


@pytest.fixture
def things(admin: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """A table of the caller's own, and who may change it."""
    admin.execute("CREATE TABLE things (thing integer)")
    admin.execute("INSERT INTO things VALUES (1)")
    return admin


# Prepared statements


def test_a_query_that_was_prepared_before_its_table_changed_gives_the_new_columns(
    open_db: Surface, url: str, things: psycopg.Connection[Any]
) -> None:
    db = open_db(url, pool_max_size=CONNECTIONS, prepare_threshold=0)
    query = db.client.prepare(QUERY)
    fill_pool(db, CONNECTIONS)
    for _ in range(2 * CONNECTIONS):
        assert query.query({"thing": 1}) == [(1,)]
    things.execute("ALTER TABLE things ADD COLUMN name text DEFAULT 'new'")
    for _ in range(2 * CONNECTIONS):
        assert query.query({"thing": 1}) == [(1, "new")]


def test_a_change_that_was_prepared_before_its_table_changed_is_made_once(
    open_db: Surface, url: str, things: psycopg.Connection[Any]
) -> None:
    db = open_db(url, pool_max_size=CONNECTIONS, prepare_threshold=0)
    insert = db.client.prepare("INSERT INTO things VALUES (:thing) RETURNING *")
    fill_pool(db, CONNECTIONS)
    for number in range(2 * CONNECTIONS):
        insert.execute({"thing": number})
    things.execute("ALTER TABLE things ADD COLUMN name text")
    things.execute("TRUNCATE things")
    for number in range(2 * CONNECTIONS):
        insert.execute({"thing": number})
    assert db.client.query_value("SELECT count(*) FROM things") == 2 * CONNECTIONS


def test_in_a_block_a_table_that_was_changed_is_told_as_worth_another_try(
    open_db: Surface, url: str, things: psycopg.Connection[Any]
) -> None:
    db = open_db(url, pool_max_size=1, prepare_threshold=0)
    for _ in range(OFTEN):
        db.client.query(QUERY, {"thing": 1})
    things.execute("ALTER TABLE things ADD COLUMN name text")
    match = "someone changed a table"
    with pytest.raises(Unavailable, match=match) as raised, db.transaction() as tx:
        tx.client.query(QUERY, {"thing": 1})
    assert raised.value.retryable
    with db.transaction() as tx:
        assert tx.client.query(QUERY, {"thing": 1}) == [(1, None)]


def test_statements_that_were_let_go_of_are_prepared_anew(open_db: Surface, url: str) -> None:
    db = open_db(url, pool_max_size=1, prepare_threshold=0)
    project = db.projects.create("platform", "Platform")
    for _ in range(2):
        for _ in range(OFTEN):
            assert db.projects.get(project.id) == project
        db.client.execute("DEALLOCATE ALL")


# Settings, locks and temporary tables


@pytest.mark.parametrize(
    ("change", "seen", "expected"),
    [
        ("SET application_name TO 'mine'", "SHOW application_name", ""),
        ("SET SESSION application_name TO 'mine'", "SHOW application_name", ""),
        ("SELECT set_config('application_name', 'mine', false)", "SHOW application_name", ""),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SHOW default_transaction_read_only",
            "off",
        ),
        ("SET ROLE pg_monitor", "SELECT current_user = session_user", True),
        ("CREATE TEMPORARY TABLE things (n int)", "SELECT to_regclass('things') IS NULL", True),
        ("SELECT 1 AS n INTO TEMP things", "SELECT to_regclass('things') IS NULL", True),
        (
            "DO $$ BEGIN SET application_name TO 'mine'; END $$",
            "SHOW application_name",
            "",
        ),
        ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()", 0),
        (
            "SELECT pg_advisory_lock(42)",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42",
            0,
        ),
    ],
)
@pytest.mark.parametrize("in_a_block", [True, False])
def test_what_a_caller_sets_for_a_session_isnt_found_by_the_next(
    open_db: Surface, url: str, change: str, seen: str, expected: object, in_a_block: bool
) -> None:
    db = open_db(url, pool_max_size=1)

    def run(on: Database) -> None:
        on.client.query(change) if change.startswith("SELECT") else on.client.execute(change)

    if in_a_block:
        with db.transaction() as tx:
            run(tx)
    else:
        run(db)
    # The server ends a session, and with it its locks, a moment after its client left.
    give_up_at = time.monotonic() + 5
    while (found := db.client.query_value(seen)) != expected and time.monotonic() < give_up_at:
        pass
    assert found == expected
    db.projects.create("platform", "Platform")


def test_what_is_set_for_a_transaction_alone_costs_no_connection(
    open_db: Surface, url: str
) -> None:
    db = open_db(url, pool_max_size=1)
    session = db.client.query_value("SELECT pg_backend_pid()")
    with db.transaction() as tx:
        tx.client.execute("SET LOCAL lock_timeout TO '1s'")
        assert tx.client.query_value("SHOW lock_timeout") == "1s"
        tx.client.execute("SET CONSTRAINTS ALL DEFERRED")
    assert db.client.query_value("SHOW lock_timeout") == "0"
    assert db.client.query_value("SELECT pg_backend_pid()") == session


# Limits


@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_block_that_outlives_the_servers_patience_is_told_that_its_connection_is_lost(
    open_db: Surface, url: str, admin: psycopg.Connection[Any], limit: str
) -> None:
    if not admin.execute("SELECT 1 FROM pg_settings WHERE name = %s", [limit]).fetchone():
        pytest.skip(f"{limit} came with PostgreSQL 17")
    name = admin.info.dbname
    admin.execute(f'ALTER DATABASE "{name}" SET {limit} TO 100'.encode())
    db = open_db(url, pool_max_size=1)
    match = "the connection was lost"
    with pytest.raises(Unavailable, match=match) as raised, db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        for _ in range(2):
            # The server counts from a statement that was sent by itself.
            tx.projects.list()
        time.sleep(0.4)
        tx.projects.list()
    assert (raised.value.retryable, raised.value.outcome) == (True, "not_committed")
    assert db.projects.list().items == []
