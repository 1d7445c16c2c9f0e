"""``python -m benchmarks``: measures each row and prints it as soon as it is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from benchmarks import (
    asynchronous,
    migration_peers,
    migrations,
    objects,
    proofs,
    reads,
    record,
    report,
    startup,
    unhashed,
    writes,
)
from benchmarks.awaited import works as awaited
from benchmarks.awaited.works import WORKS as AWAITED
from benchmarks.peers import running as library_peers
from benchmarks.places import Databases, Files
from benchmarks.postgres import objects as postgres_objects
from benchmarks.postgres import partitions as postgres_partitions
from benchmarks.postgres import proofs as postgres_proofs
from benchmarks.postgres import reads as postgres_reads
from benchmarks.postgres import unhashed as postgres_unhashed
from benchmarks.postgres import writes as postgres_writes
from benchmarks.postgres.server import Server
from benchmarks.record import load_at_first
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.timing import Row

OnSqlite: TypeAlias = Callable[[Scale, Path], Iterator[Row]]
OnPostgres: TypeAlias = Callable[[Scale, Server], Iterator[Row]]


def _awaited_on_sqlite(work: str, scale: Scale, folder: Path) -> Iterator[Row]:
    return awaited.rows(Files(scale, folder), scale, work)


def _awaited_on_postgres(work: str, scale: Scale, server: Server) -> Iterator[Row]:
    return awaited.rows(Databases(scale, server), scale, work)


ON_SQLITE: dict[str, OnSqlite] = {
    "get": reads.get,
    "page": reads.page,
    "lease": writes.lease,
    "add-many": objects.add_many,
    "repository": writes.repository,
    "depth": lambda scale, folder: objects.depth(Files(scale, folder), scale),
    "migrate": startup.migrate,
    "migrate-files": migrations.on_sqlite,
    "await-get": asynchronous.awaited_get,
    **{f"await-{work}": partial(_awaited_on_sqlite, work) for work in AWAITED},
    "audit-hash": unhashed.leases,
    "audit-verify": proofs.verify,
}

ON_POSTGRES: dict[str, OnPostgres] = {
    "postgres-get": postgres_reads.get,
    "postgres-page": postgres_reads.page,
    "postgres-lease": postgres_writes.lease,
    "postgres-add-many": postgres_objects.add_many,
    "postgres-repository": postgres_writes.repository,
    "postgres-depth": lambda scale, server: objects.depth(Databases(scale, server), scale),
    "postgres-partitions": postgres_partitions.partitions,
    "postgres-migrate": migrations.on_postgres,
    "postgres-await-get": postgres_reads.awaited_get,
    **{f"postgres-await-{work}": partial(_awaited_on_postgres, work) for work in AWAITED},
    "postgres-audit-hash": postgres_unhashed.leases,
    "postgres-audit-verify": postgres_proofs.verify,
}

BENCHMARKS = [*ON_SQLITE, *ON_POSTGRES]

PEERS_ON_SQLITE = {f"peers-{work}": work for work in library_peers.WORKS}

PEERS_ON_POSTGRES = {f"postgres-peers-{work}": work for work in library_peers.WORKS}

MIGRATING = {"migrate-files", "postgres-migrate"}
"""What other migration runners do, too."""

LIMIT, MIGRATION_PEERS = "limit", "migration-peers"
"""The results that rows are kept in: two, since those of both have the same names."""

WITH_PEERS = ["migrate-files", *PEERS_ON_SQLITE, "postgres-migrate", *PEERS_ON_POSTGRES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    every = [*BENCHMARKS, *PEERS_ON_SQLITE, *PEERS_ON_POSTGRES]
    parser.add_argument("--only", choices=every, action="append", help="this one; repeatable")
    parser.add_argument("--quick", action="store_true", help="too little work to judge by")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="what has peers, beside those it has"
    )
    parser.add_argument("--save", action="store_true", help="keep it in benchmarks/results")
    asked = parser.parse_args()
    names = asked.only or (WITH_PEERS if asked.peers else BENCHMARKS)
    for name in names:
        if asked.peers is None and name not in BENCHMARKS:
            parser.error(f"{name} needs --peers: see `make bench-peers`")
    if asked.peers and not asked.peers.exists():
        raise SystemExit(f"there are no peers beside {asked.peers}: see `make bench-peers`")
    runners = _runners_of(asked.peers) if asked.peers and MIGRATING & {*names} else []
    scale = QUICK if asked.quick else FULL
    shown = _Shown(as_json=asked.json)
    notes = [load_at_first()]
    options = [f"--{option}" for option in ("quick", "json", "save") if getattr(asked, option)]
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for name in filter(ON_SQLITE.__contains__, names):
            shown.show(ON_SQLITE[name](scale, Path(folder)))
    if runners and "migrate-files" in names:
        shown.show(migration_peers.on_sqlite(scale, runners), MIGRATION_PEERS)
    if works := [PEERS_ON_SQLITE[name] for name in names if name in PEERS_ON_SQLITE]:
        library_peers.run(asked.peers, "sqlite", works, *options)
    with Server() as server:
        if any(name in ON_POSTGRES for name in names):
            notes.append(f"{server.words()}.")
            shown.say(server.words())
        for name in filter(ON_POSTGRES.__contains__, names):
            shown.show(ON_POSTGRES[name](scale, server))
        if runners and "postgres-migrate" in names:
            shown.show(migration_peers.on_postgres(scale, server, runners), MIGRATION_PEERS)
        if works := [PEERS_ON_POSTGRES[name] for name in names if name in PEERS_ON_POSTGRES]:
            library_peers.run(asked.peers, "postgres", works, *options, url=server.url())
    if asked.save:
        for result, rows in shown.rows.items():
            print(record.update(result, rows, notes=" ".join(notes)))


class _Shown:
    """What was printed, as it is kept: by the result that it belongs to."""

    def __init__(self, *, as_json: bool) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._as_json = as_json
        self.say(report.header())

    def show(self, rows: Iterable[Row], result: str = LIMIT) -> None:
        for row in rows:
            print((report.as_json if self._as_json else report.line)(row), flush=True)
            self.rows.setdefault(result, []).append(report.values(row))

    def say(self, words: str) -> None:
        """Words for people."""
        if not self._as_json:
            print(words, flush=True)


def _runners_of(python: Path) -> list[migration_peers.Peer]:
    runners = migration_peers.peers_of(python)
    for name in migration_peers.NAMES:
        if name not in {runner.name for runner in runners}:
            print(f"{name} is not installed beside {python}: left out", file=sys.stderr)
    return runners


if __name__ == "__main__":
    main()
