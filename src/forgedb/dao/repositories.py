"""Repositories, which own leases, objects, mirrors, relationships, and an audit stream each."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, TypedDict, Unpack

from forgedb.audit.stream import Stream
from forgedb.dao.audited_rows import Checks, checked, establish, revise
from forgedb.dao.paging import BY_ID, page
from forgedb.dao.projects import check_description, check_visibility
from forgedb.errors import InvalidValue, NotFound, StillReferenced, named
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import BRANCH_CHARS_MAX
from forgedb.models import (
    ObjectFormat,
    Page,
    Project,
    Repository,
    RepositoryState,
    Ulid,
    Visibility,
)
from forgedb.operations.binding import Context, Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import (
    NOW,
    Change,
    SelectOne,
    Steps,
    Together,
    lookup,
    now,
    one,
    rows,
    together,
)
from forgedb.sql.catalogue import sql
from forgedb.validation import check_enum, check_flag, check_slug, check_text

REPOSITORY = columns(Repository)

SELECT_BY_ID = sql(f"SELECT {REPOSITORY} FROM repositories WHERE id = :id")

SELECT_BY_PATH = sql(f"""
SELECT {columns(Repository, "r.")}
FROM projects AS p
JOIN repositories AS r ON r.project_id = p.id
WHERE p.slug = :project_slug AND p.deleted_at IS NULL
  AND r.slug = :slug AND r.deleted_at IS NULL
""")

LIST_LIVE = sql(f"""
SELECT {REPOSITORY}
FROM repositories
WHERE project_id = :project_id AND deleted_at IS NULL AND id > :after
ORDER BY id
LIMIT :limit
""")

LIST_ALL = sql(f"""
SELECT {REPOSITORY}
FROM repositories
WHERE project_id = :project_id AND id > :after
ORDER BY id
LIMIT :limit
""")

LOCK = sql(
    sqlite=f"SELECT {REPOSITORY}, audit_seq, audit_head FROM repositories WHERE id = :id",
    postgres=f"""
    SELECT {REPOSITORY}, audit_seq, audit_head FROM repositories WHERE id = :id FOR NO KEY UPDATE
    """,
)

PARENT = sql(
    sqlite=f"SELECT {columns(Project)} FROM projects WHERE id = :id AND deleted_at IS NULL",
    postgres=f"""
    SELECT {columns(Project)} FROM projects WHERE id = :id AND deleted_at IS NULL FOR SHARE
    """,
)

INSERT = sql(f"""
INSERT INTO repositories ({REPOSITORY}, audit_seq, audit_head)
VALUES (
    :id, :project_id, :slug, :description, :default_branch, :object_format, :visibility, :state,
    :lease_epoch, :created_at, :updated_at, :deleted_at, :audit_seq, :audit_head)
""")

UPDATE = sql("""
UPDATE repositories
SET slug = :slug,
    description = :description,
    default_branch = :default_branch,
    visibility = :visibility,
    state = :state,
    updated_at = :updated_at,
    deleted_at = :deleted_at,
    audit_seq = :audit_seq,
    audit_head = :audit_head
WHERE id = :id
""")

ADVANCE = sql("""
UPDATE repositories
SET audit_seq = :audit_seq, audit_head = :audit_head
WHERE id = :id
""")

# A separate statement: the trigger on lease_epoch fires only for an UPDATE that sets it.
ADVANCE_WITH_EPOCH = sql("""
UPDATE repositories
SET lease_epoch = :lease_epoch, audit_seq = :audit_seq, audit_head = :audit_head
WHERE id = :id
""")

ANY_LIVE_LEASE = sql("""
SELECT holder
FROM leases
WHERE repository_id = :id AND ended_at IS NULL AND expires_at > :now
LIMIT 1
""")

ANY_LIVE_DEPENDENT = sql("""
SELECT r.id
FROM repository_relationships AS e
JOIN repositories AS r ON r.id = e.source_id
WHERE e.target_id = :id AND r.deleted_at IS NULL
LIMIT 1
""")

# Shared locks on PostgreSQL, so that no target is deleted while this repository is restored.
TARGETS = sql(
    sqlite="""
    SELECT r.id, r.deleted_at
    FROM repository_relationships AS e
    JOIN repositories AS r ON r.id = e.target_id
    WHERE e.source_id = :id
    """,
    postgres="""
    SELECT r.id, r.deleted_at
    FROM repository_relationships AS e
    JOIN repositories AS r ON r.id = e.target_id
    WHERE e.source_id = :id
    FOR SHARE OF r
    """,
)


class LockedRepository(Repository, frozen=True):
    """A repository whose row this transaction has locked, with the end of its stream."""

    audit_seq: int
    audit_head: bytes


_not_in_a_branch = re.compile(r"[ ~^:?*\[\\]").search


def check_branch(field: str, value: object) -> str:
    branch = check_text(field, value, BRANCH_CHARS_MAX, length_min=1)
    if branch.startswith("-") or _not_in_a_branch(branch):
        raise InvalidValue(field, value, "Git allows no branch of this name")
    return branch


def check_state(field: str, value: object) -> RepositoryState:
    return check_enum(field, RepositoryState, value)


class RepositoryFields(TypedDict, total=False):
    """What ``repositories.update`` takes: the fields of a repository that change."""

    slug: str
    description: str
    default_branch: str
    visibility: Visibility | str
    state: RepositoryState | str


UPDATABLE: Checks = {
    "slug": check_slug,
    "description": check_description,
    "default_branch": check_branch,
    "visibility": check_visibility,
    "state": check_state,
}


class RepositoriesDao(Dao[H_co]):
    """Repositories, by id or by ``project/repository`` path."""

    @write
    def create(
        self,
        project_id: Ulid,
        slug: str,
        description: str = "",
        default_branch: str = "main",
        object_format: ObjectFormat | str = ObjectFormat.SHA1,
        visibility: Visibility | str | None = None,
        id: Ulid | None = None,
    ) -> Steps[Repository]:
        """Create a repository in a live project, whose visibility it takes unless given its own.

        Raises InvalidValue, NotFound (the project), AlreadyExists (the slug, among the project's
        live repositories, or the id).
        """
        check_ulid("project_id", project_id)
        repository_id = new_ulid() if id is None else check_ulid("id", id)
        check_slug("slug", slug)
        check_description("description", description)
        check_branch("default_branch", default_branch)
        named_by = check_enum("object_format", ObjectFormat, object_format)
        shown_to = None if visibility is None else check_visibility("visibility", visibility)
        lock = SelectOne(PARENT, {"id": project_id}, Project)
        found, at = yield from together(lock, NOW)
        parent = _live(found, project_id)
        repository = Repository(
            repository_id,
            project_id,
            slug,
            description,
            default_branch,
            named_by,
            shown_to or parent.visibility,
            RepositoryState.ACTIVE,
            0,
            at,
            at,
            None,
        )
        return (yield from establish(self.context, INSERT, repository, at))

    @read
    def get(self, repository_id: Ulid) -> Steps[Repository]:
        """The repository, deleted or not.  Raises InvalidValue, NotFound."""
        check_ulid("repository_id", repository_id)
        return lookup(Repository, SELECT_BY_ID, "repository", repository_id, id=repository_id)

    @read
    def get_by_path(self, path: str) -> Steps[Repository]:
        """The live repository at ``"project/repository"``.  Raises InvalidValue, NotFound."""
        project_slug, slash, slug = path.partition("/") if isinstance(path, str) else ("", "", "")
        if not slash:
            raise InvalidValue("path", path, "it must be the two slugs `project/repository`")
        return lookup(
            Repository,
            SELECT_BY_PATH,
            "repository",
            path,
            project_slug=check_slug("path", project_slug),
            slug=check_slug("path", slug),
        )

    @read
    def list(
        self,
        project_id: Ulid,
        *,
        after: str | None = None,
        limit: int = 100,
        include_deleted: bool = False,
    ) -> Steps[Page[Repository]]:
        """A project's repositories in the order of their ids.  Raises InvalidValue."""
        return page(
            Repository,
            LIST_ALL if check_flag("include_deleted", include_deleted) else LIST_LIVE,
            limit,
            BY_ID,
            after,
            project_id=check_ulid("project_id", project_id),
        )

    @write
    def update(
        self, /, repository_id: Ulid, **fields: Unpack[RepositoryFields]
    ) -> Steps[Repository]:
        """Change slug, description, default_branch, visibility or state.

        Raises InvalidValue (also for an unknown field), NotFound (deleted too), AlreadyExists.
        """
        new = checked(fields, UPDATABLE)
        locked, at = yield from lock_repository(repository_id)
        return (yield from revise(self.context, at, UPDATE, locked, Repository, "update", new))

    @write
    def delete(self, repository_id: Ulid) -> Steps[Repository]:
        """Mark the repository deleted and free its slug; its history stays.

        Raises InvalidValue, NotFound, StillReferenced (a live lease, or a live repository that
        is related to it: a fork, a user of its object pool).
        """
        locked, at = yield from lock_repository(repository_id)
        yield from _refuse_if_needed(repository_id, at)
        return (
            yield from revise(
                self.context, at, UPDATE, locked, Repository, "delete", {}, is_deleted=True
            )
        )

    @write
    def restore(self, repository_id: Ulid) -> Steps[Repository]:
        """Make a deleted repository live again; a live one stays as it is.

        Raises InvalidValue, NotFound (also its project, or a repository that it comes from, is
        deleted: restore that first), AlreadyExists (its slug was taken meanwhile).
        """
        locked, _ = yield from lock_repository(repository_id, include_deleted=True)
        _live((yield from one(Project, PARENT, id=locked.project_id)), locked.project_id)
        for target_id, deleted_at in (yield from rows(TARGETS, id=repository_id)):
            if deleted_at is not None:
                raise NotFound("repository", target_id)
        # The transaction may have waited for these locks too.
        at = yield from now()
        return (yield from revise(self.context, at, UPDATE, locked, Repository, "restore", {}))


def lock_repository(
    repository_id: Ulid, *, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, datetime]]:
    """Lock the repository's row until the transaction ends; returns it, and the time of the lock.

    Raises InvalidValue, NotFound.
    """
    locked, at, _ = yield from lock_and_select(repository_id, include_deleted=include_deleted)
    return locked, at


def lock_and_select(
    repository_id: Ulid, *then: SelectOne, include_deleted: bool = False
) -> Steps[tuple[LockedRepository, datetime, list[Any]]]:
    """Like lock_repository, and run the selects in ``then`` after it.

    The statements run one after the other, in one round trip.
    """
    check_ulid("repository_id", repository_id)
    lock = SelectOne(LOCK, {"id": repository_id}, LockedRepository)
    found: LockedRepository | None
    found, at, *rest = yield Together((lock, NOW, *then))
    if found is None or (found.deleted_at is not None and not include_deleted):
        raise NotFound("repository", repository_id)
    return found, at, rest


def stream_of(context: Context, locked: LockedRepository) -> Stream:
    """The end of the repository's stream, to append to."""
    return Stream(context, locked.id, locked.audit_seq, locked.audit_head)


def advanced(locked: LockedRepository, stream: Stream, *, lease_epoch: int | None = None) -> Change:
    """The step that writes back the stream's new end, and a new fencing token if there is one."""
    end = {"id": locked.id, "audit_seq": stream.seq, "audit_head": stream.head}
    if lease_epoch is None:
        return Change(ADVANCE, end)
    return Change(ADVANCE_WITH_EPOCH, {**end, "lease_epoch": lease_epoch})


def _live(found: Project | None, project_id: Ulid) -> Project:
    if found is None:
        raise NotFound("project", project_id)
    return found


def _refuse_if_needed(repository_id: Ulid, at: datetime) -> Steps[None]:
    holders = yield from rows(ANY_LIVE_LEASE, id=repository_id, now=at)
    if holders:
        raise StillReferenced(
            "leases.repository_id",
            f"repository {repository_id} has a live lease, held by {named(holders[0][0])}:"
            " release it first",
        )
    dependents = yield from rows(ANY_LIVE_DEPENDENT, id=repository_id)
    if dependents:
        raise StillReferenced(
            "repository_relationships.target_id",
            f"repository {repository_id} is still the target of repository {dependents[0][0]}:"
            " delete that relationship, or that repository, first",
        )
