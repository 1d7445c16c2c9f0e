"""Bytes of a row in each table and index on PostgreSQL, and what
each kind of write leaves behind: WAL, transaction ids, dead rows."""

from __future__ import annotations

import random
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader

import forgedb
from benchmarks.databases import copy_rows, open_ours, open_raw
from benchmarks.record import save
from benchmarks.server import Server
from forgedb.ids import new_ulid

Row: TypeAlias = dict[str, Any]

Template: TypeAlias = dict[str, Any]
"""A row that forgedb wrote; loaded rows are copies of it with other ids, keys and the like."""

ROWS, QUICK_ROWS = 1_000_000, 6_000
"""How many objects, and how many audit entries."""

OBJECTS_A_REPOSITORY = 1_000
BATCH = 100
PUSHES = 3
"""Pushes to each repository; a push acquires a lease, records objects and releases the lease."""

ENTRIES_A_REPOSITORY = 1 + 3 * PUSHES
ACTORS = 1_000
OID_BYTES = 20

WRITES, QUICK_WRITES = 300, 5
"""Writes of each kind, each to a repository of its own."""

SIZES = """
WITH part (whole, id) AS (
    SELECT relid, relid FROM unnest(%s::regclass[]) AS given (relid)
    UNION ALL
    SELECT inhparent, inhrelid FROM pg_inherits WHERE inhparent = ANY (%s::regclass[])
)
SELECT whole.relname, 'table', sum(pg_table_size(part.id))
FROM part JOIN pg_class AS whole ON whole.oid = part.whole
GROUP BY 1
UNION ALL
SELECT whole.relname, coalesce(named.relname, own.relname), sum(pg_relation_size(own.oid))
FROM part
JOIN pg_class AS whole ON whole.oid = part.whole
JOIN pg_index AS index ON index.indrelid = part.id
JOIN pg_class AS own ON own.oid = index.indexrelid
LEFT JOIN pg_inherits AS edge ON edge.inhrelid = own.oid
LEFT JOIN pg_class AS named ON named.oid = edge.inhparent
GROUP BY 1, 2
ORDER BY 1, 3 DESC
"""
"""Bytes of tables, TOAST and maps included, and of indexes; partitions are summed up."""

POSITION = """
SELECT pg_current_wal_insert_lsn() - '0/0',
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    sum(n_tup_upd), sum(n_tup_hot_upd), sum(n_tup_ins)
FROM pg_stat_user_tables
"""
"""WAL bytes and transaction ids so far; rows updated, HOT updates among them, rows inserted."""


def main(asked: Namespace) -> None:
    with Server(on_disk=True) as server:
        words = server.words()
        print(words, flush=True)
        found = measured(
            server.empty("rowsizes"),
            QUICK_ROWS if asked.quick else ROWS,
            QUICK_WRITES if asked.quick else WRITES,
        )
        rows = []
        for row in found:
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
            rows.append(row)
    if asked.save:
        print(save("rowsizes", rows, notes=f"{words}."))


def measured(url: str, count: int, writes: int) -> Iterator[Row]:
    """A row for each table and index, and one for each kind of write."""
    with open_ours(url, pool_max_size=1) as db, open_raw(url) as raw:
        db.migrate()
        templates = _templates(db, raw)
        counts = _load(raw, templates, count)
        raw.execute("VACUUM ANALYZE")
        names = [*counts]
        for table, part, size in raw.execute(SIZES, [names, names]).fetchall():
            yield {
                "table": table,
                "part": part,
                "rows": counts[table],
                "bytes": int(size),
                "bytes_a_row": round(int(size) / counts[table], 1),
            }
        yield from _writes(db, raw, writes)


def _templates(db: forgedb.Database, raw: psycopg.Connection[Any]) -> dict[str, list[Template]]:
    """Sample rows of each table, as forgedb writes them for a repository, a push and a fork."""
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api-gateway", "The gateway of all services.")
    lease = db.leases.acquire(repository.id, purpose="push to main", idempotency_key=new_ulid())
    db.objects.add_many(repository.id, _new_objects(BATCH), lease.fencing_token)
    db.leases.release(lease.id)
    fork = db.repositories.create(project.id, "api-gateway-fork", "The gateway of all services.")
    db.relationships.create(fork.id, "fork", repository.id)
    return {
        "repositories": _dicts(raw, "SELECT * FROM repositories WHERE audit_seq > 3"),
        "leases": _dicts(raw, "SELECT * FROM leases"),
        "audit_entries": _dicts(
            raw,
            "SELECT * FROM audit_entries WHERE stream_id = '" + repository.id + "' ORDER BY seq",
        ),
        "object_metadata": _dicts(raw, "SELECT * FROM object_metadata LIMIT 1"),
        "repository_relationships": _dicts(raw, "SELECT * FROM repository_relationships"),
    }


def _load(
    raw: psycopg.Connection[Any], templates: dict[str, list[Template]], count: int
) -> dict[str, int]:
    """Load rows in the order in which a forge gets them, interleaved over the repositories."""
    source = random.Random(0)
    repositories = [new_ulid() for _ in range(count // ENTRIES_A_REPOSITORY)]
    made = {
        "repositories": _repositories(templates["repositories"][0], repositories),
        "leases": _leases(templates["leases"][0], repositories, source),
        "audit_entries": _entries(templates["audit_entries"], repositories, source),
        "object_metadata": _objects(templates["object_metadata"][0], repositories, count, source),
        "repository_relationships": _edges(templates["repository_relationships"][0], repositories),
    }
    # Without triggers and foreign keys, so that rows can be loaded table by table.
    raw.execute("SET session_replication_role = replica")
    copied = {table: _copy(raw, table, rows) for table, rows in made.items()}
    raw.execute("SET session_replication_role = origin")
    return copied


def _repositories(like: Template, ids: Sequence[str]) -> Iterator[Template]:
    for number, repository_id in enumerate(ids):
        yield {
            **like,
            "id": repository_id,
            "slug": f"repository-{number}",
            "audit_seq": ENTRIES_A_REPOSITORY,
            "lease_epoch": PUSHES,
        }


def _leases(like: Template, ids: Sequence[str], source: random.Random) -> Iterator[Template]:
    """Ended leases: at any time few are open, no more than there are pushes."""
    last: dict[str, str | None] = dict.fromkeys(ids)
    for push in range(PUSHES):
        for repository_id in source.sample(ids, k=len(ids)):
            lease_id = new_ulid()
            yield {
                **like,
                "id": lease_id,
                "repository_id": repository_id,
                "holder": _actor(source),
                "fencing_token": push + 1,
                "idempotency_key": new_ulid(),
                "previous_lease_id": last[repository_id],
            }
            last[repository_id] = lease_id


def _entries(
    like: Sequence[Template], ids: Sequence[str], source: random.Random
) -> Iterator[Template]:
    created, *push = like
    of_all = [created, *push * PUSHES]
    for seq, entry in enumerate(of_all, start=1):
        for repository_id in source.sample(ids, k=len(ids)):
            of_repository = entry["target_type"] == "repository"
            yield {
                **entry,
                "stream_id": repository_id,
                "seq": seq,
                "id": new_ulid(),
                "actor": _actor(source),
                "target_id": repository_id if of_repository else new_ulid(),
                "request_id": f"req-{source.randrange(10**9)}",
                "entry_hash": source.randbytes(32),
            }


def _objects(
    like: Template, ids: Sequence[str], count: int, source: random.Random
) -> Iterator[Template]:
    """In sorted batches, as pushes bring them."""
    batches = OBJECTS_A_REPOSITORY // BATCH
    some = ids[: max(1, count // OBJECTS_A_REPOSITORY)]
    for _ in range(batches):
        for repository_id in source.sample(some, k=len(some)):
            for oid in sorted(source.randbytes(OID_BYTES) for _ in range(BATCH)):
                yield {**like, "repository_id": repository_id, "oid": oid}


def _edges(like: Template, ids: Sequence[str]) -> Iterator[Template]:
    """Every second repository a fork of the first."""
    for repository_id in ids[1::2]:
        yield {**like, "id": new_ulid(), "source_id": repository_id, "target_id": ids[0]}


def _writes(db: forgedb.Database, raw: psycopg.Connection[Any], count: int) -> Iterator[Row]:
    """Each kind twice: right after a checkpoint, when a page's first change writes all of it to the
    WAL, and then again on the same pages."""
    project_id = db.projects.get_by_slug("platform").id
    repositories = db.repositories.list(project_id, limit=count).items
    held: dict[str, forgedb.Lease] = {}

    def acquire(repository: forgedb.Repository) -> None:
        held[repository.id] = db.leases.acquire(repository.id, purpose="push to main")

    def add(repository: forgedb.Repository, objects: int) -> None:
        token = held[repository.id].fencing_token
        db.objects.add_many(repository.id, _new_objects(objects), token)

    def release(repository: forgedb.Repository) -> None:
        db.leases.release(held.pop(repository.id).id)

    def create(repository: forgedb.Repository) -> None:
        db.repositories.create(project_id, f"{repository.slug}-{new_ulid().lower()}")

    kinds: dict[str, Callable[[forgedb.Repository], None]] = {
        "repositories.create": create,
        "leases.acquire": acquire,
        f"objects.add_many of {BATCH}": partial(add, objects=BATCH),
        "objects.add_many of 1": partial(add, objects=1),
        "leases.release": release,
    }
    for pages in ("first after a checkpoint", "written before"):
        if pages == "first after a checkpoint":
            raw.execute("CHECKPOINT")
        for kind, write in kinds.items():
            before = _position(db, raw)
            for repository in repositories:
                write(repository)
            wal, ids, updates, hot, inserts = _since(db, raw, before)
            each = len(repositories)
            yield {
                "write": kind,
                "pages": pages,
                "count": each,
                "wal_bytes": round(wal / each),
                "transaction_ids": round(ids / each, 2),
                "rows_inserted": round(inserts / each, 2),
                "rows_updated": round(updates / each, 2),
                "rows_updated_in_page": round(hot / each, 2),
            }


def _position(db: forgedb.Database, raw: psycopg.Connection[Any]) -> tuple[int, ...]:
    # Otherwise a session publishes its statistics once a second at most.
    flush = "SELECT pg_stat_force_next_flush()"
    db.client.query(flush)
    raw.execute(flush)
    found = raw.execute(POSITION).fetchone()
    assert found is not None
    return tuple(int(value) for value in found)


def _since(
    db: forgedb.Database, raw: psycopg.Connection[Any], before: tuple[int, ...]
) -> list[int]:
    return [now - then for now, then in zip(_position(db, raw), before, strict=True)]


def _copy(raw: psycopg.Connection[Any], table: str, rows: Iterator[Template]) -> int:
    """Copy the rows into the table; return how many rows it has then."""
    first = next(rows)
    with raw.transaction():
        copy_rows(raw, table, first, ([*row.values()] for row in chain([first], rows)))
    found = raw.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return int(found[0])


def _dicts(raw: psycopg.Connection[Any], text: str) -> list[Template]:
    cursor = raw.cursor(row_factory=dict_row)
    # Copy JSON as text, without parsing it.
    cursor.adapters.register_loader("json", TextLoader)
    return cursor.execute(text.encode()).fetchall()


def _new_objects(count: int) -> list[forgedb.NewObject]:
    return [forgedb.NewObject(random.randbytes(OID_BYTES), 3, 4_000, 1_500) for _ in range(count)]


def _actor(source: random.Random) -> str:
    return f"user:member-{source.randrange(ACTORS)}"
