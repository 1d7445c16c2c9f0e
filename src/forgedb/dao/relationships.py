"""Relationships: which repository forks, borrows from or contains which, in this database or not.

Forks, templates and object pools form no cycle.  Writers that each add one edge of a cycle at the
same time would not see each other's, so those kinds are added one after the other.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec.structs import asdict

from forgedb.audit.stream import created, deleted
from forgedb.dao.mirrors import check_remote_url
from forgedb.dao.paging import after_id, page
from forgedb.dao.repositories import LockedRepository, advance, lock_repository, stream_of
from forgedb.errors import AlreadyExists, Cycle, InvalidValue, NotFound
from forgedb.ids import Ulid, check_ulid, new_ulid
from forgedb.models import Page, Relationship, RelationshipKind, Repository
from forgedb.operations.binding import Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Steps, change, many, now, one, rows
from forgedb.sql.catalogue import sql
from forgedb.validation import check_enum, check_text

PATH_CHARS_MAX = 4096

FAMILY_REPOSITORIES_MAX = 10_000
"""How many ancestors or descendants a call returns at most, the nearest first."""

ACYCLIC_DISTANCE_MAX = 10_000
CYCLIC_DISTANCE_MAX = 100
"""How far a call goes: where there are circles, every round of one counts as farther away."""

ACYCLIC = frozenset(
    {RelationshipKind.FORK, RelationshipKind.TEMPLATE, RelationshipKind.OBJECT_POOL}
)

Repositories: TypeAlias = list[Repository]

EDGE = columns(Relationship)

SELECT_BY_ID = sql(f"SELECT {EDGE} FROM repository_relationships WHERE id = :id")

LIST = {
    (direction, of_kind): sql(f"""
    SELECT {EDGE}
    FROM repository_relationships
    WHERE {column} = :repository_id AND id > :after{" AND kind = :kind" if of_kind else ""}
    ORDER BY id
    LIMIT :limit
    """)
    for direction, column in (("out", "source_id"), ("in", "target_id"))
    for of_kind in (False, True)
}
"""By the direction, and whether a kind is asked for."""

FAMILY = {
    (here, there): sql(f"""
    WITH RECURSIVE family (id, distance) AS (
        SELECT e.{there}, 1
        FROM repository_relationships AS e
        WHERE e.{here} = :id AND e.kind = :kind AND e.{there} IS NOT NULL
        UNION
        SELECT e.{there}, family.distance + 1
        FROM family
        JOIN repository_relationships AS e ON e.{here} = family.id
        WHERE e.kind = :kind AND e.{there} IS NOT NULL AND family.distance < :distance_max
    )
    SELECT {columns(Repository, "r.")}
    FROM (SELECT id, min(distance) AS distance FROM family GROUP BY id) AS nearest
    JOIN repositories AS r ON r.id = nearest.id
    WHERE r.id <> :id
    ORDER BY nearest.distance, r.id
    LIMIT :limit
    """)
    for here, there in (("source_id", "target_id"), ("target_id", "source_id"))
}
"""All that can be reached from a repository along edges of one kind, each once."""

INSERT = sql(f"""
INSERT INTO repository_relationships ({EDGE})
VALUES ({", ".join(":" + field for field in Relationship.__struct_fields__)})
""")

DELETE = sql("DELETE FROM repository_relationships WHERE id = :id")

# SQLite has one writer at a time; PostgreSQL holds the lock until the transaction ends.
LOCK_KIND = sql(
    sqlite="SELECT :kind",
    postgres="SELECT pg_advisory_xact_lock(hashtext('forgedb.relationships.' || :kind))",
)


class RelationshipsDao(Dao[H_co]):
    """Edges between repositories, or from a repository to a URL elsewhere."""

    @write
    def create(
        self,
        source_id: Ulid,
        kind: RelationshipKind | str,
        target_id: Ulid | None = None,
        target_url: str | None = None,
        path: str = "",
    ) -> Steps[Relationship]:
        """Relate ``source_id`` to a repository here, or to one elsewhere by its URL.

        The source is what depends: the fork, the user of a template or pool, the repository with
        the submodule, whose place in it is ``path``.

        Raises InvalidValue (also for no target, or two), NotFound (either end, deleted too),
        AlreadyExists (the same edge, or a second fork parent), Cycle.
        """
        of_kind = check_enum("kind", RelationshipKind, kind)
        check_ulid("source_id", source_id)
        check_text("path", path, PATH_CHARS_MAX)
        if (target_id is None) == (target_url is None):
            raise InvalidValue(
                "target_id", target_id, "give a target_id or a target_url, and not both"
            )
        if target_url is not None:
            check_remote_url("target_url", target_url)
        if target_id is not None and check_ulid("target_id", target_id) == source_id:
            raise InvalidValue("target_id", target_id, "a repository isn't related to itself")
        if of_kind in ACYCLIC:
            yield from rows(LOCK_KIND, kind=of_kind.value)
        locked = yield from _lock_ends(source_id, target_id)
        if target_id is not None and of_kind in ACYCLIC:
            yield from _refuse_cycle(source_id, target_id, of_kind)
        at = yield from now()
        edge = Relationship(new_ulid(), source_id, target_id, target_url, of_kind, path, at, at)
        stream = stream_of(self.context, locked)
        yield from stream.append(at, "relationship.create", edge.id, created(edge))
        yield from advance(locked, stream)
        try:
            yield from change(INSERT, **asdict(edge))
        except AlreadyExists as error:
            raise _taken(error, edge) from error.__cause__
        return edge

    @read
    def get(self, relationship_id: Ulid) -> Steps[Relationship]:
        """The relationship.  Raises InvalidValue, NotFound."""
        return _get(relationship_id)

    @read
    def list(
        self,
        repository_id: Ulid,
        kind: RelationshipKind | str | None = None,
        direction: str = "out",
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[Relationship]]:
        """A repository's relationships in the order of their ids, of all kinds or of one.

        ``direction`` is ``"out"`` for those whose source it is, ``"in"`` for those that point to
        it.  Raises InvalidValue.
        """
        if direction not in ("out", "in"):
            raise InvalidValue("direction", direction, "it must be out or in")
        filters: dict[str, Any] = {}
        if kind is not None:
            filters["kind"] = check_enum("kind", RelationshipKind, kind)
        return page(
            Relationship,
            LIST[direction, kind is not None],
            limit,
            lambda edge: edge.id,
            repository_id=check_ulid("repository_id", repository_id),
            after=after_id(after),
            **filters,
        )

    @read
    def ancestors(self, id: Ulid, kind: RelationshipKind | str) -> Steps[Repositories]:
        """The repositories that it comes from along one kind, nearest first, 10,000 at most.

        Submodules and mirrors may form circles, and are followed for 100 steps.

        Raises InvalidValue.
        """
        return _family(id, kind, "source_id", "target_id")

    @read
    def descendants(self, id: Ulid, kind: RelationshipKind | str) -> Steps[Repositories]:
        """The repositories that come from it along one kind, nearest first, 10,000 at most.

        Submodules and mirrors may form circles, and are followed for 100 steps.

        Raises InvalidValue.
        """
        return _family(id, kind, "target_id", "source_id")

    @write
    def delete(self, relationship_id: Ulid) -> Steps[Relationship]:
        """Remove the relationship, and return it as it was.  Raises InvalidValue, NotFound."""
        seen = yield from _get(relationship_id)
        locked = yield from lock_repository(seen.source_id, include_deleted=True)
        edge = yield from _get(relationship_id)
        at = yield from now()
        stream = stream_of(self.context, locked)
        yield from stream.append(at, "relationship.delete", edge.id, deleted(edge))
        yield from advance(locked, stream)
        yield from change(DELETE, id=edge.id)
        return edge


def _get(relationship_id: Ulid) -> Steps[Relationship]:
    found = yield from one(
        Relationship, SELECT_BY_ID, id=check_ulid("relationship_id", relationship_id)
    )
    if found is None:
        raise NotFound("relationship", relationship_id)
    return found


def _lock_ends(source_id: Ulid, target_id: Ulid | None) -> Steps[LockedRepository]:
    """Lock both ends in the order of their ids, so that nobody waits in a circle: the source."""
    ends: dict[Ulid, LockedRepository] = {}
    for repository_id in sorted({source_id, target_id or source_id}):
        ends[repository_id] = yield from lock_repository(repository_id)
    return ends[source_id]


def _family(id: Ulid, kind: RelationshipKind | str, here: str, there: str) -> Steps[Repositories]:
    of_kind = check_enum("kind", RelationshipKind, kind)
    return many(
        Repository,
        FAMILY[here, there],
        id=check_ulid("id", id),
        kind=of_kind,
        distance_max=ACYCLIC_DISTANCE_MAX if of_kind in ACYCLIC else CYCLIC_DISTANCE_MAX,
        limit=FAMILY_REPOSITORIES_MAX,
    )


def _refuse_cycle(source_id: Ulid, target_id: Ulid, kind: RelationshipKind) -> Steps[None]:
    for ancestor in (yield from _family(target_id, kind, "source_id", "target_id")):
        if ancestor.id == source_id:
            raise Cycle(
                "repository_relationships_acyclic",
                f"repository {target_id} comes from {source_id} by {kind} already: making it a"
                f" {kind} target too would close a circle",
            )


def _taken(error: AlreadyExists, edge: Relationship) -> AlreadyExists:
    target = edge.target_id or edge.target_url
    what = f"the {edge.kind} relationship to {target} at {edge.path!r}"
    if error.constraint == "repository_relationships_one_fork_parent":
        what = "a fork parent, and it has one alone"
    return AlreadyExists(
        error.constraint,
        f"repository {edge.source_id} has {what} already: keep it, or delete it first",
    )
