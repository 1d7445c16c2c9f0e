"""A text that is needed and must not be shown: a password, or a URL that isn't understood."""

from __future__ import annotations

from forgedb.errors import InvalidValue

HIDDEN = "***"


class Secret:
    """Keeps a text out of every message, log and traceback; ``reveal`` gives it to the driver."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def reveal(self) -> str:
        """The text itself."""
        return self._text


def refused_url(start: str, why: str) -> InvalidValue:
    """A URL that makes no sense: of it only the ``start`` is shown, all else may be a secret."""
    return InvalidValue("url", f"{start}{HIDDEN}", f"{why}; what may be a secret is not shown")
