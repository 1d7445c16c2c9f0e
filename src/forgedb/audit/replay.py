"""Replaying a stream's entries, and comparing the result with the rows of the database.

Rows that can't change any more, such as an ended lease or a deleted row, are compared and dropped
during the walk.  So memory holds what is live at one time, and not the whole history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from forgedb.audit.kinds import (
    ACTIONS,
    BEGINS,
    COUNTS,
    DELETES,
    ENDS,
    GRANTS,
    KINDS,
    ROWS,
    Kind,
)
from forgedb.audit.stream import NOT_AUDITED
from forgedb.models import A_BACKUP, Ulid
from forgedb.operations.rows import columns
from forgedb.operations.steps import Select, Steps, rows, together
from forgedb.sql.catalogue import sql

SETTLED_MAX = 1000
"""After this many targets have ended, they are compared and dropped."""

IDS_A_READ = 1000

TOKEN_COUNT_BITS = 32
"""The lower half of a fencing token is a counter; the upper half is the era of the grant."""

Difference: TypeAlias = tuple[int | None, str]
"""The number of the entry that differs from the rows, and the difference."""

LIVE = {
    name: sql(
        sqlite=f"""
        SELECT {columns(kind.model, "found.")}
        FROM carray(:ids) AS told
        CROSS JOIN {kind.table} AS found ON found.id = told.value
        """,
        postgres=f"SELECT {columns(kind.model)} FROM {kind.table} WHERE id = ANY(:ids)",
    )
    for name, kind in ROWS.items()
}
"""Rows by their ids, of any streams."""

UNTOLD = {
    name: sql(f"""
    SELECT id
    FROM {kind.table} AS found
    WHERE found.{kind.stream} = :stream_id
    AND NOT EXISTS (
        SELECT 1
        FROM audit_entries AS e
        WHERE e.target_id = found.id
        AND e.stream_id = :stream_id
        AND e.action IN ({", ".join(map(repr, kind.begins))})
    )
    """)
    for name, kind in ROWS.items()
    if kind.begins
}
"""The rows of a stream that no entry of it inserts."""

_COUNTED = ", ".join(
    f"(SELECT count(*) FROM {kind.table} WHERE {kind.stream} = told.value)" for kind in KINDS
)

ROW_COUNTS = sql(
    sqlite=f"SELECT told.value, {_COUNTED} FROM carray(:ids) AS told",
    postgres=f"SELECT told.value, {_COUNTED} FROM unnest(CAST(:ids AS text[])) AS told (value)",
)
"""How many rows of each kind each stream has."""

_BLANK = {
    name: {
        field: None
        for field in kind.model.__struct_fields__
        if field not in NOT_AUDITED or field == "created_at"
    }
    for name, kind in ROWS.items()
}
"""A row before any entry has set a field."""

_GO_ON = frozenset(
    name for name, kind in ROWS.items() if not kind.begins or ENDS in kind.verbs.values()
)
"""The kinds whose entries may come without one that inserts the row: the row was settled and
dropped, or a migration inserted it."""

_NOT_COMPARED = NOT_AUDITED - {"created_at"}

_decode_changes = msgspec.json.Decoder(dict[str, tuple[Any, Any]]).decode


def follows(before: int, token: int) -> bool:
    """Whether a repository's next fencing token is the last one plus 1, or one of a later era."""
    return token == before + 1 or token >> TOKEN_COUNT_BITS > before >> TOKEN_COUNT_BITS


def live_rows(targets: Mapping[str, Sequence[Ulid]]) -> Steps[dict[str, dict[Ulid, Any]]]:
    """The rows of these targets, by kind and id.  Raises InvalidValue (they can't be read)."""
    selects = [
        (
            name,
            Select(LIVE[name], {"ids": tuple(ids[start : start + IDS_A_READ])}, ROWS[name].model),
        )
        for name, ids in targets.items()
        for start in range(0, len(ids), IDS_A_READ)
    ]
    found = yield from together(*(select for _, select in selects))
    live: dict[str, dict[Ulid, Any]] = {name: {} for name in targets}
    for (name, _), rows_of_kind in zip(selects, found, strict=True):
        live[name].update((row.id, row) for row in rows_of_kind)
    return live


class _Told:
    """One target as the entries describe it; ``fields`` is None if it was deleted."""

    __slots__ = ("fields", "is_at_end", "is_whole", "seq")

    def __init__(self, seq: int, fields: dict[str, Any], *, is_whole: bool) -> None:
        self.seq = seq
        self.fields: dict[str, Any] | None = fields
        self.is_whole = is_whole
        """Whether the entry that inserts it was read, so that all of its fields are known."""
        self.is_at_end = False


class Replay:
    """The rows that the entries of a stream, or of its later part, lead to."""

    def __init__(self, stream_id: Ulid, *, is_whole: bool) -> None:
        self.at_end = 0
        """How many targets could be settled."""
        self._stream_id = stream_id
        self._is_whole = is_whole
        self._told: dict[str, dict[Ulid, _Told]] = {name: {} for name in ROWS}
        self._there = {kind.name: 0 for kind in KINDS}
        """By kind: how many rows were found; for counted kinds, how many the entries say."""
        self._found: list[Difference] = []

    def take(self, seq: int, at: datetime, action: str, target_id: Ulid, changes: str) -> None:
        """Apply the changes of the next entry.

        Raises DecodeError, KeyError or TypeError for an entry that no DAO can have written.
        """
        found = ACTIONS.get(action)
        if found is None:
            return
        pairs = _decode_changes(changes)
        name, effect = found
        if effect is COUNTS:
            self._there[name] += pairs.get("added", (0, 0))[1]
            self._there[name] -= pairs.get("removed", (0, 0))[1]
            return
        targets = self._told[name]
        told = targets.get(target_id)
        if effect is BEGINS or effect is GRANTS:
            fields = _BLANK[name].copy()
            if "created_at" in fields:
                fields["created_at"] = msgspec.to_builtins(at)
            told = targets[target_id] = _Told(seq, fields, is_whole=True)
        elif told is None:
            if self._is_whole and name not in _GO_ON:
                return
            # It was settled, or it was inserted before the part of the stream that is read.
            told = targets[target_id] = _Told(seq, {}, is_whole=False)
        told.seq = seq
        if told.fields is None:
            return
        if effect is DELETES:
            told.fields = None
        else:
            fields = told.fields
            for field, (_, after) in pairs.items():
                fields[field] = after
        if effect is GRANTS:
            self._advance_epoch(seq, pairs["fencing_token"][1])
        elif (effect is ENDS or effect is DELETES) and not told.is_at_end:
            told.is_at_end = True
            self.at_end += 1

    def _advance_epoch(self, seq: int, token: Any) -> None:
        repositories = self._told["repository"]
        repository = repositories.get(self._stream_id)
        if repository is None and not self._is_whole:
            repository = repositories[self._stream_id] = _Told(seq, {}, is_whole=False)
        if repository is not None and repository.fields is not None:
            before = repository.fields.get("lease_epoch")
            if before is not None and not follows(before, token):
                what = f"its fencing token {token} doesn't follow {before}"
                self._found.append((seq, what))
            repository.fields["lease_epoch"] = token

    @property
    def targets(self) -> dict[str, list[Ulid]]:
        """The targets that weren't compared yet, by kind."""
        return {name: list(told) for name, told in self._told.items() if told}

    def settle(self) -> Steps[None]:
        """Compare the targets that have ended with the rows, and drop them."""
        ended = {
            name: [target_id for target_id, each in told.items() if each.is_at_end]
            for name, told in self._told.items()
        }
        for name, live in (yield from live_rows(ended)).items():
            self._compare(name, ended[name], live)
        self.at_end = 0

    def differences(
        self, live: Mapping[str, Mapping[Ulid, Any]], counts: Sequence[int]
    ) -> Steps[list[Difference]]:
        """Where the rows differ from the entries, given the live rows and how many there are."""
        for name, targets in self.targets.items():
            self._compare(name, targets, live[name])
        if not self._is_whole:
            return self._found
        for kind, count in zip(KINDS, counts, strict=True):
            there = self._there[kind.name]
            if there == count:
                continue
            if kind.is_counted:
                what = f"the repository has {count} {kind.name}, and its history {there}"
                self._found.append((None, what))
            else:
                yield from self._find_untold(kind, there, count)
        return self._found

    def _find_untold(self, kind: Kind, there: int, count: int) -> Steps[None]:
        untold: Sequence[Any] = []
        if kind.begins:
            untold = yield from rows(UNTOLD[kind.name], stream_id=self._stream_id)
        for (target_id,) in untold:
            self._found.append((None, f"{kind.name} {target_id} is there without an entry"))
        if not untold:
            # Only a forged history inserts a target twice, or names one that doesn't exist.
            what = f"it has {count} rows of kind {kind.name}, and its history tells of {there}"
            self._found.append((None, what))

    def _compare(self, name: str, targets: Iterable[Ulid], live: Mapping[Ulid, Any]) -> None:
        kind = ROWS[name]
        for target_id in targets:
            told, row = self._told[name].pop(target_id), live.get(target_id)
            if row is None or getattr(row, kind.stream) != self._stream_id:
                if told.fields is not None:
                    what = f"{name} {target_id} is gone without an entry"
                    self._found.append((told.seq, what))
                continue
            self._there[name] += told.is_whole or not kind.begins
            if told.fields is None:
                self._found.append((None, f"{name} {target_id} is there without an entry"))
                continue
            values = msgspec.to_builtins(row)
            for field in _NOT_COMPARED:
                values.pop(field, None)
            if values.get("system_identifier") == A_BACKUP:
                # The mark of a backup has no entry, and does no harm: it makes a new era begin.
                del values["system_identifier"]
                told.fields.pop("system_identifier", None)
            if values != told.fields:
                self._tell_apart(name, target_id, told, values)

    def _tell_apart(self, name: str, target_id: Ulid, told: _Told, values: dict[str, Any]) -> None:
        assert told.fields is not None
        for field, value in values.items():
            if field in told.fields and value != told.fields[field]:
                what = f"{name} {target_id} has {field} {value!r}, not {told.fields[field]!r}"
                self._found.append((told.seq, what))
