"""Verifying a history: the chain of each stream, its end, and the rows that it led to.

Three things are compared: each entry's hash with its content and the entry before it; the last
entry with the head in the stream's own row; and the live rows with the result of replaying all
changes, which finds an edit that has no audit entry.

If a checkpoint is trusted for the beginning of a stream, only the rest of the stream is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from forgedb.audit.anchors import Vouched
from forgedb.audit.chain import GENESIS
from forgedb.audit.kinds import STREAMS
from forgedb.audit.replay import ROW_COUNTS, SETTLED_MAX, TOKEN_COUNT_BITS, live_rows
from forgedb.audit.walk import Entry, Walk
from forgedb.errors import InvalidValue
from forgedb.limits import INTEGER_MAX
from forgedb.models import AuditEntry, Ulid, VerifyProblem, VerifyProgress, VerifyReport
from forgedb.operations.rows import columns
from forgedb.operations.steps import Select, Steps, rows, together
from forgedb.sql.catalogue import sql

ENTRIES_A_READ = 250
"""Few enough to stay in the processor's cache while they are hashed."""

STREAMS_BEGUN = 20
ENTRIES_BEGUN = 50
"""How many streams are begun in one round trip, and how many entries of each are read first."""

STREAMS_A_READ = 250
TARGETS_A_READ = 1000
"""After so many streams, or so many of their targets, these are compared with the rows."""

CHANGES_BYTES_MAX = 16_384
"""Longer changes are read one by one, so that the bytes of a read are bounded too."""

_FIELDS = columns(AuditEntry)
_CHANGES = AuditEntry.__struct_fields__.index("changes")


def _fields(length: str) -> str:
    return _FIELDS.replace(
        "changes", f"CASE WHEN {length} <= {CHANGES_BYTES_MAX} THEN changes END AS changes"
    )


_NO_ID = "GLOB '*[^0-9A-Z]*'"
"""In SQLite's SQL; the value that it is applied to may be no text at all."""


def _legible(column: str) -> str:
    """The id, or its bytes in hex digits if it isn't a valid id."""
    return f"CASE WHEN {column} {_NO_ID} THEN quote(CAST({column} AS BLOB)) ELSE {column} END"


_OF_ALL = """
SELECT {fields}
FROM audit_entries
WHERE (stream_id, seq) > (:stream_id, :seq)
ORDER BY stream_id, seq
LIMIT :limit
"""

_OF_ONE = """
SELECT {fields}
FROM audit_entries
WHERE stream_id = :stream_id AND seq > :seq
ORDER BY seq
LIMIT :limit
"""

_BYTES = {
    "sqlite": _fields("octet_length(changes)"),
    "postgres": _fields("octet_length(CAST(changes AS text))"),
}

ENTRIES = sql(**{dialect: _OF_ALL.format(fields=fields) for dialect, fields in _BYTES.items()})

STREAM_ENTRIES = sql(
    **{dialect: _OF_ONE.format(fields=fields) for dialect, fields in _BYTES.items()}
)

CHANGES = sql("""
SELECT changes
FROM audit_entries
WHERE stream_id = :stream_id AND seq = :seq
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

# For streams whose ids are no valid text: the next with a valid id, and those before it.
_NEXT_NAMED = """
SELECT stream_id FROM audit_entries
WHERE stream_id > :after AND stream_id {is_id}
ORDER BY stream_id
LIMIT 1
"""

NEXT_NAMED = sql(
    sqlite=_NEXT_NAMED.format(is_id=f"NOT {_NO_ID}"),
    postgres=_NEXT_NAMED.format(is_id="~ '^[0-9A-Z]*$'"),
)

_UNNAMED = """
SELECT {name}, count(*)
FROM audit_entries
WHERE stream_id > :after AND (stream_id < {before} OR {before} IS NULL)
GROUP BY stream_id
ORDER BY stream_id
"""

UNNAMED = sql(
    sqlite=_UNNAMED.format(name=_legible("stream_id"), before=":before"),
    postgres=_UNNAMED.format(name="stream_id", before="CAST(:before AS text)"),
)

COUNT = sql("SELECT count(*) FROM audit_entries WHERE stream_id > :after")

COUNT_OF_ONE = sql("SELECT count(*) FROM audit_entries WHERE stream_id = :stream_id")

# From one stream to the next through the index, skipping the entries of each.
_STREAMS = """
WITH RECURSIVE streams (stream_id, number) AS (
    SELECT {after}, 0
    UNION ALL
    SELECT (
        SELECT e.stream_id
        FROM audit_entries AS e
        WHERE e.stream_id > streams.stream_id
        ORDER BY e.stream_id
        LIMIT 1
    ), number + 1
    FROM streams
    WHERE stream_id IS NOT NULL AND number < :limit
)
SELECT stream_id FROM streams WHERE number > 0 AND stream_id IS NOT NULL
"""

NEXT_STREAMS = sql(
    sqlite=_STREAMS.format(after=":after"),
    postgres=_STREAMS.format(after='CAST(:after AS text) COLLATE "C"').replace(
        "SELECT e.stream_id\n", "SELECT CAST(e.stream_id AS text)\n"
    ),
)

_HEADS = " UNION ALL ".join(
    f"SELECT id, audit_seq, audit_head FROM {kind.table} WHERE id {{among}}" for kind in STREAMS
)

HEADS = sql(
    sqlite=_HEADS.format(among="IN (SELECT value FROM carray(:ids))"),
    postgres=_HEADS.format(among="= ANY(:ids)"),
)

# A migration inserts the identity's row; the first entry of its stream comes later, or never.
_WITHOUT_ENTRIES = " UNION ALL ".join(
    f"""
    SELECT {{id}} FROM {kind.table} AS found
    WHERE {"true" if kind.begins else "(audit_seq > 0 OR era > 0)"}
    AND NOT EXISTS (SELECT 1 FROM audit_entries AS e WHERE e.stream_id = found.id)
    """
    for kind in STREAMS
)

WITHOUT_ENTRIES = sql(
    sqlite=_WITHOUT_ENTRIES.format(id=_legible("id")),
    postgres=_WITHOUT_ENTRIES.format(id="id"),
)

IDENTITIES = sql("SELECT count(*) FROM database_identity")

# The highest era among the tokens, and the effective era: the recorded one plus the timeline.  The
# walk has checked that no lease has a later token than its repository's lease_epoch.  No row is
# given if the database isn't where it was, since a new era is due; on a standby, whose timeline may
# be an older one; and if the timeline is unknown, since promotions can't be counted then.
ERAS = sql(
    sqlite=f"""
    SELECT id, era, (SELECT max(lease_epoch) FROM repositories) >> {TOKEN_COUNT_BITS}
    FROM database_identity
    """,
    postgres=f"""
    SELECT id, forgedb_effective_era(),
        (SELECT max(lease_epoch) FROM repositories) >> {TOKEN_COUNT_BITS}
    FROM database_identity
    WHERE forgedb_timeline() IS NOT NULL
    AND NOT pg_is_in_recovery()
    AND system_identifier = forgedb_system_identifier()
    AND database_oid = forgedb_database_oid()
    """,
)


class Asked(NamedTuple):
    """Which streams to walk, from where on, and the function to report progress to."""

    stream_id: Ulid | None = None
    """Only this stream."""
    after: Ulid | None = None
    """Only the streams after this one."""
    since: Mapping[Ulid, Vouched] | None = None
    """Each stream from this entry on; a stream that isn't in it from its beginning."""
    report: Callable[[VerifyProgress], None] | None = None


def verify_streams(asked: Asked) -> Steps[VerifyReport]:
    """Walk one stream or all; memory holds the entries of a read, and the live rows of streams."""
    verification = _Verification(asked)
    yield from verification.run()
    problems = verification.problems
    for (empty,) in (yield from rows(WITHOUT_ENTRIES)):
        if asked.stream_id in (None, empty) and empty > (asked.after or ""):
            problems.append(VerifyProblem(empty, None, "all of the stream's entries are gone"))
    for identity, era, given in (yield from rows(ERAS)):
        if asked.stream_id in (None, identity) and (given or 0) > era:
            what = (
                f"fencing tokens of era {given} were given, and the era is {era}: its entries were"
                " taken away, or it is a backup that was put in place (forgedb era advance)"
            )
            problems.append(VerifyProblem(identity, None, what))
    if asked.stream_id is None:
        ((count,),) = yield from rows(IDENTITIES)
        if count != 1:
            what = f"database_identity has {count} rows, and a database has one identity"
            problems.append(VerifyProblem(None, None, what, schema="database_identity"))
    return VerifyReport(
        not problems,
        verification.entries,
        verification.streams,
        problems,
        on_trust=verification.on_trust,
    )


class _Verification:
    """The walk through the streams, one after the other, and the problems found."""

    def __init__(self, asked: Asked) -> None:
        self.problems: list[VerifyProblem] = []
        self.entries = 0
        self.streams = 0
        self.on_trust = 0
        self._asked = asked
        self._since = asked.since or {}
        self._total = 0
        self._last_stream: Ulid | None = asked.after
        self._walk: Walk | None = None
        self._walked: list[Walk] = []
        """Streams that were walked to their ends, and not yet compared with the rows."""
        self._targets = 0

    def run(self) -> Steps[None]:
        """Walk all that was asked for."""
        asked, after = self._asked, self._asked.after or ""
        if asked.report is not None:
            if asked.stream_id is None:
                ((self._total,),) = yield from rows(COUNT, after=after)
            else:
                ((self._total,),) = yield from rows(COUNT_OF_ONE, stream_id=asked.stream_id)
        if asked.since is not None:
            yield from self._read_later(after)
        elif asked.stream_id is not None:
            yield from self._read(asked.stream_id, asked.stream_id, 0)
        else:
            yield from self._read(None, after, INTEGER_MAX if after else 0)
        yield from self._end_walk()
        yield from self._compare_walked()

    def _read_later(self, after: Ulid) -> Steps[None]:
        """Read each stream from the entry before the one that a checkpoint names."""
        while True:
            if self._asked.stream_id is not None:
                streams = [self._asked.stream_id]
            else:
                streams = yield from self._streams(after)
            if not streams:
                return
            begun = {stream_id: max(self._vouched(stream_id) - 2, 0) for stream_id in streams}
            try:
                first = yield from together(
                    *(
                        Select(
                            STREAM_ENTRIES,
                            {"stream_id": each, "seq": seq, "limit": ENTRIES_BEGUN},
                            None,
                        )
                        for each, seq in begun.items()
                    )
                )
            except InvalidValue:
                first = [None] * len(streams)
            for (stream_id, seq), entries in zip(begun.items(), first, strict=True):
                yield from self._read(stream_id, stream_id, seq, entries)
            if self._asked.stream_id is not None:
                return
            after = streams[-1]

    def _streams(self, after: Ulid) -> Steps[list[Ulid]]:
        """The next streams, without those that have no valid id; empty at the end."""
        for limit in (STREAMS_BEGUN, 1):
            with suppress(InvalidValue):
                found = yield from rows(NEXT_STREAMS, after=after, limit=limit)
                return [stream_id for (stream_id,) in found]
        named = yield from self._pass_unnamed(after)
        return [] if named is None else [named]

    def _pass_unnamed(self, after: Ulid) -> Steps[Ulid | None]:
        """Report the streams that have no valid id, and return the next one that has."""
        found = yield from rows(NEXT_NAMED, after=after)
        named: Ulid | None = found[0][0] if found else None
        for name, entries in (yield from rows(UNNAMED, after=after, before=named)):
            what = f"its id is no text, and none of its entries ({entries}) can be read"
            self.problems.append(VerifyProblem(name, None, what))
            self.entries += entries
        return named

    def _vouched(self, stream_id: Ulid) -> int:
        """The number of the first entry to verify; entries before it are taken on trust."""
        vouched = self._since.get(stream_id)
        return 0 if vouched is None else vouched.seq

    def _read(
        self,
        stream_id: Ulid | None,
        last_stream: Ulid,
        last_seq: int,
        begun: Sequence[Entry] | None = None,
    ) -> Steps[None]:
        """Read and check the entries of one stream, or of all; ``begun`` are the first of them."""
        if begun is not None:
            yield from self._take(begun)
            if len(begun) < ENTRIES_BEGUN:
                return
            last_seq = begun[-1][1]
        limit = ENTRIES_A_READ
        while True:
            position: dict[str, Any] = {"stream_id": last_stream, "seq": last_seq}
            try:
                found = yield from rows(
                    ENTRIES if stream_id is None else STREAM_ENTRIES, **position, limit=limit
                )
            except InvalidValue as error:
                if limit > 1:
                    # One of the entries can't be read: read one by one until it is found.
                    limit = 1
                    continue
                key = NEXT_KEY if stream_id is None else NEXT_STREAM_KEY
                try:
                    ((last_stream, last_seq),) = yield from rows(key, **position)
                except InvalidValue:
                    named = yield from self._pass_unnamed(last_stream)
                    if named is None:
                        return
                    last_stream, last_seq, limit = named, 0, ENTRIES_A_READ
                    continue
                what = f"it can't be read: {error.why}"
                self.problems.append(VerifyProblem(last_stream, last_seq, what))
                self.entries, limit = self.entries + 1, ENTRIES_A_READ
                continue
            yield from self._take(found)
            if len(found) < limit:
                return
            last_stream, last_seq = found[-1][:2]

    def _take(self, found: Sequence[Entry]) -> Steps[None]:
        for stream_id, of_stream in groupby(found, key=itemgetter(0)):
            entries = list(of_stream)
            walk = self._walk
            if walk is None or walk.stream_id != stream_id:
                yield from self._end_walk()
                walk = self._begin_walk(stream_id, entries)
            self.entries += len(entries)
            if any(entry[_CHANGES] is None for entry in entries):
                for entry in entries:
                    walk.take([(yield from _whole(entry))])
            else:
                walk.take(entries)
            if walk.replay.at_end >= SETTLED_MAX:
                yield from walk.settle()
        if self._asked.report is not None:
            self._asked.report(
                VerifyProgress(
                    self.entries,
                    max(self._total - self.on_trust, self.entries),
                    self.streams,
                    self._last_stream,
                    self.problems,
                )
            )

    def _begin_walk(self, stream_id: Ulid, entries: list[Entry]) -> Walk:
        vouched = self._vouched(stream_id)
        # From the second entry on, the entry before is read only for its hash.
        before, head = max(vouched - 1, 0), GENESIS
        if before:
            self.on_trust += before
            if entries[0][1] == before:
                head = entries.pop(0)[-1]
            else:
                before -= 1
        self._walk = Walk(stream_id, before, head, is_whole=vouched <= 1)
        self.streams += 1
        return self._walk

    def _end_walk(self) -> Steps[None]:
        if self._walk is None:
            return
        self._walked.append(self._walk)
        self._targets += sum(map(len, self._walk.replay.targets.values()))
        self._walk = None
        if len(self._walked) >= STREAMS_A_READ or self._targets >= TARGETS_A_READ:
            yield from self._compare_walked()

    def _compare_walked(self) -> Steps[None]:
        if self._walked:
            yield from self._compare(self._walked)
            self._last_stream = self._walked[-1].stream_id
            self._walked, self._targets = [], 0

    def _compare(self, walks: Sequence[Walk]) -> Steps[None]:
        """Compare the ends of streams with their heads, and their rows with their histories."""
        ids = tuple(walk.stream_id for walk in walks)
        targets: dict[str, list[Ulid]] = {}
        for walk in walks:
            for kind, of_kind in walk.replay.targets.items():
                targets.setdefault(kind, []).extend(of_kind)
        try:
            heads, counts = yield from together(
                Select(HEADS, {"ids": ids}, None), Select(ROW_COUNTS, {"ids": ids}, None)
            )
            live = yield from live_rows(targets)
        except InvalidValue as error:
            if len(walks) > 1:
                # The rows of one of them can't be read: find out which.
                for walk in walks:
                    yield from self._compare([walk])
            else:
                self.problems += walks[0].unreadable(error)
            return
        head_of = {stream_id: head for stream_id, *head in heads}
        count_of = {stream_id: count for stream_id, *count in counts}
        for walk in walks:
            head, count = head_of.get(walk.stream_id), count_of[walk.stream_id]
            self.problems += yield from walk.finish(head, live, count)


def _whole(entry: Entry) -> Steps[Entry]:
    """The entry with its changes, however long they are; without them if they can't be read."""
    if entry[_CHANGES] is not None:
        return entry
    try:
        found = yield from rows(CHANGES, stream_id=entry[0], seq=entry[1])
    except InvalidValue:
        return entry
    return (*entry[:_CHANGES], found[0][0], *entry[_CHANGES + 1 :])
