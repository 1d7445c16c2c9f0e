"""A database file that is renamed, removed or replaced while it is open."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

import forgedb
from forgedb import Database, Unavailable
from forgedb.drivers.sqlite import connection
from tests.faults.surfaces import Surface, until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "forge.db"
    with forgedb.connect(f"sqlite:///{path}", actor="user:ada") as db:
        db.migrate()
        project = db.projects.create("of-both", "Of both files")
        db.repositories.create(project.id, "api")
    shutil.copy(path, tmp_path / "other.db")
    return path


@pytest.fixture
def db(open_db: Surface, file: Path) -> Database:
    db = open_db(f"sqlite:///{file}")
    db.projects.create("of-the-first", "Of the first file")
    return db


def replace(file: Path) -> None:
    """Another file takes its place; the first one stays as ``first.db``."""
    os.rename(file, file.with_name("first.db"))
    os.rename(file.with_name("other.db"), file)


def slugs(db: Database) -> list[str]:
    return [each.slug for each in db.projects.list().items]


def found_in(file: Path) -> list[str]:
    """What another program reads in the file, which must be sound."""
    with closing(apsw.Connection(str(file))) as raw:
        assert raw.pragma("integrity_check") == "ok"
        return [slug for (slug,) in raw.execute("SELECT slug FROM projects ORDER BY id")]


def test_a_write_goes_to_the_file_that_is_there_now(db: Database, file: Path) -> None:
    replace(file)
    db.projects.create("later", "Later")
    assert slugs(db) == ["of-both", "later"]
    assert db.audit.verify().problems == []
    db.close()
    assert found_in(file) == ["of-both", "later"]
    assert found_in(file.with_name("first.db")) == ["of-both", "of-the-first"]


def test_a_log_that_cannot_go_into_its_file_is_kept_and_named(
    db: Database, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with db.transaction(read_only=True) as tx:
        assert slugs(tx) == ["of-both", "of-the-first"]
        with forgedb.connect(f"sqlite:///{file}", actor="user:bob") as other:
            other.projects.create("of-the-log", "Of the log")
            replace(file)
            other.projects.create("later", "Later")
            assert slugs(other) == ["of-both", "later"]
        assert slugs(tx) == ["of-both", "of-the-first"]
    record = caplog.records[0]
    _, _, kept = record.getMessage().partition("its log is kept as ")
    os.rename(kept, file.with_name("first.db-wal"))
    assert found_in(file.with_name("first.db")) == ["of-both", "of-the-first", "of-the-log"]
    until(lambda: slugs(db) == ["of-both", "later"])


def test_a_transaction_that_is_open_meanwhile_is_refused_at_its_commit(
    db: Database, file: Path
) -> None:
    with (
        pytest.raises(Unavailable, match="nothing of it is kept") as refused,
        db.transaction() as tx,
    ):
        tx.projects.create("lost", "Lost")
        replace(file)
    assert refused.value.retryable
    assert slugs(db) == ["of-both"]
    db.close()
    assert found_in(file.with_name("first.db")) == ["of-both", "of-the-first"]


def test_a_read_notices_within_a_second_and_at_once_after_a_write(db: Database, file: Path) -> None:
    assert connection.FOLLOW_SECONDS == 1.0
    replace(file)
    until(lambda: slugs(db) == ["of-both"])
    db.close()


def test_all_readers_of_a_handle_see_what_it_wrote_to_the_new_file(
    db: Database, file: Path
) -> None:
    with db.transaction(read_only=True) as one:
        slugs(one)
    replace(file)
    db.projects.create("later", "Later")
    for _ in range(10):
        assert slugs(db) == ["of-both", "later"]
    with db.transaction(read_only=True) as one:
        assert slugs(one) == ["of-both", "later"]


@pytest.mark.parametrize("mode", ["rw", "rwc"])
def test_where_the_file_was_removed_nothing_is_written_nor_made_until_it_is_back(
    open_db: Surface, file: Path, mode: str
) -> None:
    db = open_db(f"sqlite:///{file}?mode={mode}")
    os.rename(file, file.with_name("aside.db"))
    with pytest.raises(Unavailable, match=r"no database at .*forge\.db any more") as refused:
        db.projects.create("lost", "Lost")
    assert refused.value.retryable
    with pytest.raises(Unavailable), db.transaction():
        pass
    assert not file.exists()
    os.rename(file.with_name("aside.db"), file)
    db.projects.create("later", "Later")
    assert slugs(db) == ["of-both", "later"]


def test_a_file_that_is_no_database_is_refused_and_the_next_one_is_taken(
    db: Database, file: Path
) -> None:
    os.rename(file, file.with_name("first.db"))
    file.write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(Unavailable, match="is not an SQLite database"):
            db.projects.create("lost", "Lost")
    os.rename(file.with_name("other.db"), file)
    db.projects.create("later", "Later")
    assert slugs(db) == ["of-both", "later"]


def test_handles_that_notice_one_after_the_other_keep_the_log_of_the_new_file(
    open_db: Surface, db: Database, file: Path
) -> None:
    others = [open_db(f"sqlite:///{file}", actor=f"user:{n}") for n in range(3)]
    replace(file)
    for number, each in enumerate([db, *others]):
        each.projects.create(f"by-{number}", "By one")
    for each in [db, *others]:
        assert slugs(each) == ["of-both", "by-0", "by-1", "by-2", "by-3"]
        assert each.audit.verify().problems == []
        each.close()
    assert found_in(file) == ["of-both", "by-0", "by-1", "by-2", "by-3"]


def test_a_link_that_is_turned_to_another_file_is_followed(open_db: Surface, file: Path) -> None:
    link = file.with_name("current.db")
    link.symlink_to(file.name)
    db = open_db(f"sqlite:///{link}")
    db.projects.create("of-the-first", "Of the first file")
    turned = file.with_name("turned.db")
    turned.symlink_to("other.db")
    os.replace(turned, link)
    db.projects.create("later", "Later")
    assert slugs(db) == ["of-both", "later"]
    db.close()
    assert found_in(file) == ["of-both", "of-the-first"]


def test_the_current_folder_may_change(
    open_db: Surface, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> None:
    monkeypatch.chdir(file.parent)
    db = open_db("sqlite:///forge.db")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    db.projects.create("later", "Later")
    assert slugs(db) == ["of-both", "later"]
    assert os.listdir() == []


def test_no_token_of_the_file_before_is_given_again(
    open_db: Surface, db: Database, file: Path
) -> None:
    repository = db.repositories.get_by_path("of-both/api")
    tokens = []
    for _ in range(2):
        lease = db.leases.acquire(repository.id)
        tokens.append(lease.fencing_token)
        db.leases.release(lease.id)
        if len(tokens) == 1:
            replace(file)
    assert tokens[0] == 1
    assert tokens[1] >> 32 > 0


def test_the_first_write_to_another_file_begins_its_era(db: Database, file: Path) -> None:
    assert db.identity.get().era == 0
    replace(file)
    db.projects.create("later", "Later")
    assert db.identity.get().era > 0


def test_a_backup_that_is_copied_into_the_file_itself_is_known_as_one(
    open_db: Surface, db: Database, file: Path
) -> None:
    repository = db.repositories.get_by_path("of-both/api")
    backup = file.with_name("backup.db")
    db.backup(backup)
    assert db.leases.acquire(repository.id).fencing_token == 1
    db.close()
    inode = file.stat().st_ino
    shutil.copyfile(backup, file)
    assert file.stat().st_ino == inode
    db = open_db(f"sqlite:///{file}")
    assert db.leases.acquire(repository.id).fencing_token >> 32 > 0
    assert db.audit.verify().problems == []
