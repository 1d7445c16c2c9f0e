"""The exact bytes of a checkpoint: what is hashed, what is signed, and what is kept of it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

import forgedb
from forgedb import Checkpoint, InvalidValue, PublicKey, SigningKey
from forgedb.audit.checkpoint import FIRST_PREVIOUS, fault, from_line, signed, signed_text

PRIVATE_PEM = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
PUBLIC_PEM = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""
"""The first test vector of RFC 8032, section 7.1."""

HEADS = [
    "01JD8Y0000000000000000000A 3 " + "ab" * 32,
    "01JD8Y0000000000000000000B 12 " + "cd" * 32,
]
AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.from_pem(PRIVATE_PEM)


@pytest.fixture(scope="module")
def checkpoint(key: SigningKey) -> Checkpoint:
    return signed(1, AT, HEADS, FIRST_PREVIOUS, key)


def test_the_text_that_is_signed_is_as_the_documentation_has_it(checkpoint: Checkpoint) -> None:
    leaves = [sha256(b"\0" + head.encode()).digest() for head in HEADS]
    root = sha256(b"\1" + leaves[0] + leaves[1]).hexdigest()
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert signed_text(checkpoint).decode() == (
        "forgedb audit checkpoint v1\n"
        "seq 1\n"
        "at 2026-11-22T10:00:00.000000Z\n"
        "tree_size 2\n"
        f"root_hash {root}\n"
        f"previous_hash {'0' * 64}\n"
        f"key_id ed25519:{sha256(raw).hexdigest()}\n"
    )


def test_a_checkpoint_is_the_same_bytes_always(checkpoint: Checkpoint, key: SigningKey) -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert signed(1, elsewhere, HEADS, FIRST_PREVIOUS, key).line == checkpoint.line
    assert sha256(checkpoint.line.encode()).hexdigest() == (
        "3231736afe03307e07cc0a80a33b0668b381afb028fb08d8dfc1cda4aac1fdc7"
    )


def test_a_line_holds_the_columns_in_their_order_and_reads_back(checkpoint: Checkpoint) -> None:
    assert checkpoint.line.endswith("}\n")
    assert list(json.loads(checkpoint.line)) == list(Checkpoint.__struct_fields__)
    assert from_line(checkpoint.line) == checkpoint
    assert from_line(checkpoint.line.encode()) == checkpoint


def test_the_key_that_signed_finds_no_fault(checkpoint: Checkpoint, key: SigningKey) -> None:
    assert fault(checkpoint, {key.key_id: key.public_key}) is None


CHANGES: dict[str, Any] = {
    "seq": 2,
    "at": AT + timedelta(microseconds=1),
    "format_version": 2,
    "tree_size": 3,
    "root_hash": b"\1" * 32,
    "previous_hash": b"\1" * 32,
    "checkpoint_hash": b"\1" * 32,
    "heads": HEADS[::-1],
    "key_id": "ed25519:another",
    "signature": b"\1" * 64,
}


def test_every_field_of_a_checkpoint_is_changed_below() -> None:
    assert CHANGES.keys() == set(Checkpoint.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_any_field_is_found(
    checkpoint: Checkpoint, key: SigningKey, field: str
) -> None:
    changed = replace(checkpoint, **{field: CHANGES[field]})
    keys = {key.key_id: key.public_key, "ed25519:another": key.public_key}
    assert fault(changed, keys) is not None
    rehashed = replace(changed, checkpoint_hash=sha256(signed_text(changed)).digest())
    if field != "checkpoint_hash":
        assert fault(rehashed, keys) is not None


@pytest.mark.parametrize(
    "heads",
    [
        [],
        HEADS[:1],
        [*HEADS, HEADS[0]],
        [HEADS[0], HEADS[1] + " "],
        [HEADS[0], HEADS[1].upper()],
        [HEADS[0], "\ud800"],
        [HEADS[0], 7],
        {HEADS[0]: 1, HEADS[1]: 2},
    ],
)
def test_heads_other_than_those_signed_are_found(
    checkpoint: Checkpoint, key: SigningKey, heads: Any
) -> None:
    keys = {key.key_id: key.public_key}
    assert "heads" in (fault(replace(checkpoint, heads=heads), keys) or "")


def test_another_key_of_the_same_name_did_not_sign_it(checkpoint: Checkpoint) -> None:
    other = SigningKey.generate()
    assert fault(checkpoint, {checkpoint.key_id: other.public_key}) == (
        "it is forged: the key did not sign it"
    )
    assert "another key" in (fault(checkpoint, {other.key_id: other.public_key}) or "")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[]",
        "null",
        '"seq"',
        "\xff",
        b"\xff\n",
        "{" * 100_000,
        '{"seq":1}',
    ],
)
def test_a_line_that_holds_no_checkpoint_is_a_value_error(line: str | bytes) -> None:
    with pytest.raises(ValueError):
        from_line(line)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seq", 0),
        ("seq", 2**63),
        ("seq", "1"),
        ("at", "2026-11-22T10:00:00"),
        ("at", "2026-11-22T10:00:00+01:00"),
        ("at", "soon"),
        ("root_hash", "xy"),
        ("heads", [1]),
        ("signature", None),
        ("more", 1),
    ],
)
def test_a_line_with_a_field_that_is_none_is_a_value_error(
    checkpoint: Checkpoint, field: str, value: Any
) -> None:
    with pytest.raises(ValueError):
        from_line(json.dumps(json.loads(checkpoint.line) | {field: value}))


# Keys.


def test_the_test_vector_of_the_rfc_is_signed_as_it_says(key: SigningKey) -> None:
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    assert key.public_key.to_pem() == PUBLIC_PEM
    assert key.to_pem() == PRIVATE_PEM


def test_keys_go_to_pem_and_back() -> None:
    made = SigningKey.generate()
    assert SigningKey.from_pem(made.to_pem()).key_id == made.key_id
    public = PublicKey.from_pem(made.public_key.to_pem().encode())
    assert public.key_id == made.key_id
    assert public.verify(b"text", made.sign(b"text"))
    assert not public.verify(b"other", made.sign(b"text"))
    assert not public.verify(b"text", b"")
    assert SigningKey.generate().key_id != made.key_id


def test_a_repr_shows_no_secret(key: SigningKey) -> None:
    assert repr(key) == f"<forgedb.SigningKey {key.key_id}>"
    assert repr(key.public_key) == f"<forgedb.PublicKey {key.key_id}>"


@pytest.mark.parametrize("pem", ["", "text", b"\xff", PRIVATE_PEM[:60]])
def test_what_is_no_key_is_refused(pem: str | bytes) -> None:
    for kind in (PublicKey, SigningKey):
        with pytest.raises(InvalidValue):
            kind.from_pem(pem)


def test_one_half_is_not_taken_for_the_other() -> None:
    with pytest.raises(InvalidValue):
        PublicKey.from_pem(PRIVATE_PEM)
    with pytest.raises(InvalidValue):
        SigningKey.from_pem(PUBLIC_PEM)


def test_a_key_of_another_kind_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    other = X25519PrivateKey.generate()
    with pytest.raises(InvalidValue, match="Ed25519"):
        SigningKey.from_pem(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InvalidValue, match="Ed25519"):
        PublicKey.from_pem(
            other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )


def test_an_encrypted_key_needs_its_password(key: SigningKey) -> None:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    secret = load_pem_private_key(PRIVATE_PEM.encode(), None)
    pem = secret.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    assert SigningKey.from_pem(pem, b"password").key_id == key.key_id
    for password in (None, b"other"):
        with pytest.raises(InvalidValue):
            SigningKey.from_pem(pem, password)


class Odd:
    """A signer that gives what is no signature or no name."""

    def __init__(self, key_id: Any = "key", signature: Any = bytes(64)) -> None:
        self.key_id = key_id
        self._signature = signature

    def sign(self, message: bytes) -> Any:
        return self._signature


@pytest.mark.parametrize("key_id", ["", "a" * 201, "a b", "a\n", "é", None, 7])
def test_a_signer_without_a_name_is_refused(key_id: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        signed(1, AT, HEADS, FIRST_PREVIOUS, Odd(key_id))
    assert raised.value.field == "key_id"


@pytest.mark.parametrize("signature", [b"", bytes(63), "a" * 64, None])
def test_what_is_no_signature_is_refused(signature: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        signed(1, AT, HEADS, FIRST_PREVIOUS, Odd(signature=signature))
    assert raised.value.field == "signature"


# Programs without cryptography.


WITHOUT = """
import sys
sys.modules["cryptography"] = None
import forgedb
db = forgedb.connect("sqlite://", actor="user:ada")
db.migrate()
assert db.audit.verify().ok
for call in (forgedb.SigningKey.generate, lambda: forgedb.SigningKey.from_pem(""),
             lambda: forgedb.PublicKey.from_pem("")):
    try:
        call()
    except forgedb.UsageError as error:
        assert "pip install 'forgedb[checkpoints]'" in str(error)
    else:
        raise AssertionError("it was made without cryptography")
"""


def test_without_cryptography_all_else_works_and_keys_say_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_cryptography_is_imported_only_when_a_key_is_made() -> None:
    code = (
        "import sys, forgedb\n"
        "db = forgedb.connect('sqlite://')\ndb.migrate()\ndb.audit.verify()\n"
        "forgedb.PublicKey\n"
        "assert 'cryptography' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert forgedb.PublicKey is PublicKey
