"""Recording real Git repositories through the library: what becomes of each thing in them."""

from __future__ import annotations

from pathlib import Path

import pytest

import forgedb
from forgedb import Conflict, Database, InvalidValue, LeaseHeld, LeaseLost, NewObject, ObjectType
from forgedb.git import CorruptRepository, NotARepository
from forgedb.importing import Progress, import_repository, slug_from
from tests.git.making import (
    DAMAGES,
    add_commits,
    git,
    make_corrupt_repository,
    make_empty_repository,
    make_repository,
    make_shallow_clone,
    make_with_alternates,
    make_with_submodule,
)


def edges(db: Database, repository_id: str) -> list[tuple[str, str | None, str]]:
    found = db.relationships.list(repository_id).items
    return [(edge.kind.value, edge.target_url, edge.path) for edge in found]


def listed_by_git(path: Path) -> set[str]:
    lines = git(path, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(lines.splitlines())


@pytest.fixture
def db(tmp_path: Path) -> Database:
    database = forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="service:importer")
    database.migrate()
    return database


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_every_object_is_recorded_as_git_has_it(
    db: Database, tmp_path: Path, object_format: str, bare: bool
) -> None:
    path = make_repository(tmp_path / "Some Repo", object_format=object_format, bare=bare)
    summary = import_repository(db, path)
    repository = db.repositories.get_by_path("imported/some-repo")
    assert summary.repository == repository
    assert repository.object_format == object_format
    assert repository.default_branch == "main"
    assert summary.objects == forgedb.AddResult(10, 0)
    assert {each.type: each.count for each in summary.stats} == {
        ObjectType.COMMIT: 3,
        ObjectType.TREE: 3,
        ObjectType.BLOB: 3,
        ObjectType.TAG: 1,
    }
    recorded = db.objects.list(repository.id).items
    assert {found.oid_hex for found in recorded} == listed_by_git(path)
    for found in recorded:
        assert str(found.size) == git(path, "cat-file", "-s", found.oid_hex)
        assert found.type.name.lower() == git(path, "cat-file", "-t", found.oid_hex)


def test_a_second_run_adds_only_what_is_new(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    first = import_repository(db, path)
    add_commits(path, 2)
    second = import_repository(db, path)
    assert (first.repository_created, second.repository_created) == (True, False)
    assert second.repository.id == first.repository.id
    assert second.objects == forgedb.AddResult(6, 10)
    assert import_repository(db, path).objects == forgedb.AddResult(0, 16)


def test_the_lease_is_taken_and_released_around_the_work(db: Database, tmp_path: Path) -> None:
    summary = import_repository(db, make_repository(tmp_path / "api"))
    (lease,) = db.leases.history(summary.repository.id).items
    assert lease.fencing_token == summary.fencing_token == 1
    assert lease.end_reason == "released"
    assert lease.holder == "service:importer"
    entries = db.audit.list(stream=summary.repository.id).items
    actions = [entry.action for entry in entries]
    assert actions == ["repository.create", "lease.acquire", "objects.add", "lease.release"]
    assert db.audit.verify().ok


def test_someone_elses_lease_stops_it_before_anything_is_added(
    db: Database, tmp_path: Path
) -> None:
    path = make_repository(tmp_path / "api")
    repository = import_repository(db, path).repository
    db.acting_as("user:bob").leases.acquire(repository.id, purpose="surgery")
    add_commits(path, 1)
    with pytest.raises(LeaseHeld) as held:
        import_repository(db, path)
    assert held.value.lease.holder == "user:bob"
    assert len(db.objects.list(repository.id).items) == 10


def test_a_repository_without_a_commit_is_recorded_without_objects(
    db: Database, tmp_path: Path
) -> None:
    summary = import_repository(db, make_empty_repository(tmp_path / "empty"))
    assert summary.objects == forgedb.AddResult(0, 0)
    assert summary.stats == []
    assert summary.repository.default_branch == "main"


def test_a_shallow_clone_is_recorded_as_far_as_it_goes(db: Database, tmp_path: Path) -> None:
    path = make_shallow_clone(tmp_path / "shallow", make_repository(tmp_path / "whole"))
    summary = import_repository(db, path)
    assert summary.objects.added == len(listed_by_git(path)) < 10


def test_remotes_become_mirrors_and_one_of_them_is_the_source(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    git(path, "remote", "add", "backup", "ssh://git@backup.example/api.git")
    git(path, "remote", "add", "origin", "https://ada:hunter2@code.example/api.git")
    summary = import_repository(db, path)
    mirrors = {
        mirror.remote_url: (mirror.direction.value, mirror.enabled)
        for mirror in db.mirrors.list(summary.repository.id).items
    }
    assert mirrors == {
        "https://code.example/api.git": ("pull", False),
        "ssh://git@backup.example/api.git": ("push", False),
    }
    assert (summary.mirrors_created, summary.mirrors_total) == (2, 2)
    assert summary.warnings == ["credentials were removed from the URL of remote 'origin'"]
    assert import_repository(db, path).mirrors_created == 0


def test_no_credential_reaches_the_database_file(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    git(path, "remote", "add", "origin", "https://ada:hunter2@code.example/api.git")
    import_repository(db, path)
    db.close()
    for file in tmp_path.glob("forge.db*"):
        assert b"hunter2" not in file.read_bytes()


def test_the_source_at_a_new_address_stays_one_mirror(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    git(path, "remote", "add", "origin", "https://old.example/api.git")
    repository = import_repository(db, path).repository
    git(path, "remote", "set-url", "origin", "https://new.example/api.git")
    import_repository(db, path)
    (mirror,) = db.mirrors.list(repository.id).items
    assert (mirror.remote_url, mirror.direction) == ("https://new.example/api.git", "pull")


def test_submodules_become_relationships(db: Database, tmp_path: Path) -> None:
    path = make_with_submodule(tmp_path / "app", url="https://t0ken@code.example/library.git")
    summary = import_repository(db, path)
    assert edges(db, summary.repository.id) == [
        ("submodule", "https://code.example/library.git", "libs/library")
    ]
    assert summary.relationships_created == 1
    assert summary.warnings == ["credentials were removed from the URL of submodule 'library'"]
    assert import_repository(db, path).relationships_created == 0


def test_alternates_become_object_pools_and_their_objects_are_listed(
    db: Database, tmp_path: Path
) -> None:
    pool = make_repository(tmp_path / "pool", bare=True)
    summary = import_repository(db, make_with_alternates(tmp_path / "borrower", pool))
    assert edges(db, summary.repository.id) == [("object_pool", f"file://{pool}", "")]
    assert summary.objects.added == 10


def test_a_new_head_is_followed(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    import_repository(db, path)
    git(path, "branch", "--move", "main", "trunk")
    assert import_repository(db, path).repository.default_branch == "trunk"


def test_project_and_slug_can_be_chosen(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    summary = import_repository(db, path, project="platform", slug="gateway")
    assert db.repositories.get_by_path("platform/gateway") == summary.repository
    for names in ({"project": "No"}, {"slug": "-no"}):
        with pytest.raises(InvalidValue):
            import_repository(db, path, **names)


@pytest.mark.parametrize(
    ("name", "slug"),
    [("API Gateway", "api-gateway"), ("été", "t"), ("_x_", "x"), ("a" * 120, "a" * 100)],
)
def test_a_slug_is_made_of_a_folders_name(name: str, slug: str) -> None:
    assert slug_from(name) == slug


def test_a_name_without_a_letter_asks_for_a_slug() -> None:
    with pytest.raises(InvalidValue, match="--slug"):
        slug_from("日本")


def test_two_object_formats_are_not_mixed(db: Database, tmp_path: Path) -> None:
    import_repository(db, make_repository(tmp_path / "a" / "api"))
    other = make_repository(tmp_path / "b" / "api", object_format="sha256")
    with pytest.raises(Conflict, match="--slug"):
        import_repository(db, other)


def test_what_is_no_repository_leaves_nothing_behind(db: Database, tmp_path: Path) -> None:
    with pytest.raises(NotARepository):
        import_repository(db, tmp_path)
    assert db.projects.list().items == []


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_corrupt_repository_is_refused_and_its_lease_released(
    db: Database, tmp_path: Path, damage: str
) -> None:
    path = make_corrupt_repository(tmp_path / "broken", damage)
    with pytest.raises(CorruptRepository):
        import_repository(db, path)
    repository = db.repositories.get_by_path("imported/broken")
    assert db.leases.active(repository.id) is None
    assert db.audit.verify().ok


def test_a_lease_lost_in_the_middle_stops_it_and_the_next_run_finishes(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgedb.importing.BATCH_OBJECTS", 4)
    path = make_repository(tmp_path / "api")

    def take_the_lease(progress: Progress) -> None:
        if progress.done == 4:
            repository = db.repositories.get_by_path("imported/api")
            lease = db.leases.active(repository.id)
            assert lease is not None
            db.acting_as("user:admin").leases.force_release(lease.id, "maintenance")

    with pytest.raises(LeaseLost) as lost:
        import_repository(db, path, report=take_the_lease)
    assert lost.value.why == "ended"
    second = import_repository(db, path)
    assert second.objects == forgedb.AddResult(6, 4)
    assert second.fencing_token == 2


def test_a_lease_that_a_crash_left_is_taken_up_again(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgedb.importing.BATCH_OBJECTS", 4)
    # A process that is killed releases nothing.
    monkeypatch.setattr("forgedb.dao.leases.hold.Hold.__exit__", lambda *_: None)
    path = make_repository(tmp_path / "api")

    class Killed(BaseException):
        pass

    def die(progress: Progress) -> None:
        if progress.done == 8:
            raise Killed

    with pytest.raises(Killed):
        import_repository(db, path, report=die)
    monkeypatch.undo()
    second = import_repository(db, path)
    assert second.lease_resumed
    assert second.fencing_token == 1
    assert second.objects == forgedb.AddResult(2, 8)


def test_progress_is_told_after_each_batch(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forgedb.importing.BATCH_OBJECTS", 4)
    told: list[Progress] = []
    import_repository(db, make_repository(tmp_path / "api"), report=told.append)
    assert told == [Progress(done, done, 10) for done in (0, 4, 8, 10)]


def test_paths_that_are_no_utf8_are_recorded_readably(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "caf\udce9-api")
    summary = import_repository(db, path)
    (lease,) = db.leases.history(summary.repository.id).items
    assert lease.purpose.endswith("caf\N{REPLACEMENT CHARACTER}-api/.git")


def test_an_object_recorded_wrongly_before_is_a_conflict(db: Database, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "api")
    repository = import_repository(db, make_empty_repository(tmp_path / "x" / "api")).repository
    lease = db.leases.acquire(repository.id)
    wrong = NewObject(git(path, "rev-parse", "HEAD"), ObjectType.BLOB, 1)
    db.objects.add_many(repository.id, [wrong], lease.fencing_token)
    db.leases.release(lease.id)
    with pytest.raises(Conflict, match="commit"):
        import_repository(db, path)
