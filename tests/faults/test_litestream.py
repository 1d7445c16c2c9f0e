"""Databases that Litestream replicates, and restores after the machine is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forgedb import Database
from tests.faults.surfaces import Surface, until
from tests.servers.litestream import Litestream

WRITTEN_BYTES = 16 * 1024 * 1024
"""Twice what Litestream is told to keep the log below, 2,000 pages."""


@pytest.mark.parametrize("checkpoint", ["never", "auto"])
def test_a_replicated_database_works_and_what_is_restored_proves_itself_and_repeats_no_token(
    open_db: Surface, tmp_path: Path, checkpoint: str
) -> None:
    file = tmp_path / "forge.db"
    litestream = Litestream(file)
    db = open_db(f"sqlite:///{file}?checkpoint={checkpoint}")
    db.migrate()
    project = db.projects.create("platform", "Platform")
    repository_id = db.repositories.create(project.id, "api").id
    tokens: list[int] = []

    def lease(db: Database) -> None:
        granted = db.leases.acquire(repository_id)
        tokens.append(granted.fencing_token)
        db.leases.release(granted.id)

    def log_size() -> int:
        return os.path.getsize(f"{file}-wal")

    before = log_size()
    lease(db)
    bytes_a_lease = log_size() - before

    def is_written_over() -> bool:
        lease(db)
        written = len(tokens) * bytes_a_lease
        return written > WRITTEN_BYTES and written > 2 * log_size()

    with litestream.replicating():
        until(litestream.has_copied)
        until(is_written_over)
    litestream.restore(tmp_path / "restored.db")

    restored = open_db(f"sqlite:///{tmp_path}/restored.db")
    assert restored.audit.verify().problems == []
    assert 0 < restored.repositories.get(repository_id).lease_epoch <= tokens[-1]
    left = restored.leases.active(repository_id)
    if left is not None:
        # Its release was not copied any more.
        restored.leases.force_release(left.id, "its machine is gone")
    told = set(tokens)
    for _ in range(3):
        lease(restored)
    assert told.isdisjoint(tokens[-3:])
    assert restored.identity.get().era > 0
    assert restored.audit.verify().problems == []
