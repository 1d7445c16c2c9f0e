"""Lease logs for tests: their lines, written short, and histories that could have happened."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from forgedb.lease_log.lines import Acquired, Event, Forced, Released, written

DURATION_MAX = timedelta(hours=72)


def log(*lines: bytes | str | dict[str, Any]) -> io.BytesIO:
    """A file of these lines, each with its end."""
    return io.BytesIO(b"".join(as_bytes(line) + b"\n" for line in lines))


def as_bytes(line: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(line, dict):
        line = json.dumps(line)
    return line.encode() if isinstance(line, str) else line


def acquired(lease: str, repository: str, at: datetime, **fields: Any) -> dict[str, Any]:
    """A lease of an hour, unless ``hours`` says otherwise."""
    expires_at = at + timedelta(hours=fields.pop("hours", 1))
    return {
        "event": "acquired",
        "lease_id": lease,
        "repository_id": repository,
        "holder": "user:bob",
        "purpose": "nightly import",
        "at": at.isoformat(),
        "expires_at": expires_at.isoformat(),
    } | fields


def released(lease: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {"event": "released", "lease_id": lease, "at": at.isoformat(), "by": "user:bob"} | fields


def forced(lease: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "event": "forced",
        "lease_id": lease,
        "at": at.isoformat(),
        "by": "user:root",
        "reason": "stuck",
    } | fields


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAME = TEXT.filter(bool)
# Few and small, so that events of one moment, and leases that end as others begin, are common.
STEPS = st.sampled_from([0, 0, 0, 1, 1_000_000, 3_600_000_000, 72 * 3_600_000_000])
TERMS = st.sampled_from([1, 1_000_000, 3_600_000_000, 72 * 3_600_000_000])


@st.composite
def histories(draw: st.DrawFn, repositories: tuple[str, ...], before: datetime) -> list[Event]:
    """Events as a lease log has them, in their order, all ``before`` a time."""
    events: list[Event] = []
    live: dict[str, Acquired] = {}
    at = before - timedelta(days=400)
    for number in range(draw(st.integers(0, 25))):
        at += timedelta(microseconds=draw(STEPS))
        repository = draw(st.sampled_from(repositories))
        lease = live.get(repository)
        if lease is None or lease.expires_at <= at:
            until = at + timedelta(microseconds=draw(TERMS))
            lease_id = f"{draw(TEXT)}{number}"
            lease = Acquired(lease_id, repository, draw(NAME), draw(TEXT), at, until)
            live[repository] = lease
            events.append(lease)
        elif draw(st.booleans()):
            del live[repository]
            events.append(Released(lease.lease_id, at, draw(NAME)))
        else:
            del live[repository]
            events.append(Forced(lease.lease_id, at, draw(NAME), draw(NAME)))
    return events


def canonical(events: list[Event]) -> bytes:
    """The events' log in the one form in which it is exported."""
    return b"".join(written(event) + b"\n" for event in events)


@st.composite
def spellings(draw: st.DrawFn, event: Event) -> bytes:
    """The same event as some other program would have written it."""
    fields = json.loads(written(event))
    order = draw(st.permutations([*fields]))
    for name in ("at", "expires_at"):
        if name in fields and draw(st.booleans()):
            fields[name] = fields[name].replace("Z", "+00:00")
    spaced = {name: fields[name] for name in order}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    text = json.dumps(spaced, ensure_ascii=draw(st.booleans()), separators=separators)
    return text.encode()
