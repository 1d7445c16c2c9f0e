"""The one lock under which migrations run: SQLite's writer, or an advisory lock of PostgreSQL's.

The advisory lock ends with its transaction.  So no crash leaves it behind, and it works behind a
pooler in transaction mode.  It is tried for, not waited for: a process that waits inside the server
holds a connection, and can't report that it waits.
"""

from __future__ import annotations

from typing import Any

from forgedb.errors import LockTimeout
from forgedb.operations.steps import Now, Select, SelectOne, Steps, rows, together
from forgedb.sql.advisory_locks import MIGRATIONS
from forgedb.sql.catalogue import sql

# Run before anything is known of the database, and so with each function's schema and exact types:
# another role's function of the same name whose types fit better would be called instead.
#
# Every statement of the transaction gives up on a lock after lock_timeout: one that queued for
# longer would hold up all statements that queue behind it.
TRY_LOCK = sql(
    sqlite="SELECT true, :lock_wait",
    postgres=f"""
    SELECT
        pg_catalog.pg_try_advisory_xact_lock(
            {MIGRATIONS}
        ),
        pg_catalog.set_config('lock_timeout', :lock_wait, true)
    """,
)

QUEUE_BRIEFLY = sql(
    sqlite="SELECT :lock_wait WHERE false",
    postgres="SELECT pg_catalog.set_config('lock_timeout', :lock_wait, true)",
)

HOLDER = sql(
    sqlite="SELECT 0, '', '' WHERE false",
    postgres=f"""
    SELECT held.pid, coalesce(by.usename, ''), coalesce(by.application_name, '')
    FROM pg_locks AS held
    LEFT JOIN pg_stat_activity AS by ON by.pid = held.pid
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (held.classid::bigint << 32 | held.objid::bigint)
        = {MIGRATIONS}
    """,
)


def lock(lock_wait_seconds: float, *then: SelectOne | Now) -> Steps[list[Any]]:
    """Keep all others from migrating until the transaction ends; returns the steps' results.

    On PostgreSQL each statement sees what was committed before it: so the steps see what the
    lock's last holder did.  Raises LockTimeout.
    """
    params = _limit(lock_wait_seconds)
    ((has_it, _),), *found = yield from together(Select(TRY_LOCK, params, None), *then)
    if has_it:
        return found
    holders = yield from rows(HOLDER)
    who = ", ".join(
        f"server process {pid} of role {role}" + (f" ({program})" if program else "")
        for pid, role, program in holders
    )
    raise LockTimeout(
        f"another process is migrating this database: {who or 'it has just ended'}", retryable=True
    )


def queue_briefly(lock_wait_seconds: float) -> Steps[None]:
    """Let each statement of the transaction queue no longer than this for a lock."""
    yield Select(QUEUE_BRIEFLY, _limit(lock_wait_seconds), None)


def _limit(lock_wait_seconds: float) -> dict[str, str]:
    return {"lock_wait": f"{round(lock_wait_seconds * 1000)}ms"}
