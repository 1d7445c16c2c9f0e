"""Machines that crash, on SQLite: what of the acknowledged is there afterwards."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

import forgedb
from tests.faults.disk import Crash, Disk
from tests.faults.surfaces import Surface

LEASES = 4


def _crashes_among_leases(open_db: Surface, folder: Path, **options: Any) -> list[Crash]:
    """What crashes among leases may leave, and the tokens that were told by then."""
    url = f"sqlite:///{folder}/forge.db"
    with Disk() as disk:
        with forgedb.connect(url, actor="user:ada") as db:
            db.migrate()
            project = db.projects.create("platform", "Platform")
            repository = db.repositories.create(project.id, "api")
        beside = apsw.Connection(f"{folder}/forge.db")
        with closing(beside), open_db(url, **options) as db:
            disk.tell(0)
            for _ in range(LEASES):
                lease = db.leases.acquire(repository.id)
                disk.tell(lease.fencing_token)
                db.leases.release(lease.id)
                if lease.fencing_token == LEASES // 2:
                    beside.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        return [crash for crash in disk.crashes() if crash.told]


def _tokens_after(crash: Crash, folder: Path) -> set[int]:
    """The tokens that the database knows of; its history proves itself."""
    shutil.rmtree(folder, ignore_errors=True)
    crash.leave_in(folder)
    with forgedb.connect(f"sqlite:///{folder}/forge.db?mode=rw&synchronous=OFF") as db:
        assert db.audit.verify().problems == []
        known = db.client.query("SELECT fencing_token FROM leases")
        return {0, *(token for (token,) in known)}


def test_no_acknowledged_grant_is_lost_with_the_machine(open_db: Surface, tmp_path: Path) -> None:
    crashes = _crashes_among_leases(open_db, tmp_path)
    assert crashes[-1].told == [0, 1, 2, 3, 4]
    for crash in crashes:
        assert set(crash.told) <= _tokens_after(crash, tmp_path / "found")


def test_under_normal_an_acknowledged_grant_is_lost_with_the_machine(
    open_db: Surface, tmp_path: Path
) -> None:
    crashes = _crashes_among_leases(open_db, tmp_path, synchronous="NORMAL")
    assert any(set(crash.told) > _tokens_after(crash, tmp_path / "found") for crash in crashes)
