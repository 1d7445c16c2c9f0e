"""What every database must do, on threads and on tasks, through the public interface alone.

A database joins by an entry in reaching.DATABASES.  Each test's history must
prove itself at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forgedb import Database, Project, Repository
from tests.conformance.reaching import DATABASES, EACH_DATABASE, USUAL, Connect

START = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Function) -> Generator[None, object, object]:
    """Coverage is measured on each database once: measuring costs half as much again as running.

    Most lines of the package are the same for all.
    """
    coverage = sys.modules.get("coverage")
    measuring = coverage and coverage.Coverage.current()
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    names = {each for each in params if isinstance(each, str) and each in DATABASES}
    if not measuring or not names or not names.isdisjoint(EACH_DATABASE):
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> datetime:
        self.now += span
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=USUAL)
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Opens the database, with no table in it yet, and closes it after the test."""
    with Connect(
        DATABASES[request.param], tmp_path, lambda: request.getfixturevalue("postgres")
    ) as connect:
        yield connect


@pytest.fixture
def db(connect: Connect, clock: Clock) -> Iterator[Database]:
    """A migrated database, on behalf of ``user:ada``."""
    db = connect.migrated(actor="user:ada", clock=clock)
    yield db
    assert db.audit.verify().problems == []


@pytest.fixture
def project(db: Database) -> Project:
    return db.projects.create("platform", "Platform")


@pytest.fixture
def repository(db: Database, project: Project) -> Repository:
    return db.repositories.create(project.id, "api")
