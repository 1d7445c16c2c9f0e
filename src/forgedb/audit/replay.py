"""The rows as a stream's entries say that they are, and where those of the database differ.

What nothing changes any more, an ended lease or a row that was deleted, is compared and forgotten
while the walk goes on: in memory is what is there at one time, and not all that ever was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from forgedb.audit.stream import NOT_AUDITED, OWN_ACTIONS
from forgedb.ids import Ulid
from forgedb.models import (
    A_BACKUP,
    DatabaseIdentity,
    Lease,
    Mirror,
    Project,
    Relationship,
    Repository,
)
from forgedb.operations.rows import columns
from forgedb.operations.steps import Select, Steps, rows, together
from forgedb.sql.catalogue import sql

SETTLED_MAX = 1000
"""From so many targets at their end on, these are compared and forgotten."""

IDS_A_READ = 1000

TOKEN_COUNT_BITS = 32
"""A fencing token's lower half counts; its upper half is the era that it was given in."""

Difference: TypeAlias = tuple[int | None, str]
"""The number of the entry that tells otherwise, and what is not as it tells."""


class Kind(NamedTuple):
    """What a stream tells of: the model of its rows, and where they are."""

    model: type[msgspec.Struct]
    table: str
    owner: str
    """The column that names the stream."""
    begins: tuple[str, ...]
    """The actions that begin a row; none where a migration makes it."""


KINDS = {
    "database": Kind(DatabaseIdentity, "database_identity", "id", ()),
    "project": Kind(Project, "projects", "id", ("project.create",)),
    "repository": Kind(Repository, "repositories", "id", ("repository.create",)),
    "lease": Kind(Lease, "leases", "repository_id", ("lease.acquire", "lease.rebase")),
    "mirror": Kind(Mirror, "mirrors", "repository_id", ("mirror.create",)),
    "relationship": Kind(
        Relationship, "repository_relationships", "source_id", ("relationship.create",)
    ),
}
"""By target type."""

LIVE = {
    name: sql(
        sqlite=f"""
        SELECT {columns(kind.model, "found.")}
        FROM carray(:ids) AS told
        CROSS JOIN {kind.table} AS found ON found.id = told.value
        """,
        postgres=f"SELECT {columns(kind.model)} FROM {kind.table} WHERE id = ANY(:ids)",
    )
    for name, kind in KINDS.items()
}
"""Rows by their ids, of whatever streams."""

UNTOLD = {
    name: sql(f"""
    SELECT id
    FROM {kind.table} AS found
    WHERE found.{kind.owner} = :stream_id
    AND NOT EXISTS (
        SELECT 1
        FROM audit_entries AS e
        WHERE e.target_id = found.id
        AND e.stream_id = :stream_id
        AND e.action IN ({", ".join(map(repr, kind.begins))})
    )
    """)
    for name, kind in KINDS.items()
    if kind.begins
}
"""The rows of a stream that no entry of it begins."""

_COUNTED = ", ".join(
    f"(SELECT count(*) FROM {table} WHERE {owner} = told.value)"
    for table, owner in [
        *((kind.table, kind.owner) for kind in KINDS.values()),
        ("object_metadata", "repository_id"),
    ]
)

COUNTS = sql(
    sqlite=f"SELECT told.value, {_COUNTED} FROM carray(:ids) AS told",
    postgres=f"SELECT told.value, {_COUNTED} FROM unnest(CAST(:ids AS text[])) AS told (value)",
)
"""How many rows of each kind, and objects, a stream has; of each stream."""


# What an action does to its target.  Numbers, as they are looked at for each of millions.
_BEGIN, _CHANGE, _END, _DELETE, _COUNT = range(5)
"""After _END and _DELETE nothing changes it any more; _COUNT is of objects."""


def _does(action: str) -> tuple[str, int]:
    kind, _, verb = action.partition(".")
    if kind == "objects":
        return kind, _COUNT
    if action in KINDS[kind].begins:
        return kind, _BEGIN
    if kind == "lease":
        return kind, _END
    if verb == "delete" and kind in ("mirror", "relationship"):
        return kind, _DELETE
    return kind, _CHANGE


_DOES = {action: _does(action) for action in OWN_ACTIONS}

_BLANK = {
    name: {
        field: None
        for field in kind.model.__struct_fields__
        if field not in NOT_AUDITED or field == "created_at"
    }
    for name, kind in KINDS.items()
}
"""A row of which no entry tells anything but that it is there."""

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
            Select(LIVE[name], {"ids": tuple(ids[start : start + IDS_A_READ])}, KINDS[name].model),
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
    """One target: what is told of it, ``fields`` None where it was deleted."""

    __slots__ = ("fields", "is_at_end", "is_whole", "seq")

    def __init__(self, seq: int, fields: dict[str, Any], *, is_whole: bool) -> None:
        self.seq = seq
        self.fields: dict[str, Any] | None = fields
        self.is_whole = is_whole
        """Whether its beginning was told, so that all of its fields are known."""
        self.is_at_end = False


class Replay:
    """What a stream's entries lead to; of a stream's later part alone, what these tell of."""

    def __init__(self, stream_id: Ulid, *, is_whole: bool) -> None:
        self.at_end = 0
        """How many targets could be settled."""
        self._stream_id = stream_id
        self._is_whole = is_whole
        self._told: dict[str, dict[Ulid, _Told]] = {name: {} for name in KINDS}
        self._there = dict.fromkeys(KINDS, 0)
        """How many rows were told of and found."""
        self._objects = 0
        self._found: list[Difference] = []

    def take(self, seq: int, at: datetime, action: str, target_id: Ulid, changes: str) -> None:
        """Note what the next entry changes.

        Raises DecodeError, KeyError or TypeError where no DAO can have written it.
        """
        does = _DOES.get(action)
        if does is None:
            return
        pairs = _decode_changes(changes)
        name, what = does
        if what == _COUNT:
            self._objects += pairs.get("added", (0, 0))[1]
            self._objects -= pairs.get("removed", (0, 0))[1]
            return
        targets = self._told[name]
        told = targets.get(target_id)
        if what == _BEGIN:
            fields = _BLANK[name].copy()
            if "created_at" in fields:
                fields["created_at"] = msgspec.to_builtins(at)
            told = targets[target_id] = _Told(seq, fields, is_whole=True)
        elif told is None:
            if self._is_whole and name not in ("lease", "database"):
                return
            # A lease that was settled, or whatever was begun before the part that is read.
            told = targets[target_id] = _Told(seq, {}, is_whole=False)
        told.seq = seq
        if told.fields is None:
            return
        if what == _DELETE:
            told.fields = None
        else:
            fields = told.fields
            for field, (_, after) in pairs.items():
                fields[field] = after
        if what == _CHANGE:
            return
        if what == _BEGIN:
            if name == "lease":
                self._advance_epoch(seq, pairs["fencing_token"][1])
        elif not told.is_at_end:
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
        """What is told of and wasn't compared yet, by kind."""
        return {name: list(told) for name, told in self._told.items() if told}

    def settle(self) -> Steps[None]:
        """Compare what is at its end with the rows, and forget it."""
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
        """Where the rows are not as the entries say, given those told of and how many there are."""
        for name, targets in self.targets.items():
            self._compare(name, targets, live[name])
        if not self._is_whole:
            return self._found
        *kinds, objects = counts
        for (name, there), count in zip(self._there.items(), kinds, strict=True):
            if there != count:
                yield from self._find_untold(name, there, count)
        if objects != self._objects:
            self._found.append(
                (None, f"the repository has {objects} objects, and its history {self._objects}")
            )
        return self._found

    def _find_untold(self, name: str, there: int, count: int) -> Steps[None]:
        untold = yield from rows(UNTOLD[name], stream_id=self._stream_id)
        for (target_id,) in untold:
            self._found.append((None, f"{name} {target_id} is there without an entry"))
        if not untold:
            # Only a forger tells of one target twice.
            what = f"it has {count} rows of kind {name}, and its history tells of {there}"
            self._found.append((None, what))

    def _compare(self, name: str, targets: Iterable[Ulid], live: Mapping[Ulid, Any]) -> None:
        owner = KINDS[name].owner
        for target_id in targets:
            told, row = self._told[name].pop(target_id), live.get(target_id)
            if row is None or getattr(row, owner) != self._stream_id:
                if told.fields is not None:
                    what = f"{name} {target_id} is gone without an entry"
                    self._found.append((told.seq, what))
                continue
            self._there[name] += told.is_whole or not KINDS[name].begins
            if told.fields is None:
                self._found.append((None, f"{name} {target_id} is there without an entry"))
                continue
            values = msgspec.to_builtins(row)
            for field in _NOT_COMPARED:
                values.pop(field, None)
            if values.get("system_identifier") == A_BACKUP:
                # The mark has no entry, and takes nothing from anybody: an era begins with it.
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
