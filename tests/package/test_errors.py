"""What errors say of values of any kind: bounded, and never an error of its own."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from forgedb import ForgeDbError, InvalidValue
from forgedb.errors import named, shown


class Unspeakable:
    """What can't be shown."""

    def __repr__(self) -> str:
        raise MemoryError


NESTED: Any = []
for _ in range(100_000):
    NESTED = [NESTED]

ITSELF: list[Any] = []
ITSELF.append(ITSELF)


SHOWN: list[tuple[Any, str]] = [
    ("ada", "'ada'"),
    (7, "7"),
    (2**200, str(2**200)),
    (10**5000, "a number of 16610 bits"),
    (-(10**5000), "a number of 16610 bits"),
    ("\ud800\u202e\0\n", r"'\ud800\u202e\x00\n'"),
    ("x" * 10**6, f"'{'x' * 80}'... (1000000 long)"),
    (b"x" * 10**6, f"b'{'x' * 80}'... (1000000 long)"),
    (Unspeakable(), "<Unspeakable instance at "),
    ([10**5000], "<list>"),
    ({10**5000: 1}, "<dict>"),
    (NESTED, "[[[[[[[...]]]]]]]"),
    (ITSELF, "[[[[[[[...]]]]]]]"),
    ([*range(10**6)], "[0, 1, 2, 3, 4, 5, ...]"),
    (range(3), "range(0, 3)"),
]


@pytest.mark.parametrize("place", range(len(SHOWN)))
def test_any_value_is_shown(place: int) -> None:
    value, text = SHOWN[place]
    said = shown(value)
    assert said == text or (text.endswith(" at ") and said.startswith(text))
    error = InvalidValue("field", value, "no")
    assert str(error) == f"field {said} is refused: no"
    assert repr(error) == f"InvalidValue('field', {said}, 'no')"
    f"{error}{error!r}".encode()


def test_a_name_that_was_given_is_shown_as_it_is_where_it_reads_like_one() -> None:
    assert named("user:ada") == "user:ada"
    assert named("user:\u202eada") == r"'user:\u202eada'"
    assert named("x" * 1000) == f"'{'x' * 80}'... (1000 long)"
    assert str(InvalidValue("\ud800", 1, "no")) == r"'\ud800' 1 is refused: no"


def test_an_error_reads_alike_on_the_other_side_of_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(InvalidValue("limit", 10**5000, "no")))
    assert isinstance(error, ForgeDbError)
    assert str(error) == "limit a number of 16610 bits is refused: no"
