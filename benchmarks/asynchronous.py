"""Reading one project from SQLite under asyncio, beside aiosqlite."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
from msgspec.structs import astuple

import forgedb
from benchmarks.databases import ACTOR, PROJECT, base
from benchmarks.scale import Scale
from benchmarks.timing import Row, interleave
from forgedb.dao.projects import SELECT_BY_ID


def awaited_get(scale: Scale, folder: Path) -> Iterator[Row]:
    """The project by its id, both sides in one event loop."""
    path = base(scale, folder)
    with asyncio.Runner() as loop:
        raw = loop.run(_opened(path))
        db = loop.run(forgedb.connect_async(f"sqlite:///{path}", actor=ACTOR))
        project_id = loop.run(_project(db))
        text, params = SELECT_BY_ID.sqlite, {"id": project_id}

        async def by_cursor() -> list[Any]:
            found = []
            for _ in range(scale.gets):
                async with raw.execute(text, params) as cursor:
                    found.append(await cursor.fetchone())
            return found

        async def by_fetchall() -> list[Any]:
            return [await raw.execute_fetchall(text, params) for _ in range(scale.gets)]

        async def by_forgedb() -> list[Any]:
            return [await db.projects.get(project_id) for _ in range(scale.gets)]

        _check_same(loop.run(by_cursor()), loop.run(by_forgedb()))
        cursor, fetchall, ours = interleave(
            [
                lambda: lambda: loop.run(by_cursor()),
                lambda: lambda: loop.run(by_fetchall()),
                lambda: lambda: loop.run(by_forgedb()),
            ],
            scale.rounds,
        )
        loop.run(raw.close())
        loop.run(db.close())
    work = "await get by id → model"
    yield Row("await-get", work, "aiosqlite, fetchone", scale.gets, 0.6, cursor, ours)
    yield Row("await-get", work, "aiosqlite, execute_fetchall", scale.gets, None, fetchall, ours)


async def _opened(path: Path) -> aiosqlite.Connection:
    return await aiosqlite.connect(path)


async def _project(db: forgedb.AsyncDatabase) -> str:
    return (await db.projects.get_by_slug(PROJECT)).id


def _check_same(rows: list[Any], models: list[Any]) -> None:
    """Both read the same: what SQLite keeps as text or numbers is told apart by the model alone."""
    for row, model in zip(rows, models, strict=True):
        assert row[:5] == astuple(model)[:5], (row, model)
