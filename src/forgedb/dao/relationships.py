"""Relationships between repositories: forks, templates, mirrors, submodules, object pools.

An edge goes from a source repository, whose audit stream records it, to a repository or a URL.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec.structs import asdict

from forgedb.audit.stream import created, deleted
from forgedb.dao.audited_rows import plain
from forgedb.dao.paging import BY_ID, page
from forgedb.dao.repositories import (
    LockedRepository,
    advanced,
    lock_and_select,
    lock_repository,
    stream_of,
)
from forgedb.errors import AlreadyExists, Cycle, InvalidValue, NotFound
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import EDGES_A_WALK_MAX, PATH_CHARS_MAX
from forgedb.models import Page, Relationship, RelationshipKind, Repository, Ulid
from forgedb.operations.binding import Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import Change, SelectOne, Steps, Together, lookup, many, rows
from forgedb.remote_url import check_remote_url
from forgedb.sql.advisory_locks import RELATIONSHIP_KIND
from forgedb.sql.catalogue import Sql, sql
from forgedb.validation import check_enum, check_text

CYCLE_SHOWN_MAX = 6
"""How many repositories of a cycle its error names."""

ACYCLIC = frozenset(
    {RelationshipKind.FORK, RelationshipKind.TEMPLATE, RelationshipKind.OBJECT_POOL}
)

Side: TypeAlias = Literal["out", "in"]
Repositories: TypeAlias = list[Repository]

RELATIONSHIP = columns(Relationship)

SELECT_BY_ID = sql(f"SELECT {RELATIONSHIP} FROM repository_relationships WHERE id = :id")

_OUT = f"SELECT {RELATIONSHIP} FROM repository_relationships WHERE source_id = :repository_id"
_IN = f"SELECT {RELATIONSHIP} FROM repository_relationships WHERE target_id = :repository_id"
_PAGE = "AND id > :after ORDER BY id LIMIT :limit"

LIST: dict[tuple[str, bool], Sql] = {
    ("out", False): sql(f"{_OUT} {_PAGE}"),
    ("out", True): sql(f"{_OUT} AND kind = :kind {_PAGE}"),
    ("in", False): sql(f"{_IN} {_PAGE}"),
    ("in", True): sql(f"{_IN} AND kind = :kind {_PAGE}"),
}
"""Keyed by the side that the repository is on, and whether a kind is given."""


def _walk_text(near: str, far: str) -> str:
    """The SQL text that follows edges from ``near`` to ``far``, and gives each with its far end.

    UNION drops repositories that were met before, so that the recursion ends in a cycle too.
    CROSS JOIN fixes SQLite's join order: otherwise it would scan all edges.
    """
    return f"""
    WITH RECURSIVE met (id) AS (
        SELECT id
        FROM repositories
        WHERE id = :id
        UNION
        SELECT e.{far}
        FROM met
        JOIN repository_relationships AS e ON e.{near} = met.id
        WHERE e.kind = :kind AND e.{far} IS NOT NULL
    )
    SELECT {columns(Repository, "r.")}, met.id
    FROM met
    CROSS JOIN repository_relationships AS e
    JOIN repositories AS r ON r.id = e.{far}
    WHERE e.{near} = met.id AND e.kind = :kind
    LIMIT :limit
    """


ANCESTORS = sql(_walk_text("source_id", "target_id"))

DESCENDANTS = sql(_walk_text("target_id", "source_id"))

# Two writers that each add one edge of a cycle lock different rows, so on PostgreSQL neither would
# see the other's edge.  SQLite has one writer at a time.
LOCK_KIND = sql(
    sqlite="SELECT :kind",
    postgres=f"SELECT pg_advisory_xact_lock({RELATIONSHIP_KIND})",
)

INSERT = sql(f"""
INSERT INTO repository_relationships ({RELATIONSHIP})
VALUES (:id, :source_id, :target_id, :target_url, :kind, :path, :created_at, :updated_at)
""")

DELETE = sql("DELETE FROM repository_relationships WHERE id = :id")


class Met(Repository, frozen=True):
    """A repository at the far end of an edge that a walk followed from ``near_id``."""

    near_id: Ulid


class RelationshipsDao(Dao[H_co]):
    """Edges between repositories, of a kind each; forks, templates and pools have no cycles."""

    @write
    def create(
        self,
        source_id: Ulid,
        kind: RelationshipKind | str,
        target_id: Ulid | None = None,
        target_url: str | None = None,
        path: str = "",
    ) -> Steps[Relationship]:
        """Relate a repository to another, or to a URL outside: ``source`` is a fork of the target.

        Either ``target_id`` or ``target_url`` is given.  ``path`` is where a submodule lies.

        Raises InvalidValue (also both targets or none, the repository itself, credentials in the
        URL), NotFound (either repository; deleted too), AlreadyExists (the same relationship, or
        a second fork parent), Cycle (the target is a fork, a child or a user of the source).
        """
        check_ulid("source_id", source_id)
        of_kind = check_enum("kind", RelationshipKind, kind)
        check_text("path", path, PATH_CHARS_MAX)
        _check_target(source_id, target_id, target_url)
        if target_id is not None and of_kind in ACYCLIC:
            yield from rows(LOCK_KIND, kind=of_kind)
        source, at = yield from _lock_ends(source_id, target_id)
        if target_id is not None and of_kind in ACYCLIC:
            yield from _refuse_cycle(source_id, of_kind, target_id)
        edge = Relationship(new_ulid(), source_id, target_id, target_url, of_kind, path, at, at)
        stream = stream_of(self.context, source)
        entry = stream.entry(at, "relationship.create", edge.id, created(edge))
        yield from _insert(edge, entry, advanced(source, stream))
        return edge

    @read
    def get(self, relationship_id: Ulid) -> Steps[Relationship]:
        """The relationship.  Raises InvalidValue, NotFound."""
        return _get(relationship_id)

    @read
    def list(
        self,
        repository_id: Ulid,
        *,
        kind: RelationshipKind | str | None = None,
        direction: Side = "out",
        after: str | None = None,
        limit: int = 100,
    ) -> Steps[Page[Relationship]]:
        """A repository's relationships in the order of their ids, of all kinds or of one.

        ``"out"`` are those that it is the source of, ``"in"`` those that it is the target of.
        Raises InvalidValue.
        """
        if direction not in ("out", "in"):
            raise InvalidValue("direction", direction, "it must be out or in")
        filters: dict[str, object] = {}
        if kind is not None:
            filters["kind"] = check_enum("kind", RelationshipKind, kind)
        return page(
            Relationship,
            LIST[direction, kind is not None],
            limit,
            BY_ID,
            after,
            repository_id=check_ulid("repository_id", repository_id),
            **filters,
        )

    @read
    def ancestors(self, repository_id: Ulid, kind: RelationshipKind | str) -> Steps[Repositories]:
        """The live repositories that this one comes from, through any number of edges.

        Nearest first, and by id where they are equally near.  In a cycle of mirrors or submodules
        each is given once, and the repository itself is not.

        Raises InvalidValue (also where more than 10,000 edges lead there: page through ``list``).
        """
        return _related(ANCESTORS, repository_id, kind)

    @read
    def descendants(self, repository_id: Ulid, kind: RelationshipKind | str) -> Steps[Repositories]:
        """The live repositories that come from this one, as ``ancestors`` gives them.

        Raises InvalidValue.
        """
        return _related(DESCENDANTS, repository_id, kind)

    @write
    def delete(self, relationship_id: Ulid) -> Steps[Relationship]:
        """Delete the relationship, also of a deleted repository, and return it as it was.

        Raises InvalidValue, NotFound.
        """
        seen = yield from _get(relationship_id)
        again = SelectOne(SELECT_BY_ID, {"id": relationship_id}, Relationship)
        source, at, (found,) = yield from lock_and_select(
            seen.source_id, again, include_deleted=True
        )
        if found is None:
            raise NotFound("relationship", relationship_id)
        edge: Relationship = found
        stream = stream_of(self.context, source)
        entry = stream.entry(at, "relationship.delete", relationship_id, deleted(edge))
        gone = Change(DELETE, {"id": relationship_id})
        yield Together((gone, entry, advanced(source, stream)))
        return edge


def _check_target(source_id: Ulid, target_id: Ulid | None, target_url: str | None) -> None:
    if (target_id is None) == (target_url is None):
        raise InvalidValue(
            "target_id", target_id, "give either target_id or target_url, and not both"
        )
    if target_url is not None:
        check_remote_url("target_url", target_url)
    elif check_ulid("target_id", target_id) == source_id:
        raise InvalidValue("target_id", target_id, "it is the source: name another repository")


def _get(relationship_id: Ulid) -> Steps[Relationship]:
    check_ulid("relationship_id", relationship_id)
    return lookup(Relationship, SELECT_BY_ID, "relationship", relationship_id, id=relationship_id)


def _lock_ends(source_id: Ulid, target_id: Ulid | None) -> Steps[tuple[LockedRepository, datetime]]:
    """Lock both repositories in the order of their ids; returns the source, and the time."""
    locked: dict[Ulid, tuple[LockedRepository, datetime]] = {}
    for repository_id in sorted({source_id, target_id or source_id}):
        locked[repository_id] = yield from lock_repository(repository_id)
    return locked[source_id][0], max(at for _, at in locked.values())


def _refuse_cycle(source_id: Ulid, kind: RelationshipKind, target_id: Ulid) -> Steps[None]:
    came_from = _nearest(target_id, (yield from _walk(ANCESTORS, target_id, kind)))
    if source_id not in came_from:
        return
    path = [source_id]
    while path[-1] != target_id:
        path.append(came_from[path[-1]].near_id)
    path.append(source_id)
    if len(path) > CYCLE_SHOWN_MAX:
        path[CYCLE_SHOWN_MAX - 1 : -1] = ["..."]
    raise Cycle(
        "repository_relationships_acyclic",
        f"repository {source_id} can't be a {kind.replace('_', ' ')} of {target_id}, which comes"
        f" from it ({' <- '.join(path)}): choose another target, or delete one of those",
    )


def _related(walk: Sql, repository_id: Ulid, kind: RelationshipKind | str) -> Steps[Repositories]:
    check_ulid("repository_id", repository_id)
    of_kind = check_enum("kind", RelationshipKind, kind)
    found = _nearest(repository_id, (yield from _walk(walk, repository_id, of_kind)))
    return [plain(Repository, met) for met in found.values() if met.deleted_at is None]


def _walk(walk: Sql, start: Ulid, kind: RelationshipKind) -> Steps[list[Met]]:
    """Every edge that is reached, in no order, with the repository at its far end."""
    found = yield from many(Met, walk, id=start, kind=kind, limit=EDGES_A_WALK_MAX + 1)
    if len(found) > EDGES_A_WALK_MAX:
        raise InvalidValue(
            "repository_id",
            start,
            f"more than {EDGES_A_WALK_MAX} relationships lead on from it: page through list()",
        )
    return found


def _nearest(start: Ulid, edges: list[Met]) -> dict[Ulid, Met]:
    """The repositories that are reached, by distance and then by id, each with a nearest edge."""
    leading_from: dict[Ulid, list[Met]] = {}
    for met in edges:
        leading_from.setdefault(met.near_id, []).append(met)
    reached: dict[Ulid, Met] = {}
    level: list[Ulid] = [start]
    while level:
        ahead = [met for near_id in level for met in leading_from.get(near_id, ())]
        level = []
        for met in sorted(ahead, key=lambda met: met.id):
            if met.id != start and met.id not in reached:
                reached[met.id] = met
                level.append(met.id)
    return reached


def _insert(edge: Relationship, entry: Change, advanced: Change) -> Steps[None]:
    try:
        yield Together((Change(INSERT, asdict(edge)), entry, advanced))
    except AlreadyExists as error:
        if edge.kind is RelationshipKind.FORK:
            # A fork that exists already violates two constraints; which one is reported depends on
            # the database.
            raise AlreadyExists(
                "repository_relationships_one_fork_parent",
                f"repository {edge.source_id} is a fork already: delete that relationship first",
            ) from error.__cause__
        raise AlreadyExists(
            error.constraint,
            f"repository {edge.source_id} has this {edge.kind} relationship to"
            f" {edge.target_id or edge.target_url} already: use the one that is there",
        ) from error.__cause__
