"""Remotes as a repository's configuration names them, and their URLs without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgedb.git import GitError, Remote, open_repository, strip_credentials
from tests.git.making import git, make_empty_repository


def test_a_repository_may_have_no_remote(tmp_path: Path) -> None:
    assert open_repository(make_empty_repository(tmp_path)).remotes() == []


def test_remotes_come_with_their_urls_as_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_empty_repository(tmp_path / "api")
    git(root, "config", "url.https://elsewhere/.insteadOf", "gh:")
    git(root, "remote", "add", "origin", "gh:org/api")
    git(root, "remote", "add", "Back.up", "/srv/back up.git")
    git(root, "remote", "set-url", "--push", "Back.up", "ssh://git@one/api")
    git(root, "remote", "set-url", "--push", "--add", "Back.up", "ssh://git@two/api")
    git(root, "remote", "add", "--mirror=push", "copy", "https://copy/api")
    git(root, "config", "remote.no-url.fetch", "+refs/*:refs/*")
    (tmp_path / "settings").write_text('[remote "of-the-user"]\n\turl = https://x/y\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    assert open_repository(root).remotes() == [
        Remote("origin", "gh:org/api", ["gh:org/api"], False),
        Remote("Back.up", "/srv/back up.git", ["ssh://git@one/api", "ssh://git@two/api"], False),
        Remote("copy", "https://copy/api", ["https://copy/api"], True),
    ]


def test_the_first_url_is_fetched_from_and_all_are_pushed_to(tmp_path: Path) -> None:
    root = make_empty_repository(tmp_path)
    for url in ("https://old/api", "", "https://one/api", "https://two/api"):
        git(root, "config", "--add", "remote.origin.url", url)
    git(root, "config", "remote.only-push.pushurl", "https://three/api")
    assert open_repository(root).remotes() == [
        Remote("origin", "https://one/api", ["https://one/api", "https://two/api"], False),
        Remote("only-push", None, ["https://three/api"], False),
    ]


def test_a_mirror_setting_without_a_value_is_true_and_the_last_one_counts(tmp_path: Path) -> None:
    root = make_empty_repository(tmp_path)
    with (root / ".git" / "config").open("a") as config:
        config.write('[remote "a"]\n\turl = /a\n\tmirror\n')
        config.write('[remote "b"]\n\turl = /b\n\tmirror\n\tmirror = false\n')
    assert [remote.is_mirror for remote in open_repository(root).remotes()] == [True, False]


def test_a_configuration_that_breaks_after_opening_is_an_error(tmp_path: Path) -> None:
    repository = open_repository(make_empty_repository(tmp_path))
    (tmp_path / ".git" / "config").write_text("[core\n")
    with pytest.raises(GitError, match="bad config"):
        repository.remotes()


@pytest.mark.parametrize(
    "url",
    [
        "https://host/org/api.git",
        "https://host:8443/org/api.git?ref=main&author=ada#readme",
        "https://host/@scope/api",
        "https://host:8080/@scope/api",
        "https://[::1]/a@b",
        "git@host:org/api.git",
        "host:org/api.git",
        "ssh://git@host:22/org/api.git",
        "git+ssh://git@host/org/api.git",
        "git://host/api.git",
        "/srv/git/a@b:c.git",
        "../api.git",
        "./a?token=1",
        "C:\\git\\api.git",
        "file:///srv/git/user@home/api.git",
        "ext::ssh -p 22 git@host %S /api",
        "",
    ],
)
def test_a_url_without_a_secret_stays_as_it_is(url: str) -> None:
    assert strip_credentials(url) == (url, False)


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://ada:s3cret@host/api.git", "https://host/api.git"),
        ("https://s3cret@host/api.git", "https://host/api.git"),
        ("https://:s3cret@host", "https://host"),
        ("https://@host/api", "https://host/api"),
        ("HTTPS://oauth2:s3cret@host:8443/api", "HTTPS://host:8443/api"),
        ("https://ada@example.org:s3cret@host/api", "https://host/api"),
        ("https://ada:s3/c?r#et@host/api", "https://host/api"),
        ("https://ada:s3/cret@host", "https://host"),
        ("https://ada:s3cret@/s3cret@host/api", "https://host/api"),
        ("ssh://git:s3cret@host/api", "ssh://git@host/api"),
        ("ssh://:s3cret@host/api", "ssh://host/api"),
        ("svn+ssh://ada:s3cret@host:22/api", "svn+ssh://ada@host:22/api"),
        ("ftp://ada:s3cret@[::1]:21/api", "ftp://[::1]:21/api"),
        ("hg::https://ada:s3cret@host/api", "hg::https://host/api"),
        ("https://host/api?access_token=s3cret", "https://host/api"),
        ("https://host/api?private_token=s3cret&ref=main", "https://host/api?ref=main"),
        ("https://host/api?a=1&PRIVATE-TOKEN=s3cret&b=2#top", "https://host/api?a=1&b=2#top"),
        ("https://host/api?x-amz-signature=s3cret;b=2", "https://host/api?b=2"),
        ("https://host/api?access%5Ftoken=s3cret#auth=s3cret", "https://host/api"),
        ("https://host?key=s3cret&x=1", "https://host?x=1"),
    ],
)
def test_user_password_and_secret_parameters_are_taken_out(url: str, stripped: str) -> None:
    assert strip_credentials(url) == (stripped, True)


WORDS = st.text("abcXYZ019-_.~%", min_size=1, max_size=8)


@given(
    scheme=st.sampled_from(["http", "https", "ssh", "git+ssh", "ftp", "gcrypt::https"]),
    user=WORDS,
    password=(st.text("abc:@%+ ü", max_size=6) | st.text("abc:/?#&;=", max_size=6)).map(
        lambda text: f"s3cret{text}s3cret"
    ),
    port=st.sampled_from(["", ":22"]),
    path=st.lists(WORDS, max_size=3).map("/".join),
)
def test_no_part_of_a_password_survives_and_a_second_time_changes_nothing(
    scheme: str, user: str, password: str, port: str, path: str
) -> None:
    stripped, had_credentials = strip_credentials(f"{scheme}://{user}:{password}@host{port}/{path}")
    account = f"{user}@" if "ssh" in scheme else ""
    assert (stripped, had_credentials) == (f"{scheme}://{account}host{port}/{path}", True)
    assert strip_credentials(stripped) == (stripped, False)
