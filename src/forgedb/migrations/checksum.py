"""The text of a migration's file, and its checksum; nothing else is imported for it."""

from __future__ import annotations

# Type checkers take this name as true.  Importing typing for it would take longer than the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        # Python's own: hashlib loads OpenSSL first, which takes longer than to hash 1,000 files.
        from _sha256 import sha256
    except ImportError:
        from hashlib import sha256


def text_of(content: bytes) -> str:
    """A file's text without its byte order mark, each CRLF as LF.  Raises UnicodeDecodeError."""
    return content.decode().removeprefix("\ufeff").replace("\r\n", "\n")


def digest(text: str) -> str:
    """SHA-256 of the text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()
