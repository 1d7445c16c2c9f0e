"""``python -m benchmarks``: measures each row and prints it as soon as it is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from benchmarks import (
    asynchronous,
    migration_peers,
    migrations,
    objects,
    proofs,
    reads,
    report,
    startup,
    unhashed,
    writes,
)
from benchmarks.postgres import objects as postgres_objects
from benchmarks.postgres import partitions as postgres_partitions
from benchmarks.postgres import proofs as postgres_proofs
from benchmarks.postgres import reads as postgres_reads
from benchmarks.postgres import unhashed as postgres_unhashed
from benchmarks.postgres import writes as postgres_writes
from benchmarks.postgres.server import Server
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.timing import Row

OnSqlite: TypeAlias = Callable[[Scale, Path], Iterator[Row]]
OnPostgres: TypeAlias = Callable[[Scale, Server], Iterator[Row]]

ON_SQLITE: dict[str, OnSqlite] = {
    "get": reads.get,
    "page": reads.page,
    "lease": writes.lease,
    "add-many": objects.add_many,
    "repository": writes.repository,
    "depth": objects.depth,
    "migrate": startup.migrate,
    "migrate-files": migrations.on_sqlite,
    "await": asynchronous.awaited_get,
    "audit-hash": unhashed.leases,
    "audit-verify": proofs.verify,
}

ON_POSTGRES: dict[str, OnPostgres] = {
    "postgres-get": postgres_reads.get,
    "postgres-page": postgres_reads.page,
    "postgres-lease": postgres_writes.lease,
    "postgres-add-many": postgres_objects.add_many,
    "postgres-repository": postgres_writes.repository,
    "postgres-partitions": postgres_partitions.partitions,
    "postgres-migrate": migrations.on_postgres,
    "postgres-await": postgres_reads.awaited_get,
    "postgres-audit-hash": postgres_unhashed.leases,
    "postgres-audit-verify": postgres_proofs.verify,
}

BENCHMARKS = [*ON_SQLITE, *ON_POSTGRES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one; repeatable")
    parser.add_argument("--quick", action="store_true", help="too little work to judge by")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="beside the runners it has")
    asked = parser.parse_args()
    peers = _peers_of(asked.peers) if asked.peers else []
    names = asked.only or BENCHMARKS
    scale = QUICK if asked.quick else FULL
    show = report.as_json if asked.json else report.line
    if not asked.json:
        print(report.header(), flush=True)
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder:
        for name in filter(ON_SQLITE.__contains__, names):
            for row in ON_SQLITE[name](scale, Path(folder)):
                print(show(row), flush=True)
        if peers and "migrate-files" in names:
            for row in migration_peers.on_sqlite(scale, peers):
                print(show(row), flush=True)
    with Server() as server:
        for position, name in enumerate(filter(ON_POSTGRES.__contains__, names)):
            if position == 0 and not asked.json:
                print(server.words(), flush=True)
            for row in ON_POSTGRES[name](scale, server):
                print(show(row), flush=True)
        if peers and "postgres-migrate" in names:
            for row in migration_peers.on_postgres(scale, server, peers):
                print(show(row), flush=True)


def _peers_of(python: Path) -> list[migration_peers.Peer]:
    peers = migration_peers.peers_of(python)
    if not peers:
        raise SystemExit(f"there is no migration runner beside {python}: see `make bench-peers`")
    for name in migration_peers.NAMES:
        if name not in {peer.name for peer in peers}:
            print(f"{name} is not installed beside {python}: left out", file=sys.stderr)
    return peers


if __name__ == "__main__":
    main()
