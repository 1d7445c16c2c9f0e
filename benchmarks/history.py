"""Histories to be verified: streams of changes as they come in a forge, made by the DAOs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import forgedb
from benchmarks.databases import PROJECT, base, copy, open_ours
from benchmarks.scale import Scale

CYCLE = 5
"""How many entries a repository gets each time that all of them have their turn."""


def history(scale: Scale, folder: Path) -> Path:
    """A database of many streams; filled when it is first asked for."""
    path = folder / "history.db"
    if not path.exists():
        with open_ours(copy(base(scale, folder), path.stem)) as db:
            tell(db, streams=scale.streams, entries=scale.entries)
    return path


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
