"""PRAGMAs of SQLite in a migration: which are refused, and why.

SQLite would ignore some of them silently, and block on others because of a lock that the file
itself holds; the messages here say what to do instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from forgedb.sql.lexer import tokens


class Refused(msgspec.Struct, frozen=True):
    """Why a PRAGMA is refused, and when."""

    why: str
    in_transactions_alone: bool = False
    unless_it_is_so: bool = False
    """Whether it may be set to the value that it already has."""
    always: tuple[str, ...] = ()
    """Values that are always allowed."""


_OF_THE_PROCESS = Refused("it is the whole process's, and would stay so: leave it out")

REFUSED = {
    "foreign_keys": Refused(
        "foreign keys can't be turned off in a transaction: begin the file with"
        " `-- forgedb: rebuild`, which has them off around it, and leave this out"
    ),
    "wal_checkpoint": Refused(
        "no checkpoint can be made in a transaction, which holds the log: begin the file with"
        " `-- forgedb: no-transaction`, or leave it out, for forgedb makes them",
        in_transactions_alone=True,
    ),
    "journal_mode": Refused(
        "forgedb keeps its databases in WAL mode: leave it out",
        unless_it_is_so=True,
        always=("wal",),
    ),
    "synchronous": Refused(
        "it can't be changed in a transaction, and is the connection's alone: give it in the URL,"
        " as in sqlite:///forge.db?synchronous=EXTRA, and leave it out",
        in_transactions_alone=True,
    ),
    "auto_vacuum": Refused(
        "it does nothing in a transaction: begin a file with `-- forgedb: no-transaction`, and put"
        " VACUUM behind it",
        in_transactions_alone=True,
        unless_it_is_so=True,
    ),
    "page_size": Refused(
        "it does nothing to a database that is in WAL mode or in memory: leave it out",
        unless_it_is_so=True,
    ),
    "encoding": Refused(
        "it does nothing to a database that was made before: leave it out", unless_it_is_so=True
    ),
    "query_only": Refused(
        "nothing could be written behind it, nor could the history: leave it out",
        unless_it_is_so=True,
    ),
    "soft_heap_limit": _OF_THE_PROCESS,
    "hard_heap_limit": _OF_THE_PROCESS,
    "temp_store_directory": _OF_THE_PROCESS,
    "data_store_directory": _OF_THE_PROCESS,
}

OF_NO_SESSION = frozenset(
    {
        "application_id",
        "foreign_key_check",
        "foreign_key_list",
        "incremental_vacuum",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "journal_mode",
        "optimize",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "user_version",
        "wal_checkpoint",
    }
)
"""PRAGMAs that take a value, but don't change a setting of the connection."""

_WORDS: dict[str, Sequence[str]] = {
    "auto_vacuum": ("none", "full", "incremental"),
    "query_only": ("off", "on"),
}
_SWITCHES = {"false": "0", "no": "0", "off": "0", "true": "1", "yes": "1", "on": "1"}


def refusal_of(name: str, value: str | None, *, in_transaction: bool) -> Refused | None:
    """Why a PRAGMA is refused, or None; reading a setting, as ``PRAGMA encoding``, is allowed."""
    refused = REFUSED.get(name)
    if refused is None or (value is None and name != "wal_checkpoint"):
        return None
    if value is not None and value.lower() in refused.always:
        return None
    return refused if in_transaction or not refused.in_transactions_alone else None


def is_so(name: str, value: str, now: object) -> bool:
    """Whether ``value``, which a PRAGMA sets, is its present value ``now``."""
    words = _WORDS.get(name, ())
    given = value.lower()
    number = str(words.index(given)) if given in words else _SWITCHES.get(given, given)
    return number.replace("-", "") == str(now).lower().replace("-", "").removesuffix("le")


def pragma_of(statement: str) -> tuple[str, str | None] | None:
    """If a statement is a PRAGMA: its name, and the value that it sets, if any."""
    read: list[str] = []
    for token in tokens(statement, "sqlite"):
        if token.kind in ("space", "comment"):
            continue
        read.append(token.text)
        if len(read) == 1 and token.text.upper() != "PRAGMA":
            return None
    name = read[3:4] if read[2:3] == ["."] else read[1:2]
    value = read[5:6] if read[2:3] == ["."] else read[3:4]
    if not name:
        return None
    return name[0].strip("\"'`[]").lower(), value[0] if value else None
