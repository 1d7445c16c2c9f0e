"""Reading repositories: one by its id, from threads and from tasks, and a page of 100."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from msgspec.structs import astuple

import forgedb
from benchmarks.databases import ACTOR, PROJECT
from benchmarks.postgres.server import UTC, Server, open_ours, open_raw, raw_text
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID

PAGE = 100
IDS = "SELECT id FROM repositories ORDER BY id"

GET = "get by id → model, PostgreSQL"
AWAITED_GET = "await get by id → model, PostgreSQL"


def get(scale: Scale, server: Server) -> Iterator[Row]:
    """Repositories by id, in random order, on one connection that is kept."""
    url = server.base(scale)
    with open_ours(url) as db, open_raw(url) as raw:
        wanted = random.Random(0).choices(_ids(raw), k=scale.gets)
        text = raw_text(SELECT_BY_ID)

        def with_connection() -> Slice:
            execute = raw.execute
            return lambda: [execute(text, {"id": one}).fetchone() for one in wanted]

        def with_cursor() -> Slice:
            execute = raw.cursor().execute
            return lambda: [execute(text, {"id": one}).fetchone() for one in wanted]

        def with_forgedb() -> Slice:
            return lambda: [db.repositories.get(one) for one in wanted]

        _check_same(with_connection()(), with_forgedb()())
        connection, cursor, ours = interleave(
            [with_connection, with_cursor, with_forgedb], scale.rounds
        )
    yield Row("postgres-get", GET, "psycopg tuples", scale.gets, 1.2, connection, ours)
    yield Row("postgres-get", GET, "psycopg, a reused cursor", scale.gets, None, cursor, ours)


def page(scale: Scale, server: Server) -> Iterator[Row]:
    """Pages of a project's repositories, from places all over the list."""
    url = server.base(scale)
    with open_ours(url) as db, open_raw(url) as raw:
        project = db.projects.get_by_slug(PROJECT).id
        starts = _ids(raw)[:-PAGE]
        wanted = random.Random(0).choices(starts, k=scale.pages)
        text = raw_text(LIST_LIVE)

        def with_connection() -> Slice:
            return lambda: [
                raw.execute(text, {"project_id": project, "after": one, "limit": PAGE}).fetchall()
                for one in wanted
            ]

        def with_forgedb() -> Slice:
            return lambda: [
                db.repositories.list(project, after=one, limit=PAGE).items for one in wanted
            ]

        for rows, models in zip(with_connection()(), with_forgedb()(), strict=True):
            _check_same(rows, models)
        connection, ours = interleave([with_connection, with_forgedb], scale.rounds)
    work = "page of 100 → models, PostgreSQL"
    yield Row("postgres-page", work, "psycopg tuples", scale.pages, 1.7, connection, ours)


def awaited_get(scale: Scale, server: Server) -> Iterator[Row]:
    """As ``get``, awaited: both sides in one event loop, on a connection that is kept."""
    url = server.base(scale)
    with asyncio.Runner() as loop, open_raw(url) as first:
        wanted = random.Random(0).choices(_ids(first), k=scale.gets)
        raw = loop.run(psycopg.AsyncConnection.connect(url, autocommit=True, options=UTC))
        db = loop.run(forgedb.connect_async(url, actor=ACTOR))
        text = raw_text(SELECT_BY_ID)

        async def by_connection() -> list[Any]:
            return [await (await raw.execute(text, {"id": one})).fetchone() for one in wanted]

        async def by_cursor() -> list[Any]:
            cursor = raw.cursor()
            return [await (await cursor.execute(text, {"id": one})).fetchone() for one in wanted]

        async def by_forgedb() -> list[Any]:
            return [await db.repositories.get(one) for one in wanted]

        _check_same(loop.run(by_connection()), loop.run(by_forgedb()))
        connection, cursor, ours = interleave(
            [
                lambda: lambda: loop.run(by_connection()),
                lambda: lambda: loop.run(by_cursor()),
                lambda: lambda: loop.run(by_forgedb()),
            ],
            scale.rounds,
        )
        loop.run(raw.close())
        loop.run(db.close())
    name, cursor_name = "AsyncConnection tuples", "a reused AsyncCursor"
    yield Row("postgres-await-get", AWAITED_GET, name, scale.gets, 1.2, connection, ours)
    yield Row("postgres-await-get", AWAITED_GET, cursor_name, scale.gets, None, cursor, ours)


def _ids(raw: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in raw.execute(IDS).fetchall()]


def _check_same(rows: Sequence[Any], models: Sequence[Any]) -> None:
    assert rows == [astuple(model) for model in models], "both read the same"
