"""A PostgreSQL URL, taken apart as libpq does it, and what of it may be shown.

libpq ends the credentials at the first ``@`` that no ``/`` stands before; so a password may hold a
``#`` or ``?``, where other programs begin a fragment or the options.
"""

from __future__ import annotations

import msgspec

from forgedb.errors import InvalidValue

SECRET_OPTIONS = ("pass", "secret", "_key")
"""What is in the names of those options whose values nobody else is to know."""

HIDDEN = "***"


class PostgresUrl(msgspec.Struct, frozen=True):
    """``place`` is the hosts and the database; ``options`` are as they stand in the URL."""

    scheme: str
    user: str
    password: str | None
    place: str
    options: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"PostgresUrl({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL without its secrets, fit for a message."""
        hidden = [(name, HIDDEN if _is_secret(name) else value) for name, value in self.options]
        return self._written(None if self.password is None else HIDDEN, hidden)

    def with_options(self, options: list[tuple[str, str]]) -> str:
        """The URL, password and all, with these options for its own."""
        return self._written(self.password, options)

    def _written(self, password: str | None, options: list[tuple[str, str]]) -> str:
        user = self.user if password is None else f"{self.user}:{password}"
        at = "@" if user else ""
        query = "&".join(f"{name}={value}" for name, value in options)
        return f"{self.scheme}://{user}{at}{self.place}{'?' if query else ''}{query}"


def postgres_url(url: str) -> PostgresUrl:
    """Take a PostgreSQL URL apart.  Raises InvalidValue, in which no password can be read."""
    scheme, _, rest = url.partition("://")
    slash = rest.find("/")
    at = rest.find("@", 0, slash if slash >= 0 else len(rest))
    credentials, rest = (rest[:at], rest[at + 1 :]) if at >= 0 else ("", rest)
    user, colon, password = credentials.partition(":")
    place, _, query = rest.partition("?")
    pairs = [each.partition("=") for each in query.split("&")] if query else []
    if "\0" in url:
        raise _refused(url, "a URL has no NUL character")
    if "@" in place or any("@" in name for name, _, _ in pairs):
        raise _refused(url, "write an @ in a name or password as %40, and a / as %2F")
    if not all(name and equals for name, equals, _ in pairs):
        raise _refused(url, "its options must read name=value, joined by &")
    return PostgresUrl(
        scheme,
        user,
        password if colon else None,
        place,
        tuple((name, value) for name, _, value in pairs),
    )


def _refused(url: str, why: str) -> InvalidValue:
    return InvalidValue("url", without_secrets(url), why)


def without_secrets(text: str) -> str:
    """Text that is no URL as it should be, without what may be a secret in it."""
    # What stands before the last @ may be a password, wherever it ends.
    before, at, rest = text.rpartition("@")
    if at:
        scheme, separator, _ = before.partition("://")
        text = f"{scheme + separator if separator else ''}{HIDDEN}@{rest}"
    import re

    names = "|".join((*SECRET_OPTIONS, "pwd"))
    return re.sub(
        rf"(?is)(\w*(?:{names})\w*\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]+)", rf"\1{HIDDEN}", text
    )


def _is_secret(option: str) -> bool:
    """Whether nobody else is to know its value; libpq takes its name percent-encoded, too."""
    if "%" in option:
        from urllib.parse import unquote

        option = unquote(option)
    name = option.lower()
    return any(word in name for word in SECRET_OPTIONS)
