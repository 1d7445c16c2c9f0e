"""Where the database is: URLs, and the environment where no URL is given.

A URL is parsed once, into its parts; its password is kept out of every message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from forgedb.drivers.secret import HIDDEN, refused_url
from forgedb.drivers.sqlite.url import SCHEME as SQLITE_SCHEME
from forgedb.drivers.sqlite.url import SqliteUrl, sqlite_url, url_of
from forgedb.errors import InvalidValue

if TYPE_CHECKING:
    from forgedb.drivers.postgres.url import PostgresUrl

POSTGRES_SCHEMES = ("postgresql", "postgres")

DEFAULT_URL = "sqlite:///forge.db"

SCHEMES = (SQLITE_SCHEME, *POSTGRES_SCHEMES)

DatabaseUrl: TypeAlias = "SqliteUrl | PostgresUrl"


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
        return url_of(path)
    if driver not in ("", "pg"):
        raise InvalidValue("DB_DRIVER", driver, "it must be sqlite or pg")
    if driver and not url:
        raise InvalidValue("DATABASE_URL", None, "DB_DRIVER=pg needs it: set it to postgresql://…")
    if url and url.partition("://")[0] not in SCHEMES:
        raise InvalidValue(
            "DATABASE_URL",
            hidden(url),
            "it is no sqlite:// or postgresql:// URL: where it is another program's, name"
            " forgedb's database in FORGEDB_URL",
        )
    return url or DEFAULT_URL


def parse_url(url: str) -> DatabaseUrl:
    """Understand a database URL.  Raises InvalidValue, naming what makes no sense in it."""
    if not isinstance(url, str):
        raise InvalidValue("url", type(url), "it must be text, such as sqlite:///forge.db")
    try:
        url.encode()
    except UnicodeEncodeError:
        raise refused_url(
            _start(url),
            "it holds bytes that are no UTF-8, or half a surrogate pair: write %-escapes",
        ) from None
    scheme, separator, _ = url.partition("://")
    if separator and scheme in POSTGRES_SCHEMES:
        from forgedb.drivers.postgres.url import postgres_url

        return postgres_url(url)
    if separator and scheme == SQLITE_SCHEME:
        return sqlite_url(url)
    raise refused_url(
        _start(url), "it must begin with sqlite:// or postgresql://, such as sqlite:///forge.db"
    )


def redacted(url: str) -> str:
    """The URL without its secrets, fit for a message; its scheme alone where it makes no sense."""
    try:
        return parse_url(url).shown
    except InvalidValue:
        return hidden(url)


def hidden(url: str) -> str:
    """All that is shown of a URL that isn't understood: any of the rest may be a secret."""
    return f"{_start(url)}{HIDDEN}"


def _start(url: str) -> str:
    """What kind of URL it is meant to be, and no more."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://|(?:jdbc|sqlite|postgres|postgresql):", url)
    return found[0] if found else ""
