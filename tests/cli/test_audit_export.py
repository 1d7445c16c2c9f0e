"""The export of the audit trail: a line an entry, as programs that read logs expect it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import forgedb as library
from tests.cli.running import Forgedb

FIELDS = [
    *("stream_id", "seq", "id", "at", "actor", "action", "target_type", "target_id"),
    *("request_id", "source_ip", "reason", "changes", "hash_version", "entry_hash"),
]


@pytest.mark.parametrize(
    "reason", ["two\nlines", 'tab\t, quote " and \\', "é 漢 \U0001f512", "\x1b[31m"]
)
def test_each_line_parses_alone_and_has_its_fields_in_one_order(
    forgedb: Forgedb, repository: str, reason: str
) -> None:
    with library.connect(forgedb.url, actor="user:ada") as db:
        acting = db.acting_as("user:bob", request_id="r-1", source_ip="192.0.2.7")
        acting.repositories.update(repository, description=f"{reason}\u2028x")
        lease = db.leases.acquire(repository, purpose=reason)
        db.leases.force_release(lease.id, reason)
    lines = forgedb.ok("audit", "export").split("\n")
    assert lines.pop() == ""
    entries = [json.loads(line) for line in lines]
    assert [list(entry) for entry in entries] == [FIELDS] * 5
    assert [entry["reason"] for entry in entries][-1] == reason
    (update,) = (entry for entry in entries if entry["action"] == "repository.update")
    assert update["changes"] == {"description": ["", f"{reason}\u2028x"]}
    assert (update["actor"], update["request_id"], update["source_ip"]) == (
        "user:bob",
        "r-1",
        "192.0.2.7",
    )
    # Times, numbers and hashes are plain for any reader.
    assert all(entry["at"].endswith("Z") and len(entry["entry_hash"]) == 64 for entry in entries)
    assert all(isinstance(entry["seq"], int) for entry in entries)


def test_whoever_reads_no_further_ends_the_export(forgedb: Forgedb, repository: str) -> None:
    with library.connect(forgedb.url, actor="user:ada") as db:
        for number in range(2_000):
            db.audit.record("note.add", repository, {"text": [None, f"{number} " + "x" * 200]})
    command = [sys.executable, "-m", "forgedb", "audit", "export", "--url", forgedb.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 0)


def test_an_export_that_was_interrupted_leaves_no_file(
    forgedb: Forgedb, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forgedb.dao.audit.AuditDao.export", fails)
    file = tmp_path / "audit.jsonl"
    assert forgedb("audit", "export", "--output", str(file)).code == 130
    assert not file.exists()


def test_an_export_is_utf_8_in_every_locale(forgedb: Forgedb, repository: str) -> None:
    forgedb.ok("repo", "update", repository, "--description", "é 漢")
    done = subprocess.run(
        [sys.executable, "-m", "forgedb", "audit", "export", "--url", forgedb.url],
        env=os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert "é 漢" in done.stdout.decode()
