"""Finding a repository from a path, and saying why there is none."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from forgedb.errors import ForgeDbError
from forgedb.git import GitError, GitMissing, NotARepository, open_repository
from tests.git.conftest import FakeGit
from tests.git.making import git, make_empty_repository, make_repository, make_shallow_clone


@pytest.mark.parametrize("inside", [".", "folder", "folder/deeper", ".git", ".git/refs"])
def test_a_work_tree_is_found_from_its_root_and_from_any_folder_inside(
    tmp_path: Path, inside: str
) -> None:
    root = make_repository(tmp_path / "api")
    (root / "folder" / "deeper").mkdir(parents=True)
    found = open_repository(root / inside)
    assert found.path == str(root / ".git")
    assert (found.name, found.default_branch, found.object_format) == ("api", "main", "sha1")
    assert not found.is_bare
    assert not found.is_shallow


def test_a_bare_repository_is_named_without_its_suffix(tmp_path: Path) -> None:
    found = open_repository(str(make_repository(tmp_path / "api.git", bare=True)))
    assert (found.path, found.name, found.is_bare) == (str(tmp_path / "api.git"), "api", True)


def test_a_sha256_repository_says_so(tmp_path: Path) -> None:
    assert open_repository(make_repository(tmp_path, object_format="sha256")).object_format == (
        "sha256"
    )


def test_a_shallow_clone_says_so(tmp_path: Path) -> None:
    source = make_repository(tmp_path / "source")
    assert open_repository(make_shallow_clone(tmp_path / "clone", source)).is_shallow


def test_a_linked_work_tree_leads_to_the_repository_it_belongs_to(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "api")
    git(root, "worktree", "add", "-b", "topic", str(tmp_path / "elsewhere"))
    assert open_repository(tmp_path / "elsewhere") == open_repository(root)


def test_a_linked_work_tree_of_a_bare_repository_is_bare_like_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "api.git", bare=True)
    git(root, "worktree", "add", "-b", "topic", str(tmp_path / "elsewhere"))
    assert open_repository(tmp_path / "elsewhere").is_bare


@pytest.mark.parametrize(
    "name", ["with space", "-dash", "über\n", "first\nsecond", "q\"uo'te", "$x;"]
)
def test_any_name_of_a_folder_is_fine(tmp_path: Path, name: str) -> None:
    found = open_repository(make_repository(tmp_path / name, commits=1))
    assert (found.path, found.name) == (str(tmp_path / name / ".git"), name)
    assert [len(batch) for batch in found.objects()] == [4]


def test_a_name_that_is_no_text_survives_as_the_file_system_has_it(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    assert open_repository(make_repository(Path(path))).path == path + "/.git"


def test_a_relative_path_and_a_symbolic_link_give_the_real_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path / "api")
    (tmp_path / "link").symlink_to("api")
    monkeypatch.chdir(tmp_path)
    assert open_repository("link").path == str(tmp_path / "api" / ".git")


def test_the_branch_of_a_repository_without_a_commit_is_the_one_to_be_born(tmp_path: Path) -> None:
    root = make_empty_repository(tmp_path)
    git(root, "symbolic-ref", "HEAD", "refs/heads/feature/first")
    assert open_repository(root).default_branch == "feature/first"


def test_a_branch_with_a_tag_of_the_same_name_keeps_its_short_name(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    git(root, "tag", "main")
    assert open_repository(root).default_branch == "main"


def test_a_detached_head_gives_the_branch_that_new_repositories_get(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    git(root, "checkout", "--detach")
    assert open_repository(root).default_branch == "main"
    git(root, "config", "init.defaultBranch", "trunk")
    assert open_repository(root).default_branch == "trunk"


def test_what_is_no_repository_is_refused_with_the_path_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to("nowhere")
    refused: list[tuple[Path | str, str]] = [
        (tmp_path, "not a git repository"),
        (tmp_path / "missing", "there is no such folder"),
        (tmp_path / "file", "it is no folder"),
        (tmp_path / "gone", "it is no folder"),
        ("", "no path"),
        ("nul\0", "no path"),
    ]
    for path, why in refused:
        with pytest.raises(NotARepository) as caught:
            open_repository(path)
        assert caught.value.path == str(path)
        assert why in caught.value.why
        assert repr(str(path)) in str(caught.value)
        assert str(caught.value).endswith("; name the folder of a repository, or one inside it")
        assert "\n" not in str(caught.value)


def test_a_work_tree_whose_repository_is_gone_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(NotARepository, match="/nowhere"):
        open_repository(tmp_path)


def test_a_broken_configuration_is_named_with_its_line(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    (root / ".git" / "config").write_text("[core\n")
    with pytest.raises(GitError, match=r"bad config line 1 in file .*; correct that line"):
        open_repository(root)


def test_a_repository_of_a_later_git_asks_for_that_git(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    git(root, "config", "core.repositoryFormatVersion", "1")
    git(root, "config", "extensions.fromTheFuture", "true")
    with pytest.raises(GitError, match="fromthefuture; install a newer git"):
        open_repository(root)


def test_a_repository_of_another_user_is_left_to_the_reader_to_trust(
    tmp_path: Path, fake_git: FakeGit
) -> None:
    root = make_repository(tmp_path / "it's")
    fake_git('GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "$git" "$@"')
    with pytest.raises(GitError) as caught:
        open_repository(root)
    assert "dubious ownership" in caught.value.why
    assert "git config --global --add safe.directory" in caught.value.advice
    assert "it'\\''s" in caught.value.advice


def test_trust_that_the_environment_gives_is_heard(
    tmp_path: Path, fake_git: FakeGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path)
    fake_git('GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "$git" "$@"')
    (tmp_path / "trust").write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "trust"))
    assert open_repository(root).path == str(root / ".git")


def test_a_bare_repository_opens_where_git_wants_bare_ones_to_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings").write_text("[safe]\n\tbareRepository = explicit\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    assert open_repository(make_repository(tmp_path / "a.git", bare=True)).is_bare


def test_the_path_counts_and_not_what_a_surrounding_hook_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", commits=5)
    root = make_repository(tmp_path / "api", commits=1)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", str(other / ".git" / "objects"))
    found = open_repository(root)
    assert found.path == str(root / ".git")
    assert [len(batch) for batch in found.objects()] == [4]


def test_a_missing_git_is_named_with_the_version_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = open_repository(make_repository(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing, match=r"can't be started .*; install git 2\.31 or newer"):
        open_repository(tmp_path)
    with pytest.raises(GitMissing):
        list(found.objects())


def test_a_git_that_is_too_old_is_named_with_its_version(tmp_path: Path, fake_git: FakeGit) -> None:
    fake_git('for a; do test "$a" = version && exec echo git version 2.20.1; done; echo --path')
    with pytest.raises(GitMissing, match=r"git version 2\.20\.1 is too old .*; install git 2\.31"):
        open_repository(tmp_path)


def test_a_git_that_fails_later_or_says_nothing_is_an_error_too(
    tmp_path: Path, fake_git: FakeGit
) -> None:
    root = make_repository(tmp_path)
    fake_git('case "$*" in *--show-object-format*) exit 3;; esac; exec "$git" "$@"')
    with pytest.raises(GitError, match="git ended with exit code 3"):
        open_repository(root)


def test_a_git_error_is_a_forgedb_error_and_survives_pickling(tmp_path: Path) -> None:
    with pytest.raises(ForgeDbError) as caught:
        open_repository(tmp_path)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (NotARepository, str(caught.value))


def test_nothing_that_the_repository_names_is_run(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "api")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\n")
    trap.chmod(0o755)
    for setting in ("fsmonitor", "pager", "editor", "sshCommand", "alternateRefsCommand"):
        git(root, "config", f"core.{setting}", str(trap))
    for setting in ("url", "uploadpack", "receivepack"):
        git(root, "config", f"remote.origin.{setting}", f"ext::{trap}")
    git(root, "config", "remote.origin.promisor", "true")
    git(root, "config", "protocol.ext.allow", "always")
    found = open_repository(root)
    found.remotes()
    found.submodules()
    found.alternates()
    found.count_objects()
    assert sum(len(batch) for batch in found.objects()) == 10
    assert not (tmp_path / "sprung").exists()
