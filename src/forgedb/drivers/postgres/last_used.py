"""The connection that was used last, kept for the next call instead of given back to the pool.

Giving a connection back to psycopg_pool and taking it again costs a fifth of a read by id.  A call
that finds nothing here asks the pool.  While any call does, and from time to time, connections are
given back to the pool.

Threads share it without a lock: a list's pop and append are atomic.
"""

from __future__ import annotations

import time

from psycopg.pq import TransactionStatus

from forgedb.drivers.postgres.connection import PostgresConnection

KEPT_SECONDS_MAX = 60.0
"""A connection that left the pool longer ago is given back: the pool replaces old ones."""


class LastUsed:
    """One connection, or a few that were given back at one moment; none where not ``enabled``."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._connections: list[PostgresConnection] = []
        self._asking: list[None] = []
        """One item for each call that found nothing here and asks the pool."""
        self._since = 0.0
        """A connection that left the pool before this time isn't kept any more."""

    def take(self) -> PostgresConnection | None:
        """What is kept, if anything is."""
        try:
            return self._connections.pop()
        except IndexError:
            return None

    def ask(self) -> PostgresConnection | None:
        """Note that a call asks the pool, until ``answered``; returns what was kept just before."""
        self._asking.append(None)
        # Checked again: a thread that kept a connection just before didn't know of this call.
        return self.take()

    def answered(self) -> None:
        """Note that the call doesn't ask the pool any more."""
        self._asking.pop()

    def keep(self, connection: PostgresConnection) -> PostgresConnection | None:
        """Keep it; a connection that is returned is to be given back to the pool."""
        if self._asking or self._connections or not self._may_be_kept(connection):
            return connection
        self._connections.append(connection)
        # Checked again: a thread that asked, or renounced all, just before didn't find it.
        if self._asking or not self._may_be_kept(connection):
            return self.take()
        return None

    def renounce(self, *, for_good: bool = False) -> None:
        """Keep none that left the pool before now; those here are to be taken, and given back."""
        self._since = time.monotonic()
        if for_good:
            self._enabled = False

    def forget(self) -> None:
        """Let go of what is here, in a child process: it is the parent's."""
        self._enabled = False
        self._connections = []

    def _may_be_kept(self, connection: PostgresConnection) -> bool:
        since = max(self._since, time.monotonic() - KEPT_SECONDS_MAX)
        return (
            self._enabled
            and connection.lent_at > since
            and connection.link.raw.pgconn.transaction_status == TransactionStatus.IDLE
        )
