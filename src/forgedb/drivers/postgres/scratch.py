"""An empty database beside another on its server, for a while: made, and dropped at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any, TypeVar

import msgspec

from forgedb.drivers.postgres.options import PostgresOptions
from forgedb.errors import ForgeDbError, LockTimeout, UsageError
from forgedb.operations.migration_runner import MigrationRunner
from forgedb.operations.steps import Steps, rows, run
from forgedb.sql.catalogue import sql

D = TypeVar("D", bound=MigrationRunner)

PREFIX = "forgedb_scratch_"

# The whole row, since each version of PostgreSQL has other columns for the locale.
THIS_DATABASE = sql(
    sqlite="SELECT NULL",
    postgres="""
    SELECT pg_catalog.to_jsonb(d) || pg_catalog.jsonb_build_object(
        CAST('encoding' AS text), pg_catalog.pg_encoding_to_char(d.encoding))
    FROM pg_database AS d
    WHERE d.datname = pg_catalog.current_database()
    """,
)

LOCALE_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@contextmanager
def scratch_beside(
    database: MigrationRunner, options: PostgresOptions, opened: Callable[[PostgresOptions], D]
) -> Generator[D]:
    """A database with the same encoding and locale, and nothing in it.

    Raises UsageError where the role may not make one, or it can't be reached.
    """
    name = f"{PREFIX}{token_hex(8)}"
    try:
        scratch = _made(name, database, options, opened)
        try:
            yield scratch
        finally:
            scratch.close()
    finally:
        # Also where it was interrupted while it was being made.
        database.autocommit(run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _made(
    name: str,
    database: MigrationRunner,
    options: PostgresOptions,
    opened: Callable[[PostgresOptions], D],
) -> D:
    others = [pair for pair in options.url.options if pair[0] != "dbname"]
    try:
        like = database.read(_this_database())
        database.autocommit(run(f"CREATE DATABASE {name} TEMPLATE template0 {_as_in(like)}"))
        there = msgspec.structs.replace(
            options,
            url=options.url.with_options((*others, ("dbname", name))),
            shown=f"{name} beside {options.shown}",
        )
        return opened(there)
    except LockTimeout:
        raise
    except ForgeDbError as error:
        raise UsageError(
            f"no scratch database can be made beside this one ({error}): use a role with CREATEDB,"
            " or name an empty database"
        ) from error


def _this_database() -> Steps[Mapping[str, Any]]:
    ((row,),) = yield from rows(THIS_DATABASE)
    found: Mapping[str, Any] = msgspec.json.decode(row) if isinstance(row, str | bytes) else row
    return found


def _as_in(like: Mapping[str, Any]) -> str:
    """The options of CREATE DATABASE for the same encoding and locale."""
    words = [f"ENCODING {_quoted(like['encoding'])}"]
    words += [f"LC_COLLATE {_quoted(like['datcollate'])} LC_CTYPE {_quoted(like['datctype'])}"]
    provider = like.get("datlocprovider", "c")
    if provider in LOCALE_PROVIDERS and provider != "c":
        # Of PostgreSQL 17 and on, and of those before.
        locale = like.get("datlocale") or like.get("daticulocale")
        kind = LOCALE_PROVIDERS[provider]
        words.append(f"LOCALE_PROVIDER {kind} {kind.upper()}_LOCALE {_quoted(locale)}")
        if like.get("daticurules"):
            words.append(f"ICU_RULES {_quoted(like['daticurules'])}")
    return " ".join(words)


def _quoted(value: object) -> str:
    text = str(value).replace("'", "''")
    return f"'{text}'"
