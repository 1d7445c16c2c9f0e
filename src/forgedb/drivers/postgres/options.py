"""The options with which a PostgreSQL database is opened, in its URL or in the call.

Options of libpq (``sslmode``, ``application_name``, ``connect_timeout``, ``options``) stay in the
URL, and go to libpq as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from forgedb.drivers.postgres.url import PostgresUrl
from forgedb.drivers.secret import HIDDEN
from forgedb.drivers.timeouts import CALL_TIMEOUT_SECONDS, check_call_timeout, check_seconds
from forgedb.errors import InvalidValue
from forgedb.validation import check_integer

POOL_SIZE_MAX = 1000
POOL_TIMEOUT_SECONDS_MAX = 3600.0
PREPARE_THRESHOLD_MAX = 1000


class PostgresOptions(msgspec.Struct, frozen=True):
    """``url`` has libpq's own options; ``shown`` is what was given, without its password."""

    url: PostgresUrl
    shown: str
    pool_min_size: int = 1
    pool_max_size: int = 10
    pool_timeout_seconds: float = 10.0
    call_timeout_seconds: float | None = CALL_TIMEOUT_SECONDS
    prepare_threshold: int | None = 5

    def __repr__(self) -> str:
        return f"PostgresOptions({self.shown!r})"

    @property
    def conninfo(self) -> str:
        """What libpq connects with, password and all."""
        return self.url.reveal()


def postgres_options(url: PostgresUrl, given: Mapping[str, Any]) -> PostgresOptions:
    """The options of the URL and of the call, checked.  Raises InvalidValue."""
    own: dict[str, Any] = {}
    for_libpq: list[tuple[str, str]] = []
    for name, value in url.options:
        if name in _CHECKS:
            own[name] = unquote(value)
        else:
            for_libpq.append((name, value))
            _check_known(unquote(name))
    for name, value in given.items():
        if name not in _CHECKS:
            raise InvalidValue(
                name,
                HIDDEN,
                f"no such option: there are {', '.join(_CHECKS)}; libpq's own go into the URL",
            )
        own[name] = value
    checked = {name: _CHECKS[name](name, value) for name, value in own.items()}
    for name in ("pool_timeout", "call_timeout"):
        if name in checked:
            checked[f"{name}_seconds"] = checked.pop(name)
    libpq_url = url.with_options((*for_libpq,))
    try:
        conninfo_to_dict(libpq_url.reveal())
    except (psycopg.ProgrammingError, UnicodeError) as error:
        # Its words may quote the URL, password and all.
        why = "libpq can't read it: look for a part that isn't a URL's, or a % that must be %25"
        raise InvalidValue("url", url.shown, why) from (
            error if url.reveal() == url.shown else None
        )
    options = PostgresOptions(libpq_url, url.shown, **checked)
    if options.pool_min_size > options.pool_max_size:
        raise InvalidValue(
            "pool_min_size",
            options.pool_min_size,
            f"it must not be more than pool_max_size, {options.pool_max_size}",
        )
    return options


def _check_known(name: str) -> None:
    # JDBC's way to say sslmode=require, which libpq takes as well.
    known = {*_CHECKS, "ssl", *(each.keyword.decode() for each in Conninfo.get_defaults())}
    if name not in known:
        (closest,) = get_close_matches(name, known, 1, 0.8) or [""]
        meant = f", perhaps you meant {closest}" if closest else " (an & in a password is %26)"
        raise InvalidValue(
            "option of the URL",
            # A name that is like no other may be what follows an & in a password.
            name if closest else HIDDEN,
            f"neither forgedb nor libpq knows it{meant}; forgedb's are {', '.join(_CHECKS)}",
        )


def _size(name: str, value: Any) -> int:
    return check_integer(name, _number(value), least=1, greatest=POOL_SIZE_MAX)


def _least_size(name: str, value: Any) -> int:
    return check_integer(name, _number(value), least=0, greatest=POOL_SIZE_MAX)


def _timeout(name: str, value: Any) -> float:
    return check_seconds(name, value, POOL_TIMEOUT_SECONDS_MAX)


def _prepare_threshold(name: str, value: Any) -> int | None:
    if value is None or value == "never":
        return None
    return check_integer(name, _number(value), least=0, greatest=PREPARE_THRESHOLD_MAX)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "pool_min_size": _least_size,
    "pool_max_size": _size,
    "pool_timeout": _timeout,
    "call_timeout": check_call_timeout,
    "prepare_threshold": _prepare_threshold,
}
