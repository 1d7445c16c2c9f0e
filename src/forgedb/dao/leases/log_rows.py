"""What the import of a lease log reads and writes, many rows at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from forgedb.dao.leases.steps import LEASE
from forgedb.dao.repositories import REPOSITORY
from forgedb.models import Lease, Repository, Ulid
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, many
from forgedb.sql.advisory_locks import LEASE_IMPORTS
from forgedb.sql.catalogue import Sql, sql


class ImportedLine(msgspec.Struct, frozen=True):
    """A line that was imported; ``lease_id`` is None while its repository is unknown."""

    source: str
    line_number: int
    line_sha256: bytes
    event: str
    legacy_lease_id: str
    repository_id: str | None
    lease_id: Ulid | None
    imported_at: datetime


LINE = columns(ImportedLine)

# One import at a time: another would not see the lines that this one has written.  SQLite has one
# writer at a time anyway.
LOCK_IMPORTS = sql(
    sqlite="SELECT 1",
    postgres=f"SELECT pg_advisory_xact_lock({LEASE_IMPORTS})",
)

LINES_BETWEEN = sql(f"""
SELECT {LINE}
FROM lease_import_lines
WHERE source = :source AND line_number BETWEEN :first AND :last
""")

LINE_AFTER = sql(f"""
SELECT {LINE}
FROM lease_import_lines
WHERE source = :source AND line_number > :last
ORDER BY line_number
LIMIT 1
""")

LINES_OF_LEASES, LINES_BY_LEASE, LEASES_BY_ID = (
    sql(
        sqlite=f"""
        SELECT {columns(model, "found.")}
        FROM carray(:ids) AS asked
        CROSS JOIN {table} AS found ON found.{column} = asked.value
        """,
        postgres=f"SELECT {columns(model)} FROM {table} WHERE {column} = ANY(:ids)",
    )
    for model, table, column in (
        (ImportedLine, "lease_import_lines", "legacy_lease_id"),
        (ImportedLine, "lease_import_lines", "lease_id"),
        (Lease, "leases", "id"),
    )
)

LAST_LEASES = sql(
    sqlite=f"""
    SELECT {columns(Lease, "l.")}
    FROM carray(:ids) AS asked
    CROSS JOIN leases AS l ON l.repository_id = asked.value AND l.fencing_token = (
        SELECT fencing_token
        FROM leases
        WHERE repository_id = asked.value
        ORDER BY fencing_token DESC
        LIMIT 1)
    """,
    postgres=f"""
    SELECT {columns(Lease, "l.")}
    FROM unnest(:ids::text[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT {LEASE}
        FROM leases
        WHERE repository_id = asked.id
        ORDER BY fencing_token DESC
        LIMIT 1) AS l
    """,
)

# Repositories are always locked in the order of their ids.
LOCK_REPOSITORIES = sql(
    sqlite=f"""
    SELECT {columns(Repository, "r.")}, r.audit_seq, r.audit_head
    FROM carray(:ids) AS asked
    CROSS JOIN repositories AS r ON r.id = asked.value
    """,
    postgres=f"""
    SELECT {REPOSITORY}, audit_seq, audit_head
    FROM repositories
    WHERE id = ANY(:ids)
    ORDER BY id
    FOR NO KEY UPDATE
    """,
)

NAME_IN_LOG = sql("""
SELECT i.repository_id
FROM leases AS l
JOIN lease_import_lines AS i ON i.lease_id = l.id AND i.event = 'acquired'
WHERE l.repository_id = :repository_id
ORDER BY l.fencing_token
LIMIT 1
""")


LEASES_COLUMNS = {
    "id": "text",
    "repository_id": "text",
    "holder": "text",
    "purpose": "text",
    "fencing_token": "bigint",
    "idempotency_key": "text",
    "acquired_at": "timestamptz",
    "expires_at": "timestamptz",
    "ended_at": "timestamptz",
    "end_reason": "text",
    "previous_lease_id": "text",
    "ended_by": "text",
    "end_note": "text",
}

ENTRIES_COLUMNS = {
    "stream_id": "text",
    "seq": "bigint",
    "id": "text",
    "at": "timestamptz",
    "actor": "text",
    "action": "text",
    "target_type": "text",
    "target_id": "text",
    "request_id": "text",
    "source_ip": "text",
    "reason": "text",
    "changes": "text",
    "hash_version": "bigint",
    "entry_hash": "bytea",
}

LINES_COLUMNS = {
    "source": "text",
    "line_number": "bigint",
    "line_sha256": "bytea",
    "event": "text",
    "legacy_lease_id": "text",
    "repository_id": "text",
    "lease_id": "text",
    "imported_at": "timestamptz",
}

# SQLite runs it for each row, PostgreSQL once, with an array for each column.
INSERT_LEASES, INSERT_ENTRIES, INSERT_LINES = (
    sql(
        sqlite=f"""
        INSERT INTO {table} ({", ".join(types)})
        VALUES ({", ".join(f":{name}" for name in types)})
        """,
        postgres=f"""
        INSERT INTO {table} ({", ".join(types)})
        SELECT {", ".join("changes::json" if name == "changes" else name for name in types)}
        FROM unnest({", ".join(f":{name}::{of_type}[]" for name, of_type in types.items())})
            AS given ({", ".join(types)})
        """,
    )
    for table, types in (
        ("leases", LEASES_COLUMNS),
        ("audit_entries", ENTRIES_COLUMNS),
        ("lease_import_lines", LINES_COLUMNS),
    )
)

END_LEASES = sql(
    sqlite="""
    UPDATE leases
    SET ended_at = :ended_at, end_reason = :end_reason, ended_by = :ended_by, end_note = :end_note
    WHERE id = :id AND ended_at IS NULL
    """,
    postgres="""
    UPDATE leases AS l
    SET ended_at = given.ended_at,
        end_reason = given.end_reason,
        ended_by = given.ended_by,
        end_note = given.end_note
    FROM unnest(
        :ended_at::timestamptz[], :end_reason::text[], :ended_by::text[], :end_note::text[],
        :id::text[]) AS given (ended_at, end_reason, ended_by, end_note, id)
    WHERE l.id = given.id AND l.ended_at IS NULL
    """,
)

ADVANCE_REPOSITORIES = sql(
    sqlite="""
    UPDATE repositories
    SET lease_epoch = :lease_epoch, audit_seq = :audit_seq, audit_head = :audit_head
    WHERE id = :id
    """,
    postgres="""
    UPDATE repositories AS r
    SET lease_epoch = given.lease_epoch,
        audit_seq = given.audit_seq,
        audit_head = given.audit_head
    FROM unnest(:lease_epoch::bigint[], :audit_seq::bigint[], :audit_head::bytea[], :id::text[])
        AS given (lease_epoch, audit_seq, audit_head, id)
    WHERE r.id = given.id
    """,
)

RESOLVE_LINE = sql("""
UPDATE lease_import_lines
SET lease_id = :lease_id
WHERE source = :source AND line_number = :line_number
""")


def by_ids(model: Any, statement: Sql, ids: Iterable[str]) -> Steps[list[Any]]:
    """The rows for the ids, which are passed in order; without ids no statement is sent."""
    asked = (*sorted(ids),)
    return (yield from many(model, statement, ids=asked)) if asked else []
