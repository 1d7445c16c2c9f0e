"""Which server a connection leads to, and the newest timeline that was seen of its database.

A standby that is promoted begins a new timeline (PostgreSQL's manual, "Timelines").  A primary on
a lower one than was seen is an old primary that came back, or never stopped: what is written to it
doesn't reach the other servers, and it lacks what was written to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import LiteralString

import psycopg

IN_RECOVERY = 1 << 32
"""In the place of a standby's timeline: above all others, so that it never counts as overtaken."""

_STANDING = """
SELECT pg_is_in_recovery(), CASE
    WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
END
"""
"""Whether it is a standby, or else on which timeline it is.  This is right at once after a
promotion, when pg_control_checkpoint() still has the old timeline."""

_SYSTEM = "(SELECT system_identifier FROM pg_control_system())"

QUESTIONS: Sequence[LiteralString] = (
    f"{_STANDING}, {_SYSTEM}",
    f"{_STANDING}, NULL",
    "SELECT pg_is_in_recovery(), NULL, NULL",
    "SELECT false, NULL, NULL",
)
"""The queries on a new connection; each is for servers that refuse the one before it, such as
services that only speak PostgreSQL's protocol.  An unknown timeline counts as 1."""

_LACKING = ("42", "0A")
"""Prefixes of the SQLSTATEs of a server that lacks a function, or doesn't let the role call it."""


class OldTimeline(psycopg.OperationalError):
    """A primary was refused, or left: a newer timeline of its database has been seen."""

    def __init__(self, server: Server) -> None:
        super().__init__(
            f"{server.host} is a primary on timeline {server.timeline}, and timeline"
            f" {server.highest.timeline} of this database has been seen: it is an old primary;"
            " make it a standby of the new one (pg_rewind does), or stop it"
        )


class Highest:
    """The highest timeline that has been seen of one database system."""

    __slots__ = ("timeline",)

    def __init__(self) -> None:
        self.timeline = 0


class Server:
    """The server behind a connection, as it was when that was opened."""

    __slots__ = ("has_others", "highest", "host", "timeline")

    def __init__(self, host: str, timeline: int, highest: Highest) -> None:
        self.host = host
        self.timeline = timeline
        self.highest = highest
        self.has_others = False
        """Whether there are other hosts, one of which may be the primary in its place."""

    def __repr__(self) -> str:
        what = "in recovery" if self.in_recovery else f"on timeline {self.timeline}"
        return f"Server({self.host!r}, {what})"

    @property
    def in_recovery(self) -> bool:
        """Whether it is a standby; it may have been promoted since."""
        return self.timeline == IN_RECOVERY

    @property
    def is_overtaken(self) -> bool:
        """Whether a higher timeline of its database has been seen, also since."""
        return self.timeline < self.highest.timeline


class Timelines:
    """What the pools of one handle have seen.

    Other handles of the process don't share it: a copy that was restored to a point in time has the
    same system identifier and a timeline of its own, and a program may have both open.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._highest: dict[bytes | None, Highest] = {}
        self._first_question = 0

    @property
    def questions(self) -> Sequence[tuple[int, LiteralString]]:
        """The queries, each with its number, without those that were refused before."""
        return list(enumerate(QUESTIONS))[self._first_question :]

    def refused(self, number: int, error: psycopg.Error) -> None:
        """Don't ask this again, where the server will never answer it."""
        if (error.sqlstate or "").startswith(_LACKING):
            self._first_question = max(self._first_question, number + 1)

    def see(self, host: str, answer: Sequence[bytes | None]) -> Server:
        """The server that gave the answer; its timeline is remembered."""
        in_recovery, timeline, system = answer
        with self._lock:
            highest = self._highest.setdefault(system, Highest())
            if in_recovery == b"t":
                return Server(host, IN_RECOVERY, highest)
            seen = 1 if timeline is None else int(timeline, 16)
            highest.timeline = max(highest.timeline, seen)
        return Server(host, seen, highest)
