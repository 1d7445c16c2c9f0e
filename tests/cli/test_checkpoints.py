"""The commands that sign the audit trail, and prove it by what was kept elsewhere."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import forgedb as library
from tests.cli.running import Forgedb, on_sqlite, process


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
        guard = {
            "postgres": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :name",
            "sqlite": "SELECT sql FROM sqlite_schema WHERE name = :name",
        }[tx.client.dialect]
        guards: list[str] = []
        for trigger, table in (
            ("audit_entries_never_deleted", "audit_entries"),
            ("audit_checkpoints_never_deleted", "audit_checkpoints"),
            ("repositories_never_deleted", "repositories"),
        ):
            guards.append(tx.client.query_value(guard, {"name": trigger}))
            tx.client.execute(f"DROP TRIGGER {trigger}{on.format(table)}")
        tx.client.execute("DELETE FROM audit_entries WHERE stream_id = :id", {"id": repository})
        tx.client.execute("DELETE FROM repositories")
        tx.client.execute("DELETE FROM audit_checkpoints")
        # Whoever does this puts them back.
        for definition in guards:
            tx.client.execute(definition)
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


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text[:-1], "its last line is torn"),
        (lambda text: text[: len(text) // 2], "its last line is torn"),
        (lambda text: text + '{"seq":', "its last line is torn"),
        (lambda text: text + "\n", "its last line is none"),
        (lambda text: text + "{}\n", "its last line is none"),
        (lambda text: text + "\0\n", "its last line is none"),
        (lambda text: "x" * 200_000 + "\n", "its last line is none"),
        (lambda text: text.replace('"seq":2', '"seq":3'), "the database has none of this number"),
        (lambda text: text.replace('"tree_size":1', '"tree_size":2'), "another checkpoint 2"),
        (lambda text: text.replace('"at"', ' "at"'), "another checkpoint 2"),
    ],
)
@on_sqlite
def test_lines_never_follow_one_that_is_not_the_databases_own(
    forgedb: Forgedb,
    repository: str,
    key: str,
    tmp_path: Path,
    spoil: Callable[[str], str],
    says: str,
) -> None:
    kept = tmp_path / "kept.jsonl"
    for slug in ("web", "net"):
        forgedb.ok("audit", "checkpoint", "--key", key, "--output", str(kept))
        forgedb.ok("repo", "update", repository, "--slug", slug)
    spoiled = spoil(kept.read_text())
    kept.write_text(spoiled)
    before = forgedb.ok("audit", "checkpoints")
    for command in (["checkpoint", "--key", key], ["checkpoints"]):
        refused = forgedb("audit", *command, "--output", str(kept))
        assert (refused.code, says in refused.error) == (2, True), refused
        assert "nothing was written" in refused.error
    assert kept.read_text() == spoiled
    # Nothing was signed that nobody keeps.
    assert forgedb.ok("audit", "checkpoints") == before


def test_the_file_of_another_database_is_left_as_it_is(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    other = f"sqlite:///{tmp_path}/other.db"
    with library.connect(other, actor="user:ada") as db:
        db.migrate()
        db.projects.create("elsewhere", "Elsewhere")
    ok = process("audit", "checkpoint", "--key", key, "--output", str(kept), FORGEDB_URL=other)
    assert ok.code == 0
    lines = kept.read_text()
    refused = forgedb("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert (refused.code, "the file is another database's" in refused.error) == (2, True)
    forgedb.ok("audit", "checkpoint", "--key", key)
    refused = forgedb("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert (refused.code, "another checkpoint 1 than the database's" in refused.error) == (2, True)
    assert kept.read_text() == lines


def test_a_line_that_was_lost_on_its_way_is_no_reason_to_refuse_the_file(
    forgedb: Forgedb, repository: str, key: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    for slug, output in (("web", ["--output", str(kept)]), ("net", []), ("api", [])):
        forgedb.ok("audit", "checkpoint", "--key", key, *output)
        forgedb.ok("repo", "update", repository, "--slug", slug)
    forgedb.ok("audit", "checkpoints", "--after", "1", "--output", str(kept))
    forgedb.ok("audit", "checkpoint", "--key", key, "--output", str(kept))
    assert kept.read_text() == forgedb.ok("audit", "checkpoints")


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
