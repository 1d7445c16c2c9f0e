"""Projects: created, read, changed, deleted and restored, and what is refused."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forgedb
from forgedb import (
    ActorRequired,
    AlreadyExists,
    Database,
    InvalidValue,
    NotFound,
    Project,
    SchemaOutdated,
    StillReferenced,
    UsageError,
    Visibility,
    new_ulid,
)
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import Connect, on_each_database
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


def test_a_project_reads_back_as_it_was_returned(db: Database) -> None:
    made = db.projects.create(
        slug="plat-form_2.0",
        name="Plåtform 'x' \"y\" %s :z",
        description="—\n",
        visibility="public",
    )
    assert made == Project(
        id=made.id,
        slug="plat-form_2.0",
        name="Plåtform 'x' \"y\" %s :z",
        description="—\n",
        visibility=Visibility.PUBLIC,
        created_at=START,
        updated_at=START,
        deleted_at=None,
    )
    assert db.projects.get(made.id) == made
    assert db.projects.get_by_slug("plat-form_2.0") == made


def test_what_is_read_has_the_models_own_types(db: Database, project: Project) -> None:
    found = db.projects.get(project.id)
    assert type(found.visibility) is Visibility
    assert found.created_at.tzinfo is UTC
    assert found.description == ""
    assert found.visibility is Visibility.PRIVATE


def test_an_id_may_be_given_and_is_taken_only_once(db: Database) -> None:
    made = db.projects.create("one", "One", id=FREE)
    assert made.id == FREE
    with pytest.raises(AlreadyExists) as raised:
        db.projects.create("two", "Two", id=FREE)
    assert FREE in str(raised.value)
    assert db.projects.list().items == [made]


def test_a_malformed_slug_is_refused_everywhere(db: Database, project: Project) -> None:
    for slug in BAD_SLUGS:
        assert_refused(
            "slug",
            slug,
            partial(db.projects.create, slug, "Name"),
            partial(db.projects.get_by_slug, slug),
            partial(db.projects.update, project.id, slug=slug),
        )
    assert db.projects.list().items == [project]


@pytest.mark.parametrize("field", ["name", "description"])
def test_what_is_no_text_that_databases_keep_is_refused(
    db: Database, project: Project, field: str
) -> None:
    before = count_of_entries(db)
    for text in BAD_TEXTS:
        given: dict[str, Any] = {"slug": "new", "name": "New", field: text}
        assert_refused(
            field,
            text,
            partial(db.projects.create, **given),
            partial(db.projects.update, project.id, **{field: text}),
        )
    assert count_of_entries(db) == before


@on_each_database
@pytest.mark.parametrize(
    ("field", "text"), [("name", ""), ("name", "n" * 201), ("description", "d" * 10_001)]
)
def test_text_of_the_wrong_length_is_refused(db: Database, field: str, text: str) -> None:
    with pytest.raises(InvalidValue, match=r"must have .* characters") as raised:
        db.projects.create(**{"slug": "new", "name": "New", field: text})
    assert raised.value.field == field


def test_the_longest_texts_are_kept_whatever_their_characters(db: Database) -> None:
    made = db.projects.create("a" * 100, "𝕏" * 200, "é" * 10_000)
    assert db.projects.get(made.id) == made


def test_an_unknown_visibility_is_refused_and_the_known_ones_are_named(db: Database) -> None:
    bad: list[Any] = ["secret", "PUBLIC", "", None, 1, True]
    for visibility in bad:
        with pytest.raises(InvalidValue, match="private, internal, public") as raised:
            db.projects.create("new", "New", visibility=visibility)
        assert raised.value.field == "visibility"


def test_a_malformed_id_is_refused_before_it_is_looked_for(db: Database) -> None:
    for bad in BAD_ULIDS:
        assert_refused(
            "project_id",
            bad,
            partial(db.projects.get, bad),
            partial(db.projects.update, bad, name="Name"),
            partial(db.projects.delete, bad),
            partial(db.projects.restore, bad),
        )
        if bad is not None:
            assert_refused("id", bad, partial(db.projects.create, "new", "New", id=bad))


def test_a_project_that_is_not_there_is_named_by_the_error(db: Database) -> None:
    for key, call in (
        (FREE, lambda: db.projects.get(FREE)),
        (FREE, lambda: db.projects.update(FREE, name="Name")),
        (FREE, lambda: db.projects.delete(FREE)),
        (FREE, lambda: db.projects.restore(FREE)),
        ("nowhere", lambda: db.projects.get_by_slug("nowhere")),
    ):
        with pytest.raises(NotFound) as raised:
            call()
        assert (raised.value.entity, raised.value.key) == ("project", key)
        assert key in str(raised.value)


def test_two_live_projects_never_share_a_slug(db: Database, project: Project) -> None:
    before = count_of_entries(db)
    with pytest.raises(AlreadyExists, match="'platform'") as raised:
        db.projects.create("platform", "Another")
    assert raised.value.constraint == "projects_one_live_per_slug"
    assert raised.value.__cause__ is not None
    assert db.projects.list().items == [project]
    assert count_of_entries(db) == before


def test_an_update_changes_what_is_named_and_nothing_else(
    db: Database, project: Project, clock: Clock
) -> None:
    later = clock.pass_by(timedelta(minutes=1))
    changed = db.projects.update(project.id, name="New", visibility="internal")
    assert changed == db.projects.get(project.id)
    assert (changed.name, changed.visibility) == ("New", Visibility.INTERNAL)
    assert (changed.created_at, changed.updated_at) == (START, later)
    assert (changed.slug, changed.description) == (project.slug, project.description)
    moved = db.projects.update(project.id, slug="forge", description="All of it")
    assert db.projects.get_by_slug("forge") == moved
    with pytest.raises(NotFound):
        db.projects.get_by_slug("platform")


def test_an_update_to_the_same_values_writes_nothing(
    db: Database, project: Project, clock: Clock
) -> None:
    clock.pass_by(timedelta(minutes=1))
    assert db.projects.update(project.id, name=project.name, slug=project.slug) == project
    assert db.projects.update(project.id) == project
    assert actions(db, project.id) == ["project.create"]


def test_updated_at_grows_also_where_the_clock_stands_still_or_steps_back(
    db: Database, project: Project, clock: Clock
) -> None:
    still = db.projects.update(project.id, name="One")
    clock.pass_by(timedelta(hours=-1))
    back = db.projects.update(project.id, name="Two")
    assert project.updated_at < still.updated_at < back.updated_at
    assert back.updated_at - project.updated_at == timedelta(microseconds=2)


@on_each_database
@pytest.mark.parametrize(
    "field", ["nam", "id", "created_at", "updated_at", "deleted_at", "audit_seq", "self", ""]
)
def test_an_update_of_an_unknown_field_is_refused_and_the_known_ones_are_named(
    db: Database, project: Project, field: str
) -> None:
    with pytest.raises(InvalidValue, match="description, name, slug, visibility") as raised:
        db.projects.update(project.id, **{"name": "New", field: "x"})
    assert raised.value.field == field
    assert db.projects.get(project.id) == project


def test_an_update_to_a_slug_that_is_taken_changes_nothing(db: Database, project: Project) -> None:
    other = db.projects.create("other", "Other")
    with pytest.raises(AlreadyExists) as raised:
        db.projects.update(other.id, slug="platform", name="New")
    assert raised.value.constraint == "projects_one_live_per_slug"
    assert db.projects.get(other.id) == other
    assert actions(db, other.id) == ["project.create"]


def test_a_deleted_project_can_be_read_by_its_id_alone(
    db: Database, project: Project, clock: Clock
) -> None:
    at = clock.pass_by(timedelta(days=1))
    deleted = db.projects.delete(project.id)
    assert deleted.deleted_at == at
    assert db.projects.get(project.id) == deleted
    with pytest.raises(NotFound):
        db.projects.get_by_slug("platform")
    assert db.projects.list().items == []
    assert db.projects.list(include_deleted=True).items == [deleted]


def test_a_deleted_project_is_changed_by_nothing_but_restore(
    db: Database, project: Project
) -> None:
    db.projects.delete(project.id)
    for call in (
        lambda: db.projects.delete(project.id),
        lambda: db.projects.update(project.id, name="New"),
    ):
        with pytest.raises(NotFound):
            call()
    assert actions(db, project.id) == ["project.create", "project.delete"]


def test_the_slug_of_a_deleted_project_is_free_again(db: Database, project: Project) -> None:
    db.projects.delete(project.id)
    second = db.projects.create("platform", "Second")
    assert db.projects.get_by_slug("platform") == second
    db.projects.delete(second.id)
    third = db.projects.create("platform", "Third")
    found = db.projects.list(include_deleted=True).items
    assert [each.id for each in found] == [project.id, second.id, third.id]


def test_a_project_with_live_repositories_stays(db: Database, project: Project) -> None:
    repository = db.repositories.create(project.id, "api")
    with pytest.raises(StillReferenced, match="delete them first") as raised:
        db.projects.delete(project.id)
    assert raised.value.constraint == "repositories.project_id"
    assert db.projects.get(project.id).deleted_at is None
    db.repositories.delete(repository.id)
    assert db.projects.delete(project.id).deleted_at is not None


def test_a_restored_project_is_as_it_was(db: Database, project: Project) -> None:
    db.projects.delete(project.id)
    restored = db.projects.restore(project.id)
    assert restored.deleted_at is None
    assert db.projects.get_by_slug("platform") == restored
    assert db.projects.restore(project.id) == restored
    assert actions(db, project.id) == ["project.create", "project.delete", "project.restore"]


def test_a_project_whose_slug_was_taken_meanwhile_is_not_restored(
    db: Database, project: Project
) -> None:
    deleted = db.projects.delete(project.id)
    db.projects.create("platform", "Second")
    with pytest.raises(AlreadyExists):
        db.projects.restore(project.id)
    assert db.projects.get(project.id) == deleted


def test_pages_hold_every_project_once_in_the_order_of_ids(db: Database) -> None:
    assert db.projects.list(limit=1).next is None
    for number in range(5):
        db.projects.create(f"p{number}", "P")
    assert_list_pages_well(db.projects.list)


def test_a_page_has_a_hundred_unless_told(db: Database) -> None:
    with db.transaction() as tx:
        for number in range(101):
            tx.projects.create(f"p{number}", "P")
    first = db.projects.list()
    assert len(first.items) == 100
    assert first.next is not None
    assert len(db.projects.list(after=first.next).items) == 1


def test_a_page_begins_after_a_key_that_is_gone_meanwhile(db: Database) -> None:
    made = [db.projects.create(f"p{number}", "P") for number in range(4)]
    first = db.projects.list(limit=2)
    db.projects.delete(made[1].id)
    db.projects.delete(made[2].id)
    assert db.projects.list(limit=2, after=first.next).items == [made[3]]


@pytest.fixture
def nine_of_which_three_are_deleted(db: Database) -> list[Project]:
    made = [db.projects.create(f"p{number}", "P") for number in range(9)]
    return [db.projects.delete(each.id) if n % 3 == 0 else each for n, each in enumerate(made)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    limit=st.integers(1, 11),
    include_deleted=st.booleans(),
    after=st.none() | st.integers(0, 8) | st.just(FREE),
)
def test_a_page_is_the_same_slice_of_the_whole_list_wherever_it_begins(
    db: Database,
    nine_of_which_three_are_deleted: list[Project],
    limit: int,
    include_deleted: bool,
    after: int | str | None,
) -> None:
    made = nine_of_which_three_are_deleted
    key = made[after].id if isinstance(after, int) else after
    whole = [
        each
        for each in made
        if (include_deleted or each.deleted_at is None) and (key is None or each.id > key)
    ]
    page = db.projects.list(limit=limit, after=key, include_deleted=include_deleted)
    assert page.items == whole[:limit]
    assert page.next == (whole[limit - 1].id if len(whole) > limit else None)


def test_each_change_leaves_an_entry_that_says_who_what_and_why(db: Database, clock: Clock) -> None:
    bob = db.acting_as(
        "user:bob", request_id="req-81", source_ip="2001:db8::1", reason="as asked in #7"
    )
    project = bob.projects.create("platform", "Platform")
    clock.pass_by(timedelta(seconds=1))
    bob.projects.update(project.id, name="New", visibility="public")
    created, updated = history(db, project.id)
    assert (created.action, updated.action) == ("project.create", "project.update")
    assert (created.seq, updated.seq) == (1, 2)
    assert (created.at, updated.at) == (START, START + timedelta(seconds=1))
    for entry in (created, updated):
        assert (entry.stream_id, entry.target_type, entry.target_id) == (
            project.id,
            "project",
            project.id,
        )
        assert (entry.actor, entry.request_id, entry.source_ip, entry.reason) == (
            "user:bob",
            "req-81",
            "2001:db8::1",
            "as asked in #7",
        )
    assert created.changes == {
        "slug": [None, "platform"],
        "name": [None, "Platform"],
        "description": [None, ""],
        "visibility": [None, "private"],
    }
    assert updated.changes == {
        "name": ["Platform", "New"],
        "visibility": ["private", "public"],
    }


def test_deleting_and_restoring_tell_when_in_the_changes(db: Database, project: Project) -> None:
    db.projects.delete(project.id)
    db.projects.restore(project.id)
    _, deleted, restored = history(db, project.id)
    at = "2026-11-22T10:00:00.123456Z"
    assert deleted.changes == {"deleted_at": [None, at]}
    assert restored.changes == {"deleted_at": [at, None]}


def test_a_change_by_nobody_is_refused_before_anything_is_looked_at(
    db: Database, project: Project
) -> None:
    nobody = db.acting_as(None)
    for operation, call in (
        ("create", lambda: nobody.projects.create("BAD SLUG", "")),
        ("update", lambda: nobody.projects.update("bad id", name="")),
        ("delete", lambda: nobody.projects.delete("bad id")),
        ("restore", lambda: nobody.projects.restore("bad id")),
    ):
        with pytest.raises(ActorRequired, match=r"acting_as") as raised:
            call()
        assert raised.value.operation == f"ProjectsDao.{operation}"
    assert nobody.projects.get(project.id) == project


def test_a_database_without_tables_asks_for_a_migration(connect: Connect) -> None:
    with connect(actor="user:ada") as empty:
        for call in (
            lambda: empty.projects.list(limit=1),
            lambda: empty.projects.create("platform", "Platform"),
        ):
            with pytest.raises(SchemaOutdated, match="forgedb migrate") as raised:
                call()
            assert raised.value.pending[0] == "0001_initial"
        empty.migrate()
        assert empty.projects.list().items == []


def test_looking_at_a_method_asks_no_database_and_its_call_does(connect: Connect) -> None:
    with connect(actor="user:ada") as empty:
        get = empty.projects.get
        assert hasattr(empty.leases, "acquire")
        for _ in range(2):
            with pytest.raises(SchemaOutdated):
                get(new_ulid())
        empty.migrate()
        with pytest.raises(NotFound):
            get(new_ulid())
        with empty.transaction() as tx:
            tx_get = tx.projects.get
        with pytest.raises(UsageError):
            tx_get(new_ulid())


@pytest.mark.parametrize("year", [1, 9998, 9999])
def test_a_clock_that_leaves_no_room_to_count_from_is_refused(
    db: Database, project: Project, clock: Clock, year: int
) -> None:
    repository = db.repositories.create(project.id, "counted")
    now = clock.now
    clock.now = now.replace(year=year)
    for count in (
        lambda: db.leases.acquire(repository.id),
        lambda: db.mirrors.create(repository.id, "pull", "https://a.example/b", timedelta(days=9)),
        lambda: db.mirrors.claim_due(1, timedelta(days=7)),
    ):
        with pytest.raises(InvalidValue) as refused:
            count()
        assert refused.value.field == "clock()"
    clock.now = now


def test_an_actor_that_no_entry_could_name_is_refused(connect: Connect) -> None:
    for actor in ["", "a" * 201, "nul\0", "\udfff", 7]:
        assert_refused("actor", actor, partial(connect, actor=actor))


@pytest.mark.parametrize(
    ("field", "longest"),
    [
        ("request_id", "x" * 200),
        ("source_ip", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"),
        ("reason", "x" * 2000),
    ],
)
def test_what_an_entry_could_not_carry_is_refused(db: Database, field: str, longest: str) -> None:
    bad: list[Any] = ["", f"{longest}0", "nul\0", 7]
    for value in bad:
        assert_refused(field, value, partial(db.acting_as, "user:bob", **{field: value}))
    db.acting_as("user:bob", **{field: longest}).projects.create("new", "New")
    assert db.client.query_value(f"SELECT {field} FROM audit_entries") == longest


def test_models_cannot_be_changed_in_place(project: Project) -> None:
    with pytest.raises(AttributeError):
        project.name = "New"  # type: ignore[misc]


def test_every_error_is_a_forgedb_error() -> None:
    assert issubclass(InvalidValue, forgedb.ForgeDbError)
    assert issubclass(AlreadyExists, forgedb.Conflict)
    assert issubclass(StillReferenced, forgedb.Conflict)
