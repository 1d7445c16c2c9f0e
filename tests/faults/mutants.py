"""forgedb with a bug each, that copies, restored backups or a clock that was wrong must show."""

from __future__ import annotations

from datetime import datetime

import pytest

import forgedb.admin.restore
import forgedb.dao.identity
import forgedb.dao.leases.steps
from forgedb.dao.identity import ERA_STEP, Standing
from forgedb.drivers.sqlite import backup
from forgedb.models import Lease
from forgedb.operations.rows import columns
from forgedb.sql.catalogue import Sql

# Not by sql(): the catalogue is of statements that are right.
LAST_BY_TIME = Sql(
    *[
        f"""
    SELECT {columns(Lease)}
    FROM leases
    WHERE repository_id = :repository_id
    ORDER BY acquired_at DESC
    LIMIT 1
    """
    ]
    * 2,
    own=True,
)


def never_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """A copy that takes itself for the database that it was copied from."""
    patch.setattr(Standing, "is_elsewhere", False)


def eras_by_steps(patch: pytest.MonkeyPatch) -> None:
    """Eras that only count, in what a copy knows of them: two copies begin the same one."""

    def step(era: int, at: datetime) -> int:
        return era + ERA_STEP

    patch.setattr(forgedb.dao.identity, "later_era", step)


def unmarked_backups(patch: pytest.MonkeyPatch) -> None:
    """Backups that nothing tells from the file in whose place they are put."""
    patch.setattr(backup, "A_BACKUP", None)


def blind_restore(patch: pytest.MonkeyPatch) -> None:
    """A restore that doesn't look at what it replaces."""

    def none(path: str) -> int:
        return 0

    patch.setattr(forgedb.admin.restore, "_era_of", none)


def last_lease_by_time(patch: pytest.MonkeyPatch) -> None:
    """The last lease is the one that began last by the clock, and not the one of the last token."""
    patch.setattr(forgedb.dao.leases.steps, "LAST", LAST_BY_TIME)
