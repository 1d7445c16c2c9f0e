"""What a PostgreSQL role needs to run an application on forgedb's tables, and nothing more.

The role can't rewrite history: it may add to ``audit_entries`` and read them, but neither change,
delete nor truncate them.  Only the owner may alter the table or its triggers.
"""

from __future__ import annotations

from forgedb.errors import InvalidValue
from forgedb.limits import POSTGRES_NAME_BYTES_MAX
from forgedb.validation import check_text

PRIVILEGES = {
    "projects": (
        "SELECT, INSERT, UPDATE (slug, name, description, visibility, audit_seq, audit_head,"
        " updated_at, deleted_at)"
    ),
    "repositories": (
        "SELECT, INSERT, UPDATE (slug, description, default_branch, visibility, state,"
        " lease_epoch, audit_seq, audit_head, updated_at, deleted_at)"
    ),
    "leases": "SELECT, INSERT, UPDATE (ended_at, end_reason, ended_by, end_note)",
    "audit_entries": "SELECT, INSERT",
    "object_metadata": "SELECT, INSERT, UPDATE (disk_size), DELETE",
    "mirrors": (
        "SELECT, INSERT, UPDATE (remote_url, credential_ref, enabled, interval_seconds, status,"
        " next_run_at, last_started_at, last_success_at, consecutive_failures, last_error,"
        " run_token, run_deadline_at, updated_at), DELETE"
    ),
    "repository_relationships": "SELECT, INSERT, DELETE",
    "audit_checkpoints": "SELECT, INSERT",
    "lease_import_lines": "SELECT, INSERT, UPDATE (lease_id)",
    "database_identity": (
        "SELECT, UPDATE (era, system_identifier, database_oid, audit_seq, audit_head)"
    ),
    "schema_migrations": "SELECT",
}


def grants(role: str, schema: str = "public") -> list[str]:
    """The statements that give ``role`` what it needs, for the tables' owner to run.

    Raises InvalidValue.
    """
    to, within = _quoted("role", role), _quoted("schema", schema)
    return [
        f"GRANT USAGE ON SCHEMA {within} TO {to};",
        *(
            f"GRANT {privileges} ON {within}.{table} TO {to};"
            for table, privileges in PRIVILEGES.items()
        ),
    ]


def _quoted(field: str, name: object) -> str:
    checked = check_text(field, name, POSTGRES_NAME_BYTES_MAX, length_min=1)
    if len(checked.encode()) > POSTGRES_NAME_BYTES_MAX:
        raise InvalidValue(
            field, name, f"PostgreSQL's names have up to {POSTGRES_NAME_BYTES_MAX} bytes"
        )
    return '"' + checked.replace('"', '""') + '"'
