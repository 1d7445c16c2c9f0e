"""Hypothesis for every test, with the same examples on each run; and the databases that tests use.

``pytest --hypothesis-profile=explore`` looks for new examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import settings

from forgedb.migrations import script
from forgedb.testing.servers.room import roomy_memory
from tests.servers.postgres import Databases, PostgresServer, server_programs

settings.register_profile("same", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("same")

# Files that a test writes need no disk either; but some are programs, which have to be run.
_memory = roomy_memory()
if _memory is not None and not os.statvfs(_memory).f_flag & os.ST_NOEXEC:
    os.environ.setdefault("TMPDIR", _memory)


@pytest.fixture(scope="session", autouse=True)
def migrations_are_split_once() -> Iterator[None]:
    """Much of what making a new database costs is splitting the same script again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "split", cache(script.split))
        yield


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
