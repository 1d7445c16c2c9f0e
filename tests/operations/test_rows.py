"""Rows with several times: read as each by itself would be, though a time is read but once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgedb import InvalidValue
from forgedb.operations.rows import make_decoders

CONVERTERS = {datetime: datetime.fromisoformat}


class Kind(StrEnum):
    RUN = "run"
    WALK = "walk"


class Tour(msgspec.Struct, frozen=True):
    """Times that must be there and such as needn't, between columns of other types."""

    planned_at: datetime
    paused_at: datetime | None
    kind: Kind
    begun_at: datetime
    note: str | None
    ended_at: datetime | None
    filed_at: datetime


MUST = ("planned_at", "begun_at", "filed_at")
MAY = ("paused_at", "ended_at")

Row = tuple[Any, ...]

decode_row, decode_rows = make_decoders(Tour, CONVERTERS)

NOON = "2026-11-22T12:00:00.000000Z"
NIGHT = "2026-11-22T23:59:59.999999Z"
# The same moment as NOON, read as another time: what was read last isn't known by its moment.
NOON_IN_DELHI = "2026-11-22T17:30:00.000000+05:30"

BAD_TEXTS = ["", "noon", "2026-13-22T12:00:00.000000Z", "2026-11-22T25:00:00.000000Z", NOON + " "]

few = st.sampled_from([NOON, NIGHT, NOON_IN_DELHI])
any_time = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))])).map(
    datetime.isoformat
)


def rows_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[list[Row]]:
    columns = {
        **dict.fromkeys(MUST, texts),
        **dict.fromkeys(MAY, st.none() | texts),
        "kind": st.sampled_from(["run", "walk"]),
        # A text that isn't read as a time, though it may be equal to one.
        "note": st.none() | texts,
    }
    return st.lists(st.tuples(*(columns[name] for name in Tour.__struct_fields__)), max_size=8)


def plainly(row: Row) -> Tour:
    """The row as it reads where each value is converted by itself."""
    planned, paused, kind, begun, note, ended, filed = row
    return Tour(
        datetime.fromisoformat(planned),
        None if paused is None else datetime.fromisoformat(paused),
        Kind(kind),
        datetime.fromisoformat(begun),
        note,
        None if ended is None else datetime.fromisoformat(ended),
        datetime.fromisoformat(filed),
    )


def row_of(**values: Any) -> Row:
    """A good row but for the values given."""
    good = {**dict.fromkeys((*MUST, *MAY), NOON), "kind": "run", "note": None}
    return tuple({**good, **values}[name] for name in Tour.__struct_fields__)


@given(st.one_of(rows_of(few), rows_of(any_time), rows_of(few | any_time)))
def test_rows_read_as_if_each_time_were_read_by_itself(rows: list[Row]) -> None:
    expected = [plainly(row) for row in rows]
    for decoded in ([decode_row(row) for row in rows], decode_rows(rows)):
        assert decoded == expected
        # Two times of one moment are equal, whatever their zones.
        assert [*map(repr, decoded)] == [*map(repr, expected)]


def test_a_time_that_repeats_is_read_but_once() -> None:
    read: list[str] = []

    def reading(text: str) -> datetime:
        read.append(text)
        return datetime.fromisoformat(text)

    one, several = make_decoders(Tour, {datetime: reading})
    changed = row_of(filed_at=NIGHT)
    assert one(changed) == plainly(changed)
    assert read == [NOON, NIGHT]
    read.clear()
    rows = [row_of(), row_of(paused_at=None), changed, changed]
    assert several(rows) == [*map(plainly, rows)]
    assert read == [NOON, NIGHT, NOON, NIGHT]


def test_no_rows_are_no_models() -> None:
    assert decode_rows([]) == []


# What is no time.


def refused(row: Row, *before: Row) -> InvalidValue:
    """How the row is refused: by itself, and after others; twice, since nothing may be left."""
    errors = []
    for _ in range(2):
        with pytest.raises(InvalidValue) as by_itself:
            decode_row(row)
        with pytest.raises(InvalidValue) as among_others:
            decode_rows([*before, row, row_of()])
        errors += [by_itself.value, among_others.value]
    assert len({(each.field, each.value, each.why) for each in errors}) == 1
    return errors[0]


@pytest.mark.parametrize("bad", BAD_TEXTS)
@pytest.mark.parametrize("name", [*MUST, *MAY])
def test_a_text_that_is_no_time_is_refused_by_the_name_of_its_field(name: str, bad: str) -> None:
    for before in ([], [row_of()], [row_of(), row_of(**{name: NIGHT}), row_of(paused_at=None)]):
        error = refused(row_of(**{name: bad}), *before)
        assert (error.field, error.value) == (name, bad)
        assert f"no {name} of a Tour can be" in error.why


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_a_text_that_is_no_time_is_refused_also_where_it_stands_twice(bad: str) -> None:
    names = [name for name in Tour.__struct_fields__ if name in (*MUST, *MAY)]
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            error = refused(row_of(**{first: bad, second: bad}), row_of())
            assert (error.field, error.value) == (first, bad)


@pytest.mark.parametrize("bad", BAD_TEXTS)
@pytest.mark.parametrize("name", [*MUST, *MAY])
def test_a_text_that_is_no_time_is_refused_also_after_the_same_one(name: str, bad: str) -> None:
    with pytest.raises(InvalidValue):
        decode_row(row_of(filed_at=bad))
    # A note, which may be any text, is no time that was read.
    for before in (row_of(filed_at=bad), row_of(**{name: bad}), row_of(note=bad)):
        with pytest.raises(InvalidValue) as several:
            decode_rows([before, row_of(**{name: bad})])
        assert several.value.value == bad
    error = refused(row_of(**{name: bad}), row_of(note=bad))
    assert error.field == name


@pytest.mark.parametrize("bad", [7, 1.5, b"2026-11-22T12:00:00.000000Z", True])
def test_what_is_not_even_text_is_refused_by_the_name_of_its_field(bad: object) -> None:
    for name in (*MUST, *MAY):
        assert refused(row_of(**{name: bad}), row_of()).field == name


@pytest.mark.parametrize("name", MUST)
def test_a_null_is_refused_where_there_must_be_a_time(name: str) -> None:
    for also in ({}, {"paused_at": None}, {"paused_at": None, "ended_at": None}):
        row = row_of(**{**also, name: None})
        for before in ([], [row_of()], [row_of(paused_at=None, ended_at=None)]):
            error = refused(row, *before)
            # A converter takes no NULL, and which columns may be NULL isn't looked up.
            assert (error.field, error.value) == ("row", row)
            assert "a Tour has other columns" in error.why
    with pytest.raises(InvalidValue):
        decode_rows([row_of(**{name: None}), row_of(**{name: None})])
    with pytest.raises(InvalidValue):
        decode_row(row_of(**dict.fromkeys(MUST)))
