"""Exporting the leases as a lease log: in the order of time, with the ids of their original log.

Each event has an audit entry, and an index sorts the entries by time.  The entries give the order
of the events; the rows of the leases give the values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, Any, NamedTuple, TypeVar, cast

import msgspec

from forgedb.dao.leases.log_rows import (
    LEASES_BY_ID,
    LINES_BY_LEASE,
    NAME_IN_LOG,
    ImportedLine,
    by_ids,
)
from forgedb.dao.line_writer import line_writer
from forgedb.errors import InvalidValue
from forgedb.lease_log.lines import Acquired, Event, Forced, Released, written
from forgedb.models import Lease, Ulid
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, many, rows
from forgedb.sql.catalogue import sql

T = TypeVar("T")

ENTRIES_A_READ = 1000

NAMES_MAX = 10_000
"""Repositories whose names in the log are kept in memory."""


class Entry(msgspec.Struct, frozen=True):
    """The columns of an audit entry that say when something happened, and to what."""

    at: datetime
    id: Ulid
    seq: int
    action: str
    target_id: Ulid


class Told(NamedTuple):
    """An event of a lease, with the imported lines of its grant and of the event."""

    entry: Entry
    lease: Lease
    began: ImportedLine | None
    line: ImportedLine | None


EVENTS = {
    "lease.acquire": "acquired",
    "lease.release": "released",
    "lease.force_release": "forced",
    "lease.handover": "released",
}
"""The log's name of each action; the log has no other events."""

# Without a filter on the action, and without a join: with either, PostgreSQL may read and sort the
# whole table for every page, above all while a new table has no statistics yet.
ENTRIES = sql(f"""
SELECT {columns(Entry)}
FROM audit_entries
WHERE (at, id) > (:at, :id)
ORDER BY at, id
LIMIT :limit
""")

BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


def export_log(file: IO[Any]) -> Steps[int]:
    """What ``leases.export`` does."""
    write_line = line_writer(file)
    names: dict[Ulid, str] = {}
    count = 0
    at, entry_id = BEFORE_ALL, ""
    moment: list[Told] = []
    while True:
        entries = yield from many(Entry, ENTRIES, at=at, id=entry_id, limit=ENTRIES_A_READ)
        is_last = len(entries) < ENTRIES_A_READ
        found = yield from _told(entries)
        for when, told in groupby([*moment, *found], key=lambda each: each.entry.at):
            moment = [*told]
            if not is_last and when == entries[-1].at:
                # The next read may have more entries of this moment.
                break
            for each in _in_order(moment):
                line = _line(each, (yield from _name(each, names)))
                write_line(line)
                count += 1
            moment = []
        if is_last:
            return count
        at, entry_id = entries[-1].at, entries[-1].id


def _told(entries: list[Entry]) -> Steps[list[Told]]:
    """The entries that belong in the log, with their leases."""
    told = [entry for entry in entries if entry.action in EVENTS]
    ids = {entry.target_id for entry in told}
    leases = yield from by_ids(Lease, LEASES_BY_ID, ids)
    lines = yield from by_ids(ImportedLine, LINES_BY_LEASE, ids)
    lease_of = {lease.id: lease for lease in leases}
    line_of = {(line.lease_id, line.event): line for line in lines}
    return [
        Told(
            entry,
            lease_of[entry.target_id],
            line_of.get((entry.target_id, "acquired")),
            line_of.get((entry.target_id, EVENTS[entry.action])),
        )
        for entry in told
        # An entry whose lease doesn't exist was forged: verify reports that.
        if entry.target_id in lease_of
    ]


def _in_order(moment: list[Told]) -> list[Told]:
    """Sort the events of one moment: by line within a log, and by seq within a repository.

    The ids of entries follow the clocks of the machines that wrote them, which may differ.
    """
    if len(moment) == 1:
        return moment
    by_line = _sorted_within(
        moment,
        lambda each: each.line.source if each.line else None,
        lambda each: each.line.line_number if each.line else 0,
    )
    return _sorted_within(
        by_line, lambda each: each.lease.repository_id, lambda each: each.entry.seq
    )


def _sorted_within(
    items: Iterable[T], group_of: Callable[[T], str | None], key: Callable[[T], int]
) -> list[T]:
    """Sort the items of each group among the places of that group; other items stay in place."""
    result = [*items]
    places: dict[str, list[int]] = {}
    for place, item in enumerate(result):
        group = group_of(item)
        if group is not None:
            places.setdefault(group, []).append(place)
    for taken in places.values():
        for place, item in zip(taken, sorted((result[at] for at in taken), key=key), strict=True):
            result[place] = item
    return result


def _name(told: Told, names: dict[Ulid, str]) -> Steps[str]:
    """The lease's repository as the log names it, which may differ from its id here."""
    if told.began is not None and told.began.repository_id is not None:
        return told.began.repository_id
    repository_id = told.lease.repository_id
    name = names.get(repository_id)
    if name is None:
        found = yield from rows(NAME_IN_LOG, repository_id=repository_id)
        name = found[0][0] if found else repository_id
        if len(names) >= NAMES_MAX:
            names.clear()
        names[repository_id] = name
    return name


def _line(told: Told, repository_name: str) -> bytes:
    try:
        return written(_event(told, repository_name)) + b"\n"
    except InvalidValue as error:
        raise InvalidValue(
            error.field,
            error.value,
            f"lease {told.lease.id} holds it, and no log may say it ({error.why}): find out with"
            " `forgedb audit verify` what was done to its row",
        ) from error


def _event(told: Told, repository_name: str) -> Event:
    lease = told.lease
    lease_id = told.began.legacy_lease_id if told.began else lease.id
    kind = EVENTS[told.entry.action]
    if kind == "acquired":
        return Acquired(
            lease_id,
            repository_name,
            lease.holder,
            lease.purpose,
            lease.acquired_at,
            lease.expires_at,
        )
    # A corrupted row may lack these; writing the line then raises InvalidValue.
    at, by = cast("datetime", lease.ended_at), cast("str", lease.ended_by)
    if kind == "released":
        return Released(lease_id, at, by)
    return Forced(lease_id, at, by, cast("str", lease.end_note))
