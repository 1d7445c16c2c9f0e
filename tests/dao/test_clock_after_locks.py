"""A change reads its clock when it has all of its locks: seen in the order of its steps."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from forgedb import ObjectFormat, Project, RepositoryState, Visibility
from forgedb.dao import audit, mirrors, projects, relationships, repositories
from forgedb.dao.leases import steps as leases
from forgedb.dao.repositories import LockedRepository, RepositoriesDao
from forgedb.ids import new_ulid
from forgedb.operations.binding import Context, Dao
from forgedb.operations.steps import NOW, Now, Select, SelectOne, Step, Together
from forgedb.sql.catalogue import Sql

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)

LOCKS = [
    statement
    for module in (audit, leases, mirrors, projects, relationships, repositories)
    for statement in vars(module).values()
    if isinstance(statement, Sql) and " FOR " in statement.postgres.split("WHERE")[-1]
]


def test_the_locks_are_known() -> None:
    assert {repositories.LOCK, repositories.PARENT, repositories.TARGETS, projects.LOCK} <= {*LOCKS}


@pytest.fixture
def locked() -> LockedRepository:
    return LockedRepository(
        new_ulid(),
        new_ulid(),
        "api",
        "",
        "main",
        ObjectFormat.SHA1,
        Visibility.PRIVATE,
        RepositoryState.ACTIVE,
        0,
        AT,
        AT,
        AT,
        3,
        bytes(32),
    )


def carried_out(steps: Generator[Step, Any, Any], locked: LockedRepository) -> list[Any]:
    """The statements that were sent, and NOW, in their order."""
    project = Project(locked.project_id, "a", "A", "", Visibility.PRIVATE, AT, AT, None)
    rows = {LockedRepository: locked, Project: project}
    sent: list[Any] = []

    def result(step: Any) -> Any:
        sent.append(step if isinstance(step, Now) else step.statement)
        if isinstance(step, Now):
            return AT
        return rows.get(step.model) if isinstance(step, SelectOne) else []

    step = next(steps)
    while True:
        try:
            if isinstance(step, Together):
                step = steps.send([*map(result, step.steps)])
            else:
                assert isinstance(step, Now | Select | SelectOne)
                step = steps.send(result(step))
        except StopIteration:
            return sent


@pytest.mark.parametrize("verb", ["update", "delete", "restore", "create"])
def test_a_repositorys_change_asks_for_the_time_after_its_last_lock(
    verb: str, locked: LockedRepository
) -> None:
    dao: Dao[Any] = RepositoriesDao(None, Context(actor="user:ada"))
    arguments = {"update": {"description": "new"}, "create": {"slug": "new"}}.get(verb, {})
    subject = locked.project_id if verb == "create" else locked.id
    if verb in ("update", "delete"):
        locked = type(locked)(
            *[*map(locked.__getattribute__, locked.__struct_fields__[:11])], None, 3, bytes(32)
        )
    sent = carried_out(getattr(RepositoriesDao, verb)(dao, subject, **arguments), locked)
    places = [place for place, each in enumerate(sent) if each in LOCKS]
    assert places
    last_asked = max(place for place, each in enumerate(sent) if each is NOW)
    assert last_asked > max(places)
