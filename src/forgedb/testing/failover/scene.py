"""What a failure acts on: a cluster with forgedb's schema, and clients at work on it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import forgedb
from forgedb import Database, SigningKey, Ulid
from forgedb.testing.failover.clients import Crowd
from forgedb.testing.failover.ledger import Ledger
from forgedb.testing.failover.verdict import judge
from forgedb.testing.history import Fault

REPOSITORIES: Final = 8

BACK_SECONDS_MAX: Final = 30.0
"""How long each repository may go without a grant once there is a primary."""

LOOK_SECONDS: Final = 0.05


class Scene:
    """The database at ``url``, with forgedb's schema, on a cluster that will fail.

    ``chance`` makes the random choices of the kinds of failure.
    """

    def __init__(self, url: str, chance: random.Random) -> None:
        self.url = url
        self.chance = chance
        self.key = SigningKey.generate()
        self.ledger = Ledger()
        self.faults: list[Fault] = self.ledger.faults
        self.gap_seconds: list[float] = []
        self.losses = 0
        with self.connected() as db:
            db.migrate()
            project = db.projects.create("failover", "Failover")
            self.repository_ids = [
                db.repositories.create(project.id, f"repository-{number}").id
                for number in range(REPOSITORIES)
            ]

    def connected(self, url: str | None = None) -> Database:
        """A handle apart from those of the clients."""
        return forgedb.connect(url or self.url, actor="service:failover")

    @contextmanager
    def crowd(
        self, name: str, url: str | None = None, *, checkpoints: bool = True, size: int = 4
    ) -> Generator[Crowd]:
        """Clients at work, on the whole cluster or on the servers of a URL."""
        key = self.key if checkpoints else None
        with Crowd(
            name,
            url or self.url,
            self.ledger,
            self.repository_ids,
            self.chance,
            threads=size,
            tasks=size,
            key=key,
        ) as crowd:
            yield crowd

    def rest(self, least: float, most: float) -> None:
        """Let the clients work for a while."""
        time.sleep(self.chance.uniform(least, most))

    def wait_for_grants(self, harmed_at: float | None = None) -> None:
        """Wait until each repository has a new grant; a fault for each that gets none in time.

        With ``harmed_at`` the longest time without a grant since then is recorded.
        """
        since = time.monotonic()
        while time.monotonic() < since + BACK_SECONDS_MAX:
            again = {it.repository_id for it in self.ledger.granted if it.asked_at > since}
            if again.issuperset(self.repository_ids):
                if harmed_at is not None:
                    self.gap_seconds.append(self.ledger.gap_seconds(harmed_at))
                return
            time.sleep(LOOK_SECONDS)
        told = self.ledger.unavailable[-1:] or ["nothing"]
        what = (
            f"no grants {BACK_SECONDS_MAX:g} s after there was a primary; the last told: {told[0]}"
        )
        self.faults.append(Fault("back", None, what))

    def judge(self, url: str | None = None, *, keeps: bool, survivor: bool = True) -> None:
        """Compare the answers that clients got with the database of the cluster, or of one server.

        ``survivor``: its history is the one that goes on, so that what it lacks is lost.
        """
        with self.connected(url) as db:
            faults, losses = judge(
                db,
                self.repository_ids,
                self.ledger,
                keeps=keeps,
                key=self.key if survivor else None,
            )
        self.faults += faults
        if survivor:
            self.losses = losses

    def highest_tokens(self) -> dict[Ulid, int]:
        """The highest token of each repository that a client was granted."""
        highest: dict[Ulid, int] = {}
        for granted in self.ledger.granted:
            known = highest.get(granted.repository_id, 0)
            highest[granted.repository_id] = max(known, granted.fencing_token)
        return highest

    def counts(self) -> Counter[str]:
        """How many answers there were of each kind, and how many of them were lost."""
        counts = self.ledger.counts()
        counts["lost"] = self.losses
        return counts

    def told(self) -> str:
        """A summary of one line."""
        gap = self.gap_seconds[-1] if self.gap_seconds else 0.0
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts().items())
        return f"{gap:.1f} s without a grant; {counts}"
