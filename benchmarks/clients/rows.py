"""Rows for each number of clients: a mix of reads and writes, reads compared with raw ones, and
writes to one audit stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import median
from typing import Any, TypeAlias

from benchmarks.clients.crowd import Crowd, Done, crowd
from benchmarks.clients.work import READS, RECORDS, WRITES, Place

Row: TypeAlias = dict[str, Any]

ROUNDS = 3
"""How often each kind of turn is run.  The kinds alternate, so that a slow machine slows all."""


def rows(database: str, place: Place, counts: Iterable[int], seconds: float) -> Iterator[Row]:
    """Three rows for each number of clients: half write, none writes, all write to one stream."""
    for clients in counts:
        places = [place._replace(client=number, clients=clients) for number in range(clients)]
        with crowd(places) as working:
            turns = [_turns(working, clients, seconds / ROUNDS) for _ in range(ROUNDS)]
        mixed, read, raw, recorded = ([turn[part] for turn in turns] for part in range(4))
        base = {"database": database, "clients": clients}
        yield {**base, "work": "mix", "writers": max(1, clients // 2), **figures(mixed)}
        yield {**base, "work": "reads", "writers": 0, **figures(read), **_beside(read, raw)}
        yield {**base, "work": "one stream", "writers": clients, **figures(recorded)}


def _turns(working: Crowd, clients: int, seconds: float) -> tuple[list[Done], ...]:
    writers = clients // 2
    mix = ["writes"] * writers + ["reads"] * (clients - writers) if writers else ["both"]
    return (
        working.turn(mix, seconds),
        working.turn(["reads"] * clients, seconds),
        working.turn(["raw reads"] * clients, seconds),
        working.turn(["records"] * clients, seconds),
    )


def figures(turns: Sequence[list[Done]]) -> Row:
    """Operations a second and latencies, of reads, of writes, and of each kind of operation."""
    found: Row = {"errors": 0}
    for name, kinds in (("read", READS), ("write", (*WRITES, *RECORDS))):
        done = [kind for kind in kinds if any(kind in each.latencies for each in chain(*turns))]
        if done:
            found[f"{name}s_per_second"] = round(_rate(turns, done), 1)
            found |= _percentiles(turns, done, name)
            for kind in done:
                found |= _percentiles(turns, [kind], kind)
    return found


def _beside(turns: Sequence[list[Done]], raw: Sequence[list[Done]]) -> Row:
    pairs = zip(turns, raw, strict=True)
    ratios = [_rate([theirs], READS) / _rate([ours], READS) for ours, theirs in pairs]
    figures = {f"raw_{name}": value for name, value in _percentiles(raw, READS, "read").items()}
    return {
        "raw_reads_per_second": round(_rate(raw, READS), 1),
        **figures,
        "ratio": round(median(ratios), 2),
    }


def _rate(turns: Sequence[list[Done]], kinds: Sequence[str]) -> float:
    """Operations a second, summed over the clients; the median of the turns."""
    return median(
        sum(len(done.latencies.get(kind, ())) / done.seconds for done in turn for kind in kinds)
        for turn in turns
    )


def _percentiles(turns: Sequence[list[Done]], kinds: Sequence[str], name: str) -> Row:
    """In milliseconds, over all turns and clients."""
    found = sorted(
        chain.from_iterable(
            done.latencies.get(kind, ()) for turn in turns for done in turn for kind in kinds
        )
    )
    return {
        f"{name}_p{percent}_ms": round(found[(len(found) - 1) * percent // 100] * 1e3, 4)
        for percent in (50, 99)
    }
