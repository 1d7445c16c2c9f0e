"""Small writes, each a transaction with its audit entries: a lease's life, a new repository."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count, cycle

import forgedb
from benchmarks.databases import ids_of, project_of
from benchmarks.places import Place
from benchmarks.replay import Operation, Series, against_replay
from benchmarks.timing import Row


def lease(place: Place) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    return _rows(place, "lease", "lease acquire + release", 1.4, leases)


def repository(place: Place) -> Iterator[Row]:
    """Repositories added to a project that has many."""
    return _rows(place, "repository", "insert of a repository", 1.5, repositories)


def _rows(place: Place, name: str, words: str, bound: float, series: Series) -> Iterator[Row]:
    work = f"{words}, audited and chained{place.suffix}"
    *raw, ours = against_replay(place, series)
    ways = (("same statements", bound), ("same, in pipelines", None))
    for (against, most), times in zip(ways, raw, strict=False):
        yield Row(place.prefix + name, work, against, place.scale.writes, most, times, ours)


def leases(db: forgedb.Database) -> Iterator[Operation]:
    def life(repository_id: str) -> None:
        granted = db.leases.acquire(repository_id, purpose="nightly import")
        db.leases.release(granted.id)

    for repository_id in cycle(ids_of(db)):
        yield partial(life, repository_id)


def repositories(db: forgedb.Database) -> Iterator[Operation]:
    project_id = project_of(db)
    for number in count():
        yield partial(db.repositories.create, project_id, f"new-{number}")
