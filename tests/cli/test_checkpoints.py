"""The commands that sign the audit trail, and prove it by what was kept elsewhere."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import forgedb as library
from tests.cli.running import Forgedb, on_sqlite


@pytest.fixture
def key(forgedb: Forgedb, tmp_path: Path) -> str:
    path = str(tmp_path / "forge.pem")
    forgedb.ok("audit", "keygen", path)
    return path


def test_a_pair_of_keys_is_made_and_the_secret_one_is_for_its_owner_alone(
    forgedb: Forgedb, tmp_path: Path
) -> None:
    path = tmp_path / "forge.pem"
    printed = forgedb.ok("audit", "keygen", str(path)).splitlines()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = library.SigningKey.from_pem(path.read_text())
    public = library.PublicKey.from_pem((tmp_path / "forge.pem.pub").read_text())
    assert public.key_id == key.key_id == printed[-1]


@pytest.mark.parametrize("there", ["forge.pem", "forge.pem.pub"])
@on_sqlite
def test_keys_never_go_over_files_that_are_there(
    forgedb: Forgedb, tmp_path: Path, there: str
) -> None:
    (tmp_path / there).write_text("mine")
    refused = forgedb("audit", "keygen", str(tmp_path / "forge.pem"))
    assert (refused.code, "is there already" in refused.error) == (2, True)
    assert (tmp_path / there).read_text() == "mine"
    assert len(list(tmp_path.glob("forge.pem*"))) == 1


def test_checkpoints_are_kept_and_prove_the_history(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    first = forgedb("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert (first.code, first.out) == (0, "")
    assert first.error == "checkpoint 1 over 2 streams\n"
    forgedb.ok("repo", "update", repository, "--slug", "web")
    on_stdout = forgedb("audit", "checkpoint", "--key", key)
    assert on_stdout.code == 0
    with kept.open("a") as file:
        file.write(on_stdout.out)
    assert [json.loads(line)["seq"] for line in kept.read_text().splitlines()] == [1, 2]
    nothing = forgedb("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert (nothing.code, "nothing has changed" in nothing.error) == (0, True)
    forgedb.ok("repo", "update", repository, "--slug", "net")
    proof = ["--anchors", str(kept), "--public-key", f"{key}.pub"]
    shown = forgedb.ok("audit", "verify", *proof).splitlines()
    assert f"{repository} entries 1 to 2: anchored by checkpoint 2" in shown
    assert f"{repository} entries 3 to 3: not anchored yet" in shown
    assert shown[-1] == "4 entries in 2 streams: nothing wrong"
    piped = [sys.executable, "-m", "forgedb", "--url", forgedb.url, "audit", "verify"]
    with kept.open("rb") as anchors:
        from_stdin = subprocess.run(
            [*piped, "--anchors", "-", "--public-key", f"{key}.pub"],
            stdin=anchors,
            capture_output=True,
            text=True,
            check=True,
        )
    assert from_stdin.stdout.splitlines() == shown
    report = forgedb.data("audit", "verify", "--stream", "platform/net", *proof)
    assert [each["checkpoint"] for each in report["ranges"]] == [2, None]


def test_the_database_writes_the_same_lines_again(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    for slug in ("web", "net"):
        forgedb.ok("repo", "update", repository, "--slug", slug)
        forgedb.ok("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert forgedb.ok("audit", "checkpoints") == kept.read_text()
    again = tmp_path / "again.jsonl"
    forgedb.ok("audit", "checkpoints", "--after", "1", "--output", str(again))
    assert again.read_text() == kept.read_text().splitlines(keepends=True)[1]


def test_a_deleted_stream_a_missing_checkpoint_and_a_wrong_key_end_with_8(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    forgedb.ok("audit", "checkpoint", "--key", key, "--output", str(kept))
    other = str(tmp_path / "other.pem")
    forgedb.ok("audit", "keygen", other)
    wrong = forgedb("audit", "verify", "--anchors", str(kept), "--public-key", f"{other}.pub")
    assert wrong.code == 8
    assert wrong.error.startswith("checkpoint 1: of the anchors: it names another key, ed25519:")
    proof = ["--anchors", str(kept), "--public-key", f"{key}.pub"]
    with library.connect(forgedb.url) as db, db.transaction() as tx:
        on = {"postgres": " ON {}", "sqlite": ""}[tx.client.dialect]
        for trigger, table in (
            ("audit_entries_never_deleted", "audit_entries"),
            ("audit_checkpoints_never_deleted", "audit_checkpoints"),
            ("repositories_never_deleted", "repositories"),
        ):
            tx.client.execute(f"DROP TRIGGER {trigger}{on.format(table)}")
        tx.client.execute("DELETE FROM audit_entries WHERE stream_id = :id", {"id": repository})
        tx.client.execute("DELETE FROM repositories")
        tx.client.execute("DELETE FROM audit_checkpoints")
    assert forgedb("audit", "verify").code == 0
    found = forgedb("audit", "verify", *proof)
    assert found.code == 8
    assert found.error.splitlines() == [
        "checkpoint 1: it is missing from the database",
        f"{repository}: the whole stream is gone: checkpoint 1 saw the stream up to entry 1",
    ]
    assert found.out.endswith("1 entries in 1 streams: 2 problems\n")
    report = forgedb("audit", "verify", *proof, "--json")
    assert (report.code, report.json["ok"]) == (8, False)
    assert report.json["problems"][0]["checkpoint"] == 1


def test_what_came_after_a_checkpoint_is_verified_on_its_word(
    forgedb: Forgedb, repository: str, key: str
) -> None:
    forgedb.ok("repo", "update", repository, "--slug", "web")
    forgedb.ok("repo", "update", repository, "--slug", "net")
    forgedb.ok("audit", "checkpoint", "--key", key)
    forgedb.ok("repo", "update", repository, "--slug", "api")
    since = ["--since-checkpoint", "1", "--public-key", f"{key}.pub"]
    shown = forgedb.ok("audit", "verify", *since).splitlines()
    assert [line for line in shown if line.startswith(repository)] == [
        f"{repository} entries 1 to 2: not read, on the word of checkpoint 1",
        f"{repository} entries 3 to 3: anchored by checkpoint 1",
        f"{repository} entries 4 to 4: not anchored yet",
    ]
    assert shown[-2] == "3 entries in 2 streams: nothing wrong"
    assert shown[-1].startswith("2 entries before were not read, on the word of checkpoint 1")
    report = forgedb.data("audit", "verify", *since)
    assert (report["entries"], report["on_trust"], report["since_checkpoint"]) == (3, 2, 1)
    assert forgedb("audit", "verify", *since[:1], "2", *since[2:]).code == 6
    refused = forgedb("audit", "verify", *since[:2])
    assert (refused.code, "--public-key" in refused.error) == (2, True)


@on_sqlite
def test_lines_never_go_into_a_file_of_another_kind(
    forgedb: Forgedb, repository: str, key: str
) -> None:
    database = forgedb.url.removeprefix("sqlite:///")
    refused = forgedb("audit", "checkpoint", "--key", key, "--output", database)
    assert (refused.code, "no file of checkpoints" in refused.error) == (2, True)
    assert forgedb.ok("audit", "verify") == "2 entries in 2 streams: nothing wrong\n"
    # Nothing was signed that nobody could keep.
    assert forgedb.ok("audit", "checkpoints") == ""


@on_sqlite
def test_half_a_line_does_not_spoil_the_next(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text('{"seq":')
    forgedb.ok("audit", "checkpoint", "--key", key, "--output", str(kept))
    found = forgedb("audit", "verify", "--anchors", str(kept), "--public-key", f"{key}.pub")
    assert found.code == 8
    (problem,) = found.error.splitlines()
    assert problem.startswith("checkpoints: line 1 of the anchors can't be read")


@on_sqlite
def test_what_can_prove_nothing_is_refused(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    public = f"{key}.pub"
    for arguments in (
        ["verify", "--anchors", str(empty)],
        ["verify", "--anchors", str(empty), "--public-key", public],
        ["verify", "--public-key", key],
        ["verify", "--public-key", str(tmp_path / "none")],
        ["checkpoint", "--key", public],
        ["checkpoint"],
    ):
        refused = forgedb("audit", *arguments)
        assert refused.code == 2, arguments
        assert "PRIVATE" not in refused.error
