"""Limits of the values that callers give: lengths, counts and sizes.

The CHECK constraints of the schema enforce the same for stored values.  The limits of connection
options are defined with the options, and batch sizes beside the code that reads or sends batches.
"""

from __future__ import annotations

from datetime import timedelta

INTEGER_MAX = 2**63 - 1

PAGE_ITEMS_DEFAULT = 100
PAGE_ITEMS_MAX = 1000

# Who acts, and why.
ACTOR_CHARS_MAX = 200
REQUEST_ID_CHARS_MAX = 200
IP_ADDRESS_CHARS_MAX = 45
REASON_CHARS_MAX = 2000

# Projects and repositories.
NAME_CHARS_MAX = 200
DESCRIPTION_CHARS_MAX = 10_000
BRANCH_CHARS_MAX = 255

# Leases.
LEASE_DURATION_MAX = timedelta(hours=72)
LEASE_WAIT_MAX = timedelta(days=30)
HOLDER_CHARS_MAX = 200
PURPOSE_CHARS_MAX = 1000
IDEMPOTENCY_KEY_CHARS_MAX = 200
CLOCK_BACKSTEP_MAX = timedelta(seconds=60)
"""How far a clock may be behind the repository's last lease before it is refused."""

# Lease logs.
LOG_LINE_BYTES_MAX = 65_536
"""No valid line is longer, not even with every character escaped."""
LOG_ID_CHARS_MAX = 200
LOG_SOURCE_CHARS_MAX = 1024
LOG_SOURCE_BYTES_MAX = 2048
"""Longer keys don't fit into an index row of PostgreSQL."""

# Objects.
OIDS_A_CALL_MAX = 1_000_000

# Mirrors.
REMOTE_URL_CHARS_MAX = 2048
CREDENTIAL_REF_CHARS_MAX = 200
INTERVAL_MIN = timedelta(minutes=1)
INTERVAL_MAX = timedelta(days=365)
RUN_FOR_MIN = timedelta(seconds=1)
RUN_FOR_MAX = timedelta(days=7)
ERROR_CHARS_MAX = 10_000

# Relationships, and paths of files to write.
PATH_CHARS_MAX = 4096
EDGES_A_WALK_MAX = 10_000
"""How many edges ``ancestors`` and ``descendants`` follow, and the search for a cycle."""

# The audit trail.
ACTION_CHARS_MAX = 100
CHANGES_BYTES_MAX = 1_000_000
CHECKPOINT_HEADS_MAX = 100_000
"""A checkpoint is one row: with so many heads it takes some 10 MB."""

# The database's identity.
ERA_MAX = 2_000_000_000
"""A token's upper half has 31 bits; the rest is for timelines, which are added to the era."""

# Names in PostgreSQL.
POSTGRES_NAME_BYTES_MAX = 63
