"""What the audit's hash costs a write: the same statements with it, and with a number in its
place, by one writer and by several that write to repositories of their own."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import unhashed
from benchmarks.postgres.server import Server, open_ours
from benchmarks.scale import Scale
from benchmarks.timing import Row


def leases(scale: Scale, server: Server) -> Iterator[Row]:
    """Leases acquired and released, each writer on a connection of its own."""
    base = server.base(scale)
    yield from unhashed.rows(
        "postgres-audit-hash",
        ", PostgreSQL",
        scale,
        lambda name: open_ours(server.copy(base, name)),
    )
