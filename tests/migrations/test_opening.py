"""SQLite files that are not as they should be, and how opening them says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import forgedb
from forgedb import (
    Database,
    Unavailable,
)
from forgedb.sql.lexer import Dialect


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


@pytest.mark.parametrize("content", [b"not a database, but a text\n" * 100, b"x" * 5000])
def test_a_file_that_is_no_sqlite_database_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="not an SQLite database") as refused:
        forgedb.connect(f"sqlite:///{path}")
    assert str(path) in str(refused.value)
    assert not refused.value.retryable
    assert path.read_bytes() == content


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with forgedb.connect(f"sqlite:///{tmp_path}/empty.db", actor="user:ada") as db:
        db.migrate()
        assert db.projects.create("p", "P").slug == "p"


def test_a_damaged_file_is_told_as_corrupt(url: str, migrated: Database) -> None:
    project = migrated.projects.create("p", "P")
    migrated.close()
    path = Path(url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)

    def read() -> None:
        with forgedb.connect(url, actor="user:ada") as db:
            db.projects.get(project.id)

    with pytest.raises(Unavailable, match="corrupt: restore a backup") as refused:
        read()
    assert not refused.value.retryable
    assert path.read_bytes() == content


def test_a_database_opened_read_only_reads_and_refuses_writes(url: str, migrated: Database) -> None:
    project = migrated.projects.create("p", "P")
    before = Path(url.removeprefix("sqlite:///")).read_bytes()
    with forgedb.connect(url, actor="user:ada", mode="ro") as db:
        assert db.projects.get(project.id) == project
        assert db.migrate() == []
        for write in (
            lambda: db.projects.create("q", "Q"),
            lambda: db.projects.update(project.id, name="Other"),
            lambda: db.client.execute("DROP TABLE mirrors"),
        ):
            with pytest.raises(Unavailable, match="read-only") as refused:
                write()
            assert not refused.value.retryable
    assert Path(url.removeprefix("sqlite:///")).read_bytes() == before


def test_an_unmigrated_database_opened_read_only_can_not_be_migrated(url: str) -> None:
    forgedb.connect(url).close()
    with (
        forgedb.connect(url, mode="ro") as db,
        pytest.raises(Unavailable, match="read-only"),
    ):
        db.migrate()


def test_a_database_that_must_be_there_and_is_not_is_named(tmp_path: Path) -> None:
    for mode in ("ro", "rw"):
        path = tmp_path / "absent.db"
        with pytest.raises(Unavailable, match="there is no database at") as refused:
            forgedb.connect(f"sqlite:///{path}", mode=mode)
        assert str(path) in str(refused.value)
        assert not path.exists()


def test_a_file_in_a_missing_folder_and_a_folder_itself_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no folder .*/missing, make it first"):
        forgedb.connect(f"sqlite:///{tmp_path}/missing/forge.db")
    with pytest.raises(Unavailable, match="is a folder: name a file in it"):
        forgedb.connect(f"sqlite:///{tmp_path}")
    assert not (tmp_path / "missing").exists()
