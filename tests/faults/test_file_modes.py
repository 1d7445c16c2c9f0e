"""Whom SQLite's files are for: nobody but their owner and group, less what the umask takes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import forgedb
from tests.faults.surfaces import Surface


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o117])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_new_file_its_log_and_its_backup_are_for_no_others(
    open_db: Surface, tmp_path: Path, umask: int
) -> None:
    path, backup = f"{tmp_path}/forge.db", f"{tmp_path}/backup.db"
    db = open_db(f"sqlite:///{path}")
    db.migrate()
    db.backup(backup)
    for each in (path, f"{path}-wal", f"{path}-shm", backup):
        assert mode(each) == 0o660 & ~umask, each


def test_a_file_that_exists_keeps_its_mode(open_db: Surface, tmp_path: Path) -> None:
    path, backup = f"{tmp_path}/forge.db", f"{tmp_path}/backup.db"
    with forgedb.connect(f"sqlite:///{path}") as db:
        db.migrate()
        db.backup(backup)
    os.chmod(path, 0o644)
    os.chmod(backup, 0o604)
    db = open_db(f"sqlite:///{path}")
    db.projects.create("platform", "Platform")
    db.backup(backup)
    assert [mode(each) for each in (path, f"{path}-wal", backup)] == [0o644, 0o644, 0o604]


def test_a_file_that_a_link_leads_to_is_made_for_no_others(
    open_db: Surface, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "link.db").symlink_to("forge.db")
        open_db(f"sqlite:///{tmp_path}/link.db").migrate()
    finally:
        os.umask(before)
    assert mode(f"{tmp_path}/forge.db") == 0o660


def test_a_backup_is_never_seen_by_others_while_it_is_written(
    open_db: Surface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = open_db(f"sqlite:///{tmp_path}/forge.db")
    db.migrate()
    seen: list[int] = []
    replace = os.replace

    def look(source: str, target: str) -> None:
        seen.extend(mode(f"{tmp_path}/{each}") for each in os.listdir(tmp_path))
        replace(source, target)

    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "replace", look)
        db.backup(f"{tmp_path}/backup.db")
    finally:
        os.umask(before)
    assert len(seen) >= 2
    assert all(each & 0o007 == 0 for each in seen)
