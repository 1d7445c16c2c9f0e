"""Going through all pages of a list, whatever the size of a page, on every surface."""

from __future__ import annotations

import asyncio
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, InvalidValue, Project


def test_every_item_comes_once_and_in_order(db: Database) -> None:
    made = [db.projects.create(f"p{number}", "P") for number in range(7)]
    for limit in (1, 2, 3, 6, 7, 8, 1000):
        assert [*forgedb.every(db.projects.list, limit=limit)] == made
    assert [*forgedb.every(db.projects.list)] == made


def test_a_list_of_nothing_has_no_item(db: Database, project: Project) -> None:
    assert [*forgedb.every(db.repositories.list, project.id)] == []


def test_arguments_go_to_the_list(db: Database, project: Project) -> None:
    made = [db.repositories.create(project.id, f"r{number}") for number in range(3)]
    after = made[0].id
    assert [*forgedb.every(db.repositories.list, project.id, after=after, limit=1)] == made[1:]
    with pytest.raises(InvalidValue):
        next(forgedb.every(db.repositories.list, "no id"))


def test_what_is_added_behind_the_page_comes_too(db: Database) -> None:
    going = forgedb.every(db.projects.list, limit=1)
    made = [db.projects.create("a", "A"), db.projects.create("b", "B")]
    assert next(going) == made[0]
    made.append(db.projects.create("c", "C"))
    assert [*going] == made[1:]


def test_tasks_go_through_the_pages_with_async_for(tmp_path: Path) -> None:
    async def go() -> list[Any]:
        url = f"sqlite:///{tmp_path}/forge.db"
        async with await forgedb.connect_async(url, actor="user:ada") as db:
            await db.migrate()
            made = [await db.projects.create(f"p{number}", "P") for number in range(5)]
            found = [project async for project in forgedb.every(db.projects.list, limit=2)]
            assert found == made
            with pytest.raises(InvalidValue):
                async for _ in forgedb.every(db.projects.list, limit=0):
                    pass
            return found

    assert len(asyncio.run(go())) == 5


def test_no_module_of_the_package_takes_the_place_of_a_public_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(forgedb.__path__)}
    assert modules.isdisjoint(forgedb.__all__)
