"""A migrated database, and the command line on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Forgedb
from tests.servers.sqlite import migrated_file


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORGEDB_URL", "DB_DRIVER", "DB_PATH", "DATABASE_URL", "FORGEDB_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORGEDB_ACTOR", "user:ada")


@pytest.fixture(params=["sqlite", "postgres"])
def forgedb(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Forgedb]:
    if request.param == "sqlite":
        (tmp_path / "forge.db").write_bytes(migrated_file())
        yield Forgedb(f"sqlite:///{tmp_path}/forge.db", capsys)
        return
    with request.getfixturevalue("postgres").new(migrated=True) as url:
        yield Forgedb(url, capsys)


@pytest.fixture
def repository(forgedb: Forgedb) -> str:
    """The id of ``platform/api``."""
    forgedb.ok("project", "create", "platform", "--name", "Platform")
    created: str = forgedb.data("repo", "create", "platform", "api")["id"]
    return created
