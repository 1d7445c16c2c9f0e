"""One checkpoint: its exact bytes, the text that is signed, and the check of its signature.

What is signed is a text of seven lines, so that an outsider can check it with a hash and a
signature program alone (the idea of a signed text is Certificate Transparency's and the Go
checksum database's).  Nothing here reads a database or a file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Protocol

import msgspec

from forgedb.audit.chain import HASH_BYTES
from forgedb.audit.merkle import root_of
from forgedb.errors import InvalidValue
from forgedb.limits import INTEGER_MAX
from forgedb.models import Checkpoint

FORMAT_VERSION = 1
SIGNATURE_BYTES = 64
FIRST_PREVIOUS = bytes(HASH_BYTES)
"""The ``previous_hash`` of the first checkpoint."""

_is_key_id = re.compile(r"[!-~]{1,200}").fullmatch
_head = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{25}) ([1-9][0-9]{0,17}) ([0-9a-f]{64})").fullmatch


class Signer(Protocol):
    """Signs checkpoints: a SigningKey, or your own class for a key that is kept elsewhere."""

    @property
    def key_id(self) -> str:
        """The key's name: 1 to 200 visible ASCII characters."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of the message: 64 bytes."""
        ...


class Verifier(Protocol):
    """Verifies the signatures of a signer: a PublicKey, or your own class."""

    @property
    def key_id(self) -> str: ...

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the key made this signature of this message."""
        ...


class Head(msgspec.Struct, frozen=True):
    """The end of one stream when a checkpoint was made."""

    stream_id: str
    seq: int
    entry_hash: bytes


def signed(
    seq: int, at: datetime, heads: Sequence[str], previous_hash: bytes, signer: Signer
) -> Checkpoint:
    """The checkpoint over these heads.  Raises InvalidValue (the signer's id or signature)."""
    key_id = signer.key_id
    if not isinstance(key_id, str) or not _is_key_id(key_id):
        raise InvalidValue("key_id", key_id, "it must be 1 to 200 visible ASCII characters")
    unsigned = Checkpoint(
        seq,
        at,
        FORMAT_VERSION,
        len(heads),
        root_of(map(str.encode, heads)),
        previous_hash,
        b"",
        list(heads),
        key_id,
        b"",
    )
    message = signed_text(unsigned)
    signature = signer.sign(message)
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        raise InvalidValue("signature", signature, "an Ed25519 signature is 64 bytes")
    return msgspec.structs.replace(
        unsigned, checkpoint_hash=sha256(message).digest(), signature=signature
    )


def signed_text(checkpoint: Checkpoint) -> bytes:
    """The text that is signed; ``checkpoint_hash`` is its SHA-256."""
    return (
        f"forgedb audit checkpoint v{checkpoint.format_version}\n"
        f"seq {checkpoint.seq}\n"
        f"at {checkpoint.at_text}\n"
        f"tree_size {checkpoint.tree_size}\n"
        f"root_hash {checkpoint.root_hash.hex()}\n"
        f"previous_hash {checkpoint.previous_hash.hex()}\n"
        f"key_id {checkpoint.key_id}\n"
    ).encode()


def fault(checkpoint: Checkpoint, keys: Mapping[str, Verifier]) -> str | None:
    """Why a checkpoint isn't what one of the keys signed; None if it is."""
    if checkpoint.format_version != FORMAT_VERSION:
        return f"its format version {checkpoint.format_version} is unknown"
    if not _is_key_id(checkpoint.key_id):
        return "its key id is none"
    message = signed_text(checkpoint)
    if sha256(message).digest() != checkpoint.checkpoint_hash:
        return "its hash doesn't fit: it was edited"
    key = keys.get(checkpoint.key_id)
    if key is None:
        return f"it names another key, {checkpoint.key_id}, than the one given"
    if not key.verify(message, checkpoint.signature):
        return "it is forged: the key did not sign it"
    if not isinstance(checkpoint.heads, list) or not all(map(_is_head, checkpoint.heads)):
        return "its heads make no sense"
    if (
        len(checkpoint.heads) != checkpoint.tree_size
        or root_of(map(str.encode, checkpoint.heads)) != checkpoint.root_hash
    ):
        return "its heads are not those that were signed: they were edited"
    return None


def _is_head(head: object) -> bool:
    # A database without its constraints may hold any value.
    return isinstance(head, str) and _head(head) is not None


def heads_of(checkpoint: Checkpoint) -> Iterator[Head]:
    """The heads of a checkpoint that has no fault."""
    for text in checkpoint.heads:
        stream_id, seq, entry_hash = text.split(" ")
        yield Head(stream_id, int(seq), bytes.fromhex(entry_hash))


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A checkpoint as a line of JSON, with its fields in the order of the columns."""

    seq: Annotated[int, msgspec.Meta(ge=1, le=INTEGER_MAX)]
    at: str
    format_version: int
    tree_size: int
    root_hash: str
    previous_hash: str
    checkpoint_hash: str
    heads: list[str]
    key_id: str
    signature: str


_decode_line = msgspec.json.Decoder(_Line).decode


def from_line(line: str | bytes) -> Checkpoint:
    """The checkpoint in a line of JSON, not verified.  Raises ValueError (it can't be read)."""
    try:
        found = _decode_line(line)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    checkpoint = Checkpoint(
        found.seq,
        datetime.fromisoformat(found.at),
        found.format_version,
        found.tree_size,
        bytes.fromhex(found.root_hash),
        bytes.fromhex(found.previous_hash),
        bytes.fromhex(found.checkpoint_hash),
        found.heads,
        found.key_id,
        bytes.fromhex(found.signature),
    )
    if checkpoint.at.tzinfo is not UTC:
        raise ValueError("its time is not in UTC")
    return checkpoint


def from_row(row: Sequence[Any]) -> Checkpoint:
    """The checkpoint in a row of the table, not verified.  Raises ValueError (it can't be read)."""
    seq, at, *others = row
    place = Checkpoint.__struct_fields__.index("heads") - 2
    try:
        others[place] = msgspec.json.decode(others[place])
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    return Checkpoint(seq, datetime.fromisoformat(at) if isinstance(at, str) else at, *others)


def by_key_id(keys: Collection[Verifier]) -> dict[str, Verifier]:
    return {key.key_id: key for key in keys}
