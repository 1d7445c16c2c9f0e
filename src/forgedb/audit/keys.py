"""Ed25519 keys of checkpoints, in PEM files: the only place that imports ``cryptography``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from forgedb.errors import InvalidValue, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


class PublicKey:
    """Verifies that checkpoints were signed with the secret half of the key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.key_id = f"ed25519:{sha256(key.public_bytes_raw()).hexdigest()}"
        """The key's name in each checkpoint: the SHA-256 of its 32 bytes."""

    def __repr__(self) -> str:
        return f"<forgedb.PublicKey {self.key_id}>"

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """Read ``-----BEGIN PUBLIC KEY-----``.  Raises InvalidValue, UsageError (see keygen)."""
        with cryptography_installed():
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
            from cryptography.hazmat.primitives.serialization import load_pem_public_key
        try:
            key = load_pem_public_key(_as_bytes(pem))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidValue(
                "public_key", "…", "it holds no public key in PEM: give the .pub file of keygen"
            ) from error
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidValue("public_key", type(key).__name__, "it must be an Ed25519 key")
        return cls(key)

    def to_pem(self) -> str:
        """As the PEM text that other programs read too."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the secret half of the key made this signature of this message."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The secret half: signs checkpoints."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey(key.public_key())
        """The public half, for those who verify."""

    def __repr__(self) -> str:
        return f"<forgedb.SigningKey {self.key_id}>"

    @property
    def key_id(self) -> str:
        """The public key's name, which each checkpoint that it signs carries."""
        return self.public_key.key_id

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key, of the system's randomness.  Raises UsageError (cryptography is missing)."""
        with cryptography_installed():
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: str | bytes, password: bytes | None = None) -> SigningKey:
        """Read ``-----BEGIN PRIVATE KEY-----``, with its password where it is encrypted.

        Raises InvalidValue, UsageError (cryptography is missing).
        """
        with cryptography_installed():
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        try:
            key = load_pem_private_key(_as_bytes(pem), password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            # The file holds a secret, and the error of cryptography may quote it.
            raise InvalidValue(
                "signing_key",
                "…",
                "it holds no private key in PEM, or the password isn't its own: give what keygen"
                " wrote",
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidValue("signing_key", type(key).__name__, "it must be an Ed25519 key")
        return cls(key)

    def to_pem(self) -> str:
        """As PEM text (PKCS #8), not encrypted: keep it secret."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of the message: 64 bytes, the same for the same message."""
        return self._key.sign(message)


@contextmanager
def cryptography_installed() -> Generator[None]:
    """Raise UsageError, and say what to install, where ``cryptography`` can't be imported."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "cryptography":
            raise
        raise UsageError(
            "signed checkpoints need cryptography, which isn't installed:"
            " pip install 'forgedb[checkpoints]'"
        ) from error


def _as_bytes(pem: str | bytes) -> bytes:
    return pem.encode() if isinstance(pem, str) else pem
