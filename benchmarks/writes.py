"""Small writes, each a transaction with its audit entries: a lease's life, a new repository."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import forgedb
from benchmarks.databases import PROJECT, base
from benchmarks.replay import Operation, against_replay
from benchmarks.scale import Scale
from benchmarks.timing import Row


def lease(scale: Scale, folder: Path) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    raw, ours = against_replay(base(scale, folder), leases, count=scale.writes, rounds=scale.rounds)
    work = "lease acquire + release, audited and chained"
    yield Row("lease", work, "same statements", scale.writes, 1.4, raw, ours)


def repository(scale: Scale, folder: Path) -> Iterator[Row]:
    """Repositories added to a project that has many."""
    raw, ours = against_replay(
        base(scale, folder), repositories, count=scale.writes, rounds=scale.rounds
    )
    work = "insert of a repository, audited and chained"
    yield Row("repository", work, "same statements", scale.writes, 1.5, raw, ours)


def leases(db: forgedb.Database) -> Iterator[Operation]:
    project = db.projects.get_by_slug(PROJECT)
    items = db.repositories.list(project.id, limit=100).items

    def cycle(repository_id: str) -> None:
        granted = db.leases.acquire(repository_id, purpose="nightly import")
        db.leases.release(granted.id)

    for number in count():
        yield partial(cycle, items[number % len(items)].id)


def repositories(db: forgedb.Database) -> Iterator[Operation]:
    project_id = db.projects.get_by_slug(PROJECT).id
    for number in count():
        yield partial(db.repositories.create, project_id, f"new-{number}")
