"""The keys of PostgreSQL's advisory locks that forgedb takes, as SQL has them.

A key is the whole database's: two subjects that had the same would wait for each other, and so does
a program that takes one of these for something of its own.  The migrations name them too.
"""

from __future__ import annotations

FORGEDB = 0x666F7267
"""The first number of the pairs below; it reads "forg"."""

CHECKPOINTS = f"{FORGEDB}, {0x63686563}"
"""Who takes a checkpoint; the second number reads "chec"."""

LEASE_IMPORTS = f"{FORGEDB}, hashtext('lease_import_lines')"
"""Who imports a lease log."""

RELATIONSHIP_KIND = f"{FORGEDB}, hashtext(:kind)"
"""Who adds a relationship of a kind that may have no cycle; the schema's trigger takes it too."""

LEASE_WAITERS = 0x6C656173
"""The first of a pair whose second is a repository's hashed id: who waits for its lease, shared.

It reads "leas".
"""

MIGRATIONS = "pg_catalog.hashtextextended(CAST('forgedb.migrations' AS text), CAST(0 AS bigint))"
"""Who migrates the database; one number, not a pair."""
