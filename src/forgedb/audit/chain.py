"""The hash of one audit entry, which reveals any later change of the history.

The hash covers exact bytes: each field with its length before it, so that no two different
entries share an encoding (as in Certificate Transparency's and Git's own object encodings), and
integers for times, so that no database's rendering of a value can change it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct

HASH_VERSION = 1
HASH_BYTES = 32
GENESIS = bytes(HASH_BYTES)
"""The head of a stream that has no entry yet."""

FRAMED_MAX = 1000
FRAMED_CHARS_MAX = 200
"""How many short texts are cached with their lengths: names and actions repeat."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ABSENT = b"\xff\xff\xff\xff"
_INTEGER_BYTES = 8

_length = Struct(">I").pack
_version_and_length = Struct(">IqI").pack
_seq_and_time_and_length = Struct(">IqIqI").pack


def entry_hash(
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
    return sha256(
        encoded(
            version,
            previous_hash,
            stream_id,
            seq,
            microseconds(at),
            id,
            actor,
            action,
            target_type,
            target_id,
            request_id,
            source_ip,
            reason,
            changes,
        )
    ).digest()


def microseconds(at: datetime) -> int:
    """The time as it is hashed: since the beginning of 1970, in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def encoded(
    version: int,
    previous_hash: bytes,
    stream_id: str,
    seq: int,
    at_microseconds: int,
    id: str,
    actor: str,
    action: str,
    target_type: str,
    target_id: str,
    request_id: str | None,
    source_ip: str | None,
    reason: str | None,
    changes: str,
) -> bytes:
    """The bytes that are hashed for an entry: its fields in this order, each after its length.

    Raises UnicodeError, struct.error and the like for values that no entry can have.
    """
    stream, own, target, told = (
        stream_id.encode(),
        id.encode(),
        target_id.encode(),
        changes.encode(),
    )
    return b"".join(
        (
            _version_and_length(_INTEGER_BYTES, version, len(previous_hash)),
            previous_hash,
            _length(len(stream)),
            stream,
            _seq_and_time_and_length(
                _INTEGER_BYTES, seq, _INTEGER_BYTES, at_microseconds, len(own)
            ),
            own,
            _framed[actor],
            _framed[action],
            _framed[target_type],
            _length(len(target)),
            target,
            _framed[request_id],
            _framed[source_ip],
            _framed[reason],
            _length(len(told)),
            told,
        )
    )


class _Framed(dict[str | None, bytes]):
    """A cache of texts, each encoded after its length; only short ones are kept."""

    def __missing__(self, text: str | None) -> bytes:
        if text is None:
            framed = _ABSENT
        else:
            value = text.encode()
            framed = _length(len(value)) + value
        if text is None or len(text) <= FRAMED_CHARS_MAX:
            if len(self) >= FRAMED_MAX:
                self.clear()
            self[text] = framed
        return framed


_framed = _Framed()
