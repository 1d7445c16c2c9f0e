"""What triggers and unique keys of the schema refuse: a second row, and a changed past."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.schema import test_lease_rules as lease_rules
from tests.schema.attacks import (
    CHANGES_OF_AN_ENDED_LEASE,
    COLLISIONS,
    END,
    FIXED,
    NEVER_DELETED,
    OPEN,
)
from tests.schema.conftest import Refused
from tests.schema.reaching import Raw, insert
from tests.schema.rows import (
    FREE,
    LATER,
    LATEST,
    LEASE,
    OTHER_REPOSITORY,
    POSTGRES_SCRIPT,
    REPOSITORY,
    SQLITE_SCRIPT,
    THIRD_REPOSITORY,
    VALID,
    ulid,
)


@pytest.mark.parametrize(("table", "collides", "rule"), COLLISIONS)
def test_a_row_that_is_there_is_not_doubled(
    raw: Raw,
    refused: Refused,
    table: str,
    collides: dict[str, Any],
    rule: str,
) -> None:
    with refused(rule):
        insert(raw, table, **collides)


def test_a_repository_has_one_open_lease(raw: Raw, refused: Refused) -> None:
    insert(raw, "leases", **OPEN)
    with refused("leases_one_open_per_repository"):
        insert(raw, "leases", id=ulid(90), fencing_token=9, **OPEN)
    insert(raw, "leases", id=ulid(91), repository_id=OTHER_REPOSITORY, fencing_token=1, **OPEN)


def test_an_update_takes_no_slug_of_a_live_row(raw: Raw, refused: Refused) -> None:
    insert(raw, "projects", deleted_at=None)
    with refused("projects_one_live_per_slug"):
        raw.execute("UPDATE projects SET slug = 'there' WHERE id = :id", id=FREE)
    with refused("repositories_one_live_per_path"):
        raw.execute("UPDATE repositories SET slug = 'there' WHERE id = :id", id=OTHER_REPOSITORY)
    raw.execute("UPDATE projects SET slug = 'free' WHERE id = :id", id=FREE)
    raw.execute("UPDATE projects SET slug = slug")
    raw.execute("UPDATE repositories SET slug = slug")


def test_what_was_deleted_comes_back_only_where_its_slug_is_free(
    raw: Raw, refused: Refused
) -> None:
    insert(raw, "projects", slug="there")
    insert(raw, "repositories", slug="there")
    with refused("projects_one_live_per_slug"):
        raw.execute("UPDATE projects SET deleted_at = NULL WHERE id = :id", id=FREE)
    with refused("repositories_one_live_per_path"):
        raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = :id", id=FREE)
    raw.execute("UPDATE projects SET slug = 'back', deleted_at = NULL WHERE id = :id", id=FREE)
    raw.execute("UPDATE repositories SET slug = 'back', deleted_at = NULL WHERE id = :id", id=FREE)


def test_slugs_of_deleted_rows_are_free(raw: Raw) -> None:
    raw.execute("UPDATE repositories SET deleted_at = :at", at=LATER)
    raw.execute("UPDATE projects SET deleted_at = :at", at=LATER)
    insert(raw, "projects", slug="there", deleted_at=None)
    insert(raw, "repositories", project_id=FREE, slug="there", deleted_at=None)
    insert(raw, "repositories", id=ulid(90), slug="gone")
    insert(raw, "repositories", id=ulid(91), slug="gone")
    insert(raw, "projects", id=ulid(92), slug="gone")
    raw.execute("UPDATE projects SET slug = 'gone' WHERE id = :id", id=FREE)


def test_a_live_repository_may_have_the_path_of_a_deleted_one(raw: Raw) -> None:
    insert(raw, "repositories", slug="gone")
    insert(raw, "repositories", id=ulid(90), slug="gone", deleted_at=None)
    raw.execute("UPDATE repositories SET slug = 'elsewhere' WHERE id = :id", id=ulid(90))
    raw.execute("UPDATE repositories SET slug = 'gone' WHERE id = :id", id=OTHER_REPOSITORY)


def test_a_database_has_one_identity(raw: Raw, refused: Refused) -> None:
    with refused("database_identity_one_row"):
        insert(raw, "database_identity")
    ((identity,),) = raw.execute("SELECT id FROM database_identity")
    with refused("database_identity_one_per_id"):
        insert(raw, "database_identity", id=identity)


def test_an_era_never_comes_back_and_grows_with_an_entry_alone(raw: Raw, refused: Refused) -> None:
    by_one = "audit_seq = audit_seq + 1, audit_head = :head"
    now = (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    ten_years = 10 * 365 * 86_400
    raw.execute(f"UPDATE database_identity SET era = {now + ten_years}, {by_one}", head=b"\1" * 32)
    with refused("database_identity_era_steps"):
        raw.execute(
            f"UPDATE database_identity SET era = {now + ten_years + 4 * 86_400}, {by_one}",
            head=b"\2" * 32,
        )
    with refused("database_identity_era_grows"):
        raw.execute("UPDATE database_identity SET era = era - 1, audit_seq = audit_seq + 1")
    with refused("database_identity_era_grows"):
        raw.execute("UPDATE database_identity SET era = era + 1")
    raw.execute("UPDATE database_identity SET era = era")


def test_where_a_database_is_stays_or_begins_an_era(raw: Raw, refused: Refused) -> None:
    begins = "era = era + 1, audit_seq = audit_seq + 1, audit_head = :head"
    raw.execute(
        f"UPDATE database_identity SET system_identifier = '7', database_oid = 8, {begins}",
        head=b"\1" * 32,
    )
    for place in ("system_identifier = NULL", "database_oid = NULL"):
        with refused("database_identity_moves_with_its_era"):
            raw.execute(f"UPDATE database_identity SET {place}, {begins}", head=b"\2" * 32)
    for place in ("system_identifier = '8'", "database_oid = 9"):
        with refused("database_identity_moves_with_its_era"):
            raw.execute(f"UPDATE database_identity SET {place}")
        raw.execute(
            f"UPDATE database_identity SET {place}, {begins}", head=place.encode()[:32].ljust(32)
        )
    raw.execute("UPDATE database_identity SET system_identifier = '8', database_oid = 9")


def test_an_era_that_a_wrong_clock_began_goes_on_in_steps(raw: Raw, refused: Refused) -> None:
    name = "database_identity_era_steps"
    query = {
        "sqlite": "SELECT sql FROM sqlite_schema WHERE name = :name",
        "postgres": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :name",
    }[raw.dialect]
    ((made_by,),) = raw.execute(query, name=name)
    of_table = {"sqlite": "", "postgres": " ON database_identity"}[raw.dialect]
    by_one = "audit_seq = audit_seq + 1, audit_head = :head"
    raw.execute(f"DROP TRIGGER {name}{of_table}")
    raw.execute(f"UPDATE database_identity SET era = 1500000000, {by_one}", head=b"\1" * 32)
    raw.execute(made_by)
    raw.execute(f"UPDATE database_identity SET era = era + 1024, {by_one}", head=b"\2" * 32)
    with refused(name):
        raw.execute(f"UPDATE database_identity SET era = era + 1025, {by_one}", head=b"\3" * 32)


# Nothing of the past is deleted, and little of it changes.


@pytest.mark.parametrize(("table", "rule"), NEVER_DELETED)
def test_history_is_never_deleted(raw: Raw, refused: Refused, table: str, rule: str) -> None:
    # Without foreign keys, so that nothing but the trigger stands in the way.
    raw.drop_foreign_keys()
    with refused(rule):
        raw.execute(f"DELETE FROM {table}")
    with refused(rule):
        raw.execute(f"DELETE FROM {table} WHERE true")


@pytest.mark.parametrize(
    "table", ["object_metadata", "mirrors", "repository_relationships", "lease_import_lines"]
)
def test_what_is_no_history_can_be_deleted(raw: Raw, table: str) -> None:
    raw.execute(f"DELETE FROM {table}")
    assert raw.execute(f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("table", ["audit_entries", "audit_checkpoints"])
def test_what_proves_the_history_is_never_updated(raw: Raw, refused: Refused, table: str) -> None:
    for column in VALID[table]:
        with refused(f"{table}_append_only"):
            raw.execute(f"UPDATE {table} SET {column} = {column}")


@pytest.mark.parametrize(("table", "column", "value"), FIXED)
def test_ids_and_what_else_says_which_row_it_is_do_not_change(
    raw: Raw, refused: Refused, table: str, column: str, value: str
) -> None:
    insert(raw, "projects", id=ulid(90))
    with refused(f"{table}_fixed_columns"):
        raw.execute(f"UPDATE {table} SET {column} = :value", value=value)
    raw.execute(f"UPDATE {table} SET {column} = {column}")


def test_a_repositorys_lease_epoch_only_grows(raw: Raw, refused: Refused) -> None:
    with refused("repositories_lease_epoch_grows"):
        raw.execute("UPDATE repositories SET lease_epoch = 6 WHERE id = :id", id=REPOSITORY)
    raw.execute("UPDATE repositories SET lease_epoch = lease_epoch")
    raw.execute("UPDATE repositories SET lease_epoch = lease_epoch + 1")


def test_a_lease_is_not_updated_while_it_stays_open(raw: Raw, refused: Refused) -> None:
    insert(raw, "leases", **OPEN)
    with refused("leases_change_once"):
        raw.execute("UPDATE leases SET purpose = purpose WHERE id = :id", id=FREE)


def test_a_lease_changes_from_open_to_ended(raw: Raw) -> None:
    insert(raw, "leases", **OPEN)
    raw.execute(f"UPDATE leases SET {END}, end_note = 'late' WHERE id = :id", id=FREE)
    assert raw.execute(
        "SELECT ended_at, end_reason, ended_by, end_note FROM leases WHERE id = :id", id=FREE
    ) == [(LATEST, "expired", "service:reaper", "late")]


@pytest.mark.parametrize("change", CHANGES_OF_AN_ENDED_LEASE)
def test_an_ended_lease_does_not_change(raw: Raw, refused: Refused, change: str) -> None:
    with refused("leases_change_once"):
        raw.execute(f"UPDATE leases SET {change} WHERE id = :id", id=LEASE)


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
    raw: Raw, refused: Refused, column: str, value: object, ending: str
) -> None:
    insert(raw, "leases", **OPEN)
    with refused("leases_change_once"):
        raw.execute(
            f"UPDATE leases SET {column} = :value {ending} WHERE id = :id", value=value, id=FREE
        )


# A live repository has a live project.


def test_no_live_repository_comes_into_a_deleted_project(raw: Raw, refused: Refused) -> None:
    insert(raw, "projects", id=ulid(90), slug="deleted")
    with refused("repositories_under_live_project"):
        insert(raw, "repositories", project_id=ulid(90), deleted_at=None)
    insert(raw, "repositories", project_id=ulid(90))
    with refused("repositories_under_live_project"):
        raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = :id", id=FREE)
    raw.execute("UPDATE projects SET deleted_at = NULL WHERE id = :id", id=ulid(90))
    raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = :id", id=FREE)


def test_a_project_with_live_repositories_is_not_deleted(raw: Raw, refused: Refused) -> None:
    raw.execute("UPDATE repositories SET deleted_at = :at WHERE id <> :id", at=LATER, id=REPOSITORY)
    with refused("projects_without_live_repositories"):
        raw.execute("UPDATE projects SET deleted_at = :at", at=LATER)
    raw.execute("UPDATE repositories SET deleted_at = :at", at=LATER)
    raw.execute("UPDATE projects SET deleted_at = :at", at=LATER)


# The other unique keys.


@pytest.mark.parametrize("table", ["mirrors", "repository_relationships"])
def test_an_id_is_once_in_a_table(raw: Raw, refused: Refused, table: str) -> None:
    ((there,),) = raw.execute(f"SELECT id FROM {table}")
    with refused(f"{table}_one_per_id"):
        insert(raw, table, id=there)


def test_an_oid_is_once_in_a_repository(raw: Raw, refused: Refused) -> None:
    with refused("object_metadata_one_per_oid"):
        insert(raw, "object_metadata", oid=b"\1" * 20)
    insert(raw, "object_metadata", oid=b"\1" * 20, repository_id=OTHER_REPOSITORY)


def test_a_repository_has_one_pull_mirror_and_a_remote_once_in_each_direction(
    raw: Raw, refused: Refused
) -> None:
    remote = "https://example.org/there.git"
    with refused("mirrors_one_per_remote"):
        insert(raw, "mirrors", remote_url=remote)
    insert(raw, "mirrors", remote_url=remote, direction="pull")
    with refused("mirrors_one_pull_per_repository"):
        insert(raw, "mirrors", id=ulid(90), direction="pull")
    insert(raw, "mirrors", id=ulid(90), direction="pull", repository_id=OTHER_REPOSITORY)


def test_a_line_is_imported_once_and_so_is_an_event(raw: Raw, refused: Refused) -> None:
    with refused("lease_import_lines_one_per_line"):
        insert(raw, "lease_import_lines", line_number=7)
    with refused("lease_import_lines_one_per_event"):
        insert(raw, "lease_import_lines", source="copy.jsonl", legacy_lease_id="lease-1")
    insert(
        raw, "lease_import_lines", legacy_lease_id="lease-1", event="released", repository_id=None
    )
    insert(raw, "lease_import_lines", source="other.jsonl", line_number=7)


# Relationships.

ACYCLIC = ("fork", "template", "object_pool")
URL = "https://example.org/a.git"


def relate(raw: Raw, number: int, source: str, target: str, kind: str) -> None:
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
    raw: Raw, refused: Refused, end: dict[str, Any]
) -> None:
    insert(raw, "repository_relationships", **end)
    with refused("repository_relationships_no_duplicates"):
        insert(raw, "repository_relationships", id=ulid(90), **end)
    insert(raw, "repository_relationships", id=ulid(90), path="elsewhere", **end)
    insert(raw, "repository_relationships", id=ulid(91), kind="mirror", **end)
    insert(raw, "repository_relationships", id=ulid(92), source_id=THIRD_REPOSITORY, **end)


def test_a_repository_is_a_fork_of_one(raw: Raw, refused: Refused) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    with refused("repository_relationships_one_fork_parent"):
        relate(raw, 2, REPOSITORY, THIRD_REPOSITORY, "fork")
    with refused("repository_relationships_one_fork_parent"):
        insert(raw, "repository_relationships", kind="fork", target_id=None, target_url=URL)
    relate(raw, 2, THIRD_REPOSITORY, OTHER_REPOSITORY, "fork")
    relate(raw, 3, REPOSITORY, OTHER_REPOSITORY, "template")
    relate(raw, 4, REPOSITORY, THIRD_REPOSITORY, "template")


@pytest.mark.parametrize("kind", ACYCLIC)
def test_a_repository_is_not_its_own_ancestor(raw: Raw, refused: Refused, kind: str) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, kind)
    with refused("repository_relationships_acyclic"):
        relate(raw, 2, OTHER_REPOSITORY, REPOSITORY, kind)
    relate(raw, 2, OTHER_REPOSITORY, THIRD_REPOSITORY, kind)
    with refused("repository_relationships_acyclic"):
        insert(
            raw,
            "repository_relationships",
            source_id=THIRD_REPOSITORY,
            target_id=REPOSITORY,
            kind=kind,
        )


def test_kinds_are_followed_apart_and_some_may_go_in_a_circle(raw: Raw) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    relate(raw, 2, OTHER_REPOSITORY, REPOSITORY, "template")
    for number, kind in enumerate(("mirror", "submodule"), start=1):
        relate(raw, 10 * number, REPOSITORY, OTHER_REPOSITORY, kind)
        relate(raw, 10 * number + 1, OTHER_REPOSITORY, REPOSITORY, kind)


@pytest.mark.parametrize("kind", ["template", "object_pool"])
def test_two_ways_to_one_ancestor_are_no_cycle(raw: Raw, kind: str) -> None:
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
    raw: Raw, refused: Refused, kind: str, edge: tuple[str, str, str], change: str
) -> None:
    insert(raw, "repositories", deleted_at=None)
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, kind)
    relate(raw, 2, OTHER_REPOSITORY, THIRD_REPOSITORY, kind)
    source, target, edge_kind = edge
    relate(raw, 3, source, target, edge_kind or kind)
    with refused("repository_relationships_acyclic"):
        raw.execute(
            f"UPDATE repository_relationships SET {change} WHERE id = :id",
            id=ulid(103),
            kind=kind,
            first=REPOSITORY,
            third=THIRD_REPOSITORY,
        )


def test_an_edge_can_be_turned_round(raw: Raw) -> None:
    relate(raw, 1, REPOSITORY, OTHER_REPOSITORY, "fork")
    raw.execute(
        "UPDATE repository_relationships SET source_id = target_id, target_id = source_id"
        " WHERE id = :id",
        id=ulid(101),
    )


def test_a_long_line_of_ancestors_is_followed_to_its_end(raw: Raw, refused: Refused) -> None:
    line = [ulid(1000 + number) for number in range(300)]
    for number, repository in enumerate(line):
        insert(raw, "repositories", id=repository, slug=f"r{number}", deleted_at=None)
    for number, (source, target) in enumerate(pairwise(line)):
        relate(raw, number, source, target, "fork")
    with refused("repository_relationships_acyclic"):
        relate(raw, 999, line[-1], line[0], "fork")


def test_every_rule_that_a_trigger_or_a_key_holds_is_tried_above() -> None:
    raised = set(re.findall(r"'forgedb: (\w+): [^']", SQLITE_SCRIPT))
    unique = set(re.findall(r"CREATE UNIQUE INDEX (\w+)", POSTGRES_SCRIPT))
    unique |= set(re.findall(r"CONSTRAINT (\w+) PRIMARY KEY", POSTGRES_SCRIPT))
    tried = Path(__file__).read_text() + Path(lease_rules.__file__).read_text()
    named = set(re.findall(r'refused\("(\w+)"\)', tried))
    listed = {rule for *_, rule in COLLISIONS} | {rule for _, rule in NEVER_DELETED}
    listed |= {f"{table}_fixed_columns" for table, *_ in FIXED}
    listed |= {f"{table}_stream_moves_forward" for table in lease_rules.STREAMS}
    listed |= {"mirrors_one_per_id", "repository_relationships_one_per_id"}
    assert raised | unique == named | listed
