"""Repositories: created in a project, read by id and path, changed, deleted and restored."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from forgedb import (
    ActorRequired,
    AlreadyExists,
    Database,
    InvalidValue,
    NotFound,
    ObjectFormat,
    Project,
    Repository,
    RepositoryState,
    StillReferenced,
    Visibility,
)
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import on_each_database
from tests.conformance.values import (
    BAD_SLUGS,
    BAD_TEXTS,
    BAD_ULIDS,
    FREE,
    actions,
    assert_list_pages_well,
    assert_refused,
    count_of_entries,
    history,
)


def test_a_repository_reads_back_as_it_was_returned(db: Database, project: Project) -> None:
    made = db.repositories.create(
        project_id=project.id,
        slug="api",
        description="Der Kern",
        default_branch="release/2.0",
        object_format="sha256",
        visibility="internal",
        id=FREE,
    )
    assert made == Repository(
        id=FREE,
        project_id=project.id,
        slug="api",
        description="Der Kern",
        default_branch="release/2.0",
        object_format=ObjectFormat.SHA256,
        visibility=Visibility.INTERNAL,
        state=RepositoryState.ACTIVE,
        lease_epoch=0,
        created_at=START,
        updated_at=START,
        deleted_at=None,
    )
    found = db.repositories.get(FREE)
    assert found == made
    assert db.repositories.get_by_path("platform/api") == made
    assert (type(found.object_format), type(found.state)) == (ObjectFormat, RepositoryState)


@pytest.mark.parametrize("visibility", Visibility)
def test_a_repository_is_as_visible_as_its_project_unless_told(
    db: Database, visibility: Visibility
) -> None:
    project = db.projects.create("open", "Open", visibility=visibility)
    assert db.repositories.create(project.id, "a").visibility is visibility
    other = db.repositories.create(project.id, "b", visibility=Visibility.PRIVATE)
    assert other.visibility is Visibility.PRIVATE


def test_a_repository_needs_a_live_project(db: Database, project: Project) -> None:
    db.projects.delete(project.id)
    before = count_of_entries(db)
    for parent in (FREE, project.id):
        with pytest.raises(NotFound) as raised:
            db.repositories.create(parent, "api")
        assert (raised.value.entity, raised.value.key) == ("project", parent)
    assert count_of_entries(db) == before


def test_a_slug_is_unique_within_a_project_alone(
    db: Database, project: Project, repository: Repository
) -> None:
    with pytest.raises(AlreadyExists, match="'api'") as raised:
        db.repositories.create(project.id, "api")
    assert raised.value.constraint == "repositories_one_live_per_path"
    elsewhere = db.projects.create("elsewhere", "Elsewhere")
    twin = db.repositories.create(elsewhere.id, "api")
    assert db.repositories.get_by_path("platform/api") == repository
    assert db.repositories.get_by_path("elsewhere/api") == twin


def test_an_id_is_taken_only_once_also_by_a_project(
    db: Database, project: Project, repository: Repository
) -> None:
    for taken in (repository.id, project.id):
        with pytest.raises(AlreadyExists, match=taken):
            db.repositories.create(project.id, "other", id=taken)
    with pytest.raises(AlreadyExists, match=repository.id):
        db.projects.create("other", "Other", id=repository.id)
    assert db.repositories.list(project.id).items == [repository]


@on_each_database
def test_malformed_ids_are_refused(db: Database, project: Project) -> None:
    for bad in BAD_ULIDS:
        assert_refused(
            "repository_id",
            bad,
            partial(db.repositories.get, bad),
            partial(db.repositories.update, bad, slug="x"),
            partial(db.repositories.delete, bad),
            partial(db.repositories.restore, bad),
        )
        assert_refused(
            "project_id",
            bad,
            partial(db.repositories.create, bad, "api"),
            partial(db.repositories.list, bad),
        )
        if bad is not None:
            assert_refused("id", bad, partial(db.repositories.create, project.id, "api", id=bad))


@on_each_database
def test_malformed_slugs_and_texts_are_refused(
    db: Database, project: Project, repository: Repository
) -> None:
    for slug in BAD_SLUGS:
        assert_refused(
            "slug",
            slug,
            partial(db.repositories.create, project.id, slug),
            partial(db.repositories.update, repository.id, slug=slug),
        )
    for text in BAD_TEXTS:
        for field in ("description", "default_branch"):
            given: dict[str, Any] = {field: text}
            assert_refused(
                field,
                text,
                partial(db.repositories.create, project.id, "new", **given),
                partial(db.repositories.update, repository.id, **given),
            )
    assert db.repositories.list(project.id).items == [repository]


def test_a_branch_that_git_would_not_take_is_refused(db: Database, repository: Repository) -> None:
    bad = ["", "-main", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "b" * 256]
    for branch in bad:
        assert_refused(
            "default_branch",
            branch,
            partial(db.repositories.update, repository.id, default_branch=branch),
        )
    assert db.repositories.update(repository.id, default_branch="b" * 255) != repository


@on_each_database
@pytest.mark.parametrize(
    ("field", "bad", "named"),
    [
        ("object_format", "sha512", "sha1, sha256"),
        ("object_format", None, "sha1, sha256"),
        ("visibility", "secret", "private, internal, public"),
    ],
)
def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(
    db: Database, project: Project, field: str, bad: Any, named: str
) -> None:
    with pytest.raises(InvalidValue, match=named) as raised:
        db.repositories.create(project.id, "api", **{field: bad})
    assert raised.value.field == field


@on_each_database
@pytest.mark.parametrize(
    "path", ["", "api", "/api", "platform/", "platform/api/x", "Platform/api", "a b/c", None, 7]
)
def test_a_path_that_is_no_pair_of_slugs_is_refused(db: Database, path: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        db.repositories.get_by_path(path)
    assert raised.value.field == "path"


def test_what_is_not_there_is_named(db: Database, repository: Repository) -> None:
    for key, call in (
        (FREE, lambda: db.repositories.get(FREE)),
        (FREE, lambda: db.repositories.update(FREE, slug="x")),
        (FREE, lambda: db.repositories.delete(FREE)),
        (FREE, lambda: db.repositories.restore(FREE)),
        ("platform/web", lambda: db.repositories.get_by_path("platform/web")),
        ("other/api", lambda: db.repositories.get_by_path("other/api")),
    ):
        with pytest.raises(NotFound) as raised:
            call()
        assert (raised.value.entity, raised.value.key) == ("repository", key)


def test_every_field_that_may_change_does(
    db: Database, repository: Repository, clock: Clock
) -> None:
    at = clock.pass_by(timedelta(hours=1))
    changed = db.repositories.update(
        repository.id,
        slug="web",
        description="The web",
        default_branch="trunk",
        visibility="public",
        state="archived",
    )
    assert db.repositories.get(repository.id) == changed
    assert changed == Repository(
        id=repository.id,
        project_id=repository.project_id,
        slug="web",
        description="The web",
        default_branch="trunk",
        object_format=ObjectFormat.SHA1,
        visibility=Visibility.PUBLIC,
        state=RepositoryState.ARCHIVED,
        lease_epoch=0,
        created_at=START,
        updated_at=at,
        deleted_at=None,
    )
    assert db.repositories.get_by_path("platform/web") == changed


@on_each_database
@pytest.mark.parametrize(
    "field", ["id", "project_id", "object_format", "lease_epoch", "created_at", "deleted_at", "x"]
)
def test_what_is_fixed_or_unknown_is_not_updated(
    db: Database, repository: Repository, field: str
) -> None:
    with pytest.raises(InvalidValue, match="no such field to update") as raised:
        db.repositories.update(repository.id, **{field: "sha256"})
    assert raised.value.field == field
    assert db.repositories.get(repository.id) == repository


def test_an_update_to_the_same_values_writes_nothing(
    db: Database, repository: Repository, clock: Clock
) -> None:
    clock.pass_by(timedelta(hours=1))
    assert db.repositories.update(repository.id, state="active", slug="api") == repository
    assert actions(db, repository.id) == ["repository.create"]


def test_a_list_is_of_one_project_and_pages_by_key(db: Database, project: Project) -> None:
    other = db.projects.create("other", "Other")
    for number in range(5):
        db.repositories.create(project.id, f"r{number}")
        db.repositories.create(other.id, f"r{number}")
    assert_list_pages_well(partial(db.repositories.list, project.id))
    assert {each.project_id for each in db.repositories.list(project.id).items} == {project.id}
    assert db.repositories.list(FREE).items == []


def test_a_list_hides_what_is_deleted_unless_told(db: Database, project: Project) -> None:
    made = [db.repositories.create(project.id, f"r{number}") for number in range(4)]
    gone = [db.repositories.delete(each.id) for each in made[1:3]]
    assert db.repositories.list(project.id).items == [made[0], made[3]]
    whole = db.repositories.list(project.id, include_deleted=True)
    assert whole.items == [made[0], *gone, made[3]]
    assert db.repositories.list(project.id, limit=1).next == made[0].id
    assert db.repositories.list(project.id, limit=1, after=made[0].id).items == [made[3]]


def test_a_deleted_repository_frees_its_slug_and_can_be_read_by_id(
    db: Database, project: Project, repository: Repository, clock: Clock
) -> None:
    at = clock.pass_by(timedelta(days=1))
    deleted = db.repositories.delete(repository.id)
    assert deleted.deleted_at == deleted.updated_at == at
    assert db.repositories.get(repository.id) == deleted
    with pytest.raises(NotFound):
        db.repositories.get_by_path("platform/api")
    second = db.repositories.create(project.id, "api")
    assert db.repositories.get_by_path("platform/api") == second


def test_a_deleted_repository_takes_no_change(db: Database, repository: Repository) -> None:
    db.repositories.delete(repository.id)
    before = count_of_entries(db)
    for call in (
        lambda: db.repositories.delete(repository.id),
        lambda: db.repositories.update(repository.id, slug="new"),
        lambda: db.leases.acquire(repository.id),
        lambda: db.mirrors.create(repository.id, "pull", "https://host/api"),
        lambda: db.relationships.create(repository.id, "fork", target_url="https://host/api"),
    ):
        with pytest.raises(NotFound) as raised:
            call()
        assert (raised.value.entity, raised.value.key) == ("repository", repository.id)
    assert count_of_entries(db) == before


def test_a_repository_with_a_live_lease_stays(
    db: Database, repository: Repository, clock: Clock
) -> None:
    db.leases.acquire(repository.id, duration=timedelta(hours=1))
    with pytest.raises(StillReferenced, match="user:ada: release it first") as raised:
        db.repositories.delete(repository.id)
    assert raised.value.constraint == "leases.repository_id"
    clock.pass_by(timedelta(hours=1))
    assert db.repositories.delete(repository.id).deleted_at is not None


def test_a_repository_that_others_come_from_stays(
    db: Database, project: Project, repository: Repository
) -> None:
    fork = db.repositories.create(project.id, "fork")
    db.relationships.create(fork.id, "fork", repository.id)
    with pytest.raises(StillReferenced, match=fork.id) as raised:
        db.repositories.delete(repository.id)
    assert raised.value.constraint == "repository_relationships.target_id"
    db.repositories.delete(fork.id)
    assert db.repositories.delete(repository.id).deleted_at is not None


def test_a_restored_repository_is_as_it_was(db: Database, repository: Repository) -> None:
    db.repositories.delete(repository.id)
    restored = db.repositories.restore(repository.id)
    assert restored.deleted_at is None
    assert db.repositories.get_by_path("platform/api") == restored
    assert db.repositories.restore(repository.id) == restored
    assert actions(db, repository.id) == [
        "repository.create",
        "repository.delete",
        "repository.restore",
    ]


def test_a_repository_is_not_restored_into_a_deleted_project(
    db: Database, project: Project, repository: Repository
) -> None:
    deleted = db.repositories.delete(repository.id)
    db.projects.delete(project.id)
    with pytest.raises(NotFound) as raised:
        db.repositories.restore(repository.id)
    assert (raised.value.entity, raised.value.key) == ("project", project.id)
    assert db.repositories.get(repository.id) == deleted


def test_a_repository_whose_path_was_taken_meanwhile_is_not_restored(
    db: Database, project: Project, repository: Repository
) -> None:
    db.repositories.delete(repository.id)
    db.repositories.create(project.id, "api")
    with pytest.raises(AlreadyExists) as raised:
        db.repositories.restore(repository.id)
    assert raised.value.constraint == "repositories_one_live_per_path"


def test_each_change_leaves_an_entry_in_the_repositorys_own_stream(
    db: Database, project: Project, repository: Repository
) -> None:
    db.repositories.update(repository.id, state="read_only")
    created, updated = history(db, repository.id)
    assert {created.stream_id, updated.stream_id} == {repository.id}
    assert (created.seq, updated.seq) == (1, 2)
    assert created.target_type == "repository"
    assert created.changes == {
        "project_id": [None, project.id],
        "slug": [None, "api"],
        "description": [None, ""],
        "default_branch": [None, "main"],
        "object_format": [None, "sha1"],
        "visibility": [None, "private"],
        "state": [None, "active"],
        "lease_epoch": [None, 0],
    }
    assert updated.changes == {"state": ["active", "read_only"]}
    assert actions(db, project.id) == ["project.create"]


def test_a_change_by_nobody_is_refused(db: Database, project: Project) -> None:
    nobody = db.acting_as(None)
    for operation, call in (
        ("create", lambda: nobody.repositories.create(project.id, "BAD SLUG")),
        ("update", lambda: nobody.repositories.update("bad id")),
        ("delete", lambda: nobody.repositories.delete("bad id")),
        ("restore", lambda: nobody.repositories.restore("bad id")),
    ):
        with pytest.raises(ActorRequired) as raised:
            call()
        assert raised.value.operation == f"RepositoriesDao.{operation}"


def test_a_repository_whose_parent_is_deleted_is_not_restored(
    db: Database, project: Project, repository: Repository
) -> None:
    fork = db.repositories.create(project.id, "fork")
    db.relationships.create(fork.id, "fork", repository.id)
    db.repositories.delete(fork.id)
    db.repositories.delete(repository.id)
    with pytest.raises(NotFound) as raised:
        db.repositories.restore(fork.id)
    assert (raised.value.entity, raised.value.key) == ("repository", repository.id)
    db.repositories.restore(repository.id)
    assert db.repositories.restore(fork.id).deleted_at is None
