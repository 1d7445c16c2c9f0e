"""The walk along one stream: it checks each entry against the one before, and replays changes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from forgedb.audit.chain import HASH_VERSION, entry_hash
from forgedb.audit.replay import Replay
from forgedb.errors import InvalidValue
from forgedb.models import Ulid, VerifyProblem
from forgedb.operations.steps import Steps

Entry: TypeAlias = tuple[Any, ...]
"""An entry as the driver gives it: the fields of the model, in their order."""

_UNREADABLE = (TypeError, ValueError, AttributeError, OverflowError, struct.error)
"""Raised for a value that no entry can have: a database without its constraints may hold any."""


class Walk:
    """One stream: its chain so far, and the state that its changes lead to."""

    def __init__(self, stream_id: Ulid, seq: int, head: bytes, *, is_whole: bool) -> None:
        self.stream_id = stream_id
        self.problems: list[VerifyProblem] = []
        self.seq = seq
        self.head = head
        """The entry before the next, and its hash."""
        self.replay = Replay(stream_id, is_whole=is_whole)

    def take(self, entries: Sequence[Entry]) -> None:
        """Check the next entries, each against the one before it."""
        stream_id, seq, head = self.stream_id, self.seq, self.head
        replay, from_text = self.replay.take, datetime.fromisoformat
        for entry in entries:
            (
                _,
                number,
                entry_id,
                at,
                actor,
                action,
                target_type,
                target_id,
                request_id,
                source_ip,
                reason,
                changes,
                version,
                hash_there,
            ) = entry
            # This runs for millions of entries, so rare cases are handled in another method.
            try:
                if type(at) is str:
                    at = from_text(at)
                fits = (
                    number == seq + 1
                    and version == HASH_VERSION
                    and entry_hash(
                        version,
                        head,
                        stream_id,
                        number,
                        entry_id,
                        at,
                        actor,
                        action,
                        target_type,
                        target_id,
                        request_id,
                        source_ip,
                        reason,
                        changes,
                    )
                    == hash_there
                )
                if not fits:
                    self._tell_misfit(seq + 1, number, version)
                elif not self.problems:
                    try:
                        replay(number, at, action, target_id, changes)
                    except (msgspec.DecodeError, KeyError, TypeError):
                        # Only a forger who recomputed the hashes can have written it.
                        self._report(number, "its hash fits, but its changes make no sense")
            except _UNREADABLE as error:
                self._report(number, f"it can't be read: {error}")
            seq, head = number, hash_there
        self.seq, self.head = seq, head

    def _tell_misfit(self, expected: int, number: int, version: int) -> None:
        if number != expected:
            missing = (
                f"entry {expected} is"
                if number == expected + 1
                else f"entries {expected} to {number - 1} are"
            )
            self._report(expected, f"{missing} missing")
        elif version != HASH_VERSION:
            self._report(number, f"its hash version {version} is unknown")
        else:
            self._report(number, "its hash doesn't fit: it was edited, moved, or put in later")

    def settle(self) -> Steps[None]:
        """Compare targets that can't change any more with the rows, and drop them."""
        try:
            yield from self.replay.settle()
        except InvalidValue as error:
            self.unreadable(error)

    def unreadable(self, error: InvalidValue) -> list[VerifyProblem]:
        """Report that rows of this stream can't be read; returns all problems."""
        self._report(None, f"what it tells of can't be read: {error.why}")
        return self.problems

    def finish(
        self,
        stored: Sequence[Any] | None,
        live: Mapping[str, Mapping[Ulid, Any]],
        counts: Sequence[int],
    ) -> Steps[list[VerifyProblem]]:
        """Compare the stream's end with its head, and its rows with its history."""
        if stored is None:
            self._report(None, "no project or repository has this stream")
            return self.problems
        seq, head = stored
        if seq > self.seq:
            self._report(self.seq + 1, f"its end is cut: the head is at {seq}")
        elif seq < self.seq:
            self._report(seq + 1, f"it goes on past its head, which is at {seq}")
        elif head != self.head:
            self._report(seq, "its last entry isn't the one that the head names")
        if not self.problems:
            for about, what in (yield from self.replay.differences(live, counts)):
                self._report(about, what)
        return self.problems

    def _report(self, seq: int | None, what: str) -> None:
        self.problems.append(VerifyProblem(self.stream_id, seq, what))
