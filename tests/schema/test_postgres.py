"""What only PostgreSQL has: TRUNCATE, schemas and roles, time zones, keys of a page's size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.schema.attacks import NEVER_DELETED
from tests.schema.conftest import refused_by
from tests.schema.reaching import (
    WRONG_TYPE,
    PostgresRaw,
    Row,
    apply_postgres,
    fill,
    grant,
    insert,
)
from tests.schema.rows import (
    FREE,
    LATER,
    LEASE,
    OTHER_REPOSITORY,
    PROJECT,
    REPOSITORY,
    THIRD_REPOSITORY,
    VALID,
    ulid,
)
from tests.servers.postgres import Databases

# History.


@pytest.mark.parametrize(("table", "rule"), NEVER_DELETED)
def test_history_is_never_truncated(postgres_raw: PostgresRaw, table: str, rule: str) -> None:
    postgres_raw.drop_foreign_keys()
    with refused_by(postgres_raw, rule):
        postgres_raw.execute(f"TRUNCATE {table}")


def test_history_is_not_truncated_with_what_refers_to_it(postgres_raw: PostgresRaw) -> None:
    with refused_by(postgres_raw, *(rule for _, rule in NEVER_DELETED)):
        postgres_raw.execute("TRUNCATE projects CASCADE")
    with refused_by(postgres_raw, *(rule for _, rule in NEVER_DELETED)):
        postgres_raw.execute("TRUNCATE object_metadata, repositories CASCADE")


@pytest.mark.parametrize(
    ("table", "collides", "key", "column", "rule"),
    [
        ("projects", {"id": PROJECT}, "id", "created_at", "projects_fixed_columns"),
        ("repositories", {"id": REPOSITORY}, "id", "created_at", "repositories_fixed_columns"),
        (
            "leases",
            {"id": LEASE, "previous_lease_id": None},
            "id",
            "end_note",
            "leases_change_once",
        ),
        ("audit_entries", {"seq": 7}, "stream_id, seq", "reason", "audit_entries_append_only"),
        ("audit_entries", {"id": ulid(6)}, "id", "reason", "audit_entries_append_only"),
        ("audit_checkpoints", {"seq": 7}, "seq", "key_id", "audit_checkpoints_append_only"),
    ],
)
def test_an_upsert_changes_no_more_of_a_row_than_an_update(
    postgres_raw: PostgresRaw,
    table: str,
    collides: dict[str, Any],
    key: str,
    column: str,
    rule: str,
) -> None:
    new = {"created_at": "2026-11-22T09:00:00Z", "end_note": "forgotten"}.get(column, "changed")
    tail = f"ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}"
    with refused_by(postgres_raw, rule):
        insert(postgres_raw, table, tail=tail, **(collides | {column: new}))


# Values.


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Kiritimati", "UTC"])
def test_a_year_has_four_digits_in_utc_whatever_zone_the_session_has(
    postgres_raw: PostgresRaw, zone: str
) -> None:
    first, last = "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"
    postgres_raw.execute("SELECT set_config('TimeZone', :zone, true)", zone=zone)
    for time in ("0001-12-31T23:59:59.999999Z BC", "10000-01-01T00:00:00.000000Z", "infinity"):
        with pytest.raises(Exception, match="projects_created_at_check"):
            insert(postgres_raw, "projects", created_at=time)
    insert(postgres_raw, "projects", created_at=first, deleted_at=last)
    assert postgres_raw.execute(
        """
        SELECT (created_at AT TIME ZONE 'UTC')::text, (deleted_at AT TIME ZONE 'UTC')::text
        FROM projects
        WHERE id = :id
        """,
        id=FREE,
    ) == [("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")]


@pytest.mark.parametrize("zone", ["America/St_Johns", "Europe/London"])
def test_a_lease_lasts_72_hours_also_where_clocks_are_changed(
    postgres_raw: PostgresRaw, zone: str
) -> None:
    postgres_raw.execute("SELECT set_config('TimeZone', :zone, true)", zone=zone)
    lease = {"acquired_at": "2026-10-24T12:00:00Z", "ended_at": "2026-10-24T12:00:00Z"}
    with refused_by(postgres_raw, "leases_72_hours_check"):
        insert(postgres_raw, "leases", **lease, expires_at="2026-10-27T12:00:00.000001Z")
    insert(postgres_raw, "leases", **lease, expires_at="2026-10-27T12:00:00Z")


def test_json_stays_as_it_was_written(postgres_raw: PostgresRaw) -> None:
    changes = '{"b": [1.50,\t"\\u00e9"], "a": 1e2, "a": null }'
    insert(postgres_raw, "audit_entries", changes=changes)
    assert postgres_raw.execute("SELECT changes FROM audit_entries WHERE id = :id", id=FREE) == [
        (changes,)
    ]


def test_a_number_beyond_64_bits_is_refused(postgres_raw: PostgresRaw) -> None:
    with refused_by(postgres_raw, WRONG_TYPE):
        insert(postgres_raw, "object_metadata", size=2**63)


def _incompressible(characters: int) -> str:
    """Text of which no two parts are alike, in three bytes a character."""
    return "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(characters))


def test_an_address_may_be_longer_than_an_index_holds(postgres_raw: PostgresRaw) -> None:
    url = "https://example.org/" + _incompressible(2000)
    insert(postgres_raw, "mirrors", remote_url=url)
    with refused_by(postgres_raw, "mirrors_one_per_remote"):
        insert(postgres_raw, "mirrors", id=ulid(90), remote_url=url)
    insert(postgres_raw, "mirrors", id=ulid(91), remote_url=url + "/")


@pytest.mark.parametrize("target", [OTHER_REPOSITORY, None], ids=["repository", "url"])
def test_a_path_may_be_longer_than_an_index_holds(
    postgres_raw: PostgresRaw, target: str | None
) -> None:
    url = None if target else "https://example.org/" + _incompressible(2000)
    edge = {"target_id": target, "target_url": url, "path": _incompressible(4096)}
    insert(postgres_raw, "repository_relationships", **edge)
    with refused_by(postgres_raw, "repository_relationships_no_duplicates"):
        insert(postgres_raw, "repository_relationships", id=ulid(90), **edge)


def test_text_that_is_a_key_sorts_by_its_bytes(postgres_raw: PostgresRaw) -> None:
    found = postgres_raw.execute(
        """
        SELECT a.attrelid::regclass::text, a.attname, coalesce(c.collname, '')
        FROM pg_index AS i
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
        JOIN pg_class AS t ON t.oid = i.indrelid
        LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
        WHERE t.relnamespace = 'public'::regnamespace AND a.attcollation <> 0
        """
    )
    assert len(found) > 40
    assert [row for row in found if row[2] != "C"] == []


def test_objects_are_spread_over_16_partitions(postgres_raw: PostgresRaw) -> None:
    postgres_raw.drop_foreign_keys()
    for number in range(400):
        insert(postgres_raw, "object_metadata", repository_id=ulid(1000 + number))
    used = postgres_raw.execute("SELECT DISTINCT tableoid::regclass::text FROM object_metadata")
    assert sorted(name for (name,) in used) == [f"object_metadata_{n:02}" for n in range(16)]


# Schemas and roles.


@pytest.fixture
def elsewhere(postgres: Databases) -> Iterator[psycopg.Connection[Row]]:
    """The tables in a schema of their own, made by a role that owns that schema and no more."""
    with postgres.new() as url, psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(f"owner_{connection.info.dbname}")
        connection.execute(sql.SQL("CREATE ROLE {}").format(name))
        connection.execute(sql.SQL("CREATE SCHEMA forge AUTHORIZATION {}").format(name))
        connection.execute("SET search_path TO forge")
        connection.execute(sql.SQL("SET ROLE {}").format(name))
        with connection.transaction():
            apply_postgres(connection)
            fill(PostgresRaw(connection))
        yield connection
        connection.execute("RESET ROLE")
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def _attack_from_afar(connection: psycopg.Connection[Row], schema: str) -> None:
    """Statements that name the schema, from a session whose search_path leads elsewhere."""

    def refused(rule: str, statement: str, **values: object) -> None:
        with pytest.raises(psycopg.IntegrityError) as caught, connection.transaction():
            connection.execute(statement.replace("forge.", f"{schema}."), values)
        assert caught.value.diag.constraint_name == rule

    repository = VALID["repositories"] | {"deleted_at": None}
    columns = ", ".join(repository)
    places = ", ".join(f"%({column})s" for column in repository)
    refused(
        "projects_without_live_repositories",
        "UPDATE forge.projects SET deleted_at = %(at)s",
        at=LATER,
    )
    refused(
        "repository_relationships_acyclic",
        """
        INSERT INTO forge.repository_relationships
        SELECT new.id, new.source_id, new.target_id, NULL, 'template', '', created_at, updated_at
        FROM
            forge.repository_relationships,
            (VALUES (%(id)s, %(a)s, %(b)s), (%(id2)s, %(b)s, %(a)s))
                AS new (id, source_id, target_id)
        """,
        id=ulid(90),
        id2=ulid(91),
        a=REPOSITORY,
        b=THIRD_REPOSITORY,
    )
    refused("audit_entries_append_only", "DELETE FROM forge.audit_entries")
    with connection.transaction(force_rollback=True):
        connection.execute(
            f"UPDATE {schema}.repositories SET deleted_at = %(at)s".encode(), {"at": LATER}
        )
        connection.execute(
            f"UPDATE {schema}.projects SET deleted_at = %(at)s".encode(), {"at": LATER}
        )
        refused(
            "repositories_under_live_project",
            f"INSERT INTO forge.repositories ({columns}) VALUES ({places})",
            **repository,
        )


def test_triggers_look_where_the_tables_are_whatever_the_search_path(
    elsewhere: psycopg.Connection[Row],
) -> None:
    elsewhere.execute("SET search_path TO pg_catalog")
    _attack_from_afar(elsewhere, "forge")


def test_a_temporary_table_hides_nothing_from_a_trigger(
    elsewhere: psycopg.Connection[Row],
) -> None:
    elsewhere.execute("RESET ROLE")
    for table in ("projects", "repositories", "repository_relationships"):
        elsewhere.execute(
            sql.SQL("CREATE TEMP TABLE {0} AS SELECT * FROM forge.{0} LIMIT 0").format(
                sql.Identifier(table)
            )
        )
    elsewhere.execute("SET search_path TO pg_temp, forge")
    _attack_from_afar(elsewhere, "forge")


def test_a_temporary_table_vouches_for_nothing_at_commit(
    elsewhere: psycopg.Connection[Row],
) -> None:
    """Whoever may write the tables may make temporary ones, and fill them."""
    elsewhere.execute("RESET ROLE")
    for table in ("repositories", "leases", "audit_entries"):
        elsewhere.execute(
            sql.SQL("CREATE TEMP TABLE {0} AS SELECT * FROM forge.{0}").format(
                sql.Identifier(table)
            )
        )
    elsewhere.execute("UPDATE pg_temp.leases SET fencing_token = 8")
    elsewhere.execute("SET search_path TO pg_temp, forge")
    with pytest.raises(psycopg.IntegrityError, match="leases_newest_is_epoch"):
        elsewhere.execute(
            "UPDATE forge.repositories SET lease_epoch = 8 WHERE id = %s", (REPOSITORY,)
        )


def test_a_schema_can_be_renamed(elsewhere: psycopg.Connection[Row]) -> None:
    elsewhere.execute("RESET ROLE")
    elsewhere.execute("ALTER SCHEMA forge RENAME TO smithy")
    elsewhere.execute("SET search_path TO pg_catalog")
    _attack_from_afar(elsewhere, "smithy")
    with pytest.raises(psycopg.IntegrityError, match="leases_newest_is_epoch"):
        elsewhere.execute("UPDATE smithy.repositories SET lease_epoch = lease_epoch + 1")


@pytest.fixture
def application(elsewhere: psycopg.Connection[Row]) -> Iterator[PostgresRaw]:
    """A role that may use the tables and owns none."""
    elsewhere.execute("RESET ROLE")
    name = sql.Identifier(f"application_{elsewhere.info.dbname}")
    elsewhere.execute(sql.SQL("CREATE ROLE {}").format(name))
    for privilege in (
        "GRANT USAGE ON SCHEMA forge TO {}",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA forge TO {}",
        "GRANT UPDATE ON projects, repositories, leases, mirrors, repository_relationships TO {}",
    ):
        elsewhere.execute(sql.SQL(privilege).format(name))
    elsewhere.execute(sql.SQL("SET ROLE {}").format(name))
    yield PostgresRaw(elsewhere)
    elsewhere.execute("RESET ROLE")
    elsewhere.execute(sql.SQL("DROP OWNED BY {}").format(name))
    elsewhere.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_role_with_rights_to_the_tables_meets_every_rule_and_needs_no_more(
    application: PostgresRaw,
) -> None:
    insert(application, "projects", deleted_at=None)
    with refused_by(application, "repositories_one_live_per_path"):
        insert(application, "repositories", slug="there", deleted_at=None)
    insert(application, "repositories", deleted_at=None)
    with application.connection.transaction():
        grant(application)
    insert(application, "audit_entries")
    insert(application, "object_metadata")
    insert(application, "mirrors")
    edge = {"kind": "fork", "source_id": FREE, "target_id": REPOSITORY}
    insert(application, "repository_relationships", **edge)
    with refused_by(application, "repository_relationships_acyclic"):
        ends = {"source_id": REPOSITORY, "target_id": FREE}
        insert(application, "repository_relationships", id=ulid(91), kind="fork", **ends)
    with refused_by(application, "projects_without_live_repositories"):
        application.execute(
            "UPDATE projects SET deleted_at = :at WHERE id = :id", at=LATER, id=PROJECT
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET reason = NULL",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "ALTER TABLE audit_entries DISABLE TRIGGER USER",
        "DROP TRIGGER audit_entries_never_deleted ON audit_entries",
        "SET session_replication_role TO replica",
    ],
)
def test_a_role_that_owns_no_table_can_not_step_round_a_trigger(
    application: PostgresRaw, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement)
