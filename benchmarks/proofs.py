"""Proving a history, beside loops that only read it and hash it, or only hash it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import forgedb
from benchmarks.databases import open_ours, open_raw
from benchmarks.history import history
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave
from forgedb.audit.chain import encoded, microseconds
from forgedb.models import AuditEntry
from forgedb.operations.rows import columns

BOUND = 1 / 0.7
"""Seven tenths of the speed of the bare loop."""

IN_ORDER = f"SELECT {columns(AuditEntry)} FROM audit_entries ORDER BY stream_id, seq"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

Entries: TypeAlias = Callable[[], Iterable[tuple[Any, ...]]]
"""Reads every entry by the driver alone, in the order of the streams."""


def verify(scale: Scale, folder: Path) -> Iterator[Row]:
    """The whole of a history of many streams."""
    path = history(scale, folder)
    with open_ours(path) as db, closing(open_raw(path, writes=False)) as raw:
        yield from rows("audit-verify", "", scale, db, lambda: raw.execute(IN_ORDER))


def rows(
    name: str, where: str, scale: Scale, db: forgedb.Database, entries: Entries
) -> Iterator[Row]:
    """One for each of the loops that it can be compared with."""
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
    times = interleave([partial(_ready, run) for run in slices], scale.bulk_rounds)
    *loops, ours = times
    work, count = f"audit.verify of many streams{where}", report.entries
    for against, bound, raw in zip(
        ("read and hash", "same, forgedb's encoder", "hash alone, in memory"),
        (BOUND, None, None),
        loops,
        strict=True,
    ):
        yield Row(name, work, against, count, bound, raw, ours)


def _ready(run: Slice) -> Slice:
    return run


def read_and_hash(entries: Entries) -> None:
    """The bare loop: it checks nothing and keeps nothing."""
    for encoding in encodings(entries()):
        sha256(encoding).digest()


def encodings(entries: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """What the hash of each entry is made over, as docs/audit.md says it."""
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
