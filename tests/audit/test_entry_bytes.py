"""The bytes that an entry's hash is made over, beside the plainest way to write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import forgedb.audit.chain
from forgedb.audit.chain import encoded, entry_hash, microseconds

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
INTEGER = st.integers(-(2**63), 2**63 - 1)
NAMES = (
    *("version", "previous_hash", "stream_id", "seq", "at", "id", "actor", "action"),
    *("target_type", "target_id", "request_id", "source_ip", "reason", "changes"),
)

FIELDS = st.tuples(
    INTEGER,
    st.binary(max_size=40),
    TEXT,
    INTEGER,
    INTEGER,
    *[TEXT] * 5,
    *[st.none() | TEXT] * 3,
    TEXT,
)


def framed(value: Any) -> bytes:
    """A field as docs/audit.md says it is written."""
    if value is None:
        return b"\xff" * 4
    if isinstance(value, int):
        value = value.to_bytes(8, "big", signed=True)
    elif isinstance(value, str):
        value = value.encode()
    return len(value).to_bytes(4, "big") + value


@given(fields=FIELDS)
def test_each_field_stands_behind_its_length(fields: tuple[Any, ...]) -> None:
    assert encoded(*fields) == b"".join(map(framed, fields))


@given(fields=st.lists(FIELDS, max_size=8))
def test_what_is_kept_of_earlier_entries_changes_none(fields: list[tuple[Any, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgedb.audit.chain, "FRAMED_MAX", 3)
        patch.setattr(forgedb.audit.chain, "FRAMED_CHARS_MAX", 5)
        for each in [*fields, *fields]:
            assert encoded(*each) == b"".join(map(framed, each))


@given(fields=FIELDS, at=st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_the_hash_is_of_these_bytes_with_the_time_in_microseconds(
    fields: tuple[Any, ...], at: datetime
) -> None:
    named = dict(zip(NAMES, fields, strict=True)) | {"at": at}
    since = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert microseconds(at) == since
    whole = [since if name == "at" else value for name, value in named.items()]
    assert entry_hash(**named) == sha256(b"".join(map(framed, whole))).digest()
