"""One history, lived again on every database: the same entries and hashes, to the last byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from hashlib import sha256
from itertools import count

import pytest

import forgedb.ids
from forgedb.ids import ulid_of
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import Connect
from tests.conformance.rich import make_rich

RECORDED = "c3f869d82773191b9ab1c7e79b60660e83ad0de80bbba4354ce42b074cd565f8"
"""SHA-256 of the history's export, as it came out when it was first recorded."""


class Counting:
    """Ids in the order of the asking, from one that was new once."""

    def __init__(self) -> None:
        numbers = count(int(START.timestamp() * 1000) << 80)
        self.next = lambda: ulid_of(next(numbers))


@pytest.fixture(autouse=True)
def the_same_ids_each_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgedb.ids, "_generator", Counting())
        yield


def test_a_recorded_history_has_the_same_hashes_everywhere(connect: Connect, clock: Clock) -> None:
    db = connect.migrated(actor="user:ada", clock=clock)
    make_rich(db, clock)
    exported = io.BytesIO()
    assert db.audit.export(exported) > 30
    assert sha256(exported.getvalue()).hexdigest() == RECORDED
    assert db.audit.verify().problems == []
