"""Histories to be verified: streams of changes as they come in a forge, made by the DAOs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import forgedb
from benchmarks.databases import PROJECT, fill, open_ours
from benchmarks.scale import Scale

ENTRIES_A_TURN = 5


def history(scale: Scale, folder: Path) -> Path:
    """A database of many streams; filled when it is first asked for."""
    path = folder / "history.db"
    if not path.exists():
        with open_ours(path) as db:
            fill(db, scale._replace(repositories=scale.streams))
            tell(db, entries=scale.entries)
    return path


def tell(db: forgedb.Database, *, entries: int) -> None:
    """Give each repository about so many entries, all of them taking turns."""
    project = db.projects.get_by_slug(PROJECT)
    asked = db.acting_as("user:ada", request_id="req-5f0c81d2", source_ip="10.0.0.7")
    repositories = [each.id for each in forgedb.every(db.repositories.list, project.id)]
    with asked.transaction() as tx:
        mirrors = [
            tx.mirrors.create(each, "pull", f"https://example.org/{each}", timedelta(hours=1)).id
            for each in repositories
        ]
    for turn in range(entries // ENTRIES_A_TURN):
        with asked.transaction() as tx:
            for repository_id, mirror_id in zip(repositories, mirrors, strict=True):
                lease = tx.leases.acquire(repository_id, purpose="nightly import")
                tx.repositories.update(repository_id, description=f"As of turn {turn}")
                tx.mirrors.update(mirror_id, interval=timedelta(minutes=turn + 1))
                tx.audit.record("scan.done", repository_id, {"found": [turn, turn + 1]})
                tx.leases.release(lease.id)
