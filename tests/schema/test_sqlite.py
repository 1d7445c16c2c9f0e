"""What only SQLite has: REPLACE and its kin, times as text, STRICT tables without a rowid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schema.attacks import (
    CHANGES_OF_AN_ENDED_LEASE,
    COLLISIONS,
    FIXED,
    OPEN,
)
from tests.schema.conftest import refused_by
from tests.schema.reaching import WRONG_TYPE, SqliteRaw, insert
from tests.schema.rows import (
    LEASE,
    OTHER_REPOSITORY,
    REPOSITORY,
    THIRD_REPOSITORY,
    VALID,
    ulid,
)

INSERTS = ("INSERT OR REPLACE", "REPLACE", "INSERT OR ABORT", "INSERT OR FAIL")
UPDATES = ("UPDATE OR REPLACE", "UPDATE OR IGNORE")

MISSHAPEN_TIMES = (
    "now",
    "2026-11-22",
    "2026-11-22T10:00:00",
    "2026-11-22T10:00:00Z",
    "2026-11-22T10:00:00.000Z",
    "2026-11-22T10:00:00.00000Z",
    "2026-11-22T10:00:00.0000000Z",
    "2026-11-22T10:00:00.000000",
    "2026-11-22T10:00:00.000000z",
    "2026-11-22T10:00:00.000000+00:00",
    "2026-11-22T10:00:00,000000Z",
    "2026-11-22 10:00:00.000000Z",
    "2026-11-22t10:00:00.000000Z",
    "2026-11-22T10:00:00.000000Z ",
    " 2026-11-22T10:00:00.000000Z",
    "-026-11-22T10:00:00.000000Z",
    "2026-11-22T24:00:00.000000Z",
    "2026-11-22T23:59:60.000000Z",
)
A_TIME_OF_EACH_TABLE = (
    ("projects", "created_at"),
    ("repositories", "updated_at"),
    ("leases", "ended_at"),
    ("audit_entries", "at"),
    ("object_metadata", "created_at"),
    ("mirrors", "next_run_at"),
    ("repository_relationships", "created_at"),
    ("audit_checkpoints", "at"),
    ("lease_import_lines", "imported_at"),
)


@pytest.mark.parametrize("verb", INSERTS)
@pytest.mark.parametrize(("table", "collides", "rule"), COLLISIONS)
def test_a_row_that_is_there_is_not_replaced(
    sqlite_raw: SqliteRaw, table: str, collides: dict[str, Any], rule: str, verb: str
) -> None:
    with refused_by(sqlite_raw, rule):
        insert(sqlite_raw, table, verb=verb, **collides)


@pytest.mark.parametrize("verb", INSERTS)
def test_an_open_lease_is_not_replaced(sqlite_raw: SqliteRaw, verb: str) -> None:
    insert(sqlite_raw, "leases", **OPEN)
    with refused_by(sqlite_raw, "leases_one_open_per_repository"):
        insert(sqlite_raw, "leases", verb=verb, id=ulid(90), fencing_token=9, **OPEN)
    elsewhere = {"repository_id": OTHER_REPOSITORY, "fencing_token": 1}
    insert(sqlite_raw, "leases", id=ulid(91), **elsewhere, **OPEN)


@pytest.mark.parametrize(("table", "collides", "rule"), COLLISIONS)
def test_an_upsert_changes_no_row_that_is_there(
    sqlite_raw: SqliteRaw, table: str, collides: dict[str, Any], rule: str
) -> None:
    column = next(iter(collides))
    tail = f"ON CONFLICT DO UPDATE SET {column} = excluded.{column}"
    with refused_by(sqlite_raw, rule):
        insert(sqlite_raw, table, tail=tail, **collides)


def test_the_indexes_hold_the_rules_without_the_triggers(sqlite_raw: SqliteRaw) -> None:
    for (name,) in sqlite_raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
        sqlite_raw.execute(f"DROP TRIGGER {name}")
    for table, collides, _ in COLLISIONS:
        with refused_by(sqlite_raw, *_columns_of_keys(sqlite_raw, table)):
            insert(sqlite_raw, table, **collides)
    insert(sqlite_raw, "leases", **OPEN)
    with refused_by(sqlite_raw, "leases.repository_id"):
        insert(sqlite_raw, "leases", id=ulid(90), fencing_token=9, **OPEN)


def _columns_of_keys(raw: SqliteRaw, table: str) -> list[str]:
    """The table's keys, as SQLite names them where nothing else does."""
    found = raw.execute(
        """
        SELECT group_concat(:table || '.' || info.name, ', ' ORDER BY info.seqno)
        FROM pragma_index_list(:table) AS list, pragma_index_info(list.name) AS info
        WHERE list."unique"
        GROUP BY list.name
        """,
        table=table,
    )
    return [str(columns) for (columns,) in found]


def test_a_guard_that_stands_before_a_unique_index_has_its_name(sqlite_raw: SqliteRaw) -> None:
    indexes = {
        name
        for table in {table for table, *_ in COLLISIONS}
        for (name,) in sqlite_raw.execute(
            "SELECT name FROM pragma_index_list(:table) WHERE \"unique\" AND origin = 'c'",
            table=table,
        )
    }
    primary_keys = {
        "projects_one_per_id",
        "repositories_one_per_id",
        "leases_one_per_id",
        "audit_entries_one_per_seq",
        "audit_checkpoints_one_per_seq",
    }
    guards = {rule for *_, rule in COLLISIONS} | {"leases_one_open_per_repository"}
    assert guards - primary_keys == indexes


def test_replacing_a_slug_replaces_no_live_row(sqlite_raw: SqliteRaw) -> None:
    insert(sqlite_raw, "projects", deleted_at=None)
    with refused_by(sqlite_raw, "projects_one_live_per_slug"):
        sqlite_raw.execute("UPDATE OR REPLACE projects SET slug = 'there'")
    with refused_by(sqlite_raw, "repositories_one_live_per_path"):
        sqlite_raw.execute("UPDATE OR REPLACE repositories SET slug = 'there'")
    sqlite_raw.execute("UPDATE OR REPLACE projects SET slug = slug")
    sqlite_raw.execute("UPDATE OR REPLACE repositories SET slug = slug")


def test_what_comes_back_replaces_no_live_row(sqlite_raw: SqliteRaw) -> None:
    insert(sqlite_raw, "projects", slug="there")
    insert(sqlite_raw, "repositories", slug="there")
    with refused_by(sqlite_raw, "projects_one_live_per_slug"):
        sqlite_raw.execute("UPDATE OR REPLACE projects SET deleted_at = NULL WHERE slug = 'there'")
    with refused_by(sqlite_raw, "repositories_one_live_per_path"):
        sqlite_raw.execute("UPDATE OR REPLACE repositories SET deleted_at = NULL")


@pytest.mark.parametrize("verb", UPDATES)
@pytest.mark.parametrize("table", ["audit_entries", "audit_checkpoints"])
def test_what_proves_the_history_is_never_replaced(
    sqlite_raw: SqliteRaw, table: str, verb: str
) -> None:
    for column in VALID[table]:
        with refused_by(sqlite_raw, f"{table}_append_only"):
            sqlite_raw.execute(f"{verb} {table} SET {column} = {column}")


@pytest.mark.parametrize("verb", UPDATES)
@pytest.mark.parametrize(("table", "column", "value"), FIXED)
def test_ids_are_not_replaced(
    sqlite_raw: SqliteRaw, table: str, column: str, value: str, verb: str
) -> None:
    insert(sqlite_raw, "projects", id=ulid(90))
    with refused_by(sqlite_raw, f"{table}_fixed_columns"):
        sqlite_raw.execute(f"{verb} {table} SET {column} = :value", value=value)


@pytest.mark.parametrize("verb", UPDATES)
@pytest.mark.parametrize("change", CHANGES_OF_AN_ENDED_LEASE)
def test_an_ended_lease_is_not_replaced(sqlite_raw: SqliteRaw, change: str, verb: str) -> None:
    with refused_by(sqlite_raw, "leases_change_once"):
        sqlite_raw.execute(f"{verb} leases SET {change} WHERE id = :id", id=LEASE)


@pytest.mark.parametrize("kind", ["fork", "template", "object_pool"])
@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_no_cycle_is_let_in_by_a_softer_insert(sqlite_raw: SqliteRaw, kind: str, verb: str) -> None:
    edge = {"kind": kind, "path": ""}
    ends = {"source_id": REPOSITORY, "target_id": THIRD_REPOSITORY}
    insert(sqlite_raw, "repository_relationships", **edge, **ends)
    ends = {"source_id": THIRD_REPOSITORY, "target_id": REPOSITORY}
    with refused_by(sqlite_raw, "repository_relationships_acyclic"):
        insert(sqlite_raw, "repository_relationships", verb=verb, id=ulid(90), **edge, **ends)


@pytest.mark.parametrize(("table", "column"), A_TIME_OF_EACH_TABLE)
def test_a_time_is_text_of_one_shape(sqlite_raw: SqliteRaw, table: str, column: str) -> None:
    shapes = MISSHAPEN_TIMES
    if table == "object_metadata":
        # Held to its shape alone, for speed: an hour and a second may be one too many.
        shapes = MISSHAPEN_TIMES[:-3]
    for time in shapes:
        with refused_by(sqlite_raw, f"{table}_{column}_check"):
            insert(sqlite_raw, table, **{column: time})


def test_the_days_of_leap_years_and_of_others_are_known(sqlite_raw: SqliteRaw) -> None:
    known = sqlite_raw.execute(
        """
        WITH RECURSIVE
            years (year) AS (VALUES (1900), (2000), (2026), (2028), (2100)),
            months (month) AS (SELECT 1 UNION ALL SELECT month + 1 FROM months WHERE month < 12),
            days (day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < 31)
        INSERT OR IGNORE INTO lease_import_lines
        SELECT
            'days', row_number() OVER (), zeroblob(32), 'released',
            printf('%d-%d-%d', year, month, day), NULL, NULL,
            printf('%04d-%02d-%02dT00:00:00.000000Z', year, month, day)
        FROM years, months, days
        RETURNING imported_at
        """
    )
    assert len(known) == 5 * 365 + len(("2000-02-29", "2028-02-29"))


@pytest.mark.parametrize("table", VALID)
def test_no_column_takes_a_value_of_another_type(sqlite_raw: SqliteRaw, table: str) -> None:
    wrong = {"TEXT": b"bytes", "INTEGER": "text", "BLOB": "text"}
    columns = sqlite_raw.execute("SELECT name, type FROM pragma_table_info(:table)", table=table)
    for name, kind in columns:
        with refused_by(sqlite_raw, WRONG_TYPE):
            insert(sqlite_raw, table, **{name: wrong[kind]})


def test_every_table_is_strict_and_has_no_rowid(sqlite_raw: SqliteRaw) -> None:
    tables = sqlite_raw.execute(
        """
        SELECT name, strict, wr
        FROM pragma_table_list
        WHERE name NOT LIKE 'sqlite_%'
        """
    )
    assert sorted(tables) == sorted((table, 1, 1) for table in VALID)
