"""Writing the leases as a lease log again: in the order of time, under the ids of their log.

Each event has its audit entry, and the entries are found by time through an index: the trail gives
the order, the leases' own rows give what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import IO, Any, TypeVar

from forgedb.dao.lease_lines import NAME_IN_LOG
from forgedb.ids import Ulid
from forgedb.lease_log.lines import Acquired, Event, Forced, Released, written
from forgedb.models import Lease
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, many, rows
from forgedb.sql.catalogue import sql

T = TypeVar("T")

EVENTS_A_READ = 1000

NAMES_MAX = 10_000
"""Repositories whose names in the log are kept in memory."""


class Told(Lease, frozen=True):
    """A lease at one of its events, with what the log that it came from says of it."""

    at: datetime
    entry_id: Ulid
    seq: int
    action: str
    legacy_lease_id: str | None
    repository_name: str | None
    source: str | None
    line_number: int | None


def _events_text(*, plus: str = "") -> str:
    return f"""
    SELECT {columns(Lease, "l.")}, e.at, e.id, e.seq, e.action,
        began.legacy_lease_id, began.repository_id, line.source, line.line_number
    FROM audit_entries AS e
    JOIN leases AS l ON l.id = e.target_id
    LEFT JOIN lease_import_lines AS began ON began.lease_id = l.id AND began.event = 'acquired'
    LEFT JOIN lease_import_lines AS line ON line.lease_id = l.id AND line.event = (
        CASE e.action
            WHEN 'lease.acquire' THEN 'acquired'
            WHEN 'lease.release' THEN 'released'
            ELSE 'forced'
        END)
    WHERE (e.at, e.id) > (:at, :id)
    AND {plus}e.action IN ('lease.acquire', 'lease.release', 'lease.force_release')
    ORDER BY e.at, e.id
    LIMIT :limit
    """


# A plus keeps SQLite from taking the index on actions, and sorting all that it finds by time.
EVENTS = sql(sqlite=_events_text(plus="+"), postgres=_events_text())

BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


def export_log(file: IO[Any]) -> Steps[int]:
    """What ``leases.export_jsonl`` does."""
    is_text = hasattr(file, "encoding")
    names: dict[Ulid, str] = {}
    count = 0
    at, entry_id = BEFORE_ALL, ""
    moment: list[Told] = []
    while True:
        found = yield from many(Told, EVENTS, at=at, id=entry_id, limit=EVENTS_A_READ)
        is_last = len(found) < EVENTS_A_READ
        for _, told in groupby([*moment, *found], key=lambda each: each.at):
            # The last moment may go on with the next read.
            moment = [*told]
            if not is_last and moment[-1] is found[-1]:
                break
            for each in _in_order(moment):
                line = written(_event(each, (yield from _name(each, names)))) + b"\n"
                file.write(line.decode() if is_text else line)
                count += 1
        if is_last:
            return count
        at, entry_id = found[-1].at, found[-1].entry_id


def _in_order(moment: list[Told]) -> list[Told]:
    """The events of one moment: those of a log as it had them, those of a repository as they came.

    Entries' ids follow the clocks of those who wrote them, and these may differ.
    """
    if len(moment) == 1:
        return moment
    by_line = _sorted_within(moment, lambda each: each.source, lambda each: each.line_number or 0)
    return _sorted_within(by_line, lambda each: each.repository_id, lambda each: each.seq)


def _sorted_within(
    items: Iterable[T], group_of: Callable[[T], str | None], key: Callable[[T], int]
) -> list[T]:
    """Sort each group within the places that it has; what is in no group stays."""
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
    """What the log calls the lease's repository: a log may know it under another id than ours."""
    if told.repository_name is not None:
        return told.repository_name
    name = names.get(told.repository_id)
    if name is None:
        found = yield from rows(NAME_IN_LOG, repository_id=told.repository_id)
        name = found[0][0] if found else told.repository_id
        if len(names) >= NAMES_MAX:
            names.clear()
        names[told.repository_id] = name
    return name


def _event(told: Told, repository_name: str) -> Event:
    lease_id = told.legacy_lease_id or told.id
    if told.action == "lease.acquire":
        return Acquired(
            lease_id, repository_name, told.holder, told.purpose, told.acquired_at, told.expires_at
        )
    assert told.ended_at is not None, "its entry says that it ended"
    assert told.ended_by is not None, "an end has an actor"
    if told.action == "lease.release":
        return Released(lease_id, told.ended_at, told.ended_by)
    assert told.end_note is not None, "an end by force says why"
    return Forced(lease_id, told.ended_at, told.ended_by, told.end_note)
