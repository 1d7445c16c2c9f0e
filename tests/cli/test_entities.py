"""The commands of projects, repositories, mirrors, relationships and objects."""

from __future__ import annotations

import os
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import forgedb as library
from forgedb import NewObject, ObjectType, Page
from forgedb.cli.output import fields, print_page
from tests.cli.running import Forgedb, on_sqlite


def test_a_projects_life(forgedb: Forgedb) -> None:
    created = forgedb.data("project", "create", "platform", "--visibility", "internal")
    assert created["name"] == "platform"
    assert forgedb.data("project", "show", "platform") == created
    assert forgedb.data("project", "show", created["id"]) == created
    updated = forgedb.data("project", "update", "platform", "--name", "The Platform")
    assert updated["name"] == "The Platform"
    assert forgedb.data("project", "list") == {"items": [updated], "next": None}
    assert forgedb.data("project", "delete", "platform")["deleted_at"] is not None
    assert forgedb.data("project", "list")["items"] == []
    assert len(forgedb.data("project", "list", "--deleted")["items"]) == 1
    assert forgedb.data("project", "restore", created["id"])["deleted_at"] is None


def test_a_repositorys_life(forgedb: Forgedb, repository: str) -> None:
    shown = forgedb.data("repo", "show", "platform/api")
    assert shown["id"] == repository
    assert shown["visibility"] == "private"
    updated = forgedb.data("repo", "update", repository, "--state", "archived", "--slug", "old")
    assert (updated["state"], updated["slug"]) == ("archived", "old")
    assert [each["slug"] for each in forgedb.data("repo", "list", "platform")["items"]] == ["old"]
    forgedb.ok("repo", "delete", "platform/old")
    assert forgedb.data("repo", "list", "platform")["items"] == []
    forgedb.ok("repo", "restore", repository)
    assert len(forgedb.data("repo", "list", "platform", "--deleted")["items"]) == 1


def test_a_mirrors_life(forgedb: Forgedb, repository: str) -> None:
    url = "https://code.example/api.git"
    mirror = forgedb.data("mirror", "create", "platform/api", "pull", url, "--interval", "1h")
    assert mirror["interval_seconds"] == 3600
    assert forgedb.data("mirror", "show", mirror["id"]) == mirror
    (claimed,) = forgedb.data("mirror", "claim-due", "--run-for", "10m")["items"]
    assert claimed["status"] == "running"
    failed = forgedb.data("mirror", "finish", mirror["id"], claimed["run_token"], "--error", "no")
    assert (failed["status"], failed["last_error"]) == ("failed", "no")
    by_hand = forgedb.data("mirror", "update", mirror["id"], "--by-hand", "--disabled")
    assert (by_hand["interval_seconds"], by_hand["enabled"]) == (None, False)
    assert forgedb.data("mirror", "list", repository)["items"] == [by_hand]
    assert url in forgedb.ok("mirror", "list", repository)
    forgedb.ok("mirror", "delete", mirror["id"])
    assert forgedb.data("mirror", "list", repository)["items"] == []


def test_a_relationships_life(forgedb: Forgedb, repository: str) -> None:
    fork = forgedb.data("repo", "create", "platform", "fork")["id"]
    edge = forgedb.data("relationship", "create", fork, "fork", "--target", "platform/api")
    assert forgedb.data("relationship", "show", edge["id"]) == edge
    assert forgedb.data("relationship", "list", fork)["items"] == [edge]
    incoming = forgedb.data("relationship", "list", repository, "--direction", "in")
    assert incoming["items"] == [edge]
    ancestors = forgedb.data("relationship", "ancestors", fork)["items"]
    assert [each["slug"] for each in ancestors] == ["api"]
    assert "fork" in forgedb.ok("relationship", "descendants", "platform/api")
    circle = forgedb("relationship", "create", repository, "fork", "--target", fork)
    assert circle.code == 7
    forgedb.ok("relationship", "delete", edge["id"])
    assert forgedb.data("relationship", "list", fork)["items"] == []


def test_objects_are_shown_by_name_of_type_and_hex_oid(forgedb: Forgedb, repository: str) -> None:
    with library.connect(forgedb.url, actor="user:ada") as db:
        lease = db.leases.acquire(repository)
        objects = [NewObject(bytes([n]) * 20, ObjectType.BLOB, n * 1000, 5) for n in range(3)]
        db.objects.add_many(repository, objects, lease.fencing_token)
    first = forgedb.data("object", "list", "platform/api", "--limit", "2", "--type", "blob")
    assert [each["oid"] for each in first["items"]] == ["00" * 20, "01" * 20]
    second = forgedb.data("object", "list", "platform/api", "--after", first["next"])
    assert [each["oid"] for each in second["items"]] == ["02" * 20]
    every = forgedb.data("object", "list", "platform/api", "--limit", "1", "--all")
    assert len(every["items"]) == 3
    shown = forgedb.data("object", "show", "platform/api", "02" * 20)
    assert (shown["type"], shown["size"]) == ("blob", 2000)
    (found,) = forgedb.data("object", "find", "01" * 20)["items"]
    assert found["id"] == repository
    assert "api" in forgedb.ok("object", "find", "01" * 20)
    missing = ["object", "missing", "platform/api", "01" * 20, "0f" * 20]
    assert forgedb.data(*missing)["items"] == ["0f" * 20]
    assert forgedb.ok(*missing) == "0f" * 20 + "\n"
    assert forgedb.ok("object", "stats", "platform/api").splitlines()[1].startswith("blob\t3\t2.9")
    assert forgedb.data("object", "stats", "platform/api")["items"][0]["disk_size"] == 15


def test_a_list_says_how_to_get_the_next_page(forgedb: Forgedb) -> None:
    ids = [forgedb.data("project", "create", f"p{n}")["id"] for n in range(3)]
    result = forgedb("project", "list", "--limit", "2")
    assert result.error == f"more: --after {ids[1]}\n"
    assert result.out.splitlines()[0] == "ID\tSLUG\tNAME\tVISIBILITY"
    assert forgedb("project", "list", "--after", ids[1]).error == ""


def test_control_characters_of_a_name_do_not_reach_the_terminal(forgedb: Forgedb) -> None:
    forgedb.ok("project", "create", "evil", "--name", "red \x1b[31m line\nbreak")
    shown = forgedb.ok("project", "list")
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


@on_sqlite
def test_a_backup_is_a_whole_database(forgedb: Forgedb, repository: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    forgedb.ok("backup", str(copy))
    assert forgedb("backup", str(copy)).code == 2
    forgedb.ok("backup", str(copy), "--force")
    with library.connect(f"sqlite:///{copy}") as db:
        assert db.repositories.get(repository).slug == "api"
        assert db.audit.verify().ok
    assert sorted(each.name for each in tmp_path.glob("*copy*")) == ["copy.db"]


@on_sqlite
def test_a_backup_never_replaces_the_database_itself(
    forgedb: Forgedb, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to("forge.db")
    for name in ("forge.db", "link.db"):
        result = forgedb("backup", str(tmp_path / name), "--force")
        assert (result.code, "the database itself" in result.error) == (2, True), result
    assert forgedb.data("repo", "show", repository)["slug"] == "api"


@on_sqlite
def test_a_backup_never_replaces_a_database_in_use(
    forgedb: Forgedb, repository: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with library.connect(f"sqlite:///{other}", actor="user:bob") as db:
        db.migrate()
        db.projects.create("bobs", "Bob's")
        result = forgedb("backup", str(other), "--force")
        assert (result.code, "other.db-wal" in result.error) == (7, True), result
        assert db.projects.get_by_slug("bobs").name == "Bob's"
    forgedb.ok("backup", str(other), "--force")
    with library.connect(f"sqlite:///{other}") as db:
        assert [each.slug for each in db.projects.list().items] == ["platform"]


@on_sqlite
def test_a_backup_that_can_not_be_written_says_where(forgedb: Forgedb) -> None:
    result = forgedb("backup", "/nowhere/copy.db")
    assert result.code == 1
    assert "/nowhere/copy.db" in result.error


@pytest.mark.parametrize("forgedb", ["postgres"], indirect=True)
def test_a_backup_of_postgresql_is_left_to_its_own_tools(forgedb: Forgedb, tmp_path: Path) -> None:
    result = forgedb("backup", str(tmp_path / "copy.db"))
    assert result.code == 2
    assert "pg_dump" in result.error
    assert not (tmp_path / "copy.db").exists()


@on_sqlite
def test_a_backup_says_its_size_as_json(forgedb: Forgedb, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    told = forgedb.data("backup", str(copy))
    assert told == {"file": str(copy), "size": copy.stat().st_size}


def test_an_update_of_nothing_is_refused(forgedb: Forgedb, repository: str) -> None:
    mirror = forgedb.data("mirror", "create", repository, "pull", "https://code.example/x.git")
    for command in (
        ["project", "update", "platform"],
        ["repo", "update", repository],
        ["mirror", "update", mirror["id"]],
    ):
        result = forgedb(*command)
        assert (result.code, "nothing to change" in result.error) == (2, True), result
    both = forgedb("mirror", "update", mirror["id"], "--by-hand", "--interval", "1h")
    assert (both.code, "--by-hand" in both.error) == (2, True)


def test_a_mirrors_next_run_is_a_time_ahead(forgedb: Forgedb, repository: str) -> None:
    mirror = forgedb.data("mirror", "create", repository, "pull", "https://code.example/x.git")
    changed = forgedb.data("mirror", "update", mirror["id"], "--next-run-at", "2h")
    ahead = datetime.fromisoformat(changed["next_run_at"]) - datetime.now(UTC)
    assert timedelta(minutes=119) < ahead <= timedelta(hours=2)


def test_all_pages_are_printed_as_they_come_under_one_heading(forgedb: Forgedb) -> None:
    slugs = [forgedb.data("project", "create", f"p{n}")["slug"] for n in range(5)]
    result = forgedb("project", "list", "--all", "--limit", "2")
    assert [line.split("\t")[1] for line in result.out.splitlines()] == ["SLUG", *slugs]
    assert result.error == ""
    every = forgedb.data("project", "list", "--all", "--limit", "2")
    assert ([each["slug"] for each in every["items"]], every["next"]) == (slugs, None)


def test_pages_are_not_kept_once_they_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    pages: list[weakref.ref[object]] = []

    class Item(msgspec.Struct, weakref=True):
        id: int

    def fetch(limit: int, after: str | None) -> Page[Item]:
        assert sum(page() is not None for page in pages) <= 2
        item = Item(len(pages))
        pages.append(weakref.ref(item))
        return Page([item], str(item.id) if item.id < 9 else None)

    for as_json in (False, True):
        pages.clear()
        print_page(fetch, fields("id"), limit=1, after=None, every=True, as_json=as_json)
        assert len(pages) == 10
    assert capsys.readouterr().out.count("\n") == 12


@on_sqlite
def test_a_backup_replaces_no_device(forgedb: Forgedb, tmp_path: Path) -> None:
    device = tmp_path / "pipe"
    os.mkfifo(device)
    refused = forgedb("backup", str(device), "--force")
    assert (refused.code, "device" in refused.error) == (2, True)
    assert device.is_fifo()


@on_sqlite
def test_a_backup_is_put_in_place_in_an_era_of_its_own(
    forgedb: Forgedb, repository: str, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    forgedb.ok("backup", str(copy))
    forgedb.ok("project", "create", "later")
    shown = forgedb.ok("restore", str(copy), "--reason", "the disk failed")
    first, second = shown.splitlines()
    begun, _, era = first.rpartition(" ")
    assert begun == f"restored {tmp_path}/forge.db from {copy}, era"
    assert second.startswith(f"what was there before is kept as {tmp_path}/forge.db.before-2")
    assert [each["slug"] for each in forgedb.data("project", "list")["items"]] == ["platform"]
    told = forgedb.data("restore", second.rpartition(" ")[2])
    assert told["era"] > int(era) > 0
    assert told["migrated"] == []
    assert len(forgedb.data("project", "list")["items"]) == 2
    forgedb.ok("audit", "verify")
    assert forgedb("restore", str(tmp_path / "none.db")).code == 2


@pytest.mark.parametrize("forgedb", ["postgres"], indirect=True)
def test_restoring_postgresql_is_left_to_its_own_tools(forgedb: Forgedb, tmp_path: Path) -> None:
    result = forgedb("restore", str(tmp_path / "copy.db"))
    assert (result.code, "pg_restore" in result.error) == (2, True)
