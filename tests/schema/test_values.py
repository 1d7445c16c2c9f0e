"""Each value that a CHECK, a type or a foreign key of the schema refuses, and its twin."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.schema.conftest import Refused
from tests.schema.reaching import FOREIGN_KEY, WRONG_TYPE, Raw, Refusal, insert
from tests.schema.rows import (
    FREE,
    LATER,
    REPOSITORY,
    SQLITE_SCRIPT,
    TIME,
    ULID_COLUMNS,
    VALID,
    ulid,
)


@pytest.fixture
def raw(raw: Raw) -> Raw:
    """Without the rules for what comes before a lease: each value is tried in a row by itself.

    PostgreSQL's look at COMMIT, which doesn't come here.
    """
    if raw.dialect == "sqlite":
        raw.execute("DROP TRIGGER leases_begin")
    return raw


GOOD_ULIDS = ("0" * 26, "7" + "Z" * 25, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "0123456789ABCDEFGHJKMNPQRS")
BAD_ULIDS = (
    "",
    "01ARZ3NDEKTSV4RRFFQ69G5FA",
    "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
    "81ARZ3NDEKTSV4RRFFQ69G5FAV",
    "A1ARZ3NDEKTSV4RRFFQ69G5FAV",
    "01arz3ndektsv4rrffq69g5fav",
    "01ARZ3NDEKTSV4RRFFQ69G5FAv",
    "01ARZ3NDEKTSV4RRFFQ69G5FAI",
    "01ARZ3NDEKTSV4RRFFQ69G5FAL",
    "01ARZ3NDEKTSV4RRFFQ69G5FAO",
    "01ARZ3NDEKTSV4RRFFQ69G5FAU",
    "01ARZ3NDEKTSV4RRFFQ69G5FA-",
    "01ARZ3NDEKTSV4RRFFQ69G5FA ",
    "01ARZ3NDEKTSV4RRFFQ69G5FA\n",
    "01ARZ3NDEKTSV4RRFFQ69G5FAÉ",
    "01ARZ3NDEKTSV4RRFFQ69G5FA\N{FULLWIDTH DIGIT ONE}",
    "01ARZ3NDEKTSV\0" + "x" * 12,
    "01ARZ3NDEKTSV4RRFFQ69G5FAV\0",
)

GOOD_TIMES = (
    "0001-01-01T00:00:00.000000Z",
    "1999-12-31T23:59:59.999999Z",
    "2000-02-29T12:00:00.000001Z",
    "2028-02-29T00:00:00.000000Z",
    "2026-04-30T00:00:00.000000Z",
    "9999-12-31T23:59:59.999999Z",
)
IMPOSSIBLE_TIMES = (
    "",
    "2026-11",
    "2026-11-22T10:00:00.00000xZ",
    "2026-11-22T10:00:00.00000\N{FULLWIDTH DIGIT ONE}Z",
    "2026-11-22T10:00:00.000000Z\0",
    "0000-01-01T00:00:00.000000Z",
    "10000-01-01T00:00:00.000000Z",
    "2026-00-22T10:00:00.000000Z",
    "2026-13-22T10:00:00.000000Z",
    "2026-11-00T10:00:00.000000Z",
    "2026-11-31T10:00:00.000000Z",
    "2026-11-32T10:00:00.000000Z",
    "2026-02-30T10:00:00.000000Z",
    "2026-02-29T10:00:00.000000Z",
    "1900-02-29T10:00:00.000000Z",
    "2026-11-22T25:00:00.000000Z",
    "2026-11-22T10:60:00.000000Z",
    "infinity",
    "-infinity",
)

IDENTITY = "database_identity"

TIME_COLUMNS = (
    ("projects", "created_at"),
    ("projects", "updated_at"),
    ("projects", "deleted_at"),
    ("repositories", "created_at"),
    ("repositories", "updated_at"),
    ("repositories", "deleted_at"),
    ("leases", "acquired_at"),
    ("leases", "expires_at"),
    ("leases", "ended_at"),
    ("audit_entries", "at"),
    ("mirrors", "next_run_at"),
    ("mirrors", "last_started_at"),
    ("mirrors", "last_success_at"),
    ("mirrors", "run_deadline_at"),
    ("mirrors", "created_at"),
    ("mirrors", "updated_at"),
    ("repository_relationships", "created_at"),
    ("repository_relationships", "updated_at"),
    ("audit_checkpoints", "at"),
    ("lease_import_lines", "imported_at"),
)
# Table, column, and how many characters it takes.
TEXT_COLUMNS = (
    ("projects", "name", 1, 200),
    ("projects", "description", 0, 10_000),
    ("repositories", "description", 0, 10_000),
    ("repositories", "default_branch", 1, 255),
    ("leases", "holder", 1, 200),
    ("leases", "purpose", 0, 1000),
    ("leases", "idempotency_key", 1, 200),
    ("leases", "ended_by", 1, 200),
    ("leases", "end_note", 1, 2000),
    ("audit_entries", "actor", 1, 200),
    ("audit_entries", "action", 1, 100),
    ("audit_entries", "target_type", 1, 50),
    ("audit_entries", "request_id", 1, 200),
    ("audit_entries", "source_ip", 1, 45),
    ("audit_entries", "reason", 1, 2000),
    ("mirrors", "remote_url", 1, 2048),
    ("mirrors", "credential_ref", 1, 200),
    ("mirrors", "last_error", 1, 10_000),
    ("repository_relationships", "path", 0, 4096),
    ("audit_checkpoints", "key_id", 1, 200),
    ("lease_import_lines", "source", 1, 4096),
    ("lease_import_lines", "legacy_lease_id", 1, 200),
    ("lease_import_lines", "repository_id", 1, 200),
)
ENUM_COLUMNS = (
    ("projects", "visibility", ("private", "internal", "public")),
    ("repositories", "visibility", ("private", "internal", "public")),
    ("repositories", "object_format", ("sha1", "sha256")),
    ("repositories", "state", ("active", "read_only", "archived")),
    ("leases", "end_reason", ("released", "expired", "forced", "transferred")),
    ("mirrors", "direction", ("pull", "push")),
    ("lease_import_lines", "event", ("acquired",)),
    (
        "repository_relationships",
        "kind",
        ("fork", "template", "mirror", "submodule", "object_pool"),
    ),
)
# Table, column, the smallest and the greatest value (None: of 64 bits).
INTEGER_COLUMNS = (
    ("projects", "audit_seq", 0, None),
    ("repositories", "audit_seq", 0, None),
    ("repositories", "lease_epoch", 0, None),
    ("leases", "fencing_token", 1, None),
    ("audit_entries", "seq", 1, None),
    ("audit_entries", "hash_version", 1, None),
    ("object_metadata", "type", 1, 4),
    ("object_metadata", "size", 0, None),
    ("object_metadata", "disk_size", 0, None),
    ("mirrors", "interval_seconds", 60, 31_536_000),
    ("mirrors", "consecutive_failures", 0, None),
    ("audit_checkpoints", "seq", 1, None),
    ("audit_checkpoints", "format_version", 1, None),
    ("lease_import_lines", "line_number", 1, None),
)
BLOB_COLUMNS = (
    ("projects", "audit_head", (32,)),
    ("repositories", "audit_head", (32,)),
    ("audit_entries", "entry_hash", (32,)),
    ("object_metadata", "oid", (20, 32)),
    ("audit_checkpoints", "root_hash", (32,)),
    ("audit_checkpoints", "previous_hash", (32,)),
    ("audit_checkpoints", "checkpoint_hash", (32,)),
    ("audit_checkpoints", "signature", (64,)),
    ("lease_import_lines", "line_sha256", (32,)),
)
FOREIGN_KEYS = (
    ("repositories", "project_id"),
    ("leases", "repository_id"),
    ("leases", "previous_lease_id"),
    ("object_metadata", "repository_id"),
    ("mirrors", "repository_id"),
    ("repository_relationships", "source_id"),
    ("repository_relationships", "target_id"),
    ("lease_import_lines", "lease_id"),
)

SLUGS = (("projects", "slug"), ("repositories", "slug"))
BAD_SLUGS = ("", ".a", "-a", "_a", "A", "aB", "a b", "a/b", "é", "aé", "a\n", "a\0", "a" * 101)

URLS = (("mirrors", "remote_url"), ("repository_relationships", "target_url"))
GOOD_URLS = (
    "https://example.org/a.git",
    "https://example.org:8443/a@b",
    "https://ada@example.org/a.git",
    "ssh://git@example.org:22/a.git",
    "ssh://git@[::1]:22/a.git",
    "git@example.org:team/a.git",
    "example.org:a@b.git",
    "/srv/git/a:b@c.git",
    "../sibling.git",
    "https://example.org/a.git?from=https://ada:secret@example.org",
)
URLS_WITH_PASSWORD = (
    "https://ada:secret@example.org/a.git",
    "https://:secret@example.org/a.git",
    "https://ada:se@cret@example.org:8443/a.git",
    "https://ada:secret@example.org",
    "HTTPS://ada:@example.org/a.git",
    "ssh://git:secret@[::1]:22/a.git",
)


# Where a value breaks a rule about two columns too, PostgreSQL names the first by the alphabet.
ALSO_REFUSES = {
    "lease_import_lines_event_": ("lease_import_lines_acquired_names_repository_check",),
    "leases_acquired_at_": ("leases_72_hours_check", "leases_ended_after_acquired_check"),
    "leases_expires_at_": ("leases_72_hours_check",),
    "leases_ended_at_": ("leases_ended_after_acquired_check",),
}


def accepted(raw: Raw, table: str, column: str, value: object, **other: Any) -> bool:
    """Whether the value passes its column's own check or type; the row doesn't stay."""
    refusal = None
    with raw.undone():
        try:
            insert(raw, table, **{column: value}, **other)
        except Refusal as error:
            refusal = error
    if refusal is None:
        return True
    own = f"{table}_{column}_"
    expected = (WRONG_TYPE, f"{own}check", f"{own}credentials_check", *ALSO_REFUSES.get(own, ()))
    assert any(map(refusal.is_by, expected)), f"another rule refused {value!r}: {refusal}"
    return False


@pytest.mark.parametrize(("table", "column"), ULID_COLUMNS)
def test_an_id_that_is_no_ulid_is_refused(raw: Raw, table: str, column: str) -> None:
    assert [bad for bad in BAD_ULIDS if accepted(raw, table, column, bad)] == []


# An identity can't be inserted a second time, whatever its values.
@pytest.mark.parametrize(("table", "column"), [c for c in ULID_COLUMNS if c[0] != IDENTITY])
def test_every_ulid_is_taken(raw: Raw, table: str, column: str) -> None:
    raw.drop_foreign_keys()
    assert [good for good in GOOD_ULIDS if not accepted(raw, table, column, good)] == []


@pytest.mark.parametrize(("table", "column"), TIME_COLUMNS)
def test_what_is_no_time_of_the_calendar_is_refused(raw: Raw, table: str, column: str) -> None:
    assert [bad for bad in IMPOSSIBLE_TIMES if accepted(raw, table, column, bad)] == []


@pytest.mark.parametrize(("table", "column"), [c for c in TIME_COLUMNS if c[0] != "leases"])
def test_every_time_of_the_calendar_is_taken(raw: Raw, table: str, column: str) -> None:
    assert [good for good in GOOD_TIMES if not accepted(raw, table, column, good)] == []


@pytest.mark.parametrize(("table", "column"), SLUGS)
def test_a_slug_is_lower_case_and_begins_with_a_letter_or_digit(
    raw: Raw, table: str, column: str
) -> None:
    assert [bad for bad in BAD_SLUGS if accepted(raw, table, column, bad)] == []
    for good in ("a", "0", "a.b_c-d", "a" * 100, "z9-"):
        assert accepted(raw, table, column, good)


@pytest.mark.parametrize(("table", "column", "least", "most"), TEXT_COLUMNS)
def test_a_text_is_as_long_as_its_column_allows_in_characters(
    raw: Raw, table: str, column: str, least: int, most: int
) -> None:
    assert accepted(raw, table, column, "é" * least)
    assert accepted(raw, table, column, "é" * most)
    assert not accepted(raw, table, column, "é" * (most + 1))
    assert accepted(raw, table, column, "") == (least == 0)
    assert not accepted(raw, table, column, "a\0b")
    assert not accepted(raw, table, column, "\0" + "a" * most)


def test_a_relationships_url_is_as_long_as_a_mirrors(raw: Raw) -> None:
    def taken(url: str) -> bool:
        return accepted(raw, "repository_relationships", "target_url", url, target_id=None)

    assert taken("é" * 2048)
    assert not taken("é" * 2049)
    assert not taken("")
    assert not taken("a\0b")


@pytest.mark.parametrize(("table", "column"), URLS)
def test_a_url_with_a_password_is_refused(raw: Raw, table: str, column: str) -> None:
    other = {} if table == "mirrors" else {"target_id": None}
    assert [url for url in URLS_WITH_PASSWORD if accepted(raw, table, column, url, **other)] == []
    assert [url for url in GOOD_URLS if not accepted(raw, table, column, url, **other)] == []


@pytest.mark.parametrize(("table", "column", "values"), ENUM_COLUMNS)
def test_an_unknown_word_is_refused_where_a_few_are_known(
    raw: Raw, table: str, column: str, values: tuple[str, ...]
) -> None:
    for value in values:
        assert accepted(raw, table, column, value)
        assert not accepted(raw, table, column, value.upper())
        assert not accepted(raw, table, column, value + " ")
        assert not accepted(raw, table, column, value + "\0")
    assert not accepted(raw, table, column, "")


@pytest.mark.parametrize(("table", "column", "least", "most"), INTEGER_COLUMNS)
def test_a_number_out_of_its_range_is_refused(
    raw: Raw, table: str, column: str, least: int, most: int | None
) -> None:
    greatest = 2**63 - 1 if most is None else most
    assert accepted(raw, table, column, least)
    assert accepted(raw, table, column, greatest)
    assert not accepted(raw, table, column, least - 1)
    assert not accepted(raw, table, column, -(2**63))
    assert most is None or not accepted(raw, table, column, most + 1)


@pytest.mark.parametrize(("table", "column", "lengths"), BLOB_COLUMNS)
def test_a_hash_of_another_length_is_refused(
    raw: Raw, table: str, column: str, lengths: tuple[int, ...]
) -> None:
    taken = [n for n in range(70) if accepted(raw, table, column, b"\xff" * n)]
    assert taken == list(lengths)


def test_a_mirror_is_enabled_or_not(raw: Raw) -> None:
    assert accepted(raw, "mirrors", "enabled", True)
    assert accepted(raw, "mirrors", "enabled", False)
    assert not accepted(raw, "mirrors", "enabled", 2)
    assert not accepted(raw, "mirrors", "enabled", -1)


def test_a_value_of_another_type_is_refused(raw: Raw, refused: Refused) -> None:
    """But where text is wanted: PostgreSQL takes any value's text for it."""
    wrong: dict[type, object] = {int: "text", bool: "text", bytes: 7}
    columns = [
        (table, name, wrong[type(value)])
        for table, row in VALID.items()
        for name, value in row.items()
        if type(value) in wrong
    ]
    columns += [(table, name, b"bytes") for table, name in TIME_COLUMNS]
    columns += [("audit_entries", "changes", b"bytes"), ("audit_checkpoints", "heads", b"bytes")]
    for table, name, value in columns:
        with refused(WRONG_TYPE):
            insert(raw, table, **{name: value})


NULLABLE: dict[str, set[str]] = {
    "projects": {"deleted_at"},
    "repositories": {"deleted_at"},
    "leases": {
        "idempotency_key",
        "ended_at",
        "end_reason",
        "previous_lease_id",
        "ended_by",
        "end_note",
    },
    "audit_entries": {"request_id", "source_ip", "reason"},
    "object_metadata": {"disk_size"},
    "mirrors": {
        "credential_ref",
        "interval_seconds",
        "next_run_at",
        "last_started_at",
        "last_success_at",
        "last_error",
        "run_token",
        "run_deadline_at",
    },
    "repository_relationships": {"target_id", "target_url"},
    "audit_checkpoints": set(),
    "lease_import_lines": {"repository_id", "lease_id"},
    "database_identity": {"system_identifier", "database_oid"},
}


@pytest.mark.parametrize("table", VALID)
def test_null_is_refused_where_no_model_has_none(raw: Raw, refused: Refused, table: str) -> None:
    for name in VALID[table].keys() - NULLABLE[table]:
        with refused(f"{table}.{name} not null"):
            insert(raw, table, **{name: None})


# Each with what else must be NULL then.
TOGETHER: dict[str, dict[str, object]] = {
    "ended_at": {"end_reason": None, "ended_by": None, "end_note": None},
    "run_token": {"run_deadline_at": None, "status": "ok"},
    "target_id": {"target_url": "https://example.org/a.git"},
    "repository_id": {"event": "released"},
}
TOGETHER |= {
    "end_reason": TOGETHER["ended_at"] | {"ended_at": None},
    "ended_by": TOGETHER["ended_at"] | {"ended_at": None},
    "end_note": {"end_reason": "expired"},
    "run_deadline_at": TOGETHER["run_token"] | {"run_token": None},
}


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column)
        for table in NULLABLE
        for column in sorted(NULLABLE[table])
        if table != IDENTITY
    ],
)
def test_null_is_taken_where_a_model_has_none(raw: Raw, table: str, column: str) -> None:
    insert(raw, table, **(TOGETHER.get(column, {}) | {column: None}))


@pytest.mark.parametrize(("table", "column"), FOREIGN_KEYS)
def test_a_row_that_refers_to_nothing_is_refused(
    raw: Raw, refused: Refused, table: str, column: str
) -> None:
    with refused(FOREIGN_KEY):
        insert(raw, table, **{column: ulid(77)})


# A lease's time.

NOON = "2026-11-22T12:00:00.123456Z"


@pytest.mark.parametrize(
    ("acquired_at", "latest", "too_late"),
    [
        (NOON, "2026-11-25T12:00:00.123456Z", "2026-11-25T12:00:00.123457Z"),
        (
            "2028-02-27T23:59:59.999999Z",
            "2028-03-01T23:59:59.999999Z",
            "2028-03-02T00:00:00.000000Z",
        ),
        (
            "2026-12-30T00:00:00.000000Z",
            "2027-01-02T00:00:00.000000Z",
            "2027-01-02T00:00:00.000001Z",
        ),
    ],
)
def test_a_lease_lasts_72_hours_to_the_microsecond(
    raw: Raw, refused: Refused, acquired_at: str, latest: str, too_late: str
) -> None:
    lease = {"acquired_at": acquired_at, "ended_at": acquired_at}
    with refused("leases_72_hours_check"):
        insert(raw, "leases", **lease, expires_at=too_late)
    insert(raw, "leases", **lease, expires_at=latest)


def test_a_lease_expires_after_it_began(raw: Raw, refused: Refused) -> None:
    lease = {"acquired_at": NOON, "ended_at": NOON}
    with refused("leases_72_hours_check"):
        insert(raw, "leases", **lease, expires_at=NOON)
    insert(raw, "leases", **lease, expires_at="2026-11-22T12:00:00.123457Z")


def test_a_lease_does_not_end_before_it_began(raw: Raw, refused: Refused) -> None:
    lease = {"acquired_at": NOON, "expires_at": LATER}
    with refused("leases_ended_after_acquired_check"):
        insert(raw, "leases", **lease, ended_at="2026-11-22T12:00:00.123455Z")
    insert(raw, "leases", **lease, ended_at=NOON)


@pytest.mark.parametrize("missing", ["ended_at", "end_reason", "ended_by"])
def test_a_lease_that_ended_says_when_why_and_by_whom(
    raw: Raw, refused: Refused, missing: str
) -> None:
    with refused("leases_end_complete_check"):
        insert(raw, "leases", **{missing: None})


OPEN = {"ended_at": None, "end_reason": None, "ended_by": None, "end_note": None}


@pytest.mark.parametrize(
    "end", [{"ended_by": "user:bob"}, {"end_note": "soon"}, {"end_reason": "released"}]
)
def test_an_open_lease_has_nothing_of_an_end(
    raw: Raw, refused: Refused, end: dict[str, str]
) -> None:
    with refused("leases_end_complete_check"):
        insert(raw, "leases", **(OPEN | end))
    insert(raw, "leases", **OPEN)


def test_an_end_by_force_needs_a_note(raw: Raw, refused: Refused) -> None:
    with refused("leases_forced_says_why_check"):
        insert(raw, "leases", end_reason="forced", end_note=None)
    insert(raw, "leases", end_reason="released", end_note=None)


def test_a_lease_does_not_follow_itself(raw: Raw, refused: Refused) -> None:
    with refused("leases_previous_lease_id_not_itself_check"):
        insert(raw, "leases", previous_lease_id=FREE)


# JSON.


@pytest.mark.parametrize(
    "changes",
    ["", "{", "[]", "null", "1", '"text"', '{"a": 1}x', "{'a': 1}", "{a: 1}", ' {"a": 1}', "{}\0"],
)
def test_changes_are_a_json_object(raw: Raw, refused: Refused, changes: str) -> None:
    with refused("audit_entries_changes_check", WRONG_TYPE):
        insert(raw, "audit_entries", changes=changes)


def test_changes_are_a_million_characters_at_most(raw: Raw, refused: Refused) -> None:
    with refused("audit_entries_changes_check"):
        insert(raw, "audit_entries", changes='{"a":"' + "é" * 999_993 + '"}')
    insert(raw, "audit_entries", changes='{"a":"' + "é" * 999_992 + '"}')


@pytest.mark.parametrize(
    ("heads", "tree_size"),
    [("", 0), ("{}", 0), ("[", 0), ("[]", 1), ("[1]", 0), ("[1,2]", 1), ("[]\0", 0)],
)
def test_a_checkpoints_heads_are_the_leaves_of_its_tree(
    raw: Raw, refused: Refused, heads: str, tree_size: int
) -> None:
    with refused("audit_checkpoints_heads_check", WRONG_TYPE):
        insert(raw, "audit_checkpoints", heads=heads, tree_size=tree_size)


def test_a_checkpoint_may_cover_no_stream_but_not_fewer(raw: Raw, refused: Refused) -> None:
    # Heads have no length below none: PostgreSQL asks its rules in the order of their names.
    with refused("audit_checkpoints_tree_size_check", "audit_checkpoints_heads_check"):
        insert(raw, "audit_checkpoints", heads="[]", tree_size=-1)
    insert(raw, "audit_checkpoints", heads="[]", tree_size=0)


# Mirrors, relationships, lines.


def test_only_a_running_mirror_has_a_run_and_it_has_all_of_it(raw: Raw, refused: Refused) -> None:
    for wrong in (
        {"run_token": None},
        {"run_deadline_at": None},
        {"run_token": None, "run_deadline_at": None},
        {"status": "ok"},
        {"status": "never", "run_token": None},
        {"status": "failed", "run_deadline_at": None},
    ):
        with refused("mirrors_running_complete_check"):
            insert(raw, "mirrors", **wrong)


@pytest.mark.parametrize("status", ["never", "ok", "failed"])
def test_a_mirror_at_rest_has_no_run(raw: Raw, status: str) -> None:
    insert(raw, "mirrors", status=status, run_token=None, run_deadline_at=None)


def test_a_mirrors_status_is_a_known_one(raw: Raw, refused: Refused) -> None:
    with refused("mirrors_status_check"):
        insert(raw, "mirrors", status="paused", run_token=None, run_deadline_at=None)


def test_a_relationship_has_exactly_one_target(raw: Raw, refused: Refused) -> None:
    with refused("repository_relationships_one_target_check"):
        insert(raw, "repository_relationships", target_url="https://example.org/a.git")
    with refused("repository_relationships_one_target_check"):
        insert(raw, "repository_relationships", target_id=None)
    insert(raw, "repository_relationships", target_id=None, target_url="https://example.org/a.git")


def test_a_repository_has_no_relationship_to_itself(raw: Raw, refused: Refused) -> None:
    with refused("repository_relationships_not_to_itself_check"):
        insert(raw, "repository_relationships", target_id=REPOSITORY)


@pytest.mark.parametrize("event", ["released", "forced"])
def test_only_the_line_that_begins_a_lease_names_its_repository(
    raw: Raw, refused: Refused, event: str
) -> None:
    with refused("lease_import_lines_acquired_names_repository_check"):
        insert(raw, "lease_import_lines", event=event)
    with refused("lease_import_lines_acquired_names_repository_check"):
        insert(raw, "lease_import_lines", repository_id=None)
    insert(raw, "lease_import_lines", event=event, repository_id=None)


def test_a_line_may_wait_for_its_lease_and_its_ids_need_not_be_ulids(
    raw: Raw,
) -> None:
    insert(raw, "lease_import_lines", repository_id="repo/9", legacy_lease_id="9", lease_id=None)
    insert(raw, "lease_import_lines", line_number=3, legacy_lease_id="10", imported_at=TIME)


def test_an_identity_has_an_era_that_fits_into_a_token_and_a_place(
    raw: Raw, refused: Refused
) -> None:
    for era in (2 * 10**9 + 1, -2 * 10**9 - 1):
        with refused("database_identity_era_check"):
            insert(raw, IDENTITY, era=era)
    for place in ("", "7" * 101):
        with refused("database_identity_system_identifier_check"):
            insert(raw, IDENTITY, system_identifier=place)
    with refused("database_identity_database_oid_check"):
        insert(raw, IDENTITY, database_oid=-1)
    with refused("database_identity_audit_seq_check"):
        insert(raw, IDENTITY, audit_seq=-1)
    with refused("database_identity_audit_head_check"):
        insert(raw, IDENTITY, audit_head=bytes(31))
    with refused("database_identity_created_at_check", WRONG_TYPE):
        insert(raw, IDENTITY, created_at="0000-01-01T00:00:00.000000Z")


def test_an_identity_may_be_in_a_place_that_nobody_knows(raw: Raw, refused: Refused) -> None:
    # All that is wrong with it is that there is one already.
    with refused("database_identity_one_row"):
        insert(raw, IDENTITY, system_identifier=None, database_oid=None)


def test_every_check_of_the_schema_is_tried_above() -> None:
    """A CHECK is either its column's own, in one of the lists, or named in a test of its own."""
    in_lists = {
        f"{row[0]}_{row[1]}_check"
        for rows in (
            ULID_COLUMNS,
            TIME_COLUMNS,
            TEXT_COLUMNS,
            ENUM_COLUMNS,
            INTEGER_COLUMNS,
            BLOB_COLUMNS,
            SLUGS,
            (*URLS, ("object_metadata", "created_at"), ("mirrors", "enabled")),
            ((table, f"{column}_credentials") for table, column in URLS),
        )
        for row in rows
    }
    with open(__file__, encoding="utf-8") as this:
        named = set(re.findall(r'refused\("(\w+_check)"', this.read()))
    assert set(re.findall(r"CONSTRAINT (\w+_check) CHECK", SQLITE_SCRIPT)) == in_lists | named
