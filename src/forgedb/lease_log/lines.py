"""One line of the lease log: parsed strictly from JSON, and written in one canonical form."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import msgspec

from forgedb.durations import span_text
from forgedb.errors import InvalidValue
from forgedb.limits import (
    HOLDER_CHARS_MAX,
    LEASE_DURATION_MAX,
    LOG_ID_CHARS_MAX,
    LOG_LINE_BYTES_MAX,
    PURPOSE_CHARS_MAX,
    REASON_CHARS_MAX,
)
from forgedb.validation import check_text

LINE_CHARS_SHOWN = 200


class Acquired(msgspec.Struct, frozen=True, tag="acquired", tag_field="event"):
    """A holder acquired the lease of a repository."""

    lease_id: str
    repository_id: str
    holder: str
    purpose: str
    at: datetime
    expires_at: datetime


class Released(msgspec.Struct, frozen=True, tag="released", tag_field="event"):
    """A holder ended its own lease."""

    lease_id: str
    at: datetime
    by: str


class Forced(msgspec.Struct, frozen=True, tag="forced", tag_field="event"):
    """Someone ended another holder's lease, and gave a reason."""

    lease_id: str
    at: datetime
    by: str
    reason: str


Ended: TypeAlias = Released | Forced
Event: TypeAlias = Acquired | Released | Forced

_KINDS: Mapping[str, type[Acquired | Released | Forced]] = {
    "acquired": Acquired,
    "released": Released,
    "forced": Forced,
}

_is_time = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.([0-9]{1,6})0*)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
"""RFC 3339, no finer than the microseconds that databases keep."""


def parse(line: bytes) -> Event:
    """The event of a line, given without its newline.  Raises InvalidValue if anything is wrong."""
    if len(line) > LOG_LINE_BYTES_MAX:
        raise InvalidValue(
            "line",
            _start(line),
            f"it has more than {LOG_LINE_BYTES_MAX:,} bytes: it is no line of a lease log",
        )
    fields = _object(line)
    kind = _kind(fields.pop("event", None))
    known = kind.__struct_fields__
    for field in known:
        if field not in fields:
            raise InvalidValue("line", _start(line), f"it has no {field}: write the whole event")
    for field, value in fields.items():
        if field not in known:
            raise InvalidValue(
                field, value, f"this event has no such field: it has {', '.join(known)}"
            )
    event = kind(**{field: _CHECKS[field](field, fields[field]) for field in known})
    if isinstance(event, Acquired):
        _check_term(event)
    return event


def name_of(event: Event) -> str:
    """``acquired``, ``released`` or ``forced``."""
    return str(event.__struct_config__.tag)


_encode: Callable[[Event], bytes] = msgspec.json.Encoder().encode


def written(event: Event) -> bytes:
    """The line for an event: fields in order, no spaces, times in UTC, and no newline.

    Raises InvalidValue for an event that ``parse`` would refuse.
    """
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if not isinstance(value, datetime):
            _CHECKS[field](field, value)
    return _encode(event)


def _object(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise InvalidValue("line", _start(line), "it is empty: take it out")
    if line.startswith(BOM_UTF8):
        raise InvalidValue(
            "line", _start(line), "it begins with a byte order mark: write the log without one"
        )
    try:
        found = _decode(line.decode())
    except InvalidValue:
        raise
    except UnicodeDecodeError as error:
        raise InvalidValue(
            "line", _start(line), f"byte {error.start + 1} is no UTF-8: write the log as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise InvalidValue(
            "line",
            _start(line),
            f"it is no JSON ({error.msg}, column {error.colno}): correct it, or take it out",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(
            "line", _start(line), "it is no JSON that can be read: take it out"
        ) from error
    if not isinstance(found, dict):
        raise InvalidValue("line", _start(line), "it must be a JSON object: one event a line")
    return cast("dict[str, Any]", found)


def _start(line: bytes) -> str:
    """The beginning of a line, for a message; any bytes will do."""
    return line[:LINE_CHARS_SHOWN].decode(errors="replace")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValue("key", twice, "it is there twice: say which value it has")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_without_repeats).decode


def _kind(name: object) -> type[Acquired | Released | Forced]:
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidValue("event", name, f"there is no such event: write {', '.join(_KINDS)}")
    return kind


def _time(field: str, value: object) -> datetime:
    try:
        if isinstance(value, str) and _is_time(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidValue(
        field,
        value,
        "it must be a time with a zone, in microseconds at most: 2026-11-22T10:00:00.123456Z",
    )


def _text(length_min: int, length_max: int) -> Callable[[str, object], str]:
    return lambda field, value: check_text(field, value, length_max, length_min=length_min)


_CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "lease_id": _text(1, LOG_ID_CHARS_MAX),
    "repository_id": _text(1, LOG_ID_CHARS_MAX),
    "holder": _text(1, HOLDER_CHARS_MAX),
    "purpose": _text(0, PURPOSE_CHARS_MAX),
    "at": _time,
    "expires_at": _time,
    "by": _text(1, HOLDER_CHARS_MAX),
    "reason": _text(1, REASON_CHARS_MAX),
}


def _check_term(event: Acquired) -> None:
    term = event.expires_at - event.at
    if event.expires_at <= event.at:
        raise InvalidValue("expires_at", _shown(event.expires_at), "it must be later than `at`")
    if term > LEASE_DURATION_MAX:
        raise InvalidValue(
            "expires_at",
            _shown(event.expires_at),
            f"that is {span_text(term)} after `at`, and no lease is longer than 72 hours:"
            " correct it, or take the lease out",
        )


def _shown(at: datetime) -> str:
    return str(msgspec.to_builtins(at))
