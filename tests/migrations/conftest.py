"""An empty database of each kind, and a folder of migrations for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import forgedb
from forgedb import Database
from forgedb.sql.lexer import Dialect
from tests.conformance.conftest import START
from tests.migrations.folder import A, B, C, Folder


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Which database; a test or a module that is about one of them says so."""
    kind: Dialect = request.param
    return kind


@pytest.fixture
def url(dialect: Dialect, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path}/forge.db"
        return
    with request.getfixturevalue("postgres").new() as url:
        yield url


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with forgedb.connect(url, actor="user:ada", clock=lambda: START) as db:
        yield db


@pytest.fixture
def migrated(db: Database) -> Database:
    db.migrate()
    return db


@pytest.fixture
def folder(tmp_path: Path, db: Database) -> Folder:
    return Folder(tmp_path / "migrations", db)


@pytest.fixture
def three(folder: Folder) -> Folder:
    return folder.write(m0001_a=A, m0002_b=B, m0003_c=C)
