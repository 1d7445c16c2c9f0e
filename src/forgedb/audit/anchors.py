"""Comparing a history with its signed checkpoints: those kept elsewhere, and the database's own.

Anyone who can write to the database can recompute every hash, but can't forge a signature.  So a
stream must still hold, at the number that a checkpoint names, the entry that the checkpoint names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import msgspec

from forgedb.audit.checkpoint import (
    FIRST_PREVIOUS,
    Head,
    Verifier,
    by_key_id,
    fault,
    from_line,
    from_row,
    heads_of,
)
from forgedb.audit.checkpoint_steps import NEXT
from forgedb.audit.kinds import STREAMS
from forgedb.errors import InvalidValue, NotFound
from forgedb.models import AnchoredRange, Checkpoint, Ulid, VerifyProblem, VerifyReport
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql

HEADS_A_READ = 1000
STREAMS_A_READ = 1000

NEXT_SEQ = sql("""
SELECT seq
FROM audit_checkpoints
WHERE seq > :seq
ORDER BY seq
LIMIT 1
""")

# The heads given whose entry is missing or has another hash.
CONTRADICTED = sql(
    sqlite="""
    SELECT given.key
    FROM json_each(:heads) AS given
    LEFT JOIN audit_entries AS e
    ON e.stream_id = given.value ->> 0 AND e.seq = given.value ->> 1
    WHERE lower(hex(e.entry_hash)) IS NOT given.value ->> 2
    """,
    postgres="""
    SELECT given.position - 1
    FROM json_array_elements(CAST(:heads AS json)) WITH ORDINALITY AS given (value, position)
    LEFT JOIN audit_entries AS e
    ON e.stream_id = given.value ->> 0 AND e.seq = CAST(given.value ->> 1 AS bigint)
    WHERE encode(e.entry_hash, 'hex') IS DISTINCT FROM given.value ->> 2
    """,
)

END = sql("""
SELECT seq
FROM audit_entries
WHERE stream_id = :stream_id
ORDER BY seq DESC
LIMIT 1
""")

ENTRY_HASH = sql("""
SELECT entry_hash
FROM audit_entries
WHERE stream_id = :stream_id AND seq = :seq
""")

EXISTS = sql(
    " UNION ALL ".join(f"SELECT 1 FROM {kind.table} WHERE id = :stream_id" for kind in STREAMS)
)

STREAM_ENDS = tuple(
    sql(f"SELECT id, audit_seq FROM {kind.table} WHERE id > :after ORDER BY id LIMIT :limit")
    for kind in STREAMS
)


class Vouched(NamedTuple):
    """An entry that a checkpoint confirms: found with the hash that it names."""

    seq: int
    checkpoint: int


def compare_checkpoints(
    stream_id: Ulid | None,
    after: Ulid | None,
    public_keys: Collection[Verifier],
    anchors: Iterable[str | bytes] | None,
    since: int | None,
) -> Steps[Comparison]:
    """Check every checkpoint, and that each stream still has the entries that they name.

    ``stream_id`` and ``after`` say which streams.  Raises InvalidValue (the anchors hold no line),
    NotFound (there is no checkpoint ``since``).
    """
    comparison = Comparison(stream_id, after, public_keys, since)
    kept = comparison.kept(anchors) if anchors is not None else iter(())
    waiting = next(kept, None)
    if anchors is not None and comparison.lines == 0:
        raise InvalidValue("anchors", "", "they hold no line: give the file of the checkpoints")
    is_there = False
    while True:
        # Both sources are sorted by number, and one checkpoint of each is in memory.
        found = yield from rows(NEXT_SEQ, seq=comparison.last_seq)
        seqs: list[int] = [seq for (seq,) in found]
        if waiting is not None:
            seqs.append(waiting.seq)
        if not seqs:
            break
        seq, given = min(seqs), None
        if waiting is not None and waiting.seq == seq:
            given, waiting = waiting, next(kept, None)
        yield from comparison.take(seq, found == [(seq,)], given)
        if seq == since:
            is_there = True
            yield from comparison.trust()
    if since is not None and not is_there:
        raise NotFound("checkpoint", since)
    return comparison


class Comparison:
    """The chain of checkpoints so far, and up to which entry it confirms each stream."""

    def __init__(
        self,
        stream_id: Ulid | None,
        after: Ulid | None,
        public_keys: Collection[Verifier],
        since: int | None,
    ) -> None:
        self.keys = by_key_id(public_keys)
        self.problems: list[VerifyProblem] = []
        self.lines = 0
        self.last_seq = 0
        self.last_hash: bytes | None = FIRST_PREVIOUS
        """None after a checkpoint that is missing or not signed: the next has nothing to follow."""
        self.trusted: dict[Ulid, Vouched] = {}
        """By stream: the last entry that the checkpoint ``since``, or one before it, names."""
        self._stream_id = stream_id
        self._after = after or ""
        self._since = since or 0
        self._before: dict[Ulid, tuple[int, Head]] = {}
        """By stream: the last head up to the checkpoint ``since``, and the checkpoint of it."""
        self._anchored: dict[Ulid, Vouched] = {}
        """By stream: the last entry that a checkpoint confirms."""
        self._contradicted: set[Ulid] = set()

    def trust(self) -> Steps[None]:
        """Look up the heads seen so far, and trust them if a key signed the last checkpoint.

        Only the last head of each stream is looked up: the entries before it are taken on trust.
        """
        by_checkpoint: dict[int, list[Head]] = {}
        for checkpoint, head in self._before.values():
            by_checkpoint.setdefault(checkpoint, []).append(head)
        self._before.clear()
        for checkpoint in sorted(by_checkpoint):
            yield from self._compare(checkpoint, by_checkpoint[checkpoint])
        if self.last_hash is not None:
            self.trusted = self._anchored.copy()

    def told_in(self, report: VerifyReport) -> Steps[VerifyReport]:
        """The report on the streams, with what the checkpoints add."""
        problems = [*report.problems, *self.problems]
        broken = {problem.stream_id for problem in problems}
        ranges = yield from self._ranges(broken)
        return msgspec.structs.replace(report, ok=not problems, problems=problems, ranges=ranges)

    def kept(self, anchors: Iterable[str | bytes]) -> Iterator[Checkpoint]:
        """The checkpoints in the lines; unreadable or unordered lines are reported."""
        last = 0
        for line in anchors:
            if not line.strip():
                continue
            self.lines += 1
            try:
                checkpoint = from_line(line)
            except ValueError as error:
                self._report(None, f"line {self.lines} of the anchors can't be read: {error}")
                continue
            if checkpoint.seq <= last:
                what = f"line {self.lines} of the anchors has it after checkpoint {last}"
                self._report(checkpoint.seq, what)
                continue
            last = checkpoint.seq
            yield checkpoint

    def take(self, seq: int, there: bool, given: Checkpoint | None) -> Steps[None]:
        """Check the next checkpoint and, if a key signed it, compare the streams with it."""
        if seq > self.last_seq + 1:
            self._report_missing(self.last_seq + 1, seq - 1)
            self.last_hash = None
        before, self.last_seq = self.last_seq, seq
        if not there:
            self._report_missing(seq, seq)
        stored = (yield from self._stored(before, seq)) if there else None
        trusted = given
        if given is not None and (wrong := fault(given, self.keys)) is not None:
            self._report(seq, f"of the anchors: {wrong}")
            trusted = None
        if stored is not None and stored != given:
            wrong = fault(stored, self.keys)
            if wrong is not None:
                self._report(seq, f"of the database: {wrong}")
            elif trusted is not None:
                self._report(seq, "the database holds another one than the anchors, signed too")
            else:
                trusted = stored
        if trusted is None:
            self.last_hash = None
            return
        if self.last_hash is not None and trusted.previous_hash != self.last_hash:
            self._report(seq, f"it doesn't follow on checkpoint {seq - 1}, but on another")
        self.last_hash = trusted.checkpoint_hash
        if seq <= self._since:
            self._before.update(
                (head.stream_id, (seq, head))
                for head in heads_of(trusted)
                if self._is_asked(head.stream_id)
            )
        else:
            yield from self._compare(seq, heads_of(trusted))

    def _stored(self, before: int, seq: int) -> Steps[Checkpoint | None]:
        try:
            (row,) = yield from rows(NEXT, seq=before)
            return from_row(row)
        except ValueError as error:
            why = error.why if isinstance(error, InvalidValue) else error
            self._report(seq, f"of the database: it can't be read: {why}")
            return None

    def _compare(self, checkpoint: int, heads: Iterable[Head]) -> Steps[None]:
        """Compare each head of a checkpoint with the entries."""
        batch: list[Head] = []
        for head in heads:
            if self._is_asked(head.stream_id) and head.stream_id not in self._contradicted:
                batch.append(head)
            if len(batch) == HEADS_A_READ:
                yield from self._look_up(checkpoint, batch)
                batch = []
        if batch:
            yield from self._look_up(checkpoint, batch)

    def _look_up(self, checkpoint: int, batch: list[Head]) -> Steps[None]:
        text = msgspec.json.encode(
            [(head.stream_id, head.seq, head.entry_hash.hex()) for head in batch]
        ).decode()
        wrong = {place for (place,) in (yield from rows(CONTRADICTED, heads=text))}
        for place, head in enumerate(batch):
            if place not in wrong:
                self._anchored[head.stream_id] = Vouched(head.seq, checkpoint)
            else:
                self._contradicted.add(head.stream_id)
                seq, what = yield from self._contradiction(head, checkpoint)
                self.problems.append(VerifyProblem(head.stream_id, seq, what, checkpoint))

    def _contradiction(self, head: Head, checkpoint: int) -> Steps[tuple[int | None, str]]:
        """What happened to an entry that is missing or changed: from which number on, and how."""
        seen = f"checkpoint {checkpoint} saw the stream up to entry {head.seq}"
        ends = yield from rows(END, stream_id=head.stream_id)
        if not ends:
            if (yield from rows(EXISTS, stream_id=head.stream_id)):
                return None, f"all of the stream's entries are gone: {seen}"
            return None, f"the whole stream is gone: {seen}"
        ((end,),) = ends
        if end < head.seq:
            return end + 1, f"its end is cut: {seen}"
        if not (yield from rows(ENTRY_HASH, stream_id=head.stream_id, seq=head.seq)):
            return head.seq, f"it is missing: {seen}"
        since, _ = self._anchored.get(head.stream_id, (0, 0))
        return since + 1, (
            f"it was rewritten between entries {since + 1} and {head.seq}: checkpoint {checkpoint}"
            f" saw another entry {head.seq}"
        )

    def _report_missing(self, first: int, last: int) -> None:
        """Report a gap as one problem: a forged line can have any number, so a gap can be huge."""
        which = "it is" if first == last else f"checkpoints {first} to {last} are"
        self._report(first, f"{which} missing from the database")

    def _report(self, seq: int | None, what: str) -> None:
        self.problems.append(VerifyProblem(None, None, what, seq))

    def _is_asked(self, stream_id: Ulid) -> bool:
        return self._stream_id in (None, stream_id) and stream_id > self._after

    def _ranges(self, broken: Collection[Ulid | None]) -> Steps[list[AnchoredRange]]:
        """For each stream without a problem: the ranges that checkpoints cover, and the rest."""
        ranges: list[AnchoredRange] = []
        for statement in STREAM_ENDS:
            after, is_last = self._after, False
            while not is_last:
                found = yield from rows(statement, after=after, limit=STREAMS_A_READ)
                for stream_id, last in found:
                    if stream_id not in broken and self._is_asked(stream_id):
                        ranges.extend(self._ranges_of(stream_id, last))
                is_last = len(found) < STREAMS_A_READ
                after = "" if is_last else found[-1][0]
        return sorted(ranges, key=lambda each: (each.stream_id, each.first_seq))

    def _ranges_of(self, stream_id: Ulid, last: int) -> Iterator[AnchoredRange]:
        first = 1
        trusted = self.trusted.get(stream_id)
        if trusted is not None and trusted.seq > 1:
            # The entry that the checkpoint names was itself read, so it isn't on trust.
            yield AnchoredRange(stream_id, 1, trusted.seq - 1, trusted.checkpoint, on_trust=True)
            first = trusted.seq
        until, checkpoint = self._anchored.get(stream_id, (0, 0))
        if until:
            yield AnchoredRange(stream_id, first, until, checkpoint)
        if until < last:
            yield AnchoredRange(stream_id, until + 1, last, None)
