"""Backups that are put in the place of an SQLite database, also of one in use or damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import apsw
import pytest

import forgedb
from forgedb import Database, InvalidValue, LockTimeout, Unavailable, UsageError
from forgedb.drivers.sqlite import restoring
from tests.faults.surfaces import Surface


class Case(NamedTuple):
    """A database whose backup knows one lease, with token 1, and which gave token 2 since."""

    file: Path
    backup: Path
    repository_id: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def restore(self, backup: Path | None = None) -> forgedb.Restored:
        return forgedb.restore(
            backup or self.backup, self.url, actor="user:ops", reason="the disk failed"
        )


def lease(db: Database, repository_id: str) -> int:
    granted = db.leases.acquire(repository_id)
    db.leases.release(granted.id)
    return granted.fencing_token


def newest_token(file: Path | str) -> int:
    with closing(apsw.Connection(str(file))) as raw:
        assert raw.pragma("integrity_check") == "ok"
        (token,) = (raw.execute("SELECT max(fencing_token) FROM leases").get,)
        assert isinstance(token, int)
        return token


@pytest.fixture
def case(tmp_path: Path) -> Case:
    file, backup = tmp_path / "forge.db", tmp_path / "backup.db"
    with forgedb.connect(f"sqlite:///{file}", actor="user:ada") as db:
        db.migrate()
        project = db.projects.create("platform", "Platform")
        repository_id = db.repositories.create(project.id, "api").id
        assert lease(db, repository_id) == 1
        db.backup(backup)
        assert lease(db, repository_id) == 2
    return Case(file, backup, repository_id)


def test_a_backup_in_place_begins_an_era_with_the_reason_and_keeps_what_was_there(
    open_db: Surface, case: Case
) -> None:
    restored = case.restore()
    assert restored.era > 0
    assert restored.migrated == []
    assert restored.kept is not None
    assert newest_token(restored.kept) == 2
    assert newest_token(case.file) == 1
    db = open_db(case.url)
    entry = db.audit.list(stream=db.identity.get().id).items[-1]
    assert (entry.actor, entry.action) == ("user:ops", "database.advance_era")
    assert entry.reason == "the disk failed"
    assert lease(db, case.repository_id) >> 32 == restored.era
    # Once: what is in its place isn't taken for a copy again.
    assert db.identity.get().era == restored.era
    assert db.audit.verify().problems == []
    assert newest_token(case.backup) == 1


def test_a_backup_of_a_later_era_proves_itself_and_so_does_what_is_restored_of_it(
    open_db: Surface, case: Case
) -> None:
    for number in (1, 2):
        case.restore()
        backup = case.file.with_name(f"later-{number}.db")
        with open_db(case.url) as db:
            era = lease(db, case.repository_id) >> 32
            db.backup(backup)
        with open_db(f"sqlite:///{backup}") as copy:
            assert copy.audit.verify().problems == []
            assert lease(copy, case.repository_id) >> 32 > era
            assert copy.audit.verify().problems == []
        case.restore(backup)
        with open_db(case.url) as db:
            assert db.audit.verify().problems == []


def test_who_has_the_database_open_goes_on_with_the_new_content(
    open_db: Surface, case: Case
) -> None:
    db = open_db(case.url)
    assert lease(db, case.repository_id) == 3
    with db.transaction(read_only=True) as tx:
        assert tx.repositories.get(case.repository_id).lease_epoch == 3
        case.restore()
        assert tx.repositories.get(case.repository_id).lease_epoch == 3
    assert db.repositories.get(case.repository_id).lease_epoch == 1
    assert lease(db, case.repository_id) >> 32 > 0
    assert db.audit.verify().problems == []


def test_the_same_backup_again_begins_a_later_era(open_db: Surface, case: Case) -> None:
    tokens = []
    for _ in range(3):
        case.restore()
        with open_db(case.url) as db:
            tokens.append(lease(db, case.repository_id) >> 32)
    assert [0, *tokens] == sorted({0, *tokens})


def test_while_another_process_writes_it_is_refused_and_nothing_changes(
    open_db: Surface, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "BUSY_MILLISECONDS", 50)
    db = open_db(case.url)
    with db.transaction() as tx:
        lease(tx, case.repository_id)
        with pytest.raises(LockTimeout, match=rf"process {os.getpid()} .*is writing"):
            case.restore()
    assert lease(db, case.repository_id) == 4
    assert sorted(os.listdir(case.file.parent)) == [
        "backup.db",
        "forge.db",
        "forge.db-shm",
        "forge.db-wal",
    ]


@pytest.mark.parametrize("left", ["nothing", "garbage", "broken pages"])
def test_where_the_database_is_gone_or_damaged_the_backup_takes_its_place(
    open_db: Surface, case: Case, left: str
) -> None:
    if left == "nothing":
        os.unlink(case.file)
    else:
        with open(case.file, "r+b") as file:
            file.seek(0 if left == "garbage" else 8192)
            file.write(b"\xff" * 20_000)
    before = case.file.read_bytes() if left != "nothing" else b""
    restored = case.restore()
    assert (restored.kept is None) == (left == "nothing")
    if left != "nothing":
        assert Path(str(restored.kept)).read_bytes() == before
    assert newest_token(case.file) == 1
    db = open_db(case.url)
    assert lease(db, case.repository_id) >> 32 == db.identity.get().era == restored.era
    assert db.audit.verify().problems == []


def test_a_log_that_was_left_there_is_set_aside(open_db: Surface, case: Case) -> None:
    with forgedb.connect(case.url, actor="user:ada", checkpoint="never") as db:
        lease(db, case.repository_id)
    os.unlink(case.file)
    restored = case.restore()
    assert restored.kept is not None
    assert restored.kept.endswith("-wal")
    assert os.path.getsize(restored.kept) > 0
    assert newest_token(case.file) == 1


def test_a_database_with_pages_of_another_size_is_written_over(case: Case) -> None:
    with closing(apsw.Connection(str(case.file))) as raw:
        raw.pragma("journal_mode", "delete")
        raw.pragma("page_size", 8192)
        raw.execute("VACUUM")
        raw.pragma("journal_mode", "wal")
    case.restore()
    assert newest_token(case.file) == 1


def test_what_is_no_sound_backup_is_refused_and_the_database_stays(case: Case) -> None:
    garbage, foreign = case.file.with_name("garbage"), case.file.with_name("foreign")
    damaged = case.file.with_name("damaged")
    garbage.write_bytes(b"garbage" * 1000)
    with closing(apsw.Connection(str(foreign))) as raw:
        raw.execute("CREATE TABLE t (x)")
    shutil.copy(case.backup, damaged)
    with open(damaged, "r+b") as file:
        file.seek(12288)
        file.write(b"\xff" * 20_000)
    before = case.file.read_bytes()
    for backup, words in (
        (garbage, "no SQLite database"),
        (foreign, "not forgedb's"),
        (case.file, "the database itself"),
        (case.file.with_name("none"), "no such file"),
    ):
        with pytest.raises(InvalidValue, match=words):
            case.restore(backup)
    with pytest.raises(Unavailable):
        case.restore(damaged)
    assert case.file.read_bytes() == before
    assert not [name for name in os.listdir(case.file.parent) if name.startswith(".")]


def test_only_files_are_restored() -> None:
    with pytest.raises(UsageError, match="pg_restore"):
        forgedb.restore("backup.db", "postgresql://host/forge", actor="user:ops")
    with pytest.raises(InvalidValue, match="in memory"):
        forgedb.restore("backup.db", "sqlite://", actor="user:ops")


KILLED = """
import os, sys, apsw, forgedb
left = int(sys.argv[3])

class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("dying", "unix", makedefault=True)
    def xOpen(self, name, flags):
        return File("unix", name, flags)

class File(apsw.VFSFile):
    def xWrite(self, data, offset):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        super().xWrite(data, offset)

disk = Disk()
forgedb.restore(sys.argv[1], sys.argv[2], actor="user:ops")
"""


def test_killed_at_any_moment_the_old_database_or_the_new_one_is_there(
    case: Case, tmp_path: Path
) -> None:
    found = set()
    writes = 10
    while True:
        url = f"sqlite:///{tmp_path}/killed/forge.db"
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        (tmp_path / "killed").mkdir()
        shutil.copy(case.file, tmp_path / "killed/forge.db")
        arguments = [str(case.backup), url, str(writes)]
        ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
        with forgedb.connect(url) as db:
            assert db.audit.verify().problems == []
            is_later = db.identity.get().era > 0
            found.add((db.repositories.get(case.repository_id).lease_epoch, is_later))
        if ended.returncode == 0:
            break
        assert ended.returncode == 9
        writes += 150
    assert found == {(2, False), (1, True)}
