"""Rows that collide with one that is there, columns that can't change, and the rules against both.

What both databases refuse is tried on both by ``test_guards``, and with SQLite's ways around it by
``test_sqlite``.
"""

from __future__ import annotations

from typing import Any

from tests.schema.rows import FREE, LATER, LEASE, OTHER_REPOSITORY, PROJECT, REPOSITORY, ulid

OPEN: dict[str, Any] = {"ended_at": None, "end_reason": None, "ended_by": None, "end_note": None}

END = "ended_at = expires_at, end_reason = 'expired', ended_by = 'service:reaper'"

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
"""A table, what makes its valid row collide, and the rule."""

NEVER_DELETED = (
    ("projects", "projects_never_deleted"),
    ("repositories", "repositories_never_deleted"),
    ("leases", "leases_never_deleted"),
    ("audit_entries", "audit_entries_append_only"),
    ("audit_checkpoints", "audit_checkpoints_append_only"),
    ("database_identity", "database_identity_never_deleted"),
)

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
    ("database_identity", "id", FREE),
    ("database_identity", "created_at", LATER),
)

CHANGES_OF_AN_ENDED_LEASE = (
    "end_note = 'another'",
    "ended_by = 'user:eve'",
    "ended_at = NULL, end_reason = NULL, ended_by = NULL, end_note = NULL",
    END,
    "purpose = purpose",
)
