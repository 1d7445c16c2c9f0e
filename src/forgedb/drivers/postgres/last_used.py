"""The connection that was used last, kept for whoever asks next instead of being given back.

The ways into psycopg_pool and out of it again take a fifth of a read by id.  Whoever finds nothing
here asks the pool; while somebody does, and from time to time, what is used goes back to it.

Threads share it without a lock: a list's pop and append are atomic.
"""

from __future__ import annotations

import time

from psycopg.pq import TransactionStatus

from forgedb.drivers.postgres.connection import PostgresConnection

KEPT_SECONDS_MAX = 60.0
"""What was lent longer ago isn't kept once more: the pool replaces what has grown old."""


class LastUsed:
    """One connection, or a few that were given back at one moment; none where not ``enabled``."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._connections: list[PostgresConnection] = []
        self._asking: list[None] = []
        """One for each that has found nothing here and asks the pool."""
        self._since = 0.0
        """What the pool lent before isn't kept any more."""

    def take(self) -> PostgresConnection | None:
        """What is kept, if anything is."""
        try:
            return self._connections.pop()
        except IndexError:
            return None

    def ask(self) -> PostgresConnection | None:
        """Say that the pool is asked, until ``answered``; or what was kept a moment ago."""
        self._asking.append(None)
        # Looked at again: who kept it before this was said didn't know.
        return self.take()

    def answered(self) -> None:
        """Say that the pool isn't asked any more."""
        self._asking.pop()

    def keep(self, connection: PostgresConnection) -> PostgresConnection | None:
        """Keep it; a connection that is returned is to be given back to the pool."""
        if self._asking or self._connections or not self._may_be_kept(connection):
            return connection
        self._connections.append(connection)
        # Looked at again: who asked, or renounced all, before it was here didn't find it.
        if self._asking or not self._may_be_kept(connection):
            return self.take()
        return None

    def renounce(self, *, for_good: bool = False) -> None:
        """Keep nothing that was lent before; ``take`` gives what is here, to be given back."""
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
