"""When the schema itself sets updated_at, and to what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.schema.reaching import Raw
from tests.schema.rows import (
    LATER,
    OTHER_REPOSITORY,
    PROJECT,
    REPOSITORY,
    THIRD_REPOSITORY,
    TIME,
    ulid,
)

KEYS = {
    "projects": PROJECT,
    "repositories": REPOSITORY,
    "mirrors": ulid(7),
    "repository_relationships": ulid(8),
}
CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("projects", "slug", "renamed"),
    ("projects", "name", "Renamed"),
    ("projects", "description", "Another"),
    ("projects", "visibility", "public"),
    ("repositories", "slug", "renamed"),
    ("repositories", "description", "Another"),
    ("repositories", "default_branch", "trunk"),
    ("repositories", "visibility", "public"),
    ("repositories", "state", "archived"),
    ("repositories", "deleted_at", LATER),
    ("mirrors", "direction", "pull"),
    ("mirrors", "remote_url", "https://example.org/moved.git"),
    ("mirrors", "credential_ref", None),
    ("mirrors", "enabled", False),
    ("mirrors", "interval_seconds", None),
    ("mirrors", "next_run_at", None),
    ("mirrors", "last_started_at", None),
    ("mirrors", "last_success_at", None),
    ("mirrors", "consecutive_failures", 1),
    ("mirrors", "last_error", None),
    ("mirrors", "run_token", ulid(90)),
    ("mirrors", "run_deadline_at", TIME),
    ("repository_relationships", "source_id", THIRD_REPOSITORY),
    ("repository_relationships", "target_id", THIRD_REPOSITORY),
    ("repository_relationships", "kind", "mirror"),
    ("repository_relationships", "path", ""),
)
A_TEXT = {
    "projects": "description",
    "repositories": "description",
    "mirrors": "last_error",
    "repository_relationships": "path",
}
FUTURE = "2999-12-31T23:59:58.000000Z"


def updated_at(raw: Raw, table: str) -> str:
    row = raw.execute(f"SELECT updated_at FROM {table} WHERE id = :id", id=KEYS[table])
    return str(row[0][0])


def change(raw: Raw, table: str, **columns: Any) -> None:
    settings = ", ".join(f"{column} = :{column}" for column in columns)
    raw.execute(f"UPDATE {table} SET {settings} WHERE id = :key", key=KEYS[table], **columns)


@pytest.mark.parametrize(("table", "column", "value"), CHANGES)
def test_a_change_that_leaves_updated_at_moves_it_on(
    raw: Raw, table: str, column: str, value: object
) -> None:
    change(raw, table, updated_at=FUTURE)
    change(raw, table, **{column: value})
    assert updated_at(raw, table) == "2999-12-31T23:59:58.000001Z"


def test_a_status_of_a_mirror_moves_it_on(raw: Raw) -> None:
    change(raw, "mirrors", updated_at=FUTURE)
    change(raw, "mirrors", status="ok", run_token=None, run_deadline_at=None)
    assert updated_at(raw, "mirrors") == "2999-12-31T23:59:58.000001Z"


def test_a_url_of_a_relationship_moves_it_on(raw: Raw) -> None:
    change(raw, "repository_relationships", updated_at=FUTURE)
    change(raw, "repository_relationships", target_id=None, target_url="https://example.org/a.git")
    assert updated_at(raw, "repository_relationships") == "2999-12-31T23:59:58.000001Z"


def test_deleting_a_project_moves_it_on(raw: Raw) -> None:
    raw.execute("UPDATE repositories SET deleted_at = :at", at=LATER)
    change(raw, "projects", updated_at=FUTURE)
    change(raw, "projects", deleted_at=LATER)
    assert updated_at(raw, "projects") == "2999-12-31T23:59:58.000001Z"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2999-12-31T23:59:59.999998Z", "2999-12-31T23:59:59.999999Z"),
        ("2999-12-31T23:59:59.999999Z", "3000-01-01T00:00:00.000000Z"),
        ("2996-02-28T23:59:59.999999Z", "2996-02-29T00:00:00.000000Z"),
        ("2997-02-28T23:59:59.999999Z", "2997-03-01T00:00:00.000000Z"),
        ("2999-01-01T00:00:00.099999Z", "2999-01-01T00:00:00.100000Z"),
    ],
)
@pytest.mark.parametrize("table", KEYS)
def test_a_clock_that_stands_behind_gives_one_microsecond_more(
    raw: Raw, table: str, before: str, after: str
) -> None:
    change(raw, table, updated_at=before)
    change(raw, table, **{A_TEXT[table]: "changed"})
    assert updated_at(raw, table) == after


@pytest.mark.parametrize("table", KEYS)
def test_else_it_becomes_the_time_of_the_change(raw: Raw, table: str) -> None:
    change(raw, table, updated_at="2020-01-01T00:00:00.000000Z")
    before = datetime.now(UTC)
    change(raw, table, **{A_TEXT[table]: "changed"})
    now = datetime.fromisoformat(updated_at(raw, table))
    assert before - timedelta(milliseconds=2) <= now <= datetime.now(UTC)


@pytest.mark.parametrize("table", KEYS)
def test_an_updated_at_that_is_given_stays(raw: Raw, table: str) -> None:
    change(raw, table, **{A_TEXT[table]: "changed"}, updated_at=LATER)
    assert updated_at(raw, table) == LATER


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("projects", {"audit_seq": 1, "audit_head": b"\1" * 32}),
        ("repositories", {"audit_seq": 1, "audit_head": b"\1" * 32}),
        ("repositories", {"lease_epoch": 8}),
    ],
)
def test_the_audit_trail_and_the_lease_epoch_leave_it(
    raw: Raw, table: str, columns: dict[str, Any]
) -> None:
    change(raw, table, **columns)
    assert updated_at(raw, table) == TIME


def test_each_row_of_a_statement_moves_on_from_its_own_time(raw: Raw) -> None:
    days = {REPOSITORY: "02", OTHER_REPOSITORY: "03", THIRD_REPOSITORY: "04"}
    for repository, day in days.items():
        raw.execute(
            "UPDATE repositories SET updated_at = :at WHERE id = :id",
            at=f"3000-01-{day}T00:00:00.000000Z",
            id=repository,
        )
    raw.execute("UPDATE repositories SET description = 'changed'")
    assert raw.execute("SELECT updated_at FROM repositories ORDER BY id") == [
        (f"3000-01-{day}T00:00:00.000001Z",) for day in days.values()
    ]
