"""Where the database is: URLs, and the environment where no URL is given.

A password is kept out of every text that this module makes for people.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import msgspec

from forgedb.errors import InvalidValue

DEFAULT_URL = "sqlite:///forge.db"

SQLITE_SCHEMES = ("sqlite",)
POSTGRES_SCHEMES = ("postgresql", "postgres")

SQLITE_OPTIONS = frozenset(
    {"busy_timeout", "call_timeout", "checkpoint", "mode", "readers", "synchronous"}
)

HIDDEN = "***"

_is_option = re.compile("[a-z_]+").fullmatch


class DatabaseUrl(msgspec.Struct, frozen=True):
    """A URL, understood: ``path`` is a file's, or PostgreSQL's whole URL with its password."""

    dialect: str
    path: str
    options: dict[str, str]
    shown: str

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.shown!r})"


def url_from_environment(environment: Mapping[str, str] | None = None) -> str:
    """``FORGEDB_URL``; else by ``DB_DRIVER`` and ``DB_PATH``; else ``DATABASE_URL``; or a default.

    Raises InvalidValue for a DB_DRIVER that is neither sqlite nor pg, for pg without a URL, and for
    a DATABASE_URL of another kind of database.
    """
    given = os.environ if environment is None else environment
    if given.get("FORGEDB_URL"):
        return given["FORGEDB_URL"]
    driver, url = given.get("DB_DRIVER", ""), given.get("DATABASE_URL", "")
    if driver == "sqlite":
        path = given.get("DB_PATH") or "forge.db"
        return sqlite_url(path)
    if driver not in ("", "pg"):
        raise InvalidValue("DB_DRIVER", driver, "it must be sqlite or pg")
    if driver and not url:
        raise InvalidValue("DATABASE_URL", None, "DB_DRIVER=pg needs it: set it to postgresql://…")
    if url and url.partition("://")[0] not in (*SQLITE_SCHEMES, *POSTGRES_SCHEMES):
        raise InvalidValue(
            "DATABASE_URL",
            hidden(url),
            "it is no sqlite:// or postgresql:// URL: where it is another program's, name"
            " forgedb's database in FORGEDB_URL",
        )
    return url or DEFAULT_URL


def sqlite_url(path: str) -> str:
    """The URL of a file."""
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def parse_url(url: str) -> DatabaseUrl:
    """Understand a database URL.  Raises InvalidValue, naming what makes no sense in it."""
    if not isinstance(url, str):
        raise InvalidValue("url", type(url), "it must be text, such as sqlite:///forge.db")
    try:
        url.encode()
    except UnicodeEncodeError:
        raise _refused(
            url, "it holds bytes that are no UTF-8, or half a surrogate pair: write %-escapes"
        ) from None
    scheme, separator, rest = url.partition("://")
    if separator and scheme in POSTGRES_SCHEMES:
        from forgedb.postgres_url import postgres_url

        return DatabaseUrl("postgres", url, {}, postgres_url(url).shown)
    if not separator or scheme not in SQLITE_SCHEMES:
        raise _refused(
            url, "it must begin with sqlite:// or postgresql://, such as sqlite:///forge.db"
        )
    place, _, query = rest.partition("?")
    if place and not place.startswith("/"):
        raise _refused(
            url,
            "sqlite:// has no host: three slashes before a relative path, four before an"
            " absolute one",
        )
    path = _decoded(url, place[1:]) or ":memory:"
    if "\0" in path:
        raise _refused(url, "a path has no NUL character")
    options = _options(url, query)
    return DatabaseUrl("sqlite", path, options, _shown(scheme, place, options))


def redacted(url: str) -> str:
    """The URL without its secrets, fit for a message; its scheme alone where it makes no sense."""
    try:
        return parse_url(url).shown
    except InvalidValue:
        return hidden(url)


def hidden(url: str) -> str:
    """All that is shown of a URL that isn't understood: any of the rest may be a secret."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://|(?:jdbc|sqlite|postgres|postgresql):", url)
    return f"{found[0] if found else ''}{HIDDEN}"


def _refused(url: str, why: str) -> InvalidValue:
    return InvalidValue("url", hidden(url), f"{why}; what may be a secret is not shown")


def _decoded(url: str, path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise _refused(url, "its %-escapes are no UTF-8") from None


def _options(url: str, query: str) -> dict[str, str]:
    if not query:
        return {}
    from urllib.parse import parse_qsl

    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        raise _refused(url, "its options must read name=value, joined by &") from None
    if not all(map(_is_option, found)):
        raise _refused(url, "the names of its options are small letters")
    return found


def _shown(scheme: str, place: str, options: Mapping[str, str]) -> str:
    # SQLite has no password, but whoever writes one is not to find it in a message.
    query = "&".join(
        f"{name}={value if name in SQLITE_OPTIONS else HIDDEN}" for name, value in options.items()
    )
    return f"{scheme}://{place}{'?' if query else ''}{query}"
