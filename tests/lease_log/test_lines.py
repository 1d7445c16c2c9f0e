"""One line of a lease log, and the rules of replay, without any database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgedb import InvalidValue
from forgedb.lease_log.lines import Acquired, Forced, Released, parse, written
from forgedb.lease_log.rules import Waiting
from forgedb.limits import LOG_LINE_BYTES_MAX

AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
TIMES = st.integers(0, 3_000_000 * 24 * 3600 * 10**6).map(
    lambda count: datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=count)
)
TERMS = st.timedeltas(timedelta(microseconds=1), timedelta(hours=72))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
NAME = TEXT.filter(bool)

EVENTS = st.one_of(
    st.builds(
        lambda lease, repository, holder, purpose, at, term: Acquired(
            lease, repository, holder, purpose, at, at + term
        ),
        *(NAME, NAME, NAME, TEXT, TIMES, TERMS),
    ),
    st.builds(Released, NAME, TIMES, NAME),
    st.builds(Forced, NAME, TIMES, NAME, NAME),
)


@given(EVENTS)
def test_what_is_written_says_the_same_when_it_is_read(event: Acquired | Released | Forced) -> None:
    line = written(event)
    assert parse(line) == event
    assert len(line) <= LOG_LINE_BYTES_MAX
    assert b"\n" not in line


def test_a_line_is_written_in_the_order_of_the_log_with_times_in_utc() -> None:
    assert (
        written(Acquired("l-1", "r", "é", "", AT, AT.replace(microsecond=0, day=23)))
        == (
            '{"event":"acquired","lease_id":"l-1","repository_id":"r","holder":"é","purpose":"",'
            '"at":"2026-11-22T10:00:00.123456Z","expires_at":"2026-11-23T10:00:00Z"}'
        ).encode()
    )
    assert written(Released("l-1", AT, "b")) == (
        b'{"event":"released","lease_id":"l-1","at":"2026-11-22T10:00:00.123456Z","by":"b"}'
    )
    assert written(Forced("l-1", AT, "b", "why")).endswith(b'"by":"b","reason":"why"}')


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-22T10:00:00.123456Z",
        "2026-11-22T10:00:00.123456+00:00",
        "2026-11-22T12:00:00.123456+02:00",
        "2026-11-22 10:00:00.123456z",
        "2026-11-22t10:00:00.123456000Z",
    ],
)
def test_a_time_may_be_spelt_in_every_way_of_rfc_3339(spelling: str) -> None:
    line = f'{{"event":"released","lease_id":"l-1","at":"{spelling}","by":"b"}}'
    assert parse(line.encode()).at == AT


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-11-22",
        "2026-W47-7T10:00:00Z",
        "20261122T100000Z",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:00,5Z",
        "2026-11-22T24:00:01Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:00+25:00",
        "٢٠٢٦-11-22T10:00:00Z",
        "2026-11-22T10:00:00.1234561Z",
        "2026-11-22T10:00:00Z\\n",
    ],
)
def test_no_other_time_is_guessed_at(spelling: str) -> None:
    line = f'{{"event":"released","lease_id":"l-1","at":"{spelling}","by":"b"}}'
    with pytest.raises(InvalidValue, match="must be a time with a zone") as refused:
        parse(line.encode())
    assert refused.value.field == "at"


@given(
    st.binary(max_size=200)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=100).map(
        lambda text: text.encode("utf-8", "replace")
    )
)
def test_whatever_a_line_is_made_of_it_is_refused_in_words(line: bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        parse(line)
    assert refused.value.field in ("line", "event")
    str(refused.value).encode()


def test_a_line_of_the_greatest_length_is_read_and_one_byte_more_is_not() -> None:
    line = written(Released("l-1", AT, "b"))
    assert parse(line + b" " * (LOG_LINE_BYTES_MAX - len(line))) == Released("l-1", AT, "b")
    with pytest.raises(InvalidValue, match="more than 65,536 bytes"):
        parse(line + b" " * (LOG_LINE_BYTES_MAX - len(line) + 1))


def test_the_longest_event_fits_a_line_with_every_character_escaped() -> None:
    widest = Forced("😀" * 200, AT, "😀" * 200, "😀" * 2000)
    escaped = json.dumps(msgspec.to_builtins(widest)).encode()
    assert escaped.count(b"\\u") == 2 * 2400
    assert parse(escaped) == widest


def test_what_waits_is_held_to_the_rules_of_all_others() -> None:
    waiting = Waiting()
    hour = timedelta(hours=1)
    waiting.acquire(Acquired("l-1", "r", "b", "", AT, AT + hour))
    with pytest.raises(InvalidValue, match="overlaps"):
        waiting.acquire(Acquired("l-2", "r", "b", "", AT, AT + hour))
    assert waiting.end(Released("l-0", AT, "b")) is None
    assert waiting.end(Released("l-1", AT, "b")) == "r"
    with pytest.raises(InvalidValue, match="ended at"):
        waiting.end(Released("l-1", AT, "b"))
    waiting.acquire(Acquired("l-2", "r", "b", "", AT, AT + hour))
    assert waiting.end(Released("l-1", AT, "b")) is None
    with pytest.raises(InvalidValue, match="was over by then"):
        waiting.end(Released("l-2", AT + hour, "b"))
    waiting.acquire(Acquired("l-3", "r", "b", "", AT + hour, AT + 2 * hour))
