"""Taking a checkpoint: the heads that no checkpoint holds yet, signed and chained to the last."""

from __future__ import annotations

from collections.abc import Callable

from forgedb.audit.checkpoint import FIRST_PREVIOUS, Signer, from_row, signed
from forgedb.audit.kinds import STREAMS
from forgedb.errors import AuditViolation
from forgedb.limits import CHECKPOINT_HEADS_MAX
from forgedb.models import Checkpoint
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, change, now, rows
from forgedb.sql.advisory_locks import CHECKPOINTS
from forgedb.sql.catalogue import sql

STREAM_CHARS = 26

# If two clients take a checkpoint at once, the second waits and sees what the first has committed.
# SQLite has one writer at a time.
LOCK = sql(
    sqlite="SELECT 1",
    postgres=f"SELECT pg_advisory_xact_lock({CHECKPOINTS})",
)

LAST = sql("""
SELECT seq, checkpoint_hash, tree_size, heads ->> -1
FROM audit_checkpoints
WHERE seq > 0
ORDER BY seq DESC
LIMIT 1
""")

_LEAVES = " UNION ALL ".join(
    f"SELECT {{leaf}} AS head FROM {kind.table} WHERE audit_seq > 0 AND id > :after"
    for kind in STREAMS
)

_HEADS = f"""
{_LEAVES}
EXCEPT
SELECT {{kept}}
ORDER BY head
LIMIT :limit
"""

# One statement, so that all heads are of one snapshot.  The leaves are compared as whole texts, so
# the database needs no more memory than for a sort.
NOT_YET_ANCHORED = sql(
    sqlite=_HEADS.format(
        leaf="id || ' ' || audit_seq || ' ' || lower(hex(audit_head))",
        kept="kept.value FROM audit_checkpoints, json_each(heads) AS kept",
    ),
    postgres=_HEADS.format(
        leaf="id || ' ' || audit_seq || ' ' || encode(audit_head, 'hex') COLLATE \"C\"",
        kept='kept COLLATE "C" FROM audit_checkpoints, json_array_elements_text(heads) AS kept',
    ),
)

INSERT = sql(f"""
INSERT INTO audit_checkpoints ({columns(Checkpoint)})
VALUES (
    :seq, :at, :format_version, :tree_size, :root_hash, :previous_hash, :checkpoint_hash, :heads,
    :key_id, :signature)
""")

NEXT = sql(f"""
SELECT {columns(Checkpoint)}
FROM audit_checkpoints
WHERE seq > :seq
ORDER BY seq
LIMIT 1
""")


def take_checkpoint(signer: Signer) -> Steps[Checkpoint | None]:
    """Sign the heads that are new, as many as one checkpoint holds; None if there are none."""
    yield from rows(LOCK)
    last = yield from rows(LAST)
    seq, previous_hash, last_size, last_head = last[0] if last else (0, FIRST_PREVIOUS, 0, "")
    # Continue after a full checkpoint: else streams that always change would starve the rest.
    after = last_head[:STREAM_CHARS] if last_size >= CHECKPOINT_HEADS_MAX else ""
    found = yield from rows(NOT_YET_ANCHORED, after=after, limit=CHECKPOINT_HEADS_MAX)
    if not found and after:
        found = yield from rows(NOT_YET_ANCHORED, after="", limit=CHECKPOINT_HEADS_MAX)
    if not found:
        return None
    at = yield from now()
    checkpoint = signed(seq + 1, at, [head for (head,) in found], previous_hash, signer)
    fields = {name: getattr(checkpoint, name) for name in checkpoint.__struct_fields__}
    # No character of a head needs escaping in JSON.
    fields["heads"] = '["' + '","'.join(checkpoint.heads) + '"]'
    yield from change(INSERT, **fields)
    return checkpoint


def write_checkpoints(write: Callable[[str], object], after: int) -> Steps[int]:
    """Write each checkpoint after number ``after`` as a line of JSON; returns how many."""
    count = 0
    while True:
        found = yield from rows(NEXT, seq=after)
        if not found:
            return count
        after = found[0][0]
        try:
            line = from_row(found[0]).line
        except ValueError as error:
            raise AuditViolation(
                f"checkpoint {after} can't be read ({error}): verify says what is wrong"
            ) from error
        write(line)
        count += 1
