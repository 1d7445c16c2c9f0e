"""The settings that peers have as forgedb has them, and the SQLite that all of them run on."""

from __future__ import annotations

import sys

from forgedb.drivers.sqlite.connection import WRITER_CACHE_KIB

PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "recursive_triggers": "ON",
    "trusted_schema": "OFF",
    "busy_timeout": "10000",
    "cache_size": str(-WRITER_CACHE_KIB),
}

SCHEMA_NEEDS = (3, 43)
"""The oldest SQLite that the schema's checks run on: they call octet_length()."""


def in_utc(url: str) -> str:
    """The URL for libpq, of a session in UTC: reading times in another zone costs more."""
    return f"{url}?options=-c%20TimeZone%3DUTC"


def use_newest_sqlite() -> str:
    """Put pysqlite3 in the place of `sqlite3`, before any peer imports it; return both versions.

    Python's own module is linked with the machine's SQLite, which may be years behind forgedb's.
    Then the schema's checks would fail, and a difference in speed would be SQLite's.
    """
    import apsw
    import pysqlite3
    from pysqlite3 import dbapi2

    assert dbapi2.sqlite_version_info >= SCHEMA_NEEDS, dbapi2.sqlite_version
    sys.modules["sqlite3"] = pysqlite3
    sys.modules["sqlite3.dbapi2"] = dbapi2
    return f"SQLite {apsw.sqlite_lib_version()} in forgedb, {dbapi2.sqlite_version} in its peers"
