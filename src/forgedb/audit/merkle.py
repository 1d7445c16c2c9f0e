"""The Merkle tree hash of RFC 9162, section 2.1.1: one hash that stands for a list of leaves.

A leaf and an inner node are hashed with different first bytes, so that none can be passed off as
the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

LEAF = b"\x00"
NODE = b"\x01"


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over the leaves in their order, 32 bytes; of no leaf, the hash of nothing.

    One pass, in memory that grows with the logarithm of their number.
    """
    # Complete subtrees from the left, each smaller than the one before: (leaves, root).
    complete: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, node = 1, sha256(LEAF + leaf).digest()
        while complete and complete[-1][0] == size:
            size, node = 2 * size, _joined(complete.pop()[1], node)
        complete.append((size, node))
    if not complete:
        return sha256().digest()
    _, root = complete.pop()
    while complete:
        root = _joined(complete.pop()[1], root)
    return root


def _joined(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()
