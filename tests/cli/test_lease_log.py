"""The commands that take a lease log in and write it out again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Forgedb, on_sqlite, process

LINES = [
    (
        '{"event":"acquired","lease_id":"l-1","repository_id":"platform/api","holder":"user:bob",'
        '"purpose":"gc","at":"2026-01-05T10:00:00Z","expires_at":"2026-01-05T12:00:00Z"}'
    ),
    '{"event":"released","lease_id":"l-1","at":"2026-01-05T11:00:00Z","by":"user:bob"}',
    (
        '{"event":"acquired","lease_id":"l-2","repository_id":"old web","holder":"user:eve",'
        '"purpose":"","at":"2026-01-05T11:00:00Z","expires_at":"2026-01-08T11:00:00Z"}'
    ),
    (
        '{"event":"forced","lease_id":"l-2","at":"2026-01-06T11:00:00Z","by":"user:root",'
        '"reason":"she is on leave"}'
    ),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "leases.jsonl"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def test_a_log_is_imported_and_its_unknown_repositories_are_listed(
    forgedb: Forgedb, repository: str, file: Path
) -> None:
    result = forgedb("lease", "import-jsonl", str(file))
    assert result.code == 6
    assert result.out.splitlines() == [
        f"source        {file}",
        "lines         2 new, 0 known before",
        "leases        1 new",
        "repositories  0 made",
        "waiting       2 lines, of 1 unknown repositories",
        "",
        "REPOSITORY ID\tLINE\tLINES",
        "old web\t3\t2",
    ]
    assert "--create-missing PROJECT" in result.error
    history = forgedb.data("lease", "history", "platform/api")["items"]
    assert [(each["fencing_token"], each["end_reason"]) for each in history] == [(1, "released")]
    again = forgedb("lease", "import-jsonl", str(file), "--json")
    assert again.code == 6
    assert again.json["already_there"] == 2
    assert again.json["unknown"] == [{"repository_id": "old web", "line": 3, "lines": 2}]


def test_missing_repositories_are_made_on_request(
    forgedb: Forgedb, repository: str, file: Path
) -> None:
    done = forgedb.data("lease", "import-jsonl", str(file), "--create-missing", "platform")
    assert [made["slug"] for made in done["created"]] == ["old-web"]
    assert (done["imported"], done["leases"], done["unknown"]) == (4, 2, [])
    assert forgedb("lease", "import-jsonl", str(file)).code == 0
    assert forgedb("lease", "import-jsonl", str(file), "--create-missing", "nope").code == 6


def test_an_export_is_the_log_again(
    forgedb: Forgedb, repository: str, file: Path, tmp_path: Path
) -> None:
    forgedb.data("lease", "import-jsonl", str(file), "--create-missing", "platform")
    assert forgedb.ok("lease", "export") == file.read_text()
    written = tmp_path / "export.jsonl"
    result = forgedb("lease", "export", "--output", str(written))
    assert (result.code, result.error) == (0, f"wrote 4 lines to {written}\n")
    assert written.read_bytes() == file.read_bytes()
    former = forgedb("lease", "export-jsonl")
    assert former.code == 2
    assert "`forgedb lease export-jsonl` is called `forgedb lease export` now" in former.error
    refused = forgedb("lease", "export", "--output", str(written))
    assert (refused.code, "is there already" in refused.error) == (2, True)


def test_a_bad_line_is_named_with_its_file_and_nothing_stays(
    forgedb: Forgedb, repository: str, file: Path
) -> None:
    file.write_text(LINES[0] + "\n" + LINES[0].replace("l-1", "l-9") + "\n")
    result = forgedb("lease", "import-jsonl", str(file))
    assert result.code == 2
    assert result.error.startswith(f"forgedb: error: {file}:2: lease_id 'l-9' is refused: it over")
    assert result.error.count("\n") == 1
    assert forgedb.data("lease", "history", "platform/api")["items"] == []


def test_a_log_has_the_name_of_its_path_or_the_one_that_is_given(
    forgedb: Forgedb, repository: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert forgedb("lease", "import-jsonl", file.name, "--json").json["source"] == str(file)
    named = forgedb("lease", "import-jsonl", file.name, "--source", "old forge", "--json").json
    assert (named["source"], named["already_there"]) == ("old forge", 2)


def test_a_file_that_is_not_there_is_a_usage_error(forgedb: Forgedb) -> None:
    missing = forgedb("lease", "import-jsonl", "/nowhere/leases.jsonl")
    assert missing.code == 2
    assert "/nowhere/leases.jsonl" in missing.error


@on_sqlite
def test_one_database_is_copied_into_another_through_a_pipe(
    forgedb: Forgedb, repository: str, file: Path, tmp_path: Path
) -> None:
    forgedb.data("lease", "import-jsonl", str(file), "--create-missing", "platform")
    other = f"sqlite:///{tmp_path}/other.db"
    process("migrate", "--url", other)
    process("project", "create", "platform", "--url", other)
    command = f"'{sys.executable}' -m forgedb lease"
    done = subprocess.run(
        f"{command} export --url '{forgedb.url}'"
        f" | {command} import-jsonl - --create-missing platform --json --url '{other}'",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout)["source"] == "stdin"
    assert process("lease", "export", "--url", other).out == file.read_text()
