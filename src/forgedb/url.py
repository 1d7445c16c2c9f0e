"""Where the database is: URLs, and the environment where no URL is given.

A password is kept out of every text that this module makes for people.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from forgedb.errors import InvalidValue

DEFAULT_URL = "sqlite:///forge.db"

SQLITE_SCHEMES = ("sqlite",)
POSTGRES_SCHEMES = ("postgresql", "postgres")


class DatabaseUrl(msgspec.Struct, frozen=True):
    """A URL, understood: ``path`` is a file's, or PostgreSQL's whole URL with its password."""

    dialect: str
    path: str
    options: dict[str, str]
    shown: str

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.shown!r})"


def url_from_environment(environment: Mapping[str, str] | None = None) -> str:
    """``FORGEDB_URL``; else by ``DB_DRIVER``, ``DB_PATH`` and ``DATABASE_URL``; else a default.

    Raises InvalidValue for a DB_DRIVER that is neither sqlite nor pg, and for pg without a URL.
    """
    given = os.environ if environment is None else environment
    if given.get("FORGEDB_URL"):
        return given["FORGEDB_URL"]
    driver = given.get("DB_DRIVER", "")
    if driver == "sqlite":
        path = given.get("DB_PATH") or "forge.db"
        return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")
    if driver == "pg":
        if given.get("DATABASE_URL"):
            return given["DATABASE_URL"]
        raise InvalidValue("DATABASE_URL", None, "DB_DRIVER=pg needs it: set it to postgresql://…")
    if driver:
        raise InvalidValue("DB_DRIVER", driver, "it must be sqlite or pg")
    return DEFAULT_URL


def parse_url(url: str) -> DatabaseUrl:
    """Understand a database URL.  Raises InvalidValue, naming what makes no sense in it."""
    if not isinstance(url, str):
        raise InvalidValue("url", url, "it must be text, such as sqlite:///forge.db")
    scheme, separator, rest = url.partition("://")
    if separator and scheme in POSTGRES_SCHEMES:
        from forgedb.postgres_url import postgres_url

        return DatabaseUrl("postgres", url, {}, postgres_url(url).shown)
    if not separator or scheme not in SQLITE_SCHEMES:
        raise InvalidValue(
            "url",
            redacted(url),
            "it must begin with sqlite:// or postgresql://, such as sqlite:///forge.db",
        )
    place, _, query = rest.partition("?")
    if place and not place.startswith("/"):
        raise InvalidValue(
            "url",
            redacted(url),
            "sqlite:// has no host: three slashes before a relative path, four before an"
            " absolute one",
        )
    path = _decoded(place[1:]) or ":memory:"
    if "\0" in path:
        raise InvalidValue("url", url, "a path has no NUL character")
    return DatabaseUrl("sqlite", path, _options(url, query), url)


def redacted(url: str) -> str:
    """The URL without its password, fit for a message, also where it makes no sense."""
    scheme, separator, _ = url.partition("://")
    if url.startswith("sqlite:///"):
        return url
    # Imported where it is needed: SQLite's URLs do without.
    from forgedb.postgres_url import postgres_url, without_secrets

    if separator and scheme in POSTGRES_SCHEMES:
        try:
            return postgres_url(url).shown
        except InvalidValue as error:
            return str(error.value)
    return without_secrets(url)


def _decoded(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    return unquote(path)


def _options(url: str, query: str) -> dict[str, str]:
    if not query:
        return {}
    from urllib.parse import parse_qsl

    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise InvalidValue(
            "url", redacted(url), "its options must read name=value, joined by &"
        ) from None
