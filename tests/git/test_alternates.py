"""The repositories that one borrows objects from."""

from __future__ import annotations

from pathlib import Path

from forgedb.git import open_repository
from tests.git.making import make_repository, make_with_alternates


def write_alternates(root: Path, text: bytes) -> None:
    (root / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (root / ".git" / "objects" / "info" / "alternates").write_bytes(text)


def test_most_repositories_borrow_from_none(tmp_path: Path) -> None:
    assert open_repository(make_repository(tmp_path)).alternates() == []


def test_an_alternate_is_named_as_that_repository_names_itself(tmp_path: Path) -> None:
    pool = make_repository(tmp_path / "pool")
    fork = open_repository(make_with_alternates(tmp_path / "fork", pool))
    assert fork.alternates() == [open_repository(pool).path]


def test_a_relative_path_starts_at_the_object_directory(tmp_path: Path) -> None:
    pool = make_repository(tmp_path / "pool.git", bare=True)
    root = make_repository(tmp_path / "fork")
    write_alternates(root, b"../../../pool.git/objects\n")
    assert open_repository(root).alternates() == [str(pool)]


def test_comments_blank_lines_and_repeats_are_skipped_and_quoted_paths_understood(
    tmp_path: Path,
) -> None:
    root = make_repository(tmp_path)
    plain = b"# the pool\n/a/objects\n\n/a/objects\n"
    quoted = b'"/\\303\\274\\n\\"b\\\\/objects"\n'
    write_alternates(root, plain + quoted + b'"\n/plain\\n/store')
    assert open_repository(root).alternates() == [
        "/a",
        '/ü\n"b\\',
        str(root / ".git" / "objects" / '"'),
        "/plain\\n/store",
    ]
