"""A database made by the first migration alone, reached without any of our code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import apsw
import pytest

from tests.schema.rows import SCRIPT, THERE, content, insert

Refused = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def migrated() -> bytes:
    """The file of a migrated database with a row in each table."""
    connection = apsw.Connection(":memory:")
    with connection:
        connection.execute(SCRIPT)
        for table, changed in THERE:
            insert(connection, table, **changed)
    return connection.serialize("main")


@pytest.fixture(params=["recursive", "foreign"])
def raw(request: pytest.FixtureRequest, migrated: bytes) -> Iterator[apsw.Connection]:
    """A connection with our settings, and one that leaves recursive_triggers off as is usual."""
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", migrated)
    connection.pragma("foreign_keys", True)
    connection.pragma("recursive_triggers", request.param == "recursive")
    yield connection
    connection.close()


@pytest.fixture
def refused(raw: apsw.Connection) -> Refused:
    """What runs inside must fail by the rule that is named, and leave every row as it was."""

    @contextmanager
    def by(rule: str) -> Iterator[None]:
        before = content(raw)
        with pytest.raises(apsw.ConstraintError, match=rf"\b{rule}\b"):
            yield
        assert content(raw) == before

    return by
