"""``python -m benchmarks.peers``: prints the rows of the peers, by the interpreter that has them.

``python -m benchmarks --peers PYTHON`` runs it so.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from benchmarks.peers.places import Databases, Files, Place
from benchmarks.peers.settings import use_newest_sqlite
from benchmarks.peers.sides import sides_of
from benchmarks.peers.table import PEERS, Peer
from benchmarks.peers.works import WORKS
from benchmarks.postgres.server import Server
from benchmarks.scale import FULL, QUICK, Scale


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgres"), required=True)
    parser.add_argument("--work", choices=[*WORKS], action="append", help="repeatable")
    parser.add_argument("--peer", choices=[peer.module for peer in PEERS], action="append")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    use_newest_sqlite()
    scale = QUICK if asked.quick else FULL
    works = asked.work or [*WORKS]
    peers = [
        peer
        for peer in PEERS
        if (peer.on_sqlite if asked.on == "sqlite" else peer.on_postgres)
        and (asked.peer is None or peer.module in asked.peer)
    ]
    show = report.as_json if asked.json else report.line
    if asked.on == "sqlite":
        with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
            _measure(scale, Files(scale, Path(folder)), works, peers, show)
    else:
        with Server() as server:
            _measure(scale, Databases(scale, server), works, peers, show)


def _measure(scale: Scale, place: Place, works: Sequence[str], peers: Sequence[Peer], show) -> None:
    with asyncio.Runner() as loop:
        sides = sides_of(peers, loop)
        for name in works:
            for row in WORKS[name](scale, place, sides):
                print(show(row), flush=True)


if __name__ == "__main__":
    main()
