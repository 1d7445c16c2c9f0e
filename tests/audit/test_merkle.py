"""The Merkle tree hash: the vectors that Certificate Transparency's programs share, and RFC 9162's
definition, taken literally.
"""

from __future__ import annotations

from hashlib import sha256
from tracemalloc import get_traced_memory, start, stop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgedb.audit.merkle import root_of

LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]

ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""By the number of leaves."""

leaves_of_a_tree = st.lists(st.binary(max_size=8), max_size=70)


def literally(leaves: list[bytes]) -> bytes:
    """MTH() as RFC 9162 writes it: split at the largest power of two below the number."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return sha256(b"\1" + literally(leaves[:half]) + literally(leaves[half:])).digest()


@pytest.mark.parametrize("count", range(len(ROOTS)))
def test_the_root_is_the_known_one(count: int) -> None:
    assert root_of(LEAVES[:count]).hex() == ROOTS[count]


@given(leaves_of_a_tree)
def test_the_root_is_what_the_definition_gives(leaves: list[bytes]) -> None:
    assert root_of(iter(leaves)) == literally(leaves)


@given(leaves_of_a_tree, leaves_of_a_tree)
def test_other_leaves_have_another_root(one: list[bytes], other: list[bytes]) -> None:
    assert (root_of(one) == root_of(other)) is (one == other)


@given(leaves_of_a_tree.filter(lambda leaves: len(leaves) > 1), st.data())
def test_a_node_cannot_be_passed_off_as_a_leaf(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 2))
    left, right = (sha256(b"\0" + leaf).digest() for leaf in leaves[place : place + 2])
    joined = [*leaves[:place], left + right, *leaves[place + 2 :]]
    assert root_of(joined) != root_of(leaves)


def test_a_large_tree_takes_no_more_memory_than_a_small_one() -> None:
    def peak(count: int) -> int:
        start()
        try:
            root_of(number.to_bytes(4, "big") for number in range(count))
            return get_traced_memory()[1]
        finally:
            stop()

    assert peak(50_000) < 2 * peak(500) + 10_000
