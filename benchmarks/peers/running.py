"""Measures the peers and prints their rows; runs in the Python that has them installed."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import report
from benchmarks.peers.contest import Contest
from benchmarks.peers.settings import use_newest_sqlite
from benchmarks.peers.sides import sides_of
from benchmarks.peers.table import PEERS, Peer
from benchmarks.peers.works import WORKS
from benchmarks.places import Databases, Files, Place
from benchmarks.record import load_at_first, update
from benchmarks.scale import FULL, QUICK
from benchmarks.server import Server


def main(asked: Namespace) -> None:
    names = [peer.module for peer in PEERS]
    scale = QUICK if asked.quick else FULL
    peers = [peer for peer in _installed(asked.on) if peer.module in (asked.peer or names)]
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder, Server() as server:
        place: Place
        if asked.on == "sqlite":
            words = use_newest_sqlite()
            place = Files(scale, Path(folder))
        else:
            words = server.words()
            place = Databases(scale, server)
        if not asked.json:
            print(words, flush=True)
        notes = f"{load_at_first()} {words}."
        found = _measured(place, peers, asked.work or [*WORKS], as_json=asked.json)
    if asked.save:
        print(update("peers", found, notes=notes))


def _installed(on: str) -> list[Peer]:
    """The peers that support this database; one that isn't installed is named and left out."""
    able = [peer for peer in PEERS if (peer.on_sqlite if on == "sqlite" else peer.on_postgres)]
    for peer in able:
        if not peer.is_installed:
            print(
                f"{peer.name} is not installed beside {sys.executable}: left out", file=sys.stderr
            )
    return [peer for peer in able if peer.is_installed]


def _measured(
    place: Place, peers: list[Peer], names: list[str], *, as_json: bool
) -> list[dict[str, Any]]:
    """The rows, in the form in which they are saved; each is printed when it is measured."""
    found: list[dict[str, Any]] = []
    show = report.as_json if as_json else report.line
    with asyncio.Runner() as loop:
        contest = Contest(place, sides_of(peers, loop))
        for name in names:
            for row in contest.rows(name, WORKS[name]):
                print(show(row), flush=True)
                found.append({**report.values(row), "awaited": row.work.startswith("await ")})
    return found
