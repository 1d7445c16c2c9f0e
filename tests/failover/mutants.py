"""forgedb with a bug each, of which a failover must not be forgiving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import forgedb.dao.leases.steps
from forgedb.dao.identity import Standing
from forgedb.drivers.postgres.timelines import Highest, Server, Timelines
from forgedb.drivers.postgres.timeouts import PatientAsyncConnection, PatientConnection


def without_timelines(patch: pytest.MonkeyPatch) -> None:
    """A pool that remembers no timeline, and so goes back to an old primary."""
    see = Timelines.see

    def forget(self: Timelines, host: str, answer: Sequence[bytes | None]) -> Server:
        seen = see(self, host, answer)
        highest = Highest()
        highest.timeline = seen.timeline
        return Server(host, seen.timeline, highest)

    patch.setattr(Timelines, "see", forget)


def without_eras(patch: pytest.MonkeyPatch) -> None:
    """Tokens that only count, in what a server knows of them."""

    def count(lease_epoch: int, standing: Standing) -> int:
        return lease_epoch + 1

    patch.setattr(forgedb.dao.leases.steps, "next_token", count)


def deaf_to_warnings(patch: pytest.MonkeyPatch) -> None:
    """A driver that takes a COMMIT for done whose wait for a standby was cancelled."""

    def ignore(self: Any) -> None:
        pass

    for connection in (PatientConnection, PatientAsyncConnection):
        patch.setattr(connection, "listen_for_warnings", ignore)


MUTANTS = {
    without_timelines: ("revived", "backwards"),
    without_eras: ("lagging", "twice"),
    deaf_to_warnings: ("cancelled", "lost"),
}
"""The kind of failure that must show each, and by which rule."""
