"""The encoding that a database keeps text in, which can't be changed once it is made."""

from __future__ import annotations

from forgedb.errors import UsageError
from forgedb.operations.steps import Steps, rows
from forgedb.sql.catalogue import sql

ENCODING = sql(
    sqlite="SELECT encoding FROM pragma_encoding",
    postgres="""
    SELECT CAST(pg_catalog.pg_encoding_to_char(d.encoding) AS text)
    FROM pg_database AS d
    WHERE d.datname = pg_catalog.current_database()
    """,
)

REMEDIES = {
    "UTF-8": "",
    "UTF8": "",
    "UTF-16le": "begin with a new file, of which forgedb sets it",
    "UTF-16be": "begin with a new file, of which forgedb sets it",
}
OTHER = "make another: CREATE DATABASE name TEMPLATE template0 ENCODING 'UTF8'"
"""The advice for any other encoding of PostgreSQL, which has some forty."""


def require_utf8() -> Steps[None]:
    """Refuse a database that isn't in UTF-8: it may lack characters, or count and order otherwise.

    Raises UsageError.
    """
    for (encoding,) in (yield from rows(ENCODING)):
        remedy = REMEDIES.get(encoding, OTHER)
        if remedy:
            raise UsageError(
                f"the database's encoding is {encoding}, and forgedb's rules count and compare text"
                f" in UTF-8: {remedy}"
            )
