"""Notices that a lease has ended, for those who wait for its repository: a hint, on PostgreSQL.

Who waits has listened to the channel, and has locked the repository in shared mode, before it looks
whether the lease is still there.  Who ends a lease holds the repository's row until that is
committed.  So either the look comes after the end, or the end after the lock, and is told.
"""

from __future__ import annotations

from forgedb.models import Ulid
from forgedb.operations.steps import Select
from forgedb.operations.topics import Topic
from forgedb.sql.advisory_locks import LEASE_WAITERS
from forgedb.sql.catalogue import sql

CHANNEL = "forgedb_leases"

QUEUE_USAGE_MAX = 0.5
"""A queue that is full, since another program doesn't read its own, would fail the transaction."""

# A NOTIFY makes its transaction commit one after the other with all others that have one, so it is
# sent only where the lock tells that someone listens.  A lock that is let go of at once stands in
# nobody's way, and a transaction that ends many leases doesn't gather as many.
TELL = sql(
    sqlite="SELECT NULL WHERE :repository_id IS NULL",
    postgres=f"""
SELECT CASE
    WHEN pg_try_advisory_lock({LEASE_WAITERS}, hashtext(:repository_id))
    THEN pg_advisory_unlock({LEASE_WAITERS}, hashtext(:repository_id))::text
    WHEN pg_notification_queue_usage() < {QUEUE_USAGE_MAX}
    THEN pg_notify('{CHANNEL}', :repository_id)::text
END
""",
)


def ends_of(repository_id: Ulid) -> Topic:
    """What who waits for the repository listens for."""
    return Topic(CHANNEL, LEASE_WAITERS, repository_id)


def tell(repository_id: Ulid) -> Select:
    """The step that tells it, once the transaction is committed."""
    return Select(TELL, {"repository_id": repository_id}, None)
