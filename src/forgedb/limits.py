"""How long, how many and how large what a caller gives may be.

The schema's CHECKs hold the same for what is kept.  The limits of a connection's options stand with
the options, and how much is read or sent at a time beside what does so.
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
"""How far a clock may be behind the repository's last lease before it is not believed."""

# Lease logs.
LOG_LINE_BYTES_MAX = 65_536
"""No line that says what it may say is longer, not even with every character escaped."""
LOG_ID_CHARS_MAX = 200
LOG_SOURCE_CHARS_MAX = 1024
LOG_SOURCE_BYTES_MAX = 2048
"""PostgreSQL's index rows have no room for longer keys."""

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

# Relationships, and files that a database is asked to write.
PATH_CHARS_MAX = 4096
EDGES_A_WALK_MAX = 10_000
"""How many edges ``ancestors`` and ``descendants`` follow, and the search for a cycle."""

# The audit trail.
ACTION_CHARS_MAX = 100
CHANGES_BYTES_MAX = 1_000_000
CHECKPOINT_HEADS_MAX = 100_000
"""A checkpoint is one row: this many heads make some 10 MB of it."""

# The database's identity.
ERA_MAX = 2_000_000_000
"""A token's upper half has 31 bits: what is left of them is for timelines, which come on top."""

# Names in PostgreSQL.
POSTGRES_NAME_BYTES_MAX = 63
