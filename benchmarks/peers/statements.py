"""The statements that a user of a bare driver writes, in SQLite's named parameters."""

from __future__ import annotations

_SHOWN = (
    "id, project_id, slug, description, default_branch, object_format, visibility, state,"
    " lease_epoch, created_at, updated_at, deleted_at"
)

GET = f"SELECT {_SHOWN} FROM repositories WHERE id = :id"

VISIBILITY = "SELECT visibility FROM projects WHERE id = :id AND deleted_at IS NULL"

INSERT_REPOSITORY = f"""
INSERT INTO repositories ({_SHOWN}, audit_seq, audit_head)
VALUES (
    :id, :project_id, :slug, :description, :default_branch, :object_format, :visibility, :state,
    :lease_epoch, :created_at, :updated_at, :deleted_at, :audit_seq, :audit_head)
"""

INSERT_ENTRY = """
INSERT INTO audit_entries (
    stream_id, seq, id, at, actor, action, target_type, target_id,
    request_id, source_ip, reason, changes, hash_version, entry_hash)
VALUES (
    :stream_id, :seq, :id, :at, :actor, :action, :target_type, :target_id,
    :request_id, :source_ip, :reason, :changes, :hash_version, :entry_hash)
"""

INSERT_LEASE = """
INSERT INTO leases (
    id, repository_id, holder, purpose, fencing_token, idempotency_key, acquired_at, expires_at,
    ended_at, end_reason, previous_lease_id, ended_by, end_note)
VALUES (
    :id, :repository_id, :holder, :purpose, :fencing_token, :idempotency_key, :acquired_at,
    :expires_at, :ended_at, :end_reason, :previous_lease_id, :ended_by, :end_note)
"""

INSERT_OBJECT = """
INSERT INTO object_metadata (repository_id, oid, type, size, disk_size, created_at)
VALUES (?, ?, ?, ?, ?, ?)
"""

PAGE = """
SELECT repository_id, oid, type, size, disk_size, created_at
FROM object_metadata
WHERE repository_id = :repository_id AND oid > :after
ORDER BY oid
LIMIT :limit
"""

LOCK = "SELECT lease_epoch, audit_seq FROM repositories WHERE id = :id"
"""On SQLite the transaction has the lock already; PostgreSQL's asks for the row's."""

LAST = """
SELECT id, ended_at, expires_at
FROM leases
WHERE repository_id = :repository_id
ORDER BY fencing_token DESC
LIMIT 1
"""

END = """
UPDATE leases
SET ended_at = :ended_at, end_reason = :end_reason, ended_by = :ended_by
WHERE id = :id
"""

ADVANCE = """
UPDATE repositories
SET lease_epoch = :lease_epoch, audit_seq = :audit_seq, audit_head = :audit_head
WHERE id = :id
"""
