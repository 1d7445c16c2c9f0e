"""Appending to a stream, which each DAO does once for every change it makes.

The caller holds the lock on the row that carries the stream's ``audit_seq`` and ``audit_head``,
and writes both back from here in the same transaction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import astuple

from forgedb.audit.chain import GENESIS, HASH_VERSION, entry_hash
from forgedb.audit.kinds import ACTIONS
from forgedb.ids import new_ulid
from forgedb.models import Ulid
from forgedb.operations.binding import Context
from forgedb.operations.steps import Change
from forgedb.sql.catalogue import sql

INSERT_ENTRY = sql("""
INSERT INTO audit_entries (
    stream_id, seq, id, at, actor, action, target_type, target_id,
    request_id, source_ip, reason, changes, hash_version, entry_hash)
VALUES (
    :stream_id, :seq, :id, :at, :actor, :action, :target_type, :target_id,
    :request_id, :source_ip, :reason, :changes, :hash_version, :entry_hash)
""")

NOT_AUDITED = frozenset({"id", "created_at", "updated_at"})
"""Fields that the entry holds elsewhere: as its target, and as its own time."""

_to_json = msgspec.json.Encoder().encode


class Stream:
    """The end of one stream, inside the transaction that appends to it."""

    __slots__ = ("_context", "head", "id", "seq")

    def __init__(
        self, context: Context, stream_id: Ulid, seq: int = 0, head: bytes = GENESIS
    ) -> None:
        self._context = context
        self.id = stream_id
        self.seq = seq
        self.head = head

    def entry(
        self,
        at: datetime,
        action: str,
        target_id: Ulid,
        changes: dict[str, Any],
        *,
        target_type: str | None = None,
        reason: str | None = None,
    ) -> Change:
        """The step that inserts the next entry; its id is among the step's parameters.

        ``action`` is one of ``audit/kinds.py``; a caller's own action needs a
        ``target_type``.
        """
        context = self._context
        assert context.actor is not None, "a write is bound only for an actor"
        self.seq += 1
        entry_id = new_ulid()
        target = target_type or ACTIONS[action][0]
        why = context.reason if reason is None else reason
        told = _to_json(changes).decode()
        self.head = entry_hash(
            HASH_VERSION,
            self.head,
            self.id,
            self.seq,
            entry_id,
            at,
            context.actor,
            action,
            target,
            target_id,
            context.request_id,
            context.source_ip,
            why,
            told,
        )
        return Change(
            INSERT_ENTRY,
            {
                "stream_id": self.id,
                "seq": self.seq,
                "id": entry_id,
                "at": at,
                "actor": context.actor,
                "action": action,
                "target_type": target,
                "target_id": target_id,
                "request_id": context.request_id,
                "source_ip": context.source_ip,
                "reason": why,
                "changes": told,
                "hash_version": HASH_VERSION,
                "entry_hash": self.head,
            },
        )


def created(model: msgspec.Struct) -> dict[str, Any]:
    """The changes of a row that is new: every field that has a value, from nothing."""
    return {
        field: (None, value)
        for field, value in zip(model.__struct_fields__, astuple(model), strict=True)
        if value is not None and field not in NOT_AUDITED
    }


def deleted(model: msgspec.Struct) -> dict[str, Any]:
    """The changes of a row that is gone: every field that had a value, to nothing."""
    return {field: (before, None) for field, (_, before) in created(model).items()}


def changed(before: msgspec.Struct, after: msgspec.Struct) -> dict[str, Any]:
    """The fields in which two states of a row differ."""
    return {
        field: (old, new)
        for field, old, new in zip(
            before.__struct_fields__, astuple(before), astuple(after), strict=True
        )
        if old is not new and old != new and field not in NOT_AUDITED
    }
