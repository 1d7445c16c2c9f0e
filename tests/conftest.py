"""Hypothesis for every test, with the same examples on each run; and the servers that tests use.

``pytest --hypothesis-profile=explore`` looks for new examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.servers.postgres import Databases, PostgresServer, server_programs

settings.register_profile("same", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A maintenance database of a server: FORGEDB_TEST_POSTGRES_URL, or one started for tests.

    FORGEDB_TEST_POSTGRES_PROGRAMS is a folder of other programs than the wheel's to start it by.
    """
    given = os.environ.get("FORGEDB_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with PostgresServer(server_programs()) as server:
        yield server.url("postgres")


@pytest.fixture(scope="session")
def postgres(postgres_url: str) -> Iterator[Databases]:
    """New databases on the server, one of them with forgedb's schema for others to be copied."""
    with Databases(postgres_url) as databases:
        yield databases
