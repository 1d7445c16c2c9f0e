"""An SQLite URL, ``sqlite:///file.db?option=value``, taken apart; a path is percent-encoded."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

import msgspec

from forgedb.drivers.secret import HIDDEN, refused_url

SCHEME = "sqlite"

OPTIONS = frozenset(
    {"busy_timeout", "call_timeout", "checkpoint", "mode", "readers", "synchronous"}
)

IN_MEMORY = ":memory:"

OPTION = "[a-z_]+"


class SqliteUrl(msgspec.Struct, frozen=True):
    """``path`` is a file's, or ``:memory:``; ``options`` are as they stand in the URL."""

    dialect: ClassVar[Literal["sqlite"]] = "sqlite"

    path: str
    options: dict[str, str]
    shown: str

    def __repr__(self) -> str:
        return f"SqliteUrl({self.shown!r})"

    @property
    def is_in_memory(self) -> bool:
        return self.path == IN_MEMORY

    @property
    def makes_its_file(self) -> bool:
        """Whether a file that isn't there is made, since no ``mode`` was given."""
        return not self.is_in_memory and "mode" not in self.options


def url_of(path: str) -> str:
    """The URL of a file."""
    return f"{SCHEME}:///" + path.replace("%", "%25").replace("?", "%3F")


def sqlite_url(url: str) -> SqliteUrl:
    """Take an SQLite URL apart.  Raises InvalidValue, which shows its scheme alone."""
    place, _, query = url.removeprefix(f"{SCHEME}://").partition("?")
    if place and not place.startswith("/"):
        raise _refused(
            "sqlite:// has no host: three slashes before a relative path, four before an"
            " absolute one"
        )
    path = _decoded(place[1:]) or IN_MEMORY
    if "\0" in path:
        raise _refused("a path has no NUL character")
    options = _options(query)
    # SQLite has no password, but whoever writes one is not to find it in a message.
    query = "&".join(
        f"{name}={value if name in OPTIONS else HIDDEN}" for name, value in options.items()
    )
    shown = f"{SCHEME}://{place}{'?' if query else ''}{query}"
    return SqliteUrl(path, options, shown)


def _refused(why: str) -> Exception:
    return refused_url(f"{SCHEME}://", why)


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise _refused("its %-escapes are no UTF-8") from None


def _options(query: str) -> dict[str, str]:
    if not query:
        return {}
    from urllib.parse import parse_qsl

    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        raise _refused("its options must read name=value, joined by &") from None
    if not all(re.fullmatch(OPTION, each) for each in found):
        raise _refused("the names of its options are small letters")
    return found
