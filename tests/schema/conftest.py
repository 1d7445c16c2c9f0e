"""Databases made by the first migration alone, reached without forgedb's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import apsw
import psycopg
import pytest

from tests.schema.reaching import (
    PostgresRaw,
    Raw,
    Refusal,
    Row,
    SqliteRaw,
    apply_postgres,
    content,
    fill,
)
from tests.schema.rows import SQLITE_SCRIPT
from tests.servers.postgres import Databases

Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def sqlite_file() -> bytes:
    """The file of a migrated database with a row in each table."""
    connection = apsw.Connection(":memory:")
    with connection:
        connection.execute(SQLITE_SCRIPT)
        fill(SqliteRaw(connection))
    return connection.serialize("main")


@pytest.fixture
def open_sqlite(sqlite_file: bytes) -> Iterator[Callable[[bool], SqliteRaw]]:
    """Opens a copy: with our settings, or with recursive_triggers off, as is usual elsewhere."""
    connection = apsw.Connection(":memory:")

    def opened(recursive: bool) -> SqliteRaw:
        connection.deserialize("main", sqlite_file)
        connection.pragma("foreign_keys", True)
        connection.pragma("recursive_triggers", recursive)
        return SqliteRaw(connection)

    yield opened
    connection.close()


@pytest.fixture(scope="session")
def postgres_filled(postgres: Databases) -> Iterator[psycopg.Connection[Row]]:
    """A connection to a migrated database with a row in each table."""
    with postgres.new() as url, psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            apply_postgres(connection)
            fill(PostgresRaw(connection))
        yield connection


@pytest.fixture
def postgres_raw(postgres_filled: psycopg.Connection[Row]) -> Iterator[PostgresRaw]:
    """The database of all tests, in a transaction that is rolled back."""
    with postgres_filled.transaction(force_rollback=True):
        yield PostgresRaw(postgres_filled)


@pytest.fixture(params=[True, False], ids=["recursive", "foreign"])
def sqlite_raw(
    request: pytest.FixtureRequest, open_sqlite: Callable[[bool], SqliteRaw]
) -> SqliteRaw:
    return open_sqlite(request.param)


@pytest.fixture(params=["sqlite", "sqlite-foreign", "postgres"])
def raw(request: pytest.FixtureRequest) -> Raw:
    """Each database in turn."""
    if request.param == "postgres":
        postgres: PostgresRaw = request.getfixturevalue("postgres_raw")
        return postgres
    opened: SqliteRaw = request.getfixturevalue("open_sqlite")(request.param == "sqlite")
    return opened


@contextmanager
def refused_by(raw: Raw, *rules: str) -> Iterator[None]:
    """What runs inside must fail by a rule that is named, and leave every row as it was."""
    before = content(raw)
    with pytest.raises(Refusal) as caught:
        yield
    assert any(map(caught.value.is_by, rules)), caught.value
    assert content(raw) == before


@pytest.fixture
def refused(raw: Raw) -> Refused:
    return partial(refused_by, raw)
