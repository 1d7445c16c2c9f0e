"""Stories of what moves, comes back, or had a wrong clock; each bug is seen by one of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import forgedb
from forgedb import Database, ForgeDbError
from tests.faults import mutants
from tests.faults.surfaces import until


def _connect(file: Path) -> Database:
    return forgedb.connect(f"sqlite:///{file}", actor="user:ada")


def _new(file: Path) -> str:
    with _connect(file) as db:
        db.migrate()
        return db.repositories.create(db.projects.create("platform", "Platform").id, "api").id


def _token(db: Database, repository_id: str) -> int:
    lease = db.leases.acquire(repository_id)
    db.leases.release(lease.id)
    return lease.fencing_token


def _seconds() -> int:
    return (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def copied_twice(folder: Path) -> None:
    """What two copies grant, the second one later, is above all that was granted before."""
    file = folder / "forge.db"
    repository = _new(file)
    copies = [shutil.copy(file, folder / name) for name in ("one.db", "two.db")]
    with _connect(file) as db:
        before = _token(db, repository) >> 32
    for copy in copies:
        with _connect(Path(copy)) as db:
            era = _token(db, repository) >> 32
        assert era > before
        before = era
        began = _seconds()
        until(lambda began=began: _seconds() > began)


def backup_over_the_file(folder: Path) -> None:
    """A backup that is written into the very file knows itself for one."""
    file = folder / "forge.db"
    repository = _new(file)
    with _connect(file) as db:
        db.backup(folder / "backup.db")
        before = _token(db, repository)
    shutil.copyfile(folder / "backup.db", file)
    with _connect(file) as db:
        assert _token(db, repository) > before


def restored_after_a_wrong_clock(folder: Path) -> None:
    """A restored backup is above what it replaces, also where a wrong clock began its era."""
    file = folder / "forge.db"
    _new(file)
    with _connect(file) as db:
        db.backup(folder / "backup.db")
        before = db.identity.advance_era("a wrong clock", above=_seconds() + 10**6)
    restored = forgedb.restore(folder / "backup.db", f"sqlite:///{file}", actor="user:ada")
    assert restored.era > before.era


def rebased_after_a_wrong_clock(folder: Path) -> None:
    """After a rebase leases go on, though an earlier one is a year ahead."""
    clock = [datetime.now(UTC) + timedelta(days=365)]
    repository = _new(folder / "forge.db")
    url = f"sqlite:///{folder}/forge.db"
    with forgedb.connect(url, actor="user:ada", clock=lambda: clock[0]) as db:
        db.leases.acquire(repository)
        clock[0] -= timedelta(days=365)
        mark = db.leases.rebase(repository, "the clock is right again")
        assert _token(db, repository) == mark.fencing_token + 1


Story = Callable[[Path], None]

STORIES: tuple[Story, ...] = (
    copied_twice,
    backup_over_the_file,
    restored_after_a_wrong_clock,
    rebased_after_a_wrong_clock,
)

SEEN_BY: dict[Callable[[pytest.MonkeyPatch], None], Story] = {
    mutants.never_elsewhere: copied_twice,
    mutants.eras_by_steps: copied_twice,
    mutants.unmarked_backups: backup_over_the_file,
    mutants.blind_restore: restored_after_a_wrong_clock,
    mutants.last_lease_by_time: rebased_after_a_wrong_clock,
}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_story_ends_well(story: Story, tmp_path: Path) -> None:
    story(tmp_path)


@pytest.mark.parametrize("mutant", SEEN_BY, ids=lambda mutant: mutant.__name__)
def test_the_story_shows_the_bug(
    mutant: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, ForgeDbError)):
        SEEN_BY[mutant](tmp_path)
