"""The state of a whole database in a few numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from forgedb.database import Database
from forgedb.errors import SchemaOutdated, UsageError
from forgedb.schema_check.comparison import Difference, differences

COUNTS = {
    "projects": "SELECT count(*) FROM projects WHERE deleted_at IS NULL",
    "repositories": "SELECT count(*) FROM repositories WHERE deleted_at IS NULL",
    "live_leases": "SELECT count(*) FROM leases WHERE ended_at IS NULL AND expires_at > :now",
    "mirrors": "SELECT count(*) FROM mirrors",
    "relationships": "SELECT count(*) FROM repository_relationships",
    "objects": "SELECT count(*) FROM object_metadata",
    "audit_entries": "SELECT count(*) FROM audit_entries",
}


SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgres": "SELECT pg_database_size(current_database())",
}


ERA = {
    "sqlite": "SELECT era, NULL FROM database_identity",
    "postgres": "SELECT forgedb_effective_era(), forgedb_timeline()",
}

HISTORY = {
    "sqlite": "SELECT 'schema_migrations'",
    "postgres": """
    SELECT n.nspname || '.' || c.relname
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass('schema_migrations')
    """,
}

SYNCHRONOUS = "SELECT synchronous FROM pragma_synchronous"

# Roles that aren't superusers see that a standby is there, but no details of it.
SETTINGS = """
SELECT current_setting('fsync') = 'on', current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)
"""

ON_SQLITE = (
    "nothing is synced: a machine that crashes can lose everything (synchronous=OFF)",
    "a machine that crashes can lose what was acknowledged last (synchronous=NORMAL)",
    "a machine that crashes loses nothing that was acknowledged (synchronous=FULL)",
    "a machine that crashes loses nothing that was acknowledged (synchronous=EXTRA)",
)
"""In the order of the values of ``PRAGMA synchronous``, from 0."""


class _Last(msgspec.Struct):
    at: datetime | None


class Status(msgspec.Struct, frozen=True):
    """Counts are of live rows; ``size`` is the whole database's, in bytes.

    ``history`` is the table of applied migrations.  ``era`` is what fencing tokens begin with now.
    ``timeline`` is the server's; None on SQLite, or where the service doesn't tell it, which counts
    as 1.  ``durability`` says which transactions the loss of a machine can take with it.
    ``differences`` compares the schema with what the migrations make; harmless ones are left out.
    """

    database: str
    schema_version: int
    history: str
    size: int
    era: int
    timeline: int | None
    durability: str
    projects: int
    repositories: int
    live_leases: int
    mirrors: int
    relationships: int
    objects: int
    audit_entries: int
    last_change_at: datetime | None
    differences: list[Difference] = []


def read_status(db: Database, shown_url: str) -> Status:
    """The database's state, at one moment.

    Raises SchemaOutdated, MigrationDrift (the schema is so different that it can't be read),
    AuditViolation (the database's identity is gone).
    """
    pending = db.pending_migrations()
    if pending:
        raise SchemaOutdated([migration.label for migration in pending])
    now = datetime.now(UTC)
    with db.transaction(read_only=True) as tx:
        tx._runner.require_schema("read")
        found = [each for each in tx._runner.read(differences()) if not each.harmless]
        query = tx.client.query_value
        try:
            counts = {
                name: query(text, {"now": now} if ":now" in text else None)
                for name, text in COUNTS.items()
            }
        except UsageError as error:
            if not found:
                raise
            raise found[0].as_drift() from error
        (last,) = tx.client.query_as(_Last, "SELECT max(at) FROM audit_entries")
        # Raises AuditViolation if the identity's row is gone.
        tx.identity.get()
        ((era, timeline),) = tx.client.query(ERA[tx.client.dialect])
        return Status(
            shown_url,
            query("SELECT max(version) FROM schema_migrations"),
            query(HISTORY[tx.client.dialect]),
            query(SIZE[tx.client.dialect]),
            era,
            timeline,
            _durability(tx),
            **counts,
            last_change_at=last.at,
            differences=found,
        )


def _durability(db: Database) -> str:
    """What a crash, or the loss of a machine, can take with it: one sentence."""
    if db.client.dialect == "sqlite":
        level: int = db.client.query_value(SYNCHRONOUS)
        return ON_SQLITE[level]
    ((fsync, commit, names, standbys),) = db.client.query(SETTINGS)
    if not fsync:
        return "nothing is synced: a machine that crashes can lose everything (fsync=off)"
    beside = f"synchronous_commit={commit}, {standbys} standby(s)"
    if commit == "off":
        return f"a server that crashes can lose what was acknowledged last, but no lease ({beside})"
    if names and commit != "local":
        return f"a lost primary takes nothing with it that was acknowledged ({beside}: {names})"
    return f"a lost primary takes with it what no standby has yet ({beside}, asynchronous)"
