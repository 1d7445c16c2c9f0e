"""Histories to be verified: streams of changes as they come in a forge, made by the DAOs."""

from __future__ import annotations

from datetime import timedelta

import forgedb
from benchmarks.databases import PROJECT

CYCLE = 5
"""How many entries a repository gets each time that all of them have their turn."""


def tell(db: forgedb.Database, *, streams: int, entries: int) -> None:
    """Give each of ``streams`` new repositories about ``entries`` entries, all taking turns."""
    project = db.projects.get_by_slug(PROJECT)
    on_request = db.acting_as("user:ada", request_id="req-5f0c81d2", source_ip="10.0.0.7")
    with on_request.transaction() as tx:
        told = [
            tx.repositories.create(project.id, f"told-{number}").id for number in range(streams)
        ]
        mirrors = [
            tx.mirrors.create(
                each, "pull", f"https://example.org/{each}.git", timedelta(hours=1)
            ).id
            for each in told
        ]
    for turn in range(max(1, (entries - 2) // CYCLE)):
        with on_request.transaction() as tx:
            for repository_id, mirror_id in zip(told, mirrors, strict=True):
                lease = tx.leases.acquire(repository_id, purpose="nightly import")
                tx.repositories.update(repository_id, description=f"As of turn {turn}")
                tx.mirrors.update(mirror_id, interval=timedelta(minutes=turn + 1))
                tx.audit.record("scan.done", repository_id, {"found": [turn, turn + 1]})
                tx.leases.release(lease.id)
