"""What the SQLite schema's triggers and unique indexes refuse: a second row, and a changed past."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import apsw
import pytest

from tests.schema.conftest import Refused
from tests.schema.rows import (
    FREE,
    LATER,
    LATEST,
    LEASE,
    OTHER_REPOSITORY,
    PROJECT,
    REPOSITORY,
    SCRIPT,
    THIRD_REPOSITORY,
    insert,
    ulid,
)

VERBS = ("INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR ABORT", "INSERT OR FAIL")
OPEN = {"ended_at": None, "end_reason": None, "ended_by": None, "end_note": None}

# A table, what makes its valid row collide with one that is there, and the rule against it.
COLLISIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("projects", {"id": PROJECT}, "projects_one_per_id"),
    ("projects", {"slug": "there", "deleted_at": None}, "projects_one_live_per_slug"),
    ("repositories", {"id": REPOSITORY}, "repositories_one_per_id"),
    ("repositories", {"slug": "there", "deleted_at": None}, "repositories_one_live_per_path"),
    ("leases", {"id": LEASE, "previous_lease_id": None}, "leases_one_per_id"),
    ("leases", {"fencing_token": 7}, "leases_one_per_fencing_token"),
    ("audit_entries", {"seq": 7}, "audit_entries_one_per_seq"),
    ("audit_entries", {"id": ulid(6)}, "audit_entries_one_per_id"),
    ("audit_entries", {"stream_id": PROJECT, "id": ulid(6)}, "audit_entries_one_per_id"),
    ("audit_checkpoints", {"seq": 7}, "audit_checkpoints_one_per_seq"),
    ("audit_checkpoints", {"checkpoint_hash": b"\1" * 32}, "audit_checkpoints_one_per_hash"),
)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("table", "collides", "rule"), COLLISIONS)
def test_a_row_that_is_there_is_neither_doubled_nor_replaced(
    raw: apsw.Connection,
    refused: Refused,
    table: str,
    collides: dict[str, Any],
    rule: str,
    verb: str,
) -> None:
    with refused(f"forgedb: {rule}"):
        insert(raw, table, verb=verb, **collides)


@pytest.mark.parametrize("verb", VERBS)
def test_a_repository_has_one_open_lease(raw: apsw.Connection, refused: Refused, verb: str) -> None:
    insert(raw, "leases", **OPEN)
    with refused("forgedb: leases_one_open_per_repository"):
        insert(raw, "leases", verb=verb, id=ulid(90), fencing_token=8, **OPEN)
    insert(raw, "leases", id=ulid(91), repository_id=OTHER_REPOSITORY, **OPEN)


@pytest.mark.parametrize(("table", "collides", "rule"), COLLISIONS)
def test_an_upsert_changes_no_row_that_is_there(
    raw: apsw.Connection, refused: Refused, table: str, collides: dict[str, Any], rule: str
) -> None:
    column = next(iter(collides))
    with refused(f"forgedb: {rule}"):
        insert(
            raw, table, tail=f"ON CONFLICT DO UPDATE SET {column} = excluded.{column}", **collides
        )


def test_the_indexes_hold_the_rules_without_the_triggers(raw: apsw.Connection) -> None:
    for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    for table, collides, _ in COLLISIONS:
        with pytest.raises(apsw.ConstraintError, match="UNIQUE constraint failed"):
            insert(raw, table, **collides)
    insert(raw, "leases", **OPEN)
    with pytest.raises(apsw.ConstraintError, match=r"UNIQUE .* leases\.repository_id$"):
        insert(raw, "leases", id=ulid(90), fencing_token=8, **OPEN)


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE"])
def test_an_update_takes_no_slug_of_a_live_row(
    raw: apsw.Connection, refused: Refused, verb: str
) -> None:
    insert(raw, "projects", deleted_at=None)
    with refused("forgedb: projects_one_live_per_slug"):
        raw.execute(f"{verb} projects SET slug = 'there' WHERE id = ?", (FREE,))
    with refused("forgedb: repositories_one_live_per_path"):
        raw.execute(f"{verb} repositories SET slug = 'there' WHERE id = ?", (OTHER_REPOSITORY,))
    raw.execute(f"{verb} projects SET slug = 'free' WHERE id = ?", (FREE,))
    raw.execute(f"{verb} projects SET slug = slug")
    raw.execute(f"{verb} repositories SET slug = slug")


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE"])
def test_what_was_deleted_comes_back_only_where_its_slug_is_free(
    raw: apsw.Connection, refused: Refused, verb: str
) -> None:
    insert(raw, "projects", slug="there")
    insert(raw, "repositories", slug="there")
    with refused("forgedb: projects_one_live_per_slug"):
        raw.execute(f"{verb} projects SET deleted_at = NULL WHERE id = ?", (FREE,))
    with refused("forgedb: repositories_one_live_per_path"):
        raw.execute(f"{verb} repositories SET deleted_at = NULL WHERE id = ?", (FREE,))
    raw.execute(f"{verb} projects SET slug = 'back', deleted_at = NULL WHERE id = ?", (FREE,))
    raw.execute(f"{verb} repositories SET slug = 'back', deleted_at = NULL WHERE id = ?", (FREE,))


def test_slugs_of_deleted_rows_are_free(raw: apsw.Connection) -> None:
    raw.execute("UPDATE repositories SET deleted_at = ?", (LATER,))
    raw.execute("UPDATE projects SET deleted_at = ?", (LATER,))
    insert(raw, "projects", slug="there", deleted_at=None)
    insert(raw, "repositories", project_id=FREE, slug="there", deleted_at=None)
    insert(raw, "repositories", id=ulid(90), slug="gone")
    insert(raw, "repositories", id=ulid(91), slug="gone")
    insert(raw, "projects", id=ulid(92), slug="gone")
    raw.execute("UPDATE projects SET slug = 'gone' WHERE id = ?", (FREE,))


def test_a_live_repository_may_have_the_path_of_a_deleted_one(raw: apsw.Connection) -> None:
    insert(raw, "repositories", slug="gone")
    insert(raw, "repositories", id=ulid(90), slug="gone", deleted_at=None)
    raw.execute("UPDATE repositories SET slug = 'elsewhere' WHERE id = ?", (ulid(90),))
    raw.execute("UPDATE repositories SET slug = 'gone' WHERE id = ?", (OTHER_REPOSITORY,))


# Nothing of the past is deleted, and little of it changes.

NEVER_DELETED = (
    ("projects", "projects_never_deleted"),
    ("repositories", "repositories_never_deleted"),
    ("leases", "leases_never_deleted"),
    ("audit_entries", "audit_entries_append_only"),
    ("audit_checkpoints", "audit_checkpoints_append_only"),
)


@pytest.mark.parametrize(("table", "rule"), NEVER_DELETED)
def test_history_is_never_deleted(
    raw: apsw.Connection, refused: Refused, table: str, rule: str
) -> None:
    # Without foreign keys, so that nothing but the trigger stands in the way.
    raw.pragma("foreign_keys", False)
    with refused(f"forgedb: {rule}"):
        raw.execute(f"DELETE FROM {table}")
    with refused(f"forgedb: {rule}"):
        raw.execute(f"DELETE FROM {table} WHERE true")


@pytest.mark.parametrize(
    "table", ["object_metadata", "mirrors", "repository_relationships", "lease_import_lines"]
)
def test_what_is_no_history_can_be_deleted(raw: apsw.Connection, table: str) -> None:
    raw.execute(f"DELETE FROM {table}")
    assert raw.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"])
@pytest.mark.parametrize("table", ["audit_entries", "audit_checkpoints"])
def test_what_proves_the_history_is_never_updated(
    raw: apsw.Connection, refused: Refused, table: str, verb: str
) -> None:
    for (column,) in raw.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
        with refused(f"forgedb: {table}_append_only"):
            raw.execute(f"{verb} {table} SET {column} = {column}")


FIXED = (
    ("projects", "id", FREE),
    ("projects", "created_at", LATER),
    ("repositories", "id", FREE),
    ("repositories", "project_id", FREE),
    ("repositories", "object_format", "sha256"),
    ("repositories", "created_at", LATER),
    ("mirrors", "id", FREE),
    ("mirrors", "repository_id", OTHER_REPOSITORY),
    ("mirrors", "created_at", LATER),
    ("repository_relationships", "id", FREE),
    ("repository_relationships", "created_at", LATER),
)


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE"])
@pytest.mark.parametrize(("table", "column", "value"), FIXED)
def test_ids_and_what_else_says_which_row_it_is_do_not_change(
    raw: apsw.Connection, refused: Refused, table: str, column: str, value: str, verb: str
) -> None:
    insert(raw, "projects", id=ulid(90))
    with refused(f"forgedb: {table}_fixed_columns"):
        raw.execute(f"{verb} {table} SET {column} = ?", (value,))
    raw.execute(f"{verb} {table} SET {column} = {column}")


def test_a_repositorys_lease_epoch_only_grows(raw: apsw.Connection, refused: Refused) -> None:
    raw.execute("UPDATE repositories SET lease_epoch = 5")
    with refused("forgedb: repositories_lease_epoch_grows"):
        raw.execute("UPDATE repositories SET lease_epoch = 4 WHERE id = ?", (REPOSITORY,))
    raw.execute("UPDATE repositories SET lease_epoch = lease_epoch")
    raw.execute("UPDATE repositories SET lease_epoch = lease_epoch + 1")


def test_a_lease_is_not_updated_while_it_stays_open(raw: apsw.Connection, refused: Refused) -> None:
    insert(raw, "leases", **OPEN)
    with refused("forgedb: leases_change_once"):
        raw.execute("UPDATE leases SET purpose = purpose WHERE id = ?", (FREE,))


END = "ended_at = expires_at, end_reason = 'expired', ended_by = 'service:reaper'"


def test_a_lease_changes_from_open_to_ended(raw: apsw.Connection) -> None:
    insert(raw, "leases", **OPEN)
    raw.execute(f"UPDATE leases SET {END}, end_note = 'late' WHERE id = ?", (FREE,))
    assert raw.execute(
        "SELECT ended_at, end_reason, ended_by, end_note FROM leases WHERE id = ?", (FREE,)
    ).fetchall() == [(LATEST, "expired", "service:reaper", "late")]


@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR REPLACE"])
@pytest.mark.parametrize(
    "change",
    [
        "end_note = 'another'",
        "ended_by = 'user:eve'",
        "ended_at = NULL, end_reason = NULL, ended_by = NULL, end_note = NULL",
        END,
        "purpose = purpose",
    ],
)
def test_an_ended_lease_does_not_change(
    raw: apsw.Connection, refused: Refused, change: str, verb: str
) -> None:
    with refused("forgedb: leases_change_once"):
        raw.execute(f"{verb} leases SET {change} WHERE id = ?", (LEASE,))


@pytest.mark.parametrize("ending", ["", f", {END}"])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", ulid(90)),
        ("repository_id", OTHER_REPOSITORY),
        ("holder", "user:eve"),
        ("purpose", "mischief"),
        ("fencing_token", 9),
        ("idempotency_key", None),
        ("acquired_at", "2026-11-22T10:00:00.000001Z"),
        ("expires_at", LATER),
        ("previous_lease_id", None),
    ],
)
def test_nothing_of_a_lease_changes_but_its_end(
    raw: apsw.Connection, refused: Refused, column: str, value: object, ending: str
) -> None:
    insert(raw, "leases", **OPEN)
    with refused("forgedb: leases_change_once"):
        raw.execute(f"UPDATE leases SET {column} = ? {ending} WHERE id = ?", (value, FREE))


# A live repository has a live project.


def test_no_live_repository_comes_into_a_deleted_project(
    raw: apsw.Connection, refused: Refused
) -> None:
    insert(raw, "projects", id=ulid(90), slug="deleted")
    with refused("forgedb: repositories_under_live_project"):
        insert(raw, "repositories", project_id=ulid(90), deleted_at=None)
    insert(raw, "repositories", project_id=ulid(90))
    with refused("forgedb: repositories_under_live_project"):
        raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = ?", (FREE,))
    raw.execute("UPDATE projects SET deleted_at = NULL WHERE id = ?", (ulid(90),))
    raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = ?", (FREE,))


def test_a_project_with_live_repositories_is_not_deleted(
    raw: apsw.Connection, refused: Refused
) -> None:
    raw.execute("UPDATE repositories SET deleted_at = ? WHERE id <> ?", (LATER, REPOSITORY))
    with refused("forgedb: projects_without_live_repositories"):
        raw.execute("UPDATE projects SET deleted_at = ?", (LATER,))
    raw.execute("UPDATE repositories SET deleted_at = ?", (LATER,))
    raw.execute("UPDATE projects SET deleted_at = ?", (LATER,))


# The other unique keys.


def test_an_oid_is_once_in_a_repository(raw: apsw.Connection, refused: Refused) -> None:
    with refused("object_metadata.repository_id, object_metadata.oid"):
        insert(raw, "object_metadata", oid=b"\1" * 20)
    insert(raw, "object_metadata", oid=b"\1" * 20, repository_id=OTHER_REPOSITORY)


def test_a_repository_has_one_pull_mirror_and_a_remote_once_in_each_direction(
    raw: apsw.Connection, refused: Refused
) -> None:
    remote = "https://example.org/there.git"
    with refused("mirrors.repository_id, mirrors.direction, mirrors.remote_url"):
        insert(raw, "mirrors", remote_url=remote)
    insert(raw, "mirrors", remote_url=remote, direction="pull")
    with refused("mirrors.repository_id"):
        insert(raw, "mirrors", id=ulid(90), direction="pull")
    insert(raw, "mirrors", id=ulid(90), direction="pull", repository_id=OTHER_REPOSITORY)


def test_a_line_is_imported_once_and_so_is_an_event(raw: apsw.Connection, refused: Refused) -> None:
    with refused("lease_import_lines.source, lease_import_lines.line_number"):
        insert(raw, "lease_import_lines", line_number=7)
    with refused("lease_import_lines.legacy_lease_id, lease_import_lines.event"):
        insert(raw, "lease_import_lines", source="copy.jsonl", legacy_lease_id="lease-1")
    insert(
        raw, "lease_import_lines", legacy_lease_id="lease-1", event="released", repository_id=None
    )
    insert(raw, "lease_import_lines", source="other.jsonl", line_number=7)


# Relationships.

ACYCLIC = ("fork", "template", "object_pool")
URL = "https://example.org/a.git"


def relate(raw: apsw.Connection, number: int, source: str, target: str, kind: str) -> None:
    insert(
        raw,
        "repository_relationships",
        id=ulid(100 + number),
        source_id=source,
        target_id=target,
        kind=kind,
        path="",
    )


@pytest.mark.parametrize(
    "end", [{}, {"target_id": None, "target_url": URL}], ids=["repository", "url"]
)
def test_a_relationship_is_there_once_although_half_of_its_key_is_null(
    raw: apsw.Connection, refused: Refused, end: dict[str, Any]
) -> None:
    insert(raw, "repository_relationships", **end)
    with refused("repository_relationships_no_duplicates"):
        insert(raw, "repository_relationships", id=ulid(90), **end)
    insert(raw, "repository_relationships", id=ulid(90), path="elsewhere", **end)
    insert(raw, "repository_relationships", id=ulid(91), kind="mirror", **end)
    insert(raw, "repository_relationships", id=ulid(92), source_id=THIRD_REPOSITORY, **end)


def test_a_repository_is_a_fork_of_one(raw: apsw.Connection, refused: Refused) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    with refused("repository_relationships.source_id"):
        relate(raw, 2, REPOSITORY, THIRD_REPOSITORY, "fork")
    with refused("repository_relationships.source_id"):
        insert(raw, "repository_relationships", kind="fork", target_id=None, target_url=URL)
    relate(raw, 2, THIRD_REPOSITORY, OTHER_REPOSITORY, "fork")
    relate(raw, 3, REPOSITORY, OTHER_REPOSITORY, "template")
    relate(raw, 4, REPOSITORY, THIRD_REPOSITORY, "template")


@pytest.mark.parametrize("kind", ACYCLIC)
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_a_repository_is_not_its_own_ancestor(
    raw: apsw.Connection, refused: Refused, kind: str, verb: str
) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, kind)
    with refused("forgedb: repository_relationships_acyclic"):
        relate(raw, 2, OTHER_REPOSITORY, REPOSITORY, kind)
    relate(raw, 2, OTHER_REPOSITORY, THIRD_REPOSITORY, kind)
    with refused("forgedb: repository_relationships_acyclic"):
        insert(
            raw,
            "repository_relationships",
            verb=verb,
            source_id=THIRD_REPOSITORY,
            target_id=REPOSITORY,
            kind=kind,
        )


def test_kinds_are_followed_apart_and_some_may_go_in_a_circle(raw: apsw.Connection) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    relate(raw, 2, OTHER_REPOSITORY, REPOSITORY, "template")
    for number, kind in enumerate(("mirror", "submodule"), start=1):
        relate(raw, 10 * number, REPOSITORY, OTHER_REPOSITORY, kind)
        relate(raw, 10 * number + 1, OTHER_REPOSITORY, REPOSITORY, kind)


@pytest.mark.parametrize("kind", ["template", "object_pool"])
def test_two_ways_to_one_ancestor_are_no_cycle(raw: apsw.Connection, kind: str) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, kind)
    relate(raw, 2, REPOSITORY, THIRD_REPOSITORY, kind)
    relate(raw, 3, OTHER_REPOSITORY, THIRD_REPOSITORY, kind)


@pytest.mark.parametrize("kind", ACYCLIC)
@pytest.mark.parametrize(
    ("edge", "change"),
    [
        ((THIRD_REPOSITORY, REPOSITORY, "mirror"), "kind = :kind"),
        ((THIRD_REPOSITORY, FREE, ""), "target_id = :first"),
        ((FREE, REPOSITORY, ""), "source_id = :third"),
    ],
    ids=["kind", "target", "source"],
)
def test_no_update_closes_a_circle(
    raw: apsw.Connection, refused: Refused, kind: str, edge: tuple[str, str, str], change: str
) -> None:
    insert(raw, "repositories", deleted_at=None)
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, kind)
    relate(raw, 2, OTHER_REPOSITORY, THIRD_REPOSITORY, kind)
    source, target, edge_kind = edge
    relate(raw, 3, source, target, edge_kind or kind)
    with refused("forgedb: repository_relationships_acyclic"):
        raw.execute(
            f"UPDATE repository_relationships SET {change} WHERE id = :id",
            {"id": ulid(103), "kind": kind, "first": REPOSITORY, "third": THIRD_REPOSITORY},
        )


def test_an_edge_can_be_turned_round(raw: apsw.Connection) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    raw.execute(
        "UPDATE repository_relationships SET source_id = target_id, target_id = source_id"
        " WHERE id = ?",
        (ulid(101),),
    )


def test_a_long_line_of_ancestors_is_followed_to_its_end(
    raw: apsw.Connection, refused: Refused
) -> None:
    line = [ulid(1000 + number) for number in range(300)]
    for number, repository in enumerate(line):
        insert(raw, "repositories", id=repository, slug=f"r{number}", deleted_at=None)
    for number, (source, target) in enumerate(pairwise(line)):
        relate(raw, number, source, target, "fork")
    with refused("forgedb: repository_relationships_acyclic"):
        relate(raw, 999, line[-1], line[0], "fork")


def test_every_rule_that_a_trigger_raises_is_tried_above() -> None:
    raised = set(re.findall(r"'forgedb: (\w+): [^']", SCRIPT))
    with open(__file__, encoding="utf-8") as this:
        named = set(re.findall(r'"forgedb: (\w+)"', this.read()))
    listed = {rule for *_, rule in COLLISIONS} | {rule for _, rule in NEVER_DELETED}
    listed |= {f"{table}_fixed_columns" for table, *_ in FIXED}
    listed |= {"audit_entries_append_only", "audit_checkpoints_append_only"}
    assert raised == named | listed


def test_a_guard_that_stands_before_a_unique_index_has_its_name(raw: apsw.Connection) -> None:
    indexes = {
        name
        for table in {table for table, *_ in COLLISIONS}
        for (name,) in raw.execute(
            "SELECT name FROM pragma_index_list(?) WHERE \"unique\" AND origin = 'c'", (table,)
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
