"""Compares with the raw driver and other libraries: measures each row, and prints it at once."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from benchmarks import (
    awaited,
    migration_peers,
    migrations,
    objects,
    partitions,
    proofs,
    reads,
    record,
    report,
    server,
    startup,
    unhashed,
    writes,
)
from benchmarks.places import Databases, Files, Place
from benchmarks.record import load_at_first
from benchmarks.scale import FULL, QUICK
from benchmarks.timing import Row

Measure: TypeAlias = Callable[[Place], Iterator[Row]]

ROOT = Path(__file__).parents[1]

_BOTH: dict[str, Measure] = {
    "get": reads.get,
    "page": reads.page,
    "lease": writes.lease,
    "add-many": objects.add_many,
    "repository": writes.repository,
    "depth": objects.depth,
    **{f"await-{work}": partial(awaited.rows, work) for work in awaited.WORKS},
    "audit-hash": unhashed.leases,
    "audit-verify": proofs.verify,
}

ON_SQLITE: dict[str, Measure] = {
    **_BOTH,
    "migrate": startup.migrate,
    "migrate-files": migrations.rows,
}

ON_POSTGRES: dict[str, Measure] = {
    **{f"postgres-{name}": measure for name, measure in _BOTH.items()},
    "postgres-partitions": partitions.partitions,
    "postgres-migrate": migrations.rows,
}

BENCHMARKS = [*ON_SQLITE, *ON_POSTGRES]

PEERS_WORKS = ("get", "create", "page", "offset", "lease", "missing", "add")
"""The names of the peers' works, here so that their modules need not be imported."""

PEERS = {f"{database}peers-{work}": work for database in ("", "postgres-") for work in PEERS_WORKS}

EVERY = [*BENCHMARKS, *PEERS]

MIGRATING = ("migrate-files", "postgres-migrate")
"""The works that other migration runners are compared at."""

LIMIT, MIGRATION_PEERS = "limit", "migration-peers"
"""The two results that rows are saved in: rows of both have the same names."""


def main(asked: Namespace) -> None:
    names = asked.only or ([*MIGRATING, *PEERS] if asked.peers else BENCHMARKS)
    for name in names:
        if asked.peers is None and name not in BENCHMARKS:
            raise SystemExit(f"{name} needs --peers: see `make bench-peers`")
    if asked.peers and not asked.peers.exists():
        raise SystemExit(f"there are no peers beside {asked.peers}: see `make bench-peers`")
    runners = _runners_of(asked.peers) if asked.peers and {*MIGRATING} & {*names} else []
    scale = QUICK if asked.quick else FULL
    shown = _Shown(as_json=asked.json)
    notes = [load_at_first()]
    options = [f"--{option}" for option in ("quick", "json", "save") if getattr(asked, option)]

    def measure(place: Place, rows: dict[str, Measure]) -> None:
        for name in filter(rows.__contains__, names):
            shown.show(rows[name](place))
            if runners and name in MIGRATING:
                shown.show(migration_peers.rows(place, runners), MIGRATION_PEERS)

    def measure_peers(on: str, prefix: str, url: Callable[[], str] | None = None) -> None:
        found = [PEERS[name] for name in names if name in PEERS and name.startswith(prefix)]
        if found:
            run_peers(asked.peers, on, found, *options, url=url and url())

    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        measure(Files(scale, Path(folder)), ON_SQLITE)
    measure_peers("sqlite", "peers-")
    with server.Server() as started:
        if any(name in ON_POSTGRES for name in names):
            notes.append(f"{started.words()}.")
            shown.say(started.words())
        measure(Databases(scale, started), ON_POSTGRES)
        measure_peers("postgres", "postgres-", started.url)
    if asked.save:
        for result, rows in shown.rows.items():
            print(record.update(result, rows, notes=" ".join(notes)))


class _Shown:
    """The rows printed so far, by the result that they are saved in."""

    def __init__(self, *, as_json: bool) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._as_json = as_json
        self.say(report.header())

    def show(self, rows: Iterable[Row], result: str = LIMIT) -> None:
        for row in rows:
            print((report.as_json if self._as_json else report.line)(row), flush=True)
            self.rows.setdefault(result, []).append(report.values(row))

    def say(self, words: str) -> None:
        """Print words for people, unless the output is JSON."""
        if not self._as_json:
            print(words, flush=True)


def run_peers(
    python: Path, on: str, works: Sequence[str], *options: str, url: str | None = None
) -> None:
    """Measure the works in the Python that has the peers installed, with this checkout's forgedb;
    ``url`` is of a server to measure on."""
    command = [str(python), "-m", "benchmarks", "peers", "--on", on, *options]
    for work in works:
        command += ["--work", work]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    if url is not None:
        environment[server.URL] = url
    done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"the peers' process ended with {done.returncode}: {' '.join(command)}")


def _runners_of(python: Path) -> list[migration_peers.Peer]:
    runners = migration_peers.peers_of(python)
    for name in migration_peers.NAMES:
        if name not in {runner.name for runner in runners}:
            print(f"{name} is not installed beside {python}: left out", file=sys.stderr)
    return runners
