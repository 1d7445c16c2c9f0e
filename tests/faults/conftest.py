"""What breaks is a database of the session's server, or a server of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import forgedb
from forgedb import Database
from forgedb.testing.servers.network import Network
from tests.faults.surfaces import Surface, beside, unexpected
from tests.servers.postgres import Databases, PostgresServer, server_programs


@pytest.fixture
def url(postgres: Databases) -> Iterator[str]:
    """A database of PostgreSQL with forgedb's schema."""
    with postgres.new(migrated=True) as url:
        yield url


@pytest.fixture(params=["threads", "tasks"])
def open_db(request: pytest.FixtureRequest) -> Iterator[Surface]:
    """Opens databases, and closes them after the test."""
    with Surface(by_tasks=request.param == "tasks") as surface:
        yield surface


@pytest.fixture
def db(open_db: Surface, url: str) -> Iterator[Database]:
    """The database; its history must prove itself at the end."""
    db = open_db(url)
    yield db
    assert unexpected(db.audit.verify()) == []


@pytest.fixture
def admin(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session beside forgedb's."""
    with beside(url) as session:
        yield session


@pytest.fixture
def network(postgres_url: str) -> Iterator[Network]:
    with Network(postgres_url) as network:
        yield network


@pytest.fixture
def far_db(open_db: Surface, network: Network, url: str) -> Iterator[Database]:
    """The database through the network, by one connection at a time."""
    db = open_db(network.url(url), pool_max_size=1)
    db.projects.list()
    yield db
    network.flow()
    assert unexpected(db.audit.verify()) == []


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of the file's own, which its tests may freeze, or set as they like."""
    with PostgresServer(server_programs(), synchronous_commit="on") as server:
        yield server


@pytest.fixture
def own_url(server: PostgresServer) -> str:
    """A new database of it, with forgedb's schema."""
    with beside(server.url("postgres")) as session:
        session.execute("DROP DATABASE IF EXISTS forge WITH (FORCE)")
        session.execute("CREATE DATABASE forge")
    with forgedb.connect(server.url("forge")) as db:
        db.migrate()
    return server.url("forge")
