"""The commands of projects, repositories, mirrors, relationships and objects."""

from __future__ import annotations

from pathlib import Path

import forgedb as library
from forgedb import NewObject, ObjectType
from tests.cli.running import Forgedb


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


def test_a_backup_is_a_whole_database(forgedb: Forgedb, repository: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    forgedb.ok("backup", str(copy))
    assert forgedb("backup", str(copy)).code == 2
    forgedb.ok("backup", str(copy), "--force")
    with library.connect(f"sqlite:///{copy}") as db:
        assert db.repositories.get(repository).slug == "api"
        assert db.audit.verify().ok
    assert sorted(each.name for each in tmp_path.glob("*copy*")) == ["copy.db"]
