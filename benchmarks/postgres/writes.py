"""Small writes, each a transaction with its audit entries: a lease's life, a new repository."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.postgres.replay import against_replay
from benchmarks.postgres.server import Server
from benchmarks.replay import Series
from benchmarks.scale import Scale
from benchmarks.timing import Row
from benchmarks.writes import leases, repositories


def lease(scale: Scale, server: Server) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    work = "lease acquire + release, PostgreSQL"
    return _rows("postgres-lease", work, 1.4, leases, scale, server)


def repository(scale: Scale, server: Server) -> Iterator[Row]:
    """Repositories added to a project that has many."""
    work = "insert of a repository, PostgreSQL"
    return _rows("postgres-repository", work, 1.5, repositories, scale, server)


def _rows(
    name: str, work: str, bound: float, operations: Series, scale: Scale, server: Server
) -> Iterator[Row]:
    base, count = server.base(scale), scale.writes
    times = against_replay(server, base, operations, count=count, rounds=scale.rounds)
    yield Row(name, work, "same statements", count, bound, times.singly, times.ours)
    yield Row(name, work, "same, in pipelines", count, None, times.in_pipelines, times.ours)
