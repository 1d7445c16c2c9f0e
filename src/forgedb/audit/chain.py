"""The hash of one audit entry: what makes any later change of the history show.

The hash covers exact bytes: each field with its length before it, so that no two different
entries share an encoding (as in Certificate Transparency's and Git's own object encodings), and
integers for times, so that no database's rendering of a value can change it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

HASH_VERSION = 1
HASH_BYTES = 32
GENESIS = bytes(HASH_BYTES)
"""The head of a stream that has no entry yet."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ABSENT = b"\xff\xff\xff\xff"
_INTEGER_BYTES = 8


def entry_hash(
    *,
    version: int,
    previous_hash: bytes,
    stream_id: str,
    seq: int,
    id: str,
    at: datetime,
    actor: str,
    action: str,
    target_type: str,
    target_id: str,
    request_id: str | None,
    source_ip: str | None,
    reason: str | None,
    changes: str,
) -> bytes:
    """SHA-256 over every field of an entry and the hash before it: 32 bytes.

    ``changes`` is the JSON text as it is stored, byte for byte.
    """
    texts = (id, actor, action, target_type, target_id, request_id, source_ip, reason, changes)
    return sha256(
        b"".join(
            (
                _integer(version),
                _framed(previous_hash),
                _text(stream_id),
                _integer(seq),
                _integer((at - _EPOCH) // _MICROSECOND),
                *map(_text, texts),
            )
        )
    ).digest()


def _text(value: str | None) -> bytes:
    return _ABSENT if value is None else _framed(value.encode())


def _integer(value: int) -> bytes:
    return _framed(value.to_bytes(_INTEGER_BYTES, "big", signed=True))


def _framed(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
