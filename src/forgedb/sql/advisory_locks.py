"""The keys of PostgreSQL's advisory locks that forgedb takes, as SQL expressions.

A key applies to the whole database: two uses of one key wait for each other, and so does another
program that uses one of these keys.  The migrations use them too.
"""

from __future__ import annotations

FORGEDB = 0x666F7267
"""The first number of the pairs below; it reads "forg"."""

CHECKPOINTS = f"{FORGEDB}, {0x63686563}"
"""For taking a checkpoint; the second number reads "chec"."""

LEASE_IMPORTS = f"{FORGEDB}, hashtext('lease_import_lines')"
"""For importing a lease log."""

RELATIONSHIP_KIND = f"{FORGEDB}, hashtext(:kind)"
"""For adding a relationship of a kind without cycles; the schema's trigger takes it too."""

LEASE_WAITERS = 0x6C656173
"""The first key of the shared lock of lease waiters; the second is the repository's hashed id.

It reads "leas".
"""

MIGRATIONS = "pg_catalog.hashtextextended(CAST('forgedb.migrations' AS text), CAST(0 AS bigint))"
"""For migrating the database; one number, not a pair."""
