"""A valid row of each table of the schema, and the scripts that make the tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import forgedb.ids

MIGRATIONS = Path(forgedb.ids.__file__).parent / "migrations"


def _script(dialect: str) -> str:
    files = sorted((MIGRATIONS / dialect).glob("*.sql"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


SQLITE_SCRIPT = _script("sqlite")
POSTGRES_SCRIPT = _script("postgres")

TIME = "2026-11-22T10:00:00.000000Z"
LATER = "2026-11-23T10:00:00.000000Z"
LATEST = "2026-11-24T10:00:00.000000Z"


def ulid(number: int) -> str:
    return f"01JD{number:022d}"


PROJECT = ulid(1)
REPOSITORY = ulid(2)
OTHER_REPOSITORY = ulid(3)
THIRD_REPOSITORY = ulid(4)
LEASE = ulid(5)
FREE = ulid(99)
"""An id that no row has."""


def telling(lease: str, seq: int) -> dict[str, Any]:
    """What makes the valid entry one that tells of the lease's end."""
    return {
        "seq": seq,
        "id": ulid(10_000 + seq),
        "action": "lease.force_release",
        "target_type": "lease",
        "target_id": lease,
    }


# Every column that may be NULL has a value, where no rule is against it.
VALID: dict[str, dict[str, Any]] = {
    "projects": {
        "id": FREE,
        "slug": "new",
        "name": "New",
        "description": "",
        "visibility": "private",
        "audit_seq": 0,
        "audit_head": bytes(32),
        "created_at": TIME,
        "updated_at": TIME,
        "deleted_at": LATER,
    },
    "repositories": {
        "id": FREE,
        "project_id": PROJECT,
        "slug": "new",
        "description": "",
        "default_branch": "main",
        "object_format": "sha1",
        "visibility": "private",
        "state": "active",
        "lease_epoch": 0,
        "audit_seq": 0,
        "audit_head": bytes(32),
        "created_at": TIME,
        "updated_at": TIME,
        "deleted_at": LATER,
    },
    "leases": {
        "id": FREE,
        "repository_id": REPOSITORY,
        "holder": "user:ada",
        "purpose": "import",
        "fencing_token": 8,
        "idempotency_key": "key",
        "acquired_at": TIME,
        "expires_at": LATEST,
        "ended_at": LATER,
        "end_reason": "forced",
        "previous_lease_id": LEASE,
        "ended_by": "user:bob",
        "end_note": "stuck",
    },
    "audit_entries": {
        "stream_id": REPOSITORY,
        "seq": 2,
        "id": FREE,
        "at": TIME,
        "actor": "user:ada",
        "action": "repository.update",
        "target_type": "repository",
        "target_id": REPOSITORY,
        "request_id": "req-81",
        "source_ip": "10.0.0.7",
        "reason": "renamed",
        "changes": '{"slug": ["old", "new"]}',
        "hash_version": 1,
        "entry_hash": bytes(32),
    },
    "object_metadata": {
        "repository_id": REPOSITORY,
        "oid": b"\2" * 20,
        "type": 3,
        "size": 10,
        "disk_size": 9,
        "created_at": TIME,
    },
    "mirrors": {
        "id": FREE,
        "repository_id": REPOSITORY,
        "direction": "push",
        "remote_url": "https://example.org/new.git",
        "credential_ref": "vault:new",
        "enabled": True,
        "interval_seconds": 3600,
        "status": "running",
        "next_run_at": LATER,
        "last_started_at": TIME,
        "last_success_at": TIME,
        "consecutive_failures": 0,
        "last_error": "timed out",
        "run_token": ulid(98),
        "run_deadline_at": LATER,
        "created_at": TIME,
        "updated_at": TIME,
    },
    "repository_relationships": {
        "id": FREE,
        "source_id": REPOSITORY,
        "target_id": OTHER_REPOSITORY,
        "target_url": None,
        "kind": "submodule",
        "path": "vendor/new",
        "created_at": TIME,
        "updated_at": TIME,
    },
    "audit_checkpoints": {
        "seq": 2,
        "at": TIME,
        "format_version": 1,
        "tree_size": 1,
        "root_hash": bytes(32),
        "previous_hash": b"\1" * 32,
        "checkpoint_hash": b"\2" * 32,
        "heads": f'[["{REPOSITORY}", 1, "00"]]',
        "key_id": "key-1",
        "signature": bytes(64),
    },
    "lease_import_lines": {
        "source": "leases.jsonl",
        "line_number": 2,
        "line_sha256": bytes(32),
        "event": "acquired",
        "legacy_lease_id": "lease-2",
        "repository_id": REPOSITORY,
        "lease_id": LEASE,
        "imported_at": TIME,
    },
    "database_identity": {
        "id": FREE,
        "era": 0,
        "system_identifier": "7000000000000000001",
        "database_oid": 5,
        "audit_seq": 0,
        "audit_head": bytes(32),
        "created_at": TIME,
    },
}

TOLD = (LEASE, FREE, *map(ulid, (70, 71, 90, 91)))
"""The leases that entries tell of: one that is there, and those that tests insert."""

# What is there before each test: the parents of the rows above, and one row to attack a table.
THERE: Iterable[tuple[str, dict[str, Any]]] = (
    ("projects", {"id": PROJECT, "slug": "there", "deleted_at": None}),
    ("repositories", {"id": REPOSITORY, "slug": "there", "lease_epoch": 7, "deleted_at": None}),
    ("repositories", {"id": OTHER_REPOSITORY, "slug": "other", "deleted_at": None}),
    ("repositories", {"id": THIRD_REPOSITORY, "slug": "third", "deleted_at": None}),
    ("audit_entries", {"seq": 7, "id": ulid(6)}),
    *(("audit_entries", telling(lease, 100 + number)) for number, lease in enumerate(TOLD)),
    ("leases", {"id": LEASE, "fencing_token": 7, "previous_lease_id": None}),
    ("object_metadata", {"oid": b"\1" * 20}),
    ("mirrors", {"id": ulid(7), "remote_url": "https://example.org/there.git"}),
    ("repository_relationships", {"id": ulid(8), "path": "vendor/there"}),
    ("audit_checkpoints", {"seq": 7, "checkpoint_hash": b"\1" * 32, "previous_hash": bytes(32)}),
    ("lease_import_lines", {"line_number": 7, "legacy_lease_id": "lease-1"}),
)

ULID_COLUMNS = (
    ("projects", "id"),
    ("repositories", "id"),
    ("repositories", "project_id"),
    ("leases", "id"),
    ("leases", "repository_id"),
    ("leases", "previous_lease_id"),
    ("audit_entries", "stream_id"),
    ("audit_entries", "id"),
    ("audit_entries", "target_id"),
    ("mirrors", "id"),
    ("mirrors", "repository_id"),
    ("mirrors", "run_token"),
    ("repository_relationships", "id"),
    ("repository_relationships", "source_id"),
    ("repository_relationships", "target_id"),
    ("lease_import_lines", "lease_id"),
    ("database_identity", "id"),
)
