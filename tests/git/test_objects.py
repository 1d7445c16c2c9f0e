"""The list of a repository's objects: whole, in order, in batches, or an error."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from forgedb.git import CorruptRepository, GitError, GitObject, GitRepository, open_repository
from tests.git.conftest import FakeGit
from tests.git.making import (
    DAMAGES,
    add_commits,
    git,
    make_corrupt_repository,
    make_empty_repository,
    make_large_repository,
    make_partial_clone,
    make_repository,
    make_shallow_clone,
    make_with_alternates,
)

TYPE_NAMES = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}


def all_objects(repository: GitRepository) -> list[GitObject]:
    return [found for batch in repository.objects() for found in batch]


def as_git_lists_them(path: Path) -> list[str]:
    line = "%(objectname) %(objecttype) %(objectsize) %(objectsize:disk)"
    return git(path, "cat-file", "--batch-all-objects", f"--batch-check={line}").split("\n")


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_every_object_comes_with_its_type_and_sizes(
    tmp_path: Path, object_format: str, packed: bool
) -> None:
    root = make_repository(tmp_path, object_format=object_format)
    if packed:
        git(root, "gc")
    found = all_objects(open_repository(root))
    assert len(found) == 10
    assert [
        f"{oid.hex()} {TYPE_NAMES[kind]} {size} {disk_size}" for oid, kind, size, disk_size in found
    ] == as_git_lists_them(root)


def test_objects_come_in_the_order_of_their_ids_in_batches_of_the_size_asked_for(
    tmp_path: Path,
) -> None:
    repository = open_repository(make_large_repository(tmp_path, 12_001))
    batches = list(repository.objects(batch_size=5_000))
    assert [len(batch) for batch in batches] == [5_000, 5_000, 2_001]
    found = [row for batch in batches for row in batch]
    assert found == sorted(found)
    assert len({row[0] for row in found}) == 12_001
    assert [len(batch) for batch in repository.objects(batch_size=12_001)] == [12_001]


def test_a_large_repository_has_exactly_as_many_objects_as_asked_for(tmp_path: Path) -> None:
    for objects in (3, 4, 1002, 1003, 1004, 2005):
        path = make_large_repository(tmp_path / str(objects), objects)
        assert open_repository(path).count_objects() == objects


def test_a_repository_without_a_commit_has_no_objects(tmp_path: Path) -> None:
    repository = open_repository(make_empty_repository(tmp_path))
    assert list(repository.objects()) == []
    assert repository.count_objects() == 0


def test_a_shallow_clone_lists_what_it_has(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source")
    repository = open_repository(make_shallow_clone(tmp_path / "clone", source))
    assert len(all_objects(repository)) == 4


def test_a_partial_clone_lists_what_it_has_and_warns(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source")
    path = make_partial_clone(tmp_path / "clone", source)
    repository = open_repository(path)
    assert {kind for _, kind, _, _ in all_objects(repository)} == {1, 2, 4}
    assert any("promisor" in warning for warning in repository.warnings)
    assert len(as_git_lists_them(path)) == 7


def test_objects_borrowed_from_an_alternate_are_listed_and_counted(tmp_path: Path) -> None:
    pool = make_repository(tmp_path / "pöol", bare=True)
    path = make_with_alternates(tmp_path / "fork", pool)
    add_commits(path, 1)
    repository = open_repository(path)
    assert len(all_objects(repository)) == repository.count_objects() == 13
    assert len(all_objects(open_repository(pool))) == 10


def test_objects_of_an_alternates_alternate_are_counted_too(tmp_path: Path) -> None:
    pool = make_repository(tmp_path / "pool", bare=True)
    middle = make_with_alternates(tmp_path / "middle", pool)
    add_commits(middle, 2)
    repository = open_repository(make_with_alternates(tmp_path / "fork", middle))
    assert len(all_objects(repository)) == repository.count_objects() == 16


def test_the_count_is_at_least_the_number_of_objects(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    git(root, "repack", "-a", "-d")
    git(root, "cat-file", "-p", "HEAD")
    git(root, "-c", "pack.packSizeLimit=0", "repack")
    add_commits(root, 2)
    assert open_repository(root).count_objects() == 16


def test_an_unknown_count_is_none(tmp_path: Path, fake_git: FakeGit) -> None:
    repository = open_repository(make_repository(tmp_path))
    fake_git("exit 1")
    assert repository.count_objects() is None


def test_objects_that_another_one_replaces_are_listed_as_they_are(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    git(root, "replace", "v1^{commit}", "v1^{commit}^")
    assert len(all_objects(open_repository(root))) == 10
    sizes = {oid.hex(): size for oid, _, size, _ in all_objects(open_repository(root))}
    head = git(root, "rev-parse", "HEAD")
    assert sizes[head] == int(git(root, "--no-replace-objects", "cat-file", "-s", head))


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_corrupt_repository_is_refused_whatever_git_s_exit_code(
    tmp_path: Path, damage: str
) -> None:
    repository = open_repository(make_corrupt_repository(tmp_path / "api.git", damage))
    with pytest.raises(CorruptRepository) as caught:
        all_objects(repository)
    assert caught.value.path == repository.path
    assert str(caught.value).endswith("run `git fsck --full` there, and repair it or clone it anew")
    assert "\n" not in str(caught.value)


def test_an_unreadable_object_is_named_with_git_s_reason(tmp_path: Path) -> None:
    path = make_corrupt_repository(tmp_path, "a loose object is empty")
    oid = git(path, "rev-parse", "HEAD:file.txt")
    with pytest.raises(CorruptRepository, match=rf"object {oid} is missing \(.* is empty\)"):
        all_objects(open_repository(path))


def test_an_alternate_that_is_gone_makes_the_list_incomplete(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    for gone, why in [
        (tmp_path / "objects", "does not exist"),
        (tmp_path / "pool" / "objects", "unable to normalize alternate object path"),
    ]:
        (root / ".git" / "objects" / "info" / "alternates").write_text(f"{gone}\n")
        with pytest.raises(CorruptRepository, match=why):
            all_objects(open_repository(root))


def test_a_broken_branch_is_a_warning(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    (root / ".git" / "refs" / "heads" / "broken").write_text("")
    repository = open_repository(root)
    assert len(all_objects(repository)) == 10
    assert repository.warnings == ["ignoring broken ref refs/heads/broken"]


@pytest.fixture(scope="module")
def many_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_large_repository(tmp_path_factory.mktemp("many"), 8_000)


@pytest.fixture
def many(many_path: Path) -> GitRepository:
    """More objects than fit into a pipe and one read."""
    return open_repository(many_path)


def test_a_git_that_dies_on_the_way_gives_no_part_of_a_batch(
    many: GitRepository, fake_git: FakeGit
) -> None:
    fake_git('case "$*" in *cat-file*) "$git" "$@" | head -c 400000; kill -9 $$;; esac')
    batches: list[int] = []
    with pytest.raises(GitError, match="git was ended by signal 9; try again"):
        batches.extend(len(batch) for batch in many.objects(batch_size=3_000))
    assert batches == [3_000, 3_000]


def test_output_that_ends_within_a_line_is_not_believed(
    many: GitRepository, fake_git: FakeGit
) -> None:
    fake_git('case "$*" in *cat-file*) "$git" "$@" | head -c 400000;; esac')
    with pytest.raises(GitError, match="ends within a line"):
        all_objects(many)


def test_any_amount_of_warnings_stops_nobody(many: GitRepository, fake_git: FakeGit) -> None:
    fake_git('case "$*" in *cat-file*) yes warning: odd | head -n 99999 >&2;; esac; "$git" "$@"')
    assert len(all_objects(many)) == 8_000
    assert many.warnings[0] == "odd"
    assert len(many.warnings) <= 2


def test_a_complaint_after_the_last_object_keeps_the_last_batch_back(
    many: GitRepository, fake_git: FakeGit
) -> None:
    fake_git('"$git" "$@"; case "$*" in *cat-file*) echo error: late >&2;; esac')
    with pytest.raises(CorruptRepository, match="late"):
        next(many.objects())


@pytest.fixture
def watched(fake_git: FakeGit, tmp_path: Path) -> Path:
    """A file with the process id of the git that lists objects."""
    fake_git(f'case "$*" in *cat-file*) echo $$ > "{tmp_path}/pid";; esac; exec "$git" "$@"')
    return tmp_path / "pid"


def is_gone(pid_file: Path) -> bool:
    """Whether the process has ended and was waited for: a zombie still takes signals."""
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def started(repository: GitRepository, pid_file: Path) -> Generator[list[GitObject]]:
    objects = repository.objects(batch_size=10)
    assert len(next(objects)) == 10
    assert not is_gone(pid_file)
    return objects


def test_a_reader_that_stops_early_leaves_no_git_behind(many: GitRepository, watched: Path) -> None:
    objects = started(many, watched)
    del objects
    assert is_gone(watched)


def test_ctrl_c_while_reading_leaves_no_git_behind(many: GitRepository, watched: Path) -> None:
    objects = started(many, watched)
    with pytest.raises(KeyboardInterrupt):
        objects.throw(KeyboardInterrupt)
    assert is_gone(watched)


def test_a_list_read_to_its_end_leaves_no_git_behind(many: GitRepository, watched: Path) -> None:
    assert len(all_objects(many)) == 8_000
    assert is_gone(watched)
