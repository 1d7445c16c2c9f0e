"""The role that ``forgedb grants`` is for: the suite runs as it, and it can't touch history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import InvalidValue, Unavailable
from forgedb.grants import PRIVILEGES, grants
from tests.servers.postgres import Databases


@pytest.fixture
def application(postgres: Databases) -> Iterator[str]:
    """The URL of a database with a project in it, for the application's role."""
    with postgres.new(migrated=True) as url:
        with forgedb.connect(url, actor="user:ada") as db:
            db.projects.create("platform", "Platform")
        yield postgres.as_application(url)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'user:eve'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
        "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_one_per_seq",
        "DROP TRIGGER audit_entries_never_updated ON audit_entries",
        "DROP TABLE audit_entries",
        "ALTER TABLE audit_entries OWNER TO CURRENT_USER",
        "CREATE RULE quiet AS ON INSERT TO audit_entries DO INSTEAD NOTHING",
        "SET session_replication_role = replica",
        "DELETE FROM projects",
        "TRUNCATE projects CASCADE",
        "UPDATE projects SET id = id",
        "UPDATE projects SET created_at = now()",
        "DELETE FROM leases",
        "UPDATE leases SET fencing_token = 7",
        "INSERT INTO schema_migrations VALUES (2, 'x', repeat('0', 64), now(), 1)",
        "CREATE TABLE mine (id int)",
    ],
)
def test_what_history_rests_on_is_refused(application: str, statement: str) -> None:
    with psycopg.connect(application, autocommit=True) as raw:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw.execute(statement)
        assert raw.execute("SELECT count(*) FROM audit_entries").fetchone() == (1,)


def test_an_entry_can_be_read_and_added_and_nothing_else(application: str) -> None:
    with psycopg.connect(application, autocommit=True) as raw:
        allowed = raw.execute(
            """
            SELECT privilege
            FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
                'TRIGGER']) AS privilege
            WHERE has_table_privilege('audit_entries', privilege)
                OR (privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                    AND has_any_column_privilege('audit_entries', privilege))
            """
        ).fetchall()
    assert allowed == [("SELECT",), ("INSERT",)]


def test_what_the_role_may_not_do_is_one_of_forgedbs_errors(application: str) -> None:
    with forgedb.connect(application, actor="user:ada") as db:
        assert db.projects.list().items[0].slug == "platform"
        with pytest.raises(Unavailable, match="isn't allowed") as raised:
            db.client.execute("DELETE FROM audit_entries")
        assert not raised.value.retryable
        assert db.audit.verify().ok


def test_every_table_has_its_line(postgres: Databases) -> None:
    with postgres.new(migrated=True) as url, psycopg.connect(url) as raw:
        tables: Any = raw.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    assert {name for (name,) in tables} == set(PRIVILEGES)


def test_names_are_quoted() -> None:
    usage = grants('a "role"; DROP', 'My "schema"')[0]
    assert usage == 'GRANT USAGE ON SCHEMA "My ""schema""" TO "a ""role""; DROP";'


@pytest.mark.parametrize("name", ["", "a" * 64, "é" * 32, "nul \0", None])
def test_names_that_are_none_are_refused(name: Any) -> None:
    for call in (lambda: grants(name), lambda: grants("app", name)):
        with pytest.raises(InvalidValue):
            call()
