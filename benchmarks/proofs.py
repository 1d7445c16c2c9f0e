"""Verifying a history, compared with loops that only read and hash it, or only hash it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import apsw
import psycopg
from psycopg.types.string import TextLoader

import forgedb
from benchmarks.databases import all_ids, copy_rows, fill, open_ours, open_raw
from benchmarks.places import Files, Place
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave
from forgedb.audit.chain import encoded, microseconds
from forgedb.models import AuditEntry
from forgedb.operations.rows import columns

BOUND = 1 / 0.7
"""Seven tenths of the speed of the bare loop."""

IN_ORDER = f"SELECT {columns(AuditEntry)} FROM audit_entries ORDER BY stream_id, seq"

TABLES = ("projects", "repositories", "leases", "mirrors", "audit_entries")
"""The tables that a history fills, referenced ones first."""

ENTRIES_A_TURN = 5
ENTRIES_A_READ = 1000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Entries: TypeAlias = Callable[[], Iterable[tuple[Any, ...]]]
"""Reads every entry by the driver alone, in the order of the streams."""


def verify(place: Place) -> Iterator[Row]:
    """A whole history of many streams: a row for each of the loops that it is compared with."""
    with TemporaryDirectory(prefix="forgedb-benchmarks-") as folder, ExitStack() as stack:
        url = told_in = f"sqlite:///{folder}/history.db"
        _tell(told_in, place.scale)
        if not isinstance(place, Files):
            url = place.empty("history")
            _copy(told_in, url)
        db = stack.enter_context(open_ours(url))
        raw = stack.enter_context(closing(open_raw(url, writes=False)))
        yield from _rows(place, db, partial(_entries, raw))


def _entries(raw: Any) -> Iterable[tuple[Any, ...]]:
    if isinstance(raw, apsw.Connection):
        return raw.execute(IN_ORDER)
    return _entries_of_server(raw)


def _entries_of_server(raw: psycopg.Connection[Any]) -> Iterator[tuple[Any, ...]]:
    # The hash covers the text of the JSON, so don't parse it.
    raw.adapters.register_loader("json", TextLoader)
    with raw.transaction(), raw.cursor(name="entries") as cursor:
        cursor.itersize = ENTRIES_A_READ
        yield from cursor.execute(IN_ORDER)


def _rows(place: Place, db: forgedb.Database, entries: Entries) -> Iterator[Row]:
    in_memory = list(encodings(entries()))
    report = db.audit.verify()
    assert report.ok
    assert report.entries == len(in_memory)

    slices: list[Slice] = [
        partial(read_and_hash, entries),
        partial(read_and_hash_with_forgedbs_encoder, entries),
        partial(hash_all, in_memory),
        db.audit.verify,
    ]
    times = interleave([lambda of=run: of for run in slices], place.scale.bulk_rounds)
    *loops, ours = times
    work, count = f"audit.verify of many streams{place.suffix}", report.entries
    for against, bound, raw in zip(
        ("read and hash", "same, forgedb's encoder", "hash alone, in memory"),
        (BOUND, None, None),
        loops,
        strict=True,
    ):
        yield Row(f"{place.prefix}audit-verify", work, against, count, bound, raw, ours)


def read_and_hash(entries: Entries) -> None:
    """The bare loop: it checks nothing and keeps nothing."""
    for encoding in encodings(entries()):
        sha256(encoding).digest()


def encodings(entries: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """The bytes that each entry's hash covers, by docs/audit.md."""
    stream_id, head = None, b""
    for stream, seq, entry_id, at, *others, version, entry_hash in entries:
        if stream != stream_id:
            stream_id, head = stream, bytes(32)
        time = datetime.fromisoformat(at) if isinstance(at, str) else at
        since = (time - EPOCH) // MICROSECOND
        yield b"".join(map(framed, (version, head, stream, seq, since, entry_id, *others)))
        head = entry_hash


def framed(value: Any) -> bytes:
    if value is None:
        return b"\xff\xff\xff\xff"
    if isinstance(value, int):
        value = value.to_bytes(8, "big", signed=True)
    elif isinstance(value, str):
        value = value.encode()
    length: bytes = len(value).to_bytes(4, "big")
    return length + value


def read_and_hash_with_forgedbs_encoder(entries: Entries) -> None:
    stream_id, head = None, b""
    for stream, seq, entry_id, at, *others, version, entry_hash in entries():
        if stream != stream_id:
            stream_id, head = stream, bytes(32)
        time = datetime.fromisoformat(at) if isinstance(at, str) else at
        encoding = encoded(version, head, stream, seq, microseconds(time), entry_id, *others)
        sha256(encoding).digest()
        head = entry_hash


def hash_all(encoded_entries: list[bytes]) -> None:
    for encoding in encoded_entries:
        sha256(encoding).digest()


def _tell(url: str, scale: Scale) -> None:
    """Write streams of typical changes by the DAOs, with the streams interleaved."""
    with open_ours(url) as db:
        fill(db, scale._replace(repositories=scale.streams))
        asked = db.acting_as("user:ada", request_id="req-5f0c81d2", source_ip="10.0.0.7")
        repositories = all_ids(db)
        with asked.transaction() as tx:
            mirrors = [
                tx.mirrors.create(
                    each, "pull", f"https://example.org/{each}", timedelta(hours=1)
                ).id
                for each in repositories
            ]
        for turn in range(scale.entries // ENTRIES_A_TURN):
            with asked.transaction() as tx:
                for repository_id, mirror_id in zip(repositories, mirrors, strict=True):
                    lease = tx.leases.acquire(repository_id, purpose="nightly import")
                    tx.repositories.update(repository_id, description=f"As of turn {turn}")
                    tx.mirrors.update(mirror_id, interval=timedelta(minutes=turn + 1))
                    tx.audit.record("scan.done", repository_id, {"found": [turn, turn + 1]})
                    tx.leases.release(lease.id)


def _copy(told_in: str, url: str) -> None:
    """Fill the database with the rows of one on SQLite: the DAOs would take far longer."""
    with open_ours(url) as db:
        db.migrate()
    with closing(open_raw(told_in, writes=False)) as told, open_raw(url) as raw:
        # Without triggers and foreign keys, so that rows can be loaded table by table.
        raw.execute("SET session_replication_role = replica")
        for table in TABLES:
            found = told.execute(f"SELECT * FROM {table}")
            names = [name for name, _ in told.execute(f"SELECT * FROM {table}").get_description()]
            copy_rows(raw, table, names, found)
        raw.execute("VACUUM ANALYZE")
