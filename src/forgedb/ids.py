"""ULIDs: 128-bit ids that sort by the time they were made, as 26 characters of Crockford base32.

48 bits of Unix milliseconds, then 80 random bits (https://github.com/ulid/spec).  Within a
process every new id is greater than the one before, also when the clock stands still or steps
back; ids of one millisecond are an unguessable distance apart.
"""

from __future__ import annotations

import os
import re
import threading
import time
from struct import Struct
from typing import TYPE_CHECKING

from forgedb.errors import InvalidValue

if TYPE_CHECKING:
    from forgedb.models import Ulid

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_PATTERN = "[0-7][0-9A-HJKMNP-TV-Z]{25}"

_RANDOM_BITS = 80
_ULID_MAX = (1 << 128) - 1
_LOW = (1 << 70) - 1

_LAST_BITS = 40
"""The low bits that grow for the next id of a millisecond; the text before mostly stays."""
_LAST_MAX = (1 << _LAST_BITS) - 1
_LAST_CHARS = 8

_POOL_WORDS = 1024
_WORDS_AN_ID = 3
_words = Struct(f">{_POOL_WORDS}I").unpack

_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_VALUES = {character: value for value, character in enumerate(ALPHABET)}

_matches = re.compile(ULID_PATTERN).fullmatch


class _Generator:
    """The process's last id, and a pool of random words, which saves a system call for each id.

    All numbers here fit into a machine word, unlike a whole id: this takes a third of the time.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._random: list[int] = []
        self.last = 0

    @property
    def last(self) -> int:
        """The number of the last id."""
        return number_of(self._beginning + "0" * _LAST_CHARS) + self._low

    @last.setter
    def last(self, number: int) -> None:
        self._at, self._low = number >> _RANDOM_BITS, number & _LAST_MAX
        self._beginning = ulid_of(number)[:-_LAST_CHARS]

    def next(self) -> Ulid:
        pairs, random = _PAIRS, self._random
        with self.lock:
            if len(random) < _WORDS_AN_ID:
                random += _words(os.urandom(4 * _POOL_WORDS))
            at = time.time_ns() // 1_000_000
            if at > self._at:
                rest = random.pop()
                high = random.pop() << 8 | rest & 255
                low = random.pop() << 8 | rest >> 8 & 255
                self._at = at
                self._beginning = (
                    f"{pairs[at >> 40]}{pairs[at >> 30 & 1023]}{pairs[at >> 20 & 1023]}"
                    f"{pairs[at >> 10 & 1023]}{pairs[at & 1023]}"
                    f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}"
                    f"{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
                )
            else:
                low = self._low + 1 + random.pop()
                if low > _LAST_MAX:
                    self.last += low - self._low
                    low = self._low
            self._low = low
            return (
                f"{self._beginning}{pairs[low >> 30]}{pairs[low >> 20 & 1023]}"
                f"{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
            )


def new_ulid() -> Ulid:
    """A new id, greater than every one this process made before."""
    return _generator.next()


def ulid_of(value: int) -> Ulid:
    """The text of a 128-bit number.  Raises InvalidValue outside 0 .. 2**128 - 1."""
    if not 0 <= value <= _ULID_MAX:
        raise InvalidValue("ulid", value, "a ULID is a number of 128 bits")
    pairs = _PAIRS
    high, low = value >> 70, value & _LOW
    middle, low = low >> 30, low & 0x3FFFFFFF
    top, high = high >> 30, high & 0x3FFFFFFF
    return (
        f"{pairs[top >> 20]}{pairs[top >> 10 & 1023]}{pairs[top & 1023]}"
        f"{pairs[high >> 20]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[middle >> 30]}{pairs[middle >> 20 & 1023]}"
        f"{pairs[middle >> 10 & 1023]}{pairs[middle & 1023]}"
        f"{pairs[low >> 20]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def number_of(ulid: Ulid) -> int:
    """The 128-bit number that a ULID writes.  Raises InvalidValue."""
    number = 0
    for character in check_ulid("ulid", ulid):
        number = number << 5 | _VALUES[character]
    return number


def check_ulid(field: str, value: object) -> Ulid:
    """The value, if it is a ULID in its one canonical spelling.  Raises InvalidValue."""
    # The type is checked first: the most common wrong value is None.
    if isinstance(value, str) and _matches(value):
        return value
    raise InvalidValue(
        field,
        value,
        "an id is a ULID: 26 characters of upper-case Crockford base32"
        " (no I, L, O, U), the first 0-7",
    )


_generator = _Generator()


def _forget() -> None:
    """Give a forked child its own pool: with the parent's it would make the same ids."""
    global _generator
    last = _generator.last
    _generator = _Generator()
    _generator.last = last


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
