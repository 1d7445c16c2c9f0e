"""How much work a run does: enough to measure, or just enough to see that it runs."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    """Counts of rows, of slices, and of operations in a slice."""

    repositories: int
    files: int
    objects: int
    rounds: int
    bulk_rounds: int
    process_rounds: int
    peer_rounds: int
    peer_bulk_rounds: int
    gets: int
    pages: int
    writes: int
    streams: int
    entries: int
    """Of each stream whose history is proven."""


FULL = Scale(
    repositories=10_000,
    files=200,
    objects=1_000_000,
    rounds=60,
    bulk_rounds=5,
    process_rounds=40,
    peer_rounds=20,
    peer_bulk_rounds=3,
    gets=1_000,
    pages=20,
    writes=100,
    streams=400,
    entries=500,
)

QUICK = Scale(
    repositories=120,
    files=5,
    objects=1_000,
    rounds=2,
    bulk_rounds=2,
    process_rounds=2,
    peer_rounds=2,
    peer_bulk_rounds=2,
    gets=20,
    pages=2,
    writes=5,
    streams=3,
    entries=12,
)
