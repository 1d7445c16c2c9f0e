"""Projects: namespaces of repositories.  Each has its own audit stream."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict, Unpack

from forgedb.dao.audited_rows import Checks, checked, establish, revise
from forgedb.dao.paging import BY_ID, page
from forgedb.errors import NotFound, StillReferenced
from forgedb.ids import check_ulid, new_ulid
from forgedb.limits import DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX
from forgedb.models import Page, Project, Ulid, Visibility
from forgedb.operations.binding import Dao, H_co, read, write
from forgedb.operations.rows import columns
from forgedb.operations.steps import NOW, SelectOne, Steps, lookup, now, rows, together
from forgedb.sql.catalogue import sql
from forgedb.validation import check_enum, check_flag, check_slug, check_text

PROJECT = columns(Project)

SELECT_BY_ID = sql(f"SELECT {PROJECT} FROM projects WHERE id = :id")

SELECT_BY_SLUG = sql(f"SELECT {PROJECT} FROM projects WHERE slug = :slug AND deleted_at IS NULL")

LIST_LIVE = sql(f"""
SELECT {PROJECT}
FROM projects
WHERE id > :after AND deleted_at IS NULL
ORDER BY id
LIMIT :limit
""")

LIST_ALL = sql(f"""
SELECT {PROJECT}
FROM projects
WHERE id > :after
ORDER BY id
LIMIT :limit
""")

LOCK = sql(
    sqlite=f"SELECT {PROJECT}, audit_seq, audit_head FROM projects WHERE id = :id",
    postgres=f"""
    SELECT {PROJECT}, audit_seq, audit_head FROM projects WHERE id = :id FOR NO KEY UPDATE
    """,
)

INSERT = sql(f"""
INSERT INTO projects ({PROJECT}, audit_seq, audit_head)
VALUES (
    :id, :slug, :name, :description, :visibility, :created_at, :updated_at, :deleted_at,
    :audit_seq, :audit_head)
""")

UPDATE = sql("""
UPDATE projects
SET slug = :slug,
    name = :name,
    description = :description,
    visibility = :visibility,
    updated_at = :updated_at,
    deleted_at = :deleted_at,
    audit_seq = :audit_seq,
    audit_head = :audit_head
WHERE id = :id
""")

ANY_LIVE_REPOSITORY = sql("""
SELECT id FROM repositories WHERE project_id = :id AND deleted_at IS NULL LIMIT 1
""")


class LockedProject(Project, frozen=True):
    """A project whose row this transaction has locked, with the end of its stream."""

    audit_seq: int
    audit_head: bytes


def check_name(field: str, value: object) -> str:
    return check_text(field, value, NAME_CHARS_MAX, length_min=1)


def check_description(field: str, value: object) -> str:
    return check_text(field, value, DESCRIPTION_CHARS_MAX)


def check_visibility(field: str, value: object) -> Visibility:
    return check_enum(field, Visibility, value)


class ProjectFields(TypedDict, total=False):
    """What ``projects.update`` takes: the fields of a project that change."""

    slug: str
    name: str
    description: str
    visibility: Visibility | str


UPDATABLE: Checks = {
    "slug": check_slug,
    "name": check_name,
    "description": check_description,
    "visibility": check_visibility,
}


class ProjectsDao(Dao[H_co]):
    """Projects, by id or by slug."""

    @write
    def create(
        self,
        slug: str,
        name: str,
        description: str = "",
        visibility: Visibility | str = Visibility.PRIVATE,
        id: Ulid | None = None,
    ) -> Steps[Project]:
        """Create a project.

        Raises InvalidValue, AlreadyExists (the slug, among live projects, or the id).
        """
        project_id = new_ulid() if id is None else check_ulid("id", id)
        check_slug("slug", slug)
        check_name("name", name)
        check_description("description", description)
        shown_to = check_visibility("visibility", visibility)
        at = yield from now()
        project = Project(project_id, slug, name, description, shown_to, at, at, None)
        return (yield from establish(self.context, INSERT, project, at))

    @read
    def get(self, project_id: Ulid) -> Steps[Project]:
        """The project, deleted or not.  Raises InvalidValue, NotFound."""
        check_ulid("project_id", project_id)
        return lookup(Project, SELECT_BY_ID, "project", project_id, id=project_id)

    @read
    def get_by_slug(self, slug: str) -> Steps[Project]:
        """The live project of this slug.  Raises InvalidValue, NotFound."""
        return lookup(Project, SELECT_BY_SLUG, "project", slug, slug=check_slug("slug", slug))

    @read
    def list(
        self, *, after: str | None = None, limit: int = 100, include_deleted: bool = False
    ) -> Steps[Page[Project]]:
        """Projects in the order of their ids.  Raises InvalidValue."""
        return page(
            Project,
            LIST_ALL if check_flag("include_deleted", include_deleted) else LIST_LIVE,
            limit,
            BY_ID,
            after,
        )

    @write
    def update(self, /, project_id: Ulid, **fields: Unpack[ProjectFields]) -> Steps[Project]:
        """Change slug, name, description or visibility; values as before change nothing.

        Raises InvalidValue (also for an unknown field), NotFound (deleted too), AlreadyExists.
        """
        new = checked(fields, UPDATABLE)
        locked, at = yield from lock_project(project_id)
        return (yield from revise(self.context, at, UPDATE, locked, Project, "update", new))

    @write
    def delete(self, project_id: Ulid) -> Steps[Project]:
        """Mark the project deleted and free its slug; its history stays.

        Raises InvalidValue, NotFound, StillReferenced (live repositories).
        """
        locked, at = yield from lock_project(project_id)
        if (yield from rows(ANY_LIVE_REPOSITORY, id=project_id)):
            raise StillReferenced(
                "repositories.project_id",
                f"project {project_id} has live repositories: delete them first",
            )
        return (
            yield from revise(
                self.context, at, UPDATE, locked, Project, "delete", {}, is_deleted=True
            )
        )

    @write
    def restore(self, project_id: Ulid) -> Steps[Project]:
        """Make a deleted project live again; a live one stays as it is.

        Raises InvalidValue, NotFound, AlreadyExists (its slug was taken meanwhile).
        """
        locked, at = yield from lock_project(project_id, include_deleted=True)
        return (yield from revise(self.context, at, UPDATE, locked, Project, "restore", {}))


def lock_project(
    project_id: Ulid, *, include_deleted: bool = False
) -> Steps[tuple[LockedProject, datetime]]:
    """Lock the project's row until the transaction ends; returns it, and the time of the lock.

    Raises InvalidValue, NotFound.
    """
    check_ulid("project_id", project_id)
    found: LockedProject | None
    found, at = yield from together(SelectOne(LOCK, {"id": project_id}, LockedProject), NOW)
    if found is None or (found.deleted_at is not None and not include_deleted):
        raise NotFound("project", project_id)
    return found, at
