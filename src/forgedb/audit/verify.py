"""Proving a history: the chain of each stream, its end, and the rows that it led to.

Three things are compared.  Each entry's hash with its content and the entry before it; the last
entry with the head that the stream's own row carries; and the live rows with what replaying all
changes gives, which finds an edit that went past the audit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from forgedb.audit.chain import GENESIS, HASH_VERSION, entry_hash
from forgedb.audit.stream import NOT_AUDITED, OWN_ACTIONS
from forgedb.errors import InvalidValue
from forgedb.ids import Ulid
from forgedb.models import (
    AuditEntry,
    Lease,
    Mirror,
    Project,
    Relationship,
    Repository,
    VerifyProblem,
    VerifyReport,
)
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, many, rows
from forgedb.sql.catalogue import Sql, sql

ENTRIES_A_READ = 1000

ENTRIES = sql(f"""
SELECT {columns(AuditEntry)}
FROM audit_entries
WHERE (stream_id, seq) > (:stream_id, :seq)
ORDER BY stream_id, seq
LIMIT :limit
""")

STREAM_ENTRIES = sql(f"""
SELECT {columns(AuditEntry)}
FROM audit_entries
WHERE stream_id = :stream_id AND seq > :seq
ORDER BY seq
LIMIT :limit
""")

NEXT_KEY = sql("""
SELECT stream_id, seq
FROM audit_entries
WHERE (stream_id, seq) > (:stream_id, :seq)
ORDER BY stream_id, seq
LIMIT 1
""")

NEXT_STREAM_KEY = sql("""
SELECT stream_id, seq
FROM audit_entries
WHERE stream_id = :stream_id AND seq > :seq
ORDER BY seq
LIMIT 1
""")

HEAD = sql("""
SELECT audit_seq, audit_head FROM projects WHERE id = :id
UNION ALL
SELECT audit_seq, audit_head FROM repositories WHERE id = :id
""")

WITHOUT_ENTRIES = sql("""
SELECT id FROM projects AS p
WHERE NOT EXISTS (SELECT 1 FROM audit_entries AS e WHERE e.stream_id = p.id)
UNION ALL
SELECT id FROM repositories AS r
WHERE NOT EXISTS (SELECT 1 FROM audit_entries AS e WHERE e.stream_id = r.id)
""")

COUNT_OBJECTS = sql("SELECT count(*) FROM object_metadata WHERE repository_id = :id")

LIVE: dict[str, tuple[type[msgspec.Struct], Sql]] = {
    kind: (
        model,
        sql(f"SELECT {columns(model)} FROM {table} WHERE {owner} = :id ORDER BY id"),
    )
    for kind, model, table, owner in (
        ("project", Project, "projects", "id"),
        ("repository", Repository, "repositories", "id"),
        ("lease", Lease, "leases", "repository_id"),
        ("mirror", Mirror, "mirrors", "repository_id"),
        ("relationship", Relationship, "repository_relationships", "source_id"),
    )
}
"""What a stream tells of: by target type, the model and the rows that belong to the stream."""


class StoredEntry(AuditEntry, frozen=True):
    """An entry whose ``changes`` are the text that was hashed."""

    changes: str  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]


def verify_streams(stream_id: Ulid | None) -> Steps[VerifyReport]:
    """Walk one stream or all, in bounded memory but for the targets of a single stream."""
    problems: list[VerifyProblem] = []
    entries = streams = 0
    walk: _Walk | None = None
    last_stream, last_seq = stream_id or "", 0
    limit = ENTRIES_A_READ
    while True:
        position: dict[str, Any] = {"stream_id": last_stream, "seq": last_seq}
        try:
            found = yield from many(
                StoredEntry,
                ENTRIES if stream_id is None else STREAM_ENTRIES,
                **position,
                limit=limit,
            )
        except InvalidValue as error:
            if limit > 1:
                # One of them can't be read: go on one by one until it is found.
                limit = 1
                continue
            ((last_stream, last_seq),) = yield from rows(
                NEXT_KEY if stream_id is None else NEXT_STREAM_KEY, **position
            )
            what = f"it can't be read: {error.why}"
            problems.append(VerifyProblem(last_stream, last_seq, what))
            entries, limit = entries + 1, ENTRIES_A_READ
            continue
        for entry in found:
            if walk is None or walk.stream_id != entry.stream_id:
                if walk is not None:
                    problems.extend((yield from walk.finish()))
                walk = _Walk(entry.stream_id)
                streams += 1
            walk.take(entry)
        entries += len(found)
        if len(found) < limit:
            break
        last_stream, last_seq = found[-1].stream_id, found[-1].seq
    if walk is not None:
        problems.extend((yield from walk.finish()))
    for (empty,) in (yield from rows(WITHOUT_ENTRIES)):
        if stream_id in (None, empty):
            problems.append(VerifyProblem(empty, None, "all of the stream's entries are gone"))
    return VerifyReport(not problems, entries, streams, problems)


class _Walk:
    """One stream: its chain so far, and the state that its changes lead to."""

    def __init__(self, stream_id: Ulid) -> None:
        self.stream_id = stream_id
        self.problems: list[VerifyProblem] = []
        self.seq = 0
        self.head = GENESIS
        self.replay = _Replay()

    def take(self, entry: StoredEntry) -> None:
        """Check the next entry against the one before it."""
        expected = self.seq + 1
        if entry.seq != expected:
            missing = (
                f"entry {expected} is"
                if entry.seq == expected + 1
                else (f"entries {expected} to {entry.seq - 1} are")
            )
            self._report(expected, f"{missing} missing")
        elif entry.hash_version != HASH_VERSION:
            self._report(entry.seq, f"its hash version {entry.hash_version} is unknown")
        elif _hash_of(entry, self.head) != entry.entry_hash:
            self._report(entry.seq, "its hash doesn't fit: it was edited, moved, or put in later")
        else:
            try:
                self.replay.take(entry)
            except (msgspec.DecodeError, KeyError, TypeError):
                # Only a forger who made the hashes anew could have written it.
                self._report(entry.seq, "its hash fits, but its changes make no sense")
        self.seq = entry.seq
        self.head = entry.entry_hash

    def finish(self) -> Steps[list[VerifyProblem]]:
        """Compare the stream's end with its head, and its rows with its history."""
        heads = yield from rows(HEAD, id=self.stream_id)
        if not heads:
            self._report(None, "no project or repository has this stream")
            return self.problems
        seq, head = heads[0]
        if seq > self.seq:
            self._report(self.seq + 1, f"its end is cut: the head is at {seq}")
        elif seq < self.seq:
            self._report(seq + 1, f"it goes on past its head, which is at {seq}")
        elif head != self.head:
            self._report(seq, "its last entry isn't the one that the head names")
        if not self.problems:
            for about, what in (yield from self.replay.differences(self.stream_id)):
                self._report(about, what)
        return self.problems

    def _report(self, seq: int | None, what: str) -> None:
        self.problems.append(VerifyProblem(self.stream_id, seq, what))


_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode


class _Replay:
    """The rows as a stream's entries say that they are."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Ulid], dict[str, Any]] = {}
        self.told_by: dict[tuple[str, Ulid], int] = {}
        self.objects = 0

    def take(self, entry: StoredEntry) -> None:
        if entry.action not in OWN_ACTIONS:
            return
        kind, _, verb = entry.action.partition(".")
        changes = _decode_changes(entry.changes)
        if kind == "objects" and verb in ("add", "remove"):
            self.objects += changes.get("added", (0, 0))[1]
            self.objects -= changes.get("removed", (0, 0))[1]
        if kind not in LIVE:
            return
        target = kind, entry.target_id
        if verb in ("create", "acquire"):
            self.rows[target] = {"created_at": msgspec.to_builtins(entry.at)}
        if target not in self.rows:
            return
        self.told_by[target] = entry.seq
        if verb == "delete" and kind in ("mirror", "relationship"):
            del self.rows[target]
            return
        self.rows[target].update((field, after) for field, (_, after) in changes.items())
        if verb == "acquire":
            repository = self.rows.get(("repository", entry.stream_id))
            if repository is not None:
                repository["lease_epoch"] = changes["fencing_token"][1]

    def differences(self, stream_id: Ulid) -> Steps[list[tuple[int | None, str]]]:
        """Where the live rows are not as the entries say: the entry's seq, and what differs."""
        found: list[tuple[int | None, str]] = []
        for kind, (model, statement) in LIVE.items():
            live = yield from many(model, statement, id=stream_id)
            found += self._compare(kind, live)
        for kind, target_id in self.rows:
            found.append(
                (self.told_by[kind, target_id], f"{kind} {target_id} is gone without an entry")
            )
        ((objects,),) = yield from rows(COUNT_OBJECTS, id=stream_id)
        if objects != self.objects:
            found.append(
                (None, f"the repository has {objects} objects, and its history {self.objects}")
            )
        return found

    def _compare(self, kind: str, live: Iterable[Any]) -> Iterable[tuple[int | None, str]]:
        for row in live:
            told = self.rows.pop((kind, row.id), None)
            if told is None:
                yield None, f"{kind} {row.id} is there without an entry"
                continue
            seq = self.told_by[kind, row.id]
            for field, value in msgspec.to_builtins(row).items():
                if field in NOT_AUDITED and field != "created_at":
                    continue
                if value != told.get(field):
                    yield seq, f"{kind} {row.id} has {field} {value!r}, not {told.get(field)!r}"


def _hash_of(entry: StoredEntry, previous_hash: bytes) -> bytes:
    return entry_hash(
        version=entry.hash_version,
        previous_hash=previous_hash,
        stream_id=entry.stream_id,
        seq=entry.seq,
        id=entry.id,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        target_type=entry.target_type,
        target_id=entry.target_id,
        request_id=entry.request_id,
        source_ip=entry.source_ip,
        reason=entry.reason,
        changes=entry.changes,
    )
