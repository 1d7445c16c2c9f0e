"""Reading repositories: one by its id, and a page of 100."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.databases import PROJECT, base, open_ours, open_raw
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID

PAGE = 100


def get(scale: Scale, folder: Path) -> Iterator[Row]:
    """Repositories by id, in random order; raw statements on both drivers give tuples."""
    path = base(scale, folder)
    with (
        open_ours(path) as db,
        closing(open_raw(path, writes=False)) as raw,
        closing(sqlite3.connect(path)) as library,
    ):
        found = raw.execute("SELECT id FROM repositories").fetchall()
        wanted = random.Random(0).choices([str(row[0]) for row in found], k=scale.gets)
        text = SELECT_BY_ID.sqlite

        def with_apsw() -> Slice:
            execute = raw.cursor().execute
            return lambda: [execute(text, {"id": one}).fetchall() for one in wanted]

        def with_library() -> Slice:
            execute = library.cursor().execute
            return lambda: [execute(text, {"id": one}).fetchall() for one in wanted]

        def with_forgedb() -> Slice:
            return lambda: [db.repositories.get(one) for one in wanted]

        apsw, sqlite, ours = interleave([with_apsw, with_library, with_forgedb], scale.rounds)
    work = "get by id → model"
    yield Row("get", work, "apsw tuples", scale.gets, 1.6, apsw, ours)
    yield Row("get", work, "sqlite3 tuples", scale.gets, 1.0, sqlite, ours)


def page(scale: Scale, folder: Path) -> Iterator[Row]:
    """Pages of a project's repositories, from places all over the list."""
    path = base(scale, folder)
    with open_ours(path) as db, closing(open_raw(path, writes=False)) as raw:
        project = db.projects.get_by_slug(PROJECT).id
        found = raw.execute("SELECT id FROM repositories ORDER BY id").fetchall()
        wanted = places(found, scale)
        text = LIST_LIVE.sqlite

        def with_apsw() -> Slice:
            execute = raw.cursor().execute
            return lambda: [
                execute(text, {"project_id": project, "after": one, "limit": PAGE}).fetchall()
                for one in wanted
            ]

        def with_forgedb() -> Slice:
            return lambda: [db.repositories.list(project, after=one, limit=PAGE) for one in wanted]

        apsw, ours = interleave([with_apsw, with_forgedb], scale.rounds)
    yield Row("page", "page of 100 → models", "apsw tuples", scale.pages, 1.7, apsw, ours)


def places(found: Sequence[tuple[Any, ...]], scale: Scale) -> list[str]:
    """Ids that pages begin after, all over the list of those that were found."""
    return random.Random(0).choices([str(row[0]) for row in found[:-PAGE]], k=scale.pages)
