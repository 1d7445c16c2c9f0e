"""What starting imports, and what it must not: each command waits for it, every time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import startup
from forgedb import connect


def modules_of(*arguments: str) -> set[str]:
    """All that a process imports; measuring its coverage would import much more."""
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith("COV")]:
            patched.delenv(name)
        return {name for name, _ in startup.modules(arguments)}


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def without_anything() -> set[str]:
    return modules_of("-c", "pass")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('starting')}/forge.db"
    with connect(url) as db:
        db.migrate()
    return url


def test_importing_forgedb_imports_nothing_else(without_anything: set[str]) -> None:
    assert modules_of("-c", "import forgedb") - without_anything == {"forgedb", "__future__"}


@pytest.mark.parametrize(
    ("arguments", "left_out"),
    [
        (["--version"], {"apsw", "msgspec", "psycopg", "rich", "asyncio", "json", "hashlib"}),
        (
            ["migrate", "--quiet"],
            {"psycopg", "rich", "asyncio", "cryptography", "_hashlib", "ssl"},
        ),
        (["migrate"], {"click", "msgspec", "typing", "re", "psycopg", "rich", "asyncio"}),
    ],
    ids=["version", "migrate --quiet", "migrate"],
)
def test_a_command_imports_no_more_than_it_needs(
    url: str, arguments: Sequence[str], left_out: set[str]
) -> None:
    assert not tops(modules_of("-m", "forgedb", "--url", url, *arguments)) & left_out


def test_every_start_is_measured(tmp_path: Path, url: str) -> None:
    rows = startup.measured(startup.starts(url), 1)
    assert [row["start"] for row in rows] == [*startup.starts(url)]
    modules = {row["start"]: row["modules"] for row in rows}
    assert modules["nothing"] < modules["import forgedb"] < modules["forgedb --version"]
    (connecting,) = (row for row in rows if row["start"] == "forgedb.connect")
    assert {"forgedb", "python"} <= connecting["packages_ms"].keys()
