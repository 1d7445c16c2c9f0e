"""The commands of leases and of the audit trail."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

import forgedb as library
from tests.cli.running import Forgedb, on_sqlite


def test_a_leases_life(forgedb: Forgedb, repository: str) -> None:
    lease = forgedb.data(
        "lease", "acquire", "platform/api", "--purpose", "night", "--duration", "2h"
    )
    assert (lease["holder"], lease["fencing_token"]) == ("user:ada", 1)
    assert forgedb.data("lease", "show", lease["id"]) == lease
    too_long = forgedb("lease", "acquire", "platform/api", "--duration", "73h")
    assert (
        too_long.code,
        "duration 73 h is refused: it must be 1 µs to 72 h long" in too_long.error,
    ) == (2, True)
    refused = forgedb("lease", "acquire", "platform/api", "--actor", "user:bob")
    assert refused.code == 7
    assert "user:ada" in refused.error
    assert "'night'" in refused.error
    assert forgedb.data("lease", "list")["items"] == [lease]
    assert forgedb.data("lease", "list", "--mine")["items"] == [lease]
    assert forgedb.data("lease", "list", "--holder", "user:bob")["items"] == []
    assert forgedb.data("lease", "list", "--expiring", "1h")["items"] == []
    assert "platform/api\tuser:ada\tnight\t0s\t1h 59m" in forgedb.ok(
        "lease", "list", "--expiring", "3h"
    )
    assert forgedb("lease", "release", lease["id"], "--actor", "user:bob").code == 7
    assert forgedb.data("lease", "release", lease["id"])["end_reason"] == "released"


def test_someone_elses_lease_is_ended_with_a_reason(forgedb: Forgedb, repository: str) -> None:
    lease = forgedb.data("lease", "acquire", repository)
    assert forgedb("lease", "force-release", lease["id"]).code == 2
    forgedb.ok("lease", "force-release", lease["id"], "--reason", "gone", "--actor", "user:root")
    forgedb.ok("lease", "acquire", repository)
    shown = forgedb.ok("lease", "history", "platform/api").splitlines()
    assert shown[1].startswith("1\tuser:ada\t")
    assert shown[1].endswith("\tforced")
    assert shown[2].endswith("\topen")
    history = forgedb.data("lease", "history", "platform/api")["items"]
    assert (history[0]["ended_by"], history[0]["end_note"]) == ("user:root", "gone")


def test_a_lease_is_handed_over_by_its_holder(forgedb: Forgedb, repository: str) -> None:
    lease = forgedb.data("lease", "acquire", repository, "--purpose", "gc")
    refused = forgedb("lease", "handover", lease["id"], "user:bob", "--actor", "user:eve")
    assert (refused.code, "it is user:ada's" in refused.error) == (7, True)
    given = forgedb.data("lease", "handover", lease["id"], "user:bob", "--note", "half done")
    assert (given["holder"], given["fencing_token"]) == ("user:bob", lease["fencing_token"] + 1)
    assert forgedb.data("lease", "show", lease["id"])["end_note"] == "half done"
    forgedb.ok("lease", "release", given["id"], "--actor", "user:bob")


def test_a_clock_that_was_ahead_keeps_nobody_out(forgedb: Forgedb, repository: str) -> None:
    ahead = datetime.now(UTC) + timedelta(days=365)
    with library.connect(forgedb.url, actor="user:eve", clock=lambda: ahead) as db:
        early = db.leases.acquire(repository)
    refused = forgedb("lease", "acquire", "platform/api")
    assert (refused.code, "`forgedb lease rebase`" in refused.error) == (1, True)
    assert forgedb("lease", "rebase", "platform/api").code == 2
    assert forgedb("lease", "rebase", "platform/api", "--reason", " ").code == 2
    mark = forgedb.data("lease", "rebase", "platform/api", "--reason", "no ntpd")
    assert (mark["previous_lease_id"], mark["end_note"]) == (early.id, "no ntpd")
    lease = forgedb.data("lease", "acquire", "platform/api")
    again = forgedb("lease", "rebase", "platform/api", "--reason", "no ntpd")
    assert (again.code, "nothing to rebase" in again.error) == (7, True)
    chart = forgedb.ok("lease", "history", "platform/api", "--chart").splitlines()
    assert [line.split()[0] for line in chart[2:]] == ["1", "2", "3"]
    assert [line.split()[4] for line in chart[2:]] == ["forced", "forced", "open"]
    # What is held now isn't the last on the axis.
    assert chart[4].split()[5].startswith("▶░")
    assert len({len(line) for line in chart[2:]}) == 1
    forgedb.ok("lease", "release", lease["id"])
    assert forgedb("audit", "verify").code == 0


def test_leases_whose_time_is_over_are_stamped(forgedb: Forgedb, repository: str) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    with library.connect(forgedb.url, actor="user:ada", clock=lambda: long_ago) as db:
        db.leases.acquire(repository)
    assert forgedb.data("lease", "list")["items"] == []
    assert "platform/api" in forgedb.ok("lease", "expire-due")
    assert forgedb.data("lease", "expire-due")["items"] == []


def test_entries_are_listed_shown_and_exported(
    forgedb: Forgedb, repository: str, tmp_path: Path
) -> None:
    forgedb.ok("repo", "update", repository, "--slug", "gateway")
    listed = forgedb.data("audit", "list", "--stream", repository)["items"]
    assert [each["action"] for each in listed] == ["repository.create", "repository.update"]
    assert listed[1]["changes"] == {"slug": ["api", "gateway"]}
    assert "slug: api → gateway" in forgedb.ok("audit", "list", "--action", "repository.update")
    for filters in (
        ["--by", "user:ada"],
        ["--target", repository],
        ["--since", "1h"],
        ["--since", "2020-01-01", "--until", "2099-01-01T00:00:00Z"],
    ):
        assert len(forgedb.data("audit", "list", *filters)["items"]) >= 2
    assert forgedb.data("audit", "list", "--until", "1h")["items"] == []
    turned = forgedb("audit", "list", "--since", "2026-03-02", "--until", "2026-03-01")
    assert (turned.code, "is not before --until" in turned.error) == (2, True)
    assert forgedb.data("audit", "list", "--stream", "platform/gateway")["items"] == listed
    assert len(forgedb.data("audit", "list", "--stream", "platform")["items"]) == 1
    assert forgedb.data("audit", "show", listed[0]["id"]) == listed[0]
    lines = forgedb.ok("audit", "export").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 1, 2]
    file = tmp_path / "audit.jsonl"
    forgedb.ok("audit", "export", "--output", str(file))
    assert file.read_text().splitlines() == lines


@on_sqlite
def test_a_history_that_was_edited_is_found_and_named(forgedb: Forgedb, repository: str) -> None:
    assert forgedb.ok("audit", "verify") == "2 entries in 2 streams: nothing wrong\n"
    with library.connect(forgedb.url) as db:
        db.client.execute("DROP TRIGGER audit_entries_never_updated")
        db.client.execute(
            "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :id", {"id": repository}
        )
    result = forgedb("audit", "verify")
    assert result.code == 8
    assert result.error.startswith(f"{repository} entry 1: ")
    assert "schema: trigger audit_entries_never_updated on audit_entries is missing" in result.error
    assert result.out.endswith("2 problems\n")
    report = forgedb("audit", "verify", "--stream", repository, "--json")
    assert report.code == 8
    assert report.json["problems"][0]["seq"] == 1


@on_sqlite
def test_an_export_never_goes_over_a_file_that_is_there(forgedb: Forgedb, repository: str) -> None:
    database = forgedb.url.removeprefix("sqlite:///")
    refused = forgedb("audit", "export", "--output", database)
    assert refused.code == 2
    assert "is there already" in refused.error
    assert forgedb.ok("audit", "verify") == "2 entries in 2 streams: nothing wrong\n"


def test_an_era_is_shown_and_advanced_with_a_reason(forgedb: Forgedb) -> None:
    shown = forgedb.data("era", "show")
    assert shown["era"] == 0
    assert forgedb("era", "advance").code == 2
    advanced = forgedb.data("era", "advance", "--reason", "a snapshot was put back")
    assert advanced["id"] == shown["id"]
    assert advanced["era"] > 0
    assert f"era             {advanced['era']}" in forgedb.ok("status")
    (entry,) = forgedb.data("audit", "list", "--action", "database.advance_era")["items"]
    assert entry["reason"] == "a snapshot was put back"


@on_sqlite
def test_a_database_whose_identity_is_gone_is_told_as_that(forgedb: Forgedb) -> None:
    with closing(apsw.Connection(forgedb.url.removeprefix("sqlite:///"))) as raw:
        name = "database_identity_never_deleted"
        guard = raw.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).get
        raw.execute(f"DROP TRIGGER {name}; DELETE FROM database_identity")
        raw.execute(guard)
    for command in ("status", "era show", "project create lost"):
        told = forgedb(*command.split())
        assert (told.code, "restore a backup" in told.error) == (8, True), told
    verified = forgedb("audit", "verify")
    assert verified.code == 8
    assert "database_identity has 0 rows" in verified.error
