"""Durations as people write them, in messages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from forgedb import InvalidValue
from forgedb.durations import rounded_up, span_text
from forgedb.errors import shown

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(microseconds=1), "1 µs"),
        (timedelta(microseconds=1500), "1.5 ms"),
        (timedelta(milliseconds=250), "250 ms"),
        (timedelta(microseconds=999_999), "999.999 ms"),
        (timedelta(seconds=1), "1 s"),
        (timedelta(seconds=10), "10 s"),
        (timedelta(seconds=90.5), "1 min 30.5 s"),
        (HOUR, "1 h"),
        (1.5 * HOUR, "1 h 30 min"),
        (HOUR + timedelta(seconds=5), "1 h 5 s"),
        (72 * HOUR, "72 h"),
        (73 * HOUR, "73 h"),
        (timedelta(days=7), "7 d"),
        (timedelta(days=365), "365 d"),
        (-HOUR, "-1 h"),
        (timedelta.min, "-999999999 d"),
        (timedelta.max, "23999999999 h 59 min 59.999999 s"),
    ],
)
def test_a_duration_reads_as_people_write_it(span: timedelta, text: str) -> None:
    assert span_text(span) == shown(span) == text
    assert str(InvalidValue("duration", span, "no")) == f"duration {text} is refused: no"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(microseconds=1), "1 ms"),
        (timedelta(seconds=1, microseconds=1), "1.001 s"),
        (timedelta(minutes=2, microseconds=1), "2 min 1 s"),
        (72 * HOUR - timedelta(microseconds=1), "72 h"),
        (HOUR + timedelta(seconds=1), "1 h 1 min"),
    ],
)
def test_what_is_left_is_told_in_few_words_and_never_too_short(span: timedelta, text: str) -> None:
    assert rounded_up(span) >= span
    assert span_text(rounded_up(span)) == text
