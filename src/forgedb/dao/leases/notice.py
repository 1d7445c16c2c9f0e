"""Notices to waiting clients that a lease has ended: a hint, and on PostgreSQL only.

A waiting client first runs LISTEN and takes a shared advisory lock for the repository, and only
then tries to acquire the lease.  A transaction that ends a lease locks the repository's row until
it commits.  So either the attempt comes after the end, or the transaction that ends the lease sees
the advisory lock and sends a notice.
"""

from __future__ import annotations

from forgedb.models import Ulid
from forgedb.operations.steps import Select
from forgedb.operations.topics import Topic
from forgedb.sql.advisory_locks import LEASE_WAITERS
from forgedb.sql.catalogue import sql

CHANNEL = "forgedb_leases"

QUEUE_USAGE_MAX = 0.5
"""A NOTIFY fails its transaction if the queue is full because some other client doesn't read."""

# PostgreSQL commits transactions with a NOTIFY one at a time, so it is sent only where the advisory
# lock shows that someone listens.  The lock is released at once, so it blocks nobody, and a
# transaction that ends many leases doesn't collect as many locks.
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
    """The topic that clients waiting for the repository listen to."""
    return Topic(CHANNEL, LEASE_WAITERS, repository_id)


def tell(repository_id: Ulid) -> Select:
    """The step that notifies waiting clients, when the transaction is committed."""
    return Select(TELL, {"repository_id": repository_id}, None)
