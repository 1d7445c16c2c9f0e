"""ULIDs: as python-ulid reads them, in strict order, unpredictable, and checked to the letter."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

import forgedb.ids
from forgedb import InvalidValue, new_ulid
from forgedb.ids import ALPHABET, check_ulid, number_of, ulid_of

NUMBERS = st.integers(0, 2**128 - 1)


@pytest.fixture(autouse=True)
def last_id_is_put_back() -> Iterator[None]:
    """A test that turns the clock far ahead leaves no id from the future behind."""
    last = forgedb.ids._generator.last
    yield
    forgedb.ids._generator.last = max(last, number_of(str(ULID())))


@given(NUMBERS)
def test_a_number_is_written_as_python_ulid_writes_it(number: int) -> None:
    text = ulid_of(number)
    assert text == str(ULID.from_int(number))
    assert int(ULID.from_str(text)) == number
    assert number_of(text) == number
    assert check_ulid("id", text) == text


@given(NUMBERS, NUMBERS)
def test_text_sorts_as_the_numbers_do(one: int, other: int) -> None:
    assert (ulid_of(one) < ulid_of(other)) == (one < other)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0" * 26),
        (1, "0" * 25 + "1"),
        (31, "0" * 25 + "Z"),
        (32, "0" * 24 + "10"),
        (2**128 - 1, "7" + "Z" * 25),
    ],
)
def test_the_ends_of_the_range_are_written(number: int, text: str) -> None:
    assert (ulid_of(number), number_of(text)) == (text, number)


@pytest.mark.parametrize("number", [-1, 2**128, 2**200])
def test_a_number_out_of_range_is_no_ulid(number: int) -> None:
    with pytest.raises(InvalidValue) as raised:
        ulid_of(number)
    assert raised.value.value == number


def test_a_new_id_carries_its_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    made = ULID.from_str(new_ulid())
    assert before <= made.milliseconds <= time.time_ns() // 1_000_000


def test_each_new_id_is_greater_than_the_one_before() -> None:
    made = [new_ulid() for _ in range(20_000)]
    assert all(one < other for one, other in pairwise(made))


def test_ids_grow_also_when_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns() + 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [new_ulid() for _ in range(5000)]
    assert all(one < other for one, other in pairwise(made))
    assert {ULID.from_str(text).milliseconds for text in made} == {now // 1_000_000}


def test_ids_grow_also_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    made = []
    for step_seconds in (5, 0, -3600, -(10**6), 4, 6, 5, 7):
        monkeypatch.setattr(time, "time_ns", lambda step=step_seconds: now + step * 10**9)
        made += [new_ulid() for _ in range(50)]
    assert all(one < other for one, other in pairwise(made))
    # Back in front, they follow the clock again.
    assert ULID.from_str(made[-1]).milliseconds == (now + 7 * 10**9) // 1_000_000


@given(st.lists(st.integers(-(10**13), 10**13), min_size=2, max_size=30))
def test_ids_grow_whatever_the_clock_does(steps_ns: list[int]) -> None:
    now = time.time_ns()
    with pytest.MonkeyPatch.context() as patch:
        made = []
        for step_ns in steps_ns:
            patch.setattr(time, "time_ns", lambda step=step_ns: now + step)
            made.append(new_ulid())
    assert all(one < other for one, other in pairwise(made))


def test_ids_of_one_millisecond_are_an_unguessable_distance_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time_ns() + 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now)
    made = [number_of(new_ulid()) for _ in range(1001)]
    distances = [other - one for one, other in pairwise(made)]
    assert all(1 <= distance <= 2**32 for distance in distances)
    # Of a thousand random numbers of 32 bits two are equal once in ten thousand runs.
    assert len(set(distances)) >= 995
    assert max(distances) > 2**31 > min(distances)


def test_the_random_part_of_each_millisecond_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    now = time.time_ns() + 10**9
    for step in range(500):
        monkeypatch.setattr(time, "time_ns", lambda step=step: now + step * 1_000_000)
        parts.append(number_of(new_ulid()) & (2**80 - 1))
    assert len(set(parts)) == 500
    for bit in range(80):
        # 500 tosses of a coin: outside of these once in 10**10 runs.
        assert 175 < sum(part >> bit & 1 for part in parts) < 325


def test_randomness_comes_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgedb.ids, "_generator", forgedb.ids._Generator())
    monkeypatch.setattr(os, "urandom", lambda count: b"\xab" * count)
    assert number_of(new_ulid()) & (2**80 - 1) == int.from_bytes(b"\xab" * 10, "big")


def test_threads_never_make_the_same_id() -> None:
    made: list[list[str]] = []
    started = threading.Barrier(8)

    def make() -> None:
        started.wait(10)
        made.append([new_ulid() for _ in range(2000)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({text for texts in made for text in texts}) == 16_000
    for texts in made:
        assert texts == sorted(texts)


def test_a_forked_child_makes_ids_of_its_own() -> None:
    before = new_ulid()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, "".join(new_ulid() for _ in range(100)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    own = {new_ulid() for _ in range(100)}
    with open(reader, encoding="ascii") as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    childs = {text[start : start + 26] for start in range(0, len(text), 26)}
    assert len(childs) == 100
    assert not childs & own
    # The random parts differ too: the child has not gone on with its parent's random bytes.
    assert not {each[10:] for each in childs} & {each[10:] for each in own}
    assert min(childs) > before


def test_what_is_no_ulid_is_refused_and_told_what_one_is() -> None:
    good = new_ulid()
    bad: list[Any] = [
        "",
        good.lower(),
        good[:-1],
        good + "0",
        "8" + good[1:],
        "Z" + good[1:],
        *(good[:-1] + letter for letter in "ILOUilou-_ *\0\n"),
        good[:-1] + "٣",
        good[:-1] + "Ａ",
        good[:-1] + "é",
        f" {good}",
        f"{good}\n",
        None,
        7,
        good.encode(),
        [good],
        ULID(),
    ]
    for value in bad:
        with pytest.raises(InvalidValue, match="26 characters") as raised:
            check_ulid("project_id", value)
        assert raised.value.field == "project_id"
        assert raised.value.value is value


@given(st.text(ALPHABET + "ILOU8é", min_size=25, max_size=27))
def test_a_text_is_a_ulid_only_in_its_one_spelling(text: str) -> None:
    is_one = len(text) == 26 and text[0] in "01234567" and set(text) <= set(ALPHABET)
    if is_one:
        assert ulid_of(number_of(text)) == text
    else:
        with pytest.raises(InvalidValue):
            check_ulid("id", text)
