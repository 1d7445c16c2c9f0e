"""Git objects: which ones a repository has, of what type and size; not their content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, TypeAlias

from forgedb.dao.leases.steps import required
from forgedb.dao.object_batches import Batches, Columns, batched, iterator
from forgedb.dao.paging import BY_ID, Key, page
from forgedb.dao.repositories import advanced, stream_of
from forgedb.errors import Conflict, InvalidValue, NotFound
from forgedb.ids import check_ulid
from forgedb.limits import OIDS_A_CALL_MAX
from forgedb.models import (
    AddResult,
    NewObject,
    ObjectFormat,
    ObjectMetadata,
    ObjectStats,
    ObjectType,
    Page,
    Repository,
    Ulid,
)
from forgedb.operations.binding import Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import (
    Copy,
    Steps,
    Together,
    change,
    change_many,
    native,
    one,
    rows,
)
from forgedb.sql.catalogue import sql
from forgedb.validation import check_enum, check_oid

Oids: TypeAlias = list[bytes]
Stats: TypeAlias = list[ObjectStats]


BY_OID = Key(lambda row: row.oid.hex(), {"after": b""}, lambda text: {"after": _any_oid(text)})

OBJECT = columns(ObjectMetadata)

SELECT_ONE = sql(f"""
SELECT {OBJECT} FROM object_metadata WHERE repository_id = :repository_id AND oid = :oid
""")

LIST_ALL = sql(f"""
SELECT {OBJECT}
FROM object_metadata
WHERE repository_id = :repository_id AND oid > :after
ORDER BY oid
LIMIT :limit
""")

LIST_TYPE = sql(f"""
SELECT {OBJECT}
FROM object_metadata
WHERE repository_id = :repository_id AND oid > :after AND type = :type
ORDER BY oid
LIMIT :limit
""")

OBJECT_FORMAT = sql("SELECT object_format FROM repositories WHERE id = :repository_id")

_AMONG_SQLITE = """
SELECT {columns}
FROM carray(:oids) AS asked
CROSS JOIN object_metadata AS o ON o.repository_id = :repository_id AND o.oid = asked.value
"""

_AMONG_POSTGRES = """
SELECT {columns}
FROM object_metadata AS o
WHERE o.repository_id = :repository_id AND o.oid = ANY(:oids)
"""

# Of some oids, those that are there.
PRESENT = sql(
    sqlite=_AMONG_SQLITE.format(columns="o.oid"),
    postgres=_AMONG_POSTGRES.format(columns="o.oid"),
)

_RECORDED = "o.oid, o.type, o.size, o.disk_size"

RECORDED = sql(
    sqlite=_AMONG_SQLITE.format(columns=_RECORDED),
    postgres=_AMONG_POSTGRES.format(columns=_RECORDED),
)

REPOSITORIES_WITH = sql(f"""
SELECT {columns(Repository, "r.")}
FROM object_metadata AS o
JOIN repositories AS r ON r.id = o.repository_id
WHERE o.oid = :oid AND o.repository_id > :after AND r.deleted_at IS NULL
ORDER BY o.repository_id
LIMIT :limit
""")

_HALF = 2**32

# Upper and lower halves are summed apart: SQLite's sum() of 64-bit integers may overflow.
STATS = sql(
    "SELECT "
    + ", ".join(
        f"coalesce({aggregate} FILTER (WHERE type = {kind}), 0)"
        for kind in map(int, ObjectType)
        for aggregate in (
            "count(*)",
            f"sum(size / {_HALF})",
            f"sum(size % {_HALF})",
            f"sum(disk_size / {_HALF})",
            f"sum(disk_size % {_HALF})",
        )
    )
    + " FROM object_metadata WHERE repository_id = :repository_id"
)

ANY_OBJECT = sql("SELECT 1 FROM object_metadata WHERE repository_id = :repository_id LIMIT 1")

_ROW = "repository_id, oid, type, size, disk_size, created_at"

INSERT = sql(
    sqlite=f"""
    INSERT INTO object_metadata ({_ROW})
    VALUES (:repository_id, :oid, :type, :size, :disk_size, :created_at)
    ON CONFLICT DO NOTHING
    """,
    postgres=f"""
    INSERT INTO object_metadata ({_ROW})
    SELECT *
    FROM unnest(
        :repository_id::text[], :oid::bytea[], :type::smallint[],
        :size::bigint[], :disk_size::bigint[], :created_at::timestamptz[])
    ON CONFLICT DO NOTHING
    """,
)

COPY = Copy(
    f"COPY object_metadata ({_ROW}) FROM STDIN (FORMAT BINARY)",
    ("text", "bytea", "smallint", "bigint", "bigint", "timestamptz"),
)

UPDATE_DISK_SIZE = sql(
    sqlite="""
    UPDATE object_metadata
    SET disk_size = :disk_size
    WHERE repository_id = :repository_id AND oid = :oid
    """,
    postgres="""
    UPDATE object_metadata AS o
    SET disk_size = given.disk_size
    FROM unnest(:disk_size::bigint[], :repository_id::text[], :oid::bytea[])
        AS given (disk_size, repository_id, oid)
    WHERE o.repository_id = given.repository_id AND o.oid = given.oid
    """,
)

DELETE = sql(
    sqlite="""
    DELETE FROM object_metadata
    WHERE repository_id = :repository_id AND oid IN (SELECT value FROM carray(:oids))
    """,
    postgres="""
    DELETE FROM object_metadata
    WHERE repository_id = :repository_id AND oid = ANY(:oids)
    """,
)


class ObjectsDao(Dao[H_co]):
    """The objects of repositories; writing them requires the repository's lease."""

    @write
    def add_many(
        self,
        repository_id: Ulid,
        objects: Iterable[NewObject],
        fencing_token: int,
        *,
        holder: str | None = None,
    ) -> Steps[AddResult]:
        """Record objects, all or none of them, in one transaction and one audit entry.

        Objects that exist already are counted separately; the last disk_size given replaces the
        one recorded.  Memory stays bounded for any iterable.  If a ``holder`` is given, the lease
        must be that holder's.

        Raises LeaseLost, InvalidValue, NotFound, Conflict (an object that is there with another
        type or size).
        """
        locked, lease, at = yield from required(repository_id, fencing_token, holder)
        created_at = yield from native(at)
        digest = sha256()
        added = given = resized = 0

        def whole(batch: Columns) -> Sequence[Sequence[Any]]:
            oids.extend(batch[0])
            count = len(batch[0])
            return [[repository_id] * count, *batch, [created_at] * count]

        all_new = not (yield from rows(ANY_OBJECT, repository_id=repository_id))
        last = b""
        for several in batched(objects):
            oids: Oids = []
            batches = Batches(several, locked.object_format)
            if all_new:
                # COPY works while the repository had no objects before and the oids ascend.
                ascending = map(whole, batches.ascending(last))
                added += yield from change_many(INSERT, ascending, COPY)
                all_new = batches.are_all_given
                last = oids[-1] if all_new else b""
            for batch in batches.in_order():
                new = yield from change_many(INSERT, [whole(batch)])
                if new < len(batch[0]):
                    resized += yield from _reconcile(repository_id, batch)
                added += new
            given += len(several)
            # The digest depends neither on the order of the objects nor on which existed before.
            digest.update(b"".join(sorted(oids)))
        if added or resized:
            stream = stream_of(self.context, locked)
            changes = {
                "added": (None, added),
                "already_there": (None, given - added),
                "resized": (None, resized),
                "sha256_of_oids": (None, digest.hexdigest()),
                "fencing_token": (None, lease.fencing_token),
            }
            entry = stream.entry(at, "objects.add", repository_id, changes)
            yield Together((entry, advanced(locked, stream)))
        return AddResult(added, given - added)

    @write
    def remove_many(
        self,
        repository_id: Ulid,
        oids: Iterable[bytes | str],
        fencing_token: int,
        *,
        holder: str | None = None,
    ) -> Steps[int]:
        """Remove objects, and return how many of them existed; one audit entry.

        If a ``holder`` is given, the lease must be that holder's.

        Raises LeaseLost, InvalidValue, NotFound (the repository).
        """
        locked, lease, at = yield from required(repository_id, fencing_token, holder)
        asked = sorted(set(_oids(oids, locked.object_format)))
        if not asked:
            return 0
        removed = yield from change(DELETE, repository_id=repository_id, oids=tuple(asked))
        if removed:
            stream = stream_of(self.context, locked)
            changes = {
                "removed": (None, removed),
                "sha256_of_oids": (None, sha256(b"".join(asked)).hexdigest()),
                "fencing_token": (None, lease.fencing_token),
            }
            entry = stream.entry(at, "objects.remove", repository_id, changes)
            yield Together((entry, advanced(locked, stream)))
        return removed

    @read
    def get(self, repository_id: Ulid, oid: bytes | str) -> Steps[ObjectMetadata]:
        """One object's metadata.  Raises InvalidValue, NotFound (the repository, the object)."""
        check_ulid("repository_id", repository_id)
        found = yield from one(
            ObjectMetadata, SELECT_ONE, repository_id=repository_id, oid=_any_oid(oid)
        )
        if found is None:
            named_by = yield from _object_format(repository_id)
            raise NotFound("object", check_oid("oid", oid, named_by).hex())
        return found

    @read
    def list(
        self,
        repository_id: Ulid,
        *,
        type: ObjectType | int | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[ObjectMetadata]]:
        """A repository's objects in the order of their oids, of all types or of one.

        Raises InvalidValue.
        """
        filters: dict[str, Any] = {}
        if type is not None:
            filters["type"] = check_enum("type", ObjectType, type)
        return page(
            ObjectMetadata,
            LIST_ALL if type is None else LIST_TYPE,
            limit,
            BY_OID,
            after,
            repository_id=check_ulid("repository_id", repository_id),
            **filters,
        )

    @read
    def missing(self, repository_id: Ulid, oids: Iterable[bytes | str]) -> Steps[Oids]:
        """Which of the oids the repository doesn't have: each once, in the order given.

        Raises InvalidValue, NotFound (the repository).
        """
        named_by = yield from _object_format(repository_id)
        asked = dict.fromkeys(_oids(oids, named_by))
        if asked:
            # Sorted oids are close to each other in the index, which takes half the time.
            oids = tuple(sorted(asked))
            for (oid,) in (yield from rows(PRESENT, repository_id=repository_id, oids=oids)):
                del asked[oid]
        return [*asked]

    @read
    def repositories_with(
        self, oid: bytes | str, *, after: str | None = None, limit: int = 100
    ) -> Steps[Page[Repository]]:
        """The live repositories that have the object, in the order of their ids.

        Raises InvalidValue.
        """
        return page(Repository, REPOSITORIES_WITH, limit, BY_ID, after, oid=_any_oid(oid))

    @read
    def stats(self, repository_id: Ulid) -> Steps[Stats]:
        """How many objects of each type there are, and their bytes; types without any are left out.

        It reads all of the repository's objects.  Raises InvalidValue, NotFound.
        """
        yield from _object_format(repository_id)
        ((*sums,),) = yield from rows(STATS, repository_id=repository_id)
        found: Stats = []
        for position, kind in enumerate(ObjectType):
            count, size_high, size_low, disk_high, disk_low = map(int, sums[5 * position :][:5])
            if count:
                size, disk_size = size_high * _HALF + size_low, disk_high * _HALF + disk_low
                found.append(ObjectStats(kind, count, size, disk_size))
        return found


def _object_format(repository_id: Ulid) -> Steps[ObjectFormat]:
    found = yield from rows(OBJECT_FORMAT, repository_id=check_ulid("repository_id", repository_id))
    if not found:
        raise NotFound("repository", repository_id)
    return ObjectFormat(found[0][0])


def _reconcile(repository_id: Ulid, given: Columns) -> Steps[int]:
    """Compare with the rows that exist: refuse another type or size, and update disk sizes."""
    found = yield from rows(RECORDED, repository_id=repository_id, oids=tuple(given[0]))
    there = {row[0]: row for row in found}
    disk_sizes: dict[bytes, int] = {}
    for oid, kind, size, disk_size in zip(*given, strict=True):
        _, kind_there, size_there, _ = there[oid]
        if (kind, size) != (kind_there, size_there):
            raise Conflict(
                "object_metadata.oid",
                f"object {oid.hex()} is recorded as a {ObjectType(kind_there).name.lower()} of"
                f" {size_there} bytes, not as a {ObjectType(kind).name.lower()} of {size}:"
                " an oid names one content, so one of the two is wrong",
            )
        if disk_size is not None:
            disk_sizes[oid] = disk_size
    changed = [oid for oid, disk_size in disk_sizes.items() if disk_size != there[oid][3]]
    if changed:
        sizes = [disk_sizes[oid] for oid in changed]
        yield from change_many(UPDATE_DISK_SIZE, [(sizes, [repository_id] * len(changed), changed)])
    return len(changed)


def _oids(oids: Iterable[bytes | str], named_by: ObjectFormat) -> list[bytes]:
    if isinstance(oids, str | bytes):
        raise InvalidValue("oids", oids, "it must be several oids, not one")
    several = iterator("oids", oids)
    checked = [check_oid("oids", oid, named_by) for oid in islice(several, OIDS_A_CALL_MAX + 1)]
    if len(checked) > OIDS_A_CALL_MAX:
        raise InvalidValue("oids", len(checked), f"a call takes at most {OIDS_A_CALL_MAX}")
    return checked


def _any_oid(oid: bytes | str) -> bytes:
    """An oid of either format: 20 or 32 bytes.  Raises InvalidValue."""
    length = len(oid) if isinstance(oid, str | bytes) else 0
    is_sha256 = length == (64 if isinstance(oid, str) else 32)
    return check_oid("oid", oid, ObjectFormat.SHA256 if is_sha256 else ObjectFormat.SHA1)
