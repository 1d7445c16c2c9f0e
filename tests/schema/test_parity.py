"""Both databases have the same schema, but for what is listed here with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.schema.catalogues import Column, Form, read_postgres, read_sqlite
from tests.schema.reaching import ULID_RULES, PostgresRaw, SqliteRaw
from tests.schema.rows import VALID

ONLY_SQLITE_CHECKS = ULID_RULES | {"mirrors_enabled_check"}
"""The domain ulid and the type boolean say it on PostgreSQL."""

ONLY_SQLITE_TRIGGERS = {
    "projects_insert_keeps_others",
    "projects_update_keeps_others",
    "repositories_insert_keeps_others",
    "repositories_update_keeps_others",
    "leases_insert_keeps_others",
    "audit_entries_insert_keeps_others",
    "audit_checkpoints_insert_keeps_others",
    "database_identity_insert_keeps_others",
}
"""Against REPLACE, which PostgreSQL hasn't; its unique keys have the names of their rules."""

ONLY_POSTGRES_TRIGGERS = {
    # SQLite has no TRUNCATE: its DELETE fires the trigger for every row.
    "projects_never_truncated",
    "repositories_never_truncated",
    "leases_never_truncated",
    "audit_entries_never_truncated",
    "audit_checkpoints_never_truncated",
    "database_identity_never_truncated",
    # Apart from the rule of the same words, since PostgreSQL reads a long WHEN in each statement.
    "leases_fixed_columns",
    # A row of SQLite's is looked at as it comes: what comes with it is not there yet.
    "repositories_insert_lease_epoch",
    # SQLite has one writer at a time.
    "repository_relationships_insert_locks_kind",
    "repository_relationships_update_locks_kind",
}

POSTGRES_EXPRESSIONS = {
    # An index of PostgreSQL's holds no key of more than 2704 bytes.
    "forgedb_digest remote_url": "remote_url",
    "forgedb_digest coalesce target_url , ''": "coalesce target_url , ''",
    "forgedb_digest path": "path",
}


@pytest.fixture
def sqlite_form(open_sqlite: Callable[[bool], SqliteRaw]) -> Form:
    return read_sqlite(open_sqlite(True))


@pytest.fixture
def postgres_form(postgres_raw: PostgresRaw) -> Form:
    return read_postgres(postgres_raw)


def test_tables_have_the_same_columns_in_the_same_order(
    sqlite_form: Form, postgres_form: Form
) -> None:
    assert sqlite_form.columns.keys() == VALID.keys()
    assert sqlite_form.columns == postgres_form.columns


def test_every_kind_of_column_is_told_from_the_others(sqlite_form: Form) -> None:
    columns = {
        (table, column.name): column
        for table, columns in sqlite_form.columns.items()
        for column in columns
    }
    assert {column.type for column in columns.values()} == {
        "ulid",
        "time",
        "json",
        "text",
        "bytes",
        "bool",
        "int",
    }
    assert columns["leases", "ended_at"] == Column("ended_at", "time", True)
    assert columns["audit_entries", "changes"] == Column("changes", "json", False)


def test_primary_keys_are_the_same(sqlite_form: Form, postgres_form: Form) -> None:
    assert all(sqlite_form.primary_keys.values())
    assert sqlite_form.primary_keys == postgres_form.primary_keys


def test_foreign_keys_are_the_same_and_none_cascades(
    sqlite_form: Form, postgres_form: Form
) -> None:
    assert sqlite_form.foreign_keys == postgres_form.foreign_keys
    keys = set().union(*sqlite_form.foreign_keys.values())
    assert len(keys) > 5
    assert {(key.on_update, key.on_delete) for key in keys} == {("RESTRICT", "RESTRICT")}


def test_indexes_are_the_same(sqlite_form: Form, postgres_form: Form) -> None:
    translated = {
        table: {
            name: index._replace(
                columns=tuple(POSTGRES_EXPRESSIONS.get(each, each) for each in index.columns)
            )
            for name, index in indexes.items()
        }
        for table, indexes in postgres_form.indexes.items()
    }
    assert sqlite_form.indexes == translated
    used = {
        each
        for indexes in postgres_form.indexes.values()
        for index in indexes.values()
        for each in index.columns
    }
    assert POSTGRES_EXPRESSIONS.keys() <= used


def test_checks_have_the_same_names(sqlite_form: Form, postgres_form: Form) -> None:
    def of_both(form: Form) -> dict[str, set[str]]:
        return {table: names - ONLY_SQLITE_CHECKS for table, names in form.checks.items()}

    assert of_both(sqlite_form) == of_both(postgres_form)
    assert set().union(*sqlite_form.checks.values()) >= ONLY_SQLITE_CHECKS
    assert not ONLY_SQLITE_CHECKS & set().union(*postgres_form.checks.values())


def test_triggers_fire_for_the_same_and_say_the_same(
    sqlite_form: Form, postgres_form: Form
) -> None:
    def without(form: Form, names: set[str]) -> dict[str, Any]:
        assert names <= form.triggers.keys()
        return {name: each for name, each in form.triggers.items() if name not in names}

    of_sqlite = without(sqlite_form, ONLY_SQLITE_TRIGGERS)
    assert of_sqlite == without(postgres_form, ONLY_POSTGRES_TRIGGERS)
    assert len(of_sqlite) > 15


def test_a_truncate_is_refused_as_a_delete_is(postgres_form: Form) -> None:
    truncates = [name for name in postgres_form.triggers if name.endswith("_truncated")]
    for name in truncates:
        delete = postgres_form.triggers[name.replace("_truncated", "_deleted")]
        assert postgres_form.triggers[name] == delete._replace(event="TRUNCATE")
    deletes = [each for each in postgres_form.triggers.values() if each.event == "DELETE"]
    assert len(truncates) == len(deletes)


def test_every_key_that_sqlite_guards_is_a_key_with_the_rules_name(
    open_sqlite: Callable[[bool], SqliteRaw], postgres_raw: PostgresRaw
) -> None:
    guarded = {
        name
        for (text,) in open_sqlite(True).execute(
            "SELECT sql FROM sqlite_schema WHERE name LIKE '%keeps_others'"
        )
        for name in re.findall(r"forgedb: (\w+):", text)
    }
    keys = {
        name
        for (name,) in postgres_raw.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique"
        )
    }
    assert len(guarded) > 5
    assert guarded <= keys
