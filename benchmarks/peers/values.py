"""The rows that every peer writes, as plain values; each peer sends them in its own way.

An entry's hash is SHA-256 over the text of its changes.  forgedb hashes every field and the hash of
the entry before, and checks every value first: the peers have less to do.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from benchmarks.databases import ACTOR
from forgedb.ids import new_ulid

LEASE = timedelta(hours=72)

PURPOSE = "nightly import"

_KINDS = {
    "projects": "id text, visibility text, deleted_at time",
    "repositories": """
        id text, project_id text, slug text, description text, default_branch text,
        object_format text, visibility text, state text, lease_epoch int, created_at time,
        updated_at time, deleted_at time, audit_seq int, audit_head bytes""",
    "leases": """
        id text, repository_id text, holder text, purpose text, fencing_token int,
        idempotency_key text, acquired_at time, expires_at time, ended_at time, end_reason text,
        previous_lease_id text, ended_by text, end_note text""",
    "audit_entries": """
        stream_id text, seq int, id text, at time, actor text, action text, target_type text,
        target_id text, request_id text, source_ip text, reason text, changes json,
        hash_version int, entry_hash bytes""",
    "object_metadata": """
        repository_id text, oid bytes, type short, size int, disk_size int, created_at time""",
}

COLUMNS: dict[str, dict[str, str]] = {
    table: dict(each.split() for each in kinds.split(",")) for table, kinds in _KINDS.items()
}
"""The columns of each table, and their kinds."""

KEYS = {
    "projects": ("id",),
    "repositories": ("id",),
    "leases": ("id",),
    "audit_entries": ("stream_id", "seq"),
    "object_metadata": ("repository_id", "oid"),
}
"""Each table's primary key."""

OBJECT = (*COLUMNS["object_metadata"],)
"""The columns of an object's row, in the order of its values here."""


def as_text(at: datetime) -> str:
    """The time as it stands in SQLite."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def as_time(text: str) -> datetime:
    """The time of SQLite's text."""
    return datetime.fromisoformat(text)


def as_texts(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its times as SQLite's text, for peers that convert no values."""
    return {
        name: as_text(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def new_repository(
    project_id: str, visibility: str, slug: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The repository's row, and its first entry's."""
    at, repository_id = datetime.now(UTC), new_ulid()
    told = {
        "project_id": project_id,
        "slug": slug,
        "description": "",
        "default_branch": "main",
        "object_format": "sha1",
        "visibility": visibility,
        "state": "active",
        "lease_epoch": 0,
    }
    changes = {field: [None, value] for field, value in told.items()}
    entry = _entry(repository_id, 1, at, "repository.create", repository_id, changes)
    repository = {
        "id": repository_id,
        **told,
        "audit_seq": 1,
        "audit_head": entry["entry_hash"],
        "created_at": at,
        "updated_at": at,
        "deleted_at": None,
    }
    return repository, entry


def new_lease(
    repository_id: str, epoch: int, seq: int, last: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The lease's row, and its entry's; ``last`` is the id, end and expiry of the lease before."""
    at = datetime.now(UTC)
    previous_id = None
    if last is not None:
        previous_id, ended_at, expires_at = last
        if ended_at is None:
            raise ValueError(f"{repository_id} is held until {expires_at}")
    told = {
        "repository_id": repository_id,
        "holder": ACTOR,
        "purpose": PURPOSE,
        "fencing_token": epoch + 1,
        "acquired_at": at,
        "expires_at": at + LEASE,
        "previous_lease_id": previous_id,
    }
    lease_id = new_ulid()
    changes = {field: [None, value] for field, value in told.items() if value is not None}
    entry = _entry(repository_id, seq + 1, at, "lease.acquire", lease_id, changes)
    lease = {
        "id": lease_id,
        **told,
        "idempotency_key": None,
        "ended_at": None,
        "end_reason": None,
        "ended_by": None,
        "end_note": None,
    }
    return lease, entry


def end_of_lease(
    repository_id: str, seq: int, lease_id: str, last: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What changes in the lease's row, and its entry's; ``last`` is as for ``new_lease``."""
    at = datetime.now(UTC)
    last_id, ended_at, expires_at = last
    if last_id != lease_id or ended_at is not None or expires_at <= at:
        raise ValueError(f"{lease_id} is not held any more")
    ended = {"ended_at": at, "end_reason": "released", "ended_by": ACTOR}
    changes = {"holder": [ACTOR, ACTOR], **{field: [None, ended[field]] for field in ended}}
    entry = _entry(repository_id, seq + 1, at, "lease.release", lease_id, changes)
    return ended, entry


def _entry(
    stream_id: str, seq: int, at: datetime, action: str, target_id: str, changes: dict[str, Any]
) -> dict[str, Any]:
    text = json.dumps(changes, default=as_text)
    return {
        "stream_id": stream_id,
        "seq": seq,
        "id": new_ulid(),
        "at": at,
        "actor": ACTOR,
        "action": action,
        "target_type": action.partition(".")[0],
        "target_id": target_id,
        "request_id": None,
        "source_ip": None,
        "reason": None,
        "changes": text,
        "hash_version": 1,
        "entry_hash": sha256(text.encode()).digest(),
    }
