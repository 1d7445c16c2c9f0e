"""What the DAOs return: a frozen struct for each table a user reads, the same on every database.

A field's order is its column's order in the SELECT that fills it (``forgedb.operations.rows``
writes the column list from the struct).  Nothing here knows SQL or a driver.

A row's struct holds only texts, bytes, numbers, times and enum members, so it can't be part of a
reference cycle: with ``gc=False`` the garbage collector needn't scan a million of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

import msgspec

from forgedb import limits
from forgedb.limits import CHECKPOINT_HEADS_MAX

Ulid: TypeAlias = str
"""An id: 26 characters of upper-case Crockford base32, the first 0-7."""


T = TypeVar("T")

LEASE_DURATION_MAX = limits.LEASE_DURATION_MAX
"""The longest duration of a lease, and the default."""


class Visibility(StrEnum):
    """To whom a forge shows a project or a repository; forgedb records it, and hides nothing."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class ObjectFormat(StrEnum):
    """The hash that names a repository's objects; it decides how long an oid is."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def oid_bytes(self) -> int:
        """How many bytes an object's id has: 20, or 32."""
        return 20 if self is ObjectFormat.SHA1 else 32


class RepositoryState(StrEnum):
    """Whether a repository accepts writes: a lease is granted only for an active one."""

    ACTIVE = "active"
    READ_ONLY = "read_only"
    ARCHIVED = "archived"


class EndReason(StrEnum):
    """Why a lease ended."""

    RELEASED = "released"
    EXPIRED = "expired"
    FORCED = "forced"
    TRANSFERRED = "transferred"


class ObjectType(IntEnum):
    """Git's own codes, as in pack files."""

    COMMIT = 1
    TREE = 2
    BLOB = 3
    TAG = 4


class Direction(StrEnum):
    """Which way a mirror copies, seen from our repository."""

    PULL = "pull"
    PUSH = "push"


class MirrorStatus(StrEnum):
    """The result of a mirror's last run, or that it is running."""

    NEVER = "never"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"


class RelationshipKind(StrEnum):
    """How the source of a relationship belongs to its target."""

    FORK = "fork"
    TEMPLATE = "template"
    MIRROR = "mirror"
    SUBMODULE = "submodule"
    OBJECT_POOL = "object_pool"


A_BACKUP = "backup"
"""The ``system_identifier`` of a backup: no file has it, so a backup is recognized anywhere."""


class DatabaseIdentity(msgspec.Struct, frozen=True, gc=False):
    """Which database this is, and its era, the upper half of its fencing tokens.

    ``system_identifier`` identifies its cluster, or its file; ``database_oid`` is its number in the
    cluster, None on SQLite.  If the actual place differs, the database was restored, upgraded or
    copied.
    """

    id: Ulid
    era: int
    system_identifier: str | None
    database_oid: int | None
    created_at: datetime


class Project(msgspec.Struct, frozen=True, gc=False):
    """A namespace of repositories."""

    id: Ulid
    slug: str
    name: str
    description: str
    visibility: Visibility
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class Repository(msgspec.Struct, frozen=True, gc=False):
    """A Git repository.  ``lease_epoch`` is the highest fencing token granted for it so far."""

    id: Ulid
    project_id: Ulid
    slug: str
    description: str
    default_branch: str
    object_format: ObjectFormat
    visibility: Visibility
    state: RepositoryState
    lease_epoch: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to write to one repository, for 72 hours at most.

    ``fencing_token`` grows with each lease of the repository: a store that remembers the highest
    token it has seen can refuse a late writer.
    """

    id: Ulid
    repository_id: Ulid
    holder: str
    purpose: str
    fencing_token: int
    idempotency_key: str | None
    acquired_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: EndReason | None
    previous_lease_id: Ulid | None
    ended_by: str | None
    end_note: str | None


class UnknownRepository(msgspec.Struct, frozen=True):
    """A repository that a lease log names and the database doesn't have.

    ``line`` is the first line that names it; ``lines`` is how many lines wait for it.
    """

    repository_id: str
    line: int
    lines: int


class LeaseImport(msgspec.Struct, frozen=True):
    """What the import of a lease log did.

    ``lines`` is how many lines it had: those that were ``imported``, those that were
    ``already_there``, and those ``waiting`` for the ``unknown`` repositories.  ``leases`` is how
    many leases were created, and ``created`` are the repositories that were created for them.
    """

    source: str
    lines: int
    imported: int
    already_there: int
    waiting: int
    leases: int
    created: list[Repository]
    unknown: list[UnknownRepository]


class AuditEntry(msgspec.Struct, frozen=True):
    """One change: ``changes`` maps each field to ``[before, after]``."""

    stream_id: Ulid
    seq: int
    id: Ulid
    at: datetime
    actor: str
    action: str
    target_type: str
    target_id: Ulid
    request_id: str | None
    source_ip: str | None
    reason: str | None
    changes: dict[str, Any]
    hash_version: int
    entry_hash: bytes

    @property
    def entry_hash_hex(self) -> str:
        """The hash in hexadecimal, as it is printed."""
        return self.entry_hash.hex()


class ObjectMetadata(msgspec.Struct, frozen=True, gc=False):
    """A Git object that a repository has; sizes are in bytes.

    ``disk_size`` is what the object takes in its pack or loose file, None where it isn't known.
    """

    repository_id: Ulid
    oid: bytes
    type: ObjectType
    size: int
    disk_size: int | None
    created_at: datetime

    @property
    def oid_hex(self) -> str:
        """The object's id in hexadecimal, as git prints it."""
        return self.oid.hex()


class Mirror(msgspec.Struct, frozen=True, gc=False):
    """A remote that a repository is copied from or to; ``interval_seconds`` None means by hand."""

    id: Ulid
    repository_id: Ulid
    direction: Direction
    remote_url: str
    credential_ref: str | None
    enabled: bool
    interval_seconds: int | None
    status: MirrorStatus
    next_run_at: datetime | None
    last_started_at: datetime | None
    last_success_at: datetime | None
    consecutive_failures: int
    last_error: str | None
    run_token: Ulid | None
    run_deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def interval(self) -> timedelta | None:
        """How long from one run to the next; None where it is run by hand."""
        seconds = self.interval_seconds
        return None if seconds is None else timedelta(seconds=seconds)


class Relationship(msgspec.Struct, frozen=True, gc=False):
    """An edge from a repository to another, or to a URL outside this database."""

    id: Ulid
    source_id: Ulid
    target_id: Ulid | None
    target_url: str | None
    kind: RelationshipKind
    path: str
    created_at: datetime
    updated_at: datetime


class NewObject(msgspec.Struct, frozen=True, gc=False):
    """An object to record: ``oid`` as bytes or as hexadecimal text, sizes in bytes."""

    oid: bytes | str
    type: ObjectType | int
    size: int
    disk_size: int | None = None


class AddResult(msgspec.Struct, frozen=True):
    """How many of the objects given were new to the repository, and how many were not."""

    added: int
    already_there: int


class ObjectStats(msgspec.Struct, frozen=True, gc=False):
    """How many objects of one type a repository has; sizes are sums in bytes."""

    type: ObjectType
    count: int
    size: int
    disk_size: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list; give ``next`` as ``after`` for the following part, None on the last."""

    items: list[T]
    next: str | None

    def __iter__(self) -> NoReturn:
        """Refused, since there may be more pages."""
        raise TypeError(
            "a Page is not its rows: they are its `.items`, and forgedb.every() goes through those"
            " of all pages"
        )


class Checkpoint(msgspec.Struct, frozen=True):
    """A signed record of the ends of streams: a Merkle tree over their heads (RFC 9162).

    ``heads`` are the leaves in their order, each ``"<stream> <seq> <entry hash in hexadecimal>"``.
    """

    seq: int
    at: datetime
    format_version: int
    tree_size: int
    root_hash: bytes
    previous_hash: bytes
    checkpoint_hash: bytes
    heads: list[str]
    key_id: str
    signature: bytes

    @property
    def is_full(self) -> bool:
        """Whether it holds as many heads as it can, so that more may wait for the next one."""
        return self.tree_size >= CHECKPOINT_HEADS_MAX

    @property
    def at_text(self) -> str:
        """``2026-11-22T10:00:00.000000Z``: the time in the 27 characters that are signed."""
        return self.at.astimezone(UTC).isoformat("T", "microseconds")[:26] + "Z"

    @property
    def line(self) -> str:
        """The line of JSON to keep elsewhere, with its newline; always the same bytes."""
        values = (getattr(self, name) for name in self.__struct_fields__)
        line = {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in zip(self.__struct_fields__, values, strict=True)
        }
        line["at"] = self.at_text
        return msgspec.json.encode(line).decode() + "\n"


class VerifyProblem(msgspec.Struct, frozen=True):
    """One problem that a verification of the audit trail found.

    If ``seq`` is None, it is about the stream as a whole.  If ``stream_id`` is None, it is about
    the checkpoint of number ``checkpoint``, or about the checkpoints as a whole; or, if ``schema``
    names a part of the schema, about that part.
    """

    stream_id: Ulid | None
    seq: int | None
    what: str
    checkpoint: int | None = None
    schema: str | None = None


class AnchoredRange(msgspec.Struct, frozen=True):
    """Entries of a stream that a checkpoint covers, or that none covers yet (None).

    ``on_trust`` if they were not read, since the checkpoint was trusted for them.
    """

    stream_id: Ulid
    first_seq: int
    last_seq: int
    checkpoint: int | None
    on_trust: bool = False


class VerifyReport(msgspec.Struct, frozen=True):
    """What ``audit.verify`` read and what it found.

    ``ranges`` are those of the streams without a problem, if the signers' keys were given.
    ``on_trust`` is how many entries were not read, since ``since_checkpoint`` covers them.
    """

    ok: bool
    entries: int
    streams: int
    problems: list[VerifyProblem]
    ranges: list[AnchoredRange] = []
    on_trust: int = 0
    since_checkpoint: int | None = None


class VerifyProgress(msgspec.Struct, frozen=True):
    """How far ``audit.verify`` is: ``done`` entries of about ``total``.

    All streams up to ``last_stream`` are verified; ``problems`` is what was found so far.
    """

    done: int
    total: int
    streams: int
    last_stream: Ulid | None
    problems: list[VerifyProblem]
