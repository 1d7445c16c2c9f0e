"""Submodules of the commit at HEAD, in any kind of repository, with URLs that lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgedb.git import CorruptRepository, Submodule, open_repository
from forgedb.git.submodules import resolve_url
from tests.git.conftest import FakeGit
from tests.git.making import (
    add_gitmodules,
    git,
    make_empty_repository,
    make_partial_clone,
    make_repository,
    make_with_submodule,
)


@pytest.mark.parametrize("make", [make_repository, make_empty_repository])
@pytest.mark.parametrize("bare", [False, True])
def test_most_repositories_have_none(tmp_path: Path, make: object, bare: bool) -> None:
    assert callable(make)
    repository = open_repository(make(tmp_path, bare=bare))
    assert repository.submodules() == []
    assert repository.warnings == []


def test_a_submodule_has_name_path_and_url(tmp_path: Path) -> None:
    root = make_with_submodule(tmp_path / "api", url="https://host/library.git", name="my.Lib ü")
    expected = [Submodule("my.Lib ü", "libs/my.Lib ü", "https://host/library.git")]
    assert open_repository(root).submodules() == expected
    git(tmp_path, "clone", "--bare", str(root), str(tmp_path / "bare.git"))
    assert open_repository(tmp_path / "bare.git").submodules() == expected


def test_a_relative_url_is_seen_from_the_default_remote_and_else_stays(tmp_path: Path) -> None:
    root = make_with_submodule(tmp_path, url="../library.git")
    repository = open_repository(root)

    def url() -> str:
        return repository.submodules()[0].url

    assert url() == "../library.git"
    git(root, "remote", "add", "only", "https://only/org/api.git")
    assert url() == "https://only/org/library.git"
    git(root, "remote", "add", "second", "git@second:org/api.git")
    assert url() == "../library.git"
    git(root, "remote", "add", "origin", "ssh://git@origin/org/api.git")
    assert url() == "ssh://git@origin/org/library.git"
    git(root, "config", "branch.other.remote", "only")
    git(root, "config", "branch.main.remote", "second")
    assert url() == "git@second:org/library.git"
    assert repository.warnings == []


@pytest.mark.parametrize(
    ("url", "base", "resolved"),
    [
        ("https://x/y", "https://host/org/api.git", "https://x/y"),
        ("library", "https://host/org/api.git", "library"),
        ("../library.git", "https://host/org/api.git/", "https://host/org/library.git"),
        ("../../library.git", "https://host/org/api.git", "https://host/library.git"),
        ("../../../library.git", "https://host/org/api.git", None),
        ("./library.git/", "https://host/org/api.git", "https://host/org/api.git/library.git"),
        ("./../x/y", "https://host:1/org/api.git", "https://host:1/org/x/y"),
        ("./library", "https://host", "https://host/library"),
        ("../library.git", "git@host:org/api.git", "git@host:org/library.git"),
        ("../library.git", "git@host:api.git", "git@host:library.git"),
        ("../library.git", "git@host:/srv/api.git", "git@host:/srv/library.git"),
        ("../../library.git", "git@host:api.git", None),
        ("../library.git", "file:///srv/git/api.git", "file:///srv/git/library.git"),
        ("../library.git", "/srv/git/api.git", "/srv/git/library.git"),
        ("../library.git", "../api.git", "../library.git"),
        ("../library.git", "./api.git", "library.git"),
        ("../../library.git", "../api.git", None),
    ],
)
def test_steps_up_from_the_remote(url: str, base: str, resolved: str | None) -> None:
    assert resolve_url(url, base) == resolved


def test_a_relative_url_that_leads_out_of_the_remote_stays_with_a_warning(tmp_path: Path) -> None:
    root = make_with_submodule(tmp_path, url="../../../x")
    git(root, "remote", "add", "origin", "https://host/api")
    repository = open_repository(root)
    assert [submodule.url for submodule in repository.submodules()] == ["../../../x"]
    assert repository.warnings == ["submodule 'library' keeps URL '../../../x': it leads nowhere"]


def test_entries_that_describe_no_submodule_are_left_out_with_a_warning(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    add_gitmodules(
        root,
        '[submodule "good"]\n\tpath = libs/good\n\turl = https://host/good\n\tbranch = x\n'
        '[submodule "no url"]\n\tpath = libs/no-url\n'
        '[submodule "odd url"]\n\tpath = libs/odd-url\n\turl = --upload-pack=x\n'
        '[submodule "no path"]\n\turl = https://host/no-path\n'
        '[submodule "gone"]\n\tpath = libs/gone\n\turl = https://host/gone\n'
        '[submodule "outside"]\n\tpath = ../outside\n\turl = https://host/outside\n'
        '[submodule "file"]\n\tpath = file.txt\n\turl\n',
        "good",
        "no-url",
        "odd-url",
    )
    repository = open_repository(root)
    assert [submodule.name for submodule in repository.submodules()] == ["good"]
    assert repository.warnings == [
        "submodule 'no url' is left out: its URL is ''",
        "submodule 'odd url' is left out: its URL is '--upload-pack=x'",
        "submodule 'no path' is left out: no submodule is at path ''",
        "submodule 'gone' is left out: no submodule is at path 'libs/gone'",
        "submodule 'outside' is left out: no submodule is at path '../outside'",
        "submodule 'file' is left out: no submodule is at path 'file.txt'",
    ]


def test_a_gitmodules_file_that_is_no_configuration_is_a_warning(tmp_path: Path) -> None:
    root = make_repository(tmp_path)
    add_gitmodules(root, "[submodule\n")
    repository = open_repository(root)
    assert repository.submodules() == []
    assert "bad config line 1 in blob HEAD:.gitmodules" in repository.warnings[0]


def test_a_tree_that_cannot_be_read_is_an_error(tmp_path: Path, fake_git: FakeGit) -> None:
    repository = open_repository(make_with_submodule(tmp_path))
    fake_git('case "$*" in *ls-tree*) echo fatal: no tree >&2; exit 128;; esac; exec "$git" "$@"')
    with pytest.raises(CorruptRepository, match="no tree"):
        repository.submodules()


def test_a_gitmodules_file_that_a_partial_clone_lacks_is_a_warning(tmp_path: Path) -> None:
    source = make_with_submodule(tmp_path / "source")
    repository = open_repository(make_partial_clone(tmp_path / "clone", source))
    assert repository.submodules() == []
    assert "could not fetch" in repository.warnings[0]
