"""Tables on a terminal of 80 columns: what is copied or compared stays whole."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

import forgedb as library
from forgedb import NewObject, ObjectFormat, ObjectType
from forgedb.cli.output import column_widths
from tests.cli.running import Forgedb

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def on_terminal(*arguments: str, **environment: str) -> str:
    """What the command shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "forgedb", *arguments],
        env=os.environ | {"COLUMNS": "80", "TERM": "dumb"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        shown = bytearray()
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:
            # Linux says so where nobody holds the other end any more.
            pass
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_the_widest_column_gives_way_first() -> None:
    assert column_widths(["ID", "TEXT", "MORE"], [[ULID, "a" * 60, "b" * 30]], 80) == [26, 25, 25]
    assert column_widths(["ID", "TEXT"], [[ULID, "a" * 10]], 80) == [26, 10]


@pytest.mark.parametrize("whole", [ULID, "ab" * 20, "ab" * 32, "2026-11-22 10:00:00Z", "1,234,567"])
def test_ids_numbers_and_times_are_never_broken(whole: str) -> None:
    widths = column_widths(["A", "B"], [[whole, "x" * 200], ["y" * 200, whole]], 40)
    assert min(widths) >= len(whole)


def test_a_list_on_a_terminal_is_a_table_that_fits(forgedb: Forgedb, repository: str) -> None:
    url = "https://code.example/" + "long/" * 20 + "api.git"
    mirror = forgedb.data("mirror", "create", repository, "pull", url, "--interval", "1h")
    shown = on_terminal("mirror", "list", repository, "--url", forgedb.url).splitlines()
    assert shown[0].split() == ["ID", "DIRECTION", "REMOTE", "URL", "STATUS", "NEXT", "RUN", "AT"]
    assert mirror["id"] in shown[1]
    assert mirror["next_run_at"][11:19] in shown[1]
    assert max(map(len, shown)) <= 80


def test_the_audit_trail_on_a_terminal_says_who_when_and_what(
    forgedb: Forgedb, repository: str
) -> None:
    forgedb.ok("repo", "update", repository, "--slug", "gateway")
    forgedb.ok("repo", "update", repository, "--description", "a\x1b[31mb " + "long " * 60)
    shown = on_terminal("audit", "list", "--url", forgedb.url).splitlines()
    assert shown[0].endswith("Z  user:ada  project.create")
    (entry,) = forgedb.data("audit", "list", "--action", "project.create")["items"]
    assert shown[1] == f"    project {entry['target_id']}  entry {entry['id']}"
    assert shown[2] == "    slug: platform, name: Platform, description: -, visibility: private"
    renamed = next(place for place, line in enumerate(shown) if "repository.update" in line)
    assert shown[renamed + 1].startswith(f"    repository {repository}  entry ")
    assert shown[renamed + 2] == "    slug: api → gateway"
    assert shown[renamed + 5].startswith("    description: - → a [31mb long long")
    assert shown[-1].endswith("long long")
    assert max(map(len, shown)) <= 80
    lease = forgedb.data("lease", "acquire", repository)
    forgedb.ok("lease", "force-release", lease["id"], "--reason", "gone")
    *_, last, _, _, _ = on_terminal("audit", "list", "--url", forgedb.url).splitlines()
    assert last.endswith("  lease.force_release  (gone)")


def test_an_entry_is_shown_with_a_line_for_each_change(forgedb: Forgedb, repository: str) -> None:
    lease = forgedb.data("lease", "acquire", repository)
    forgedb.ok("lease", "release", lease["id"])
    (entry,) = forgedb.data("audit", "list", "--action", "lease.release")["items"]
    shown = forgedb.ok("audit", "show", entry["id"]).splitlines()
    first = next(place for place, line in enumerate(shown) if line.startswith("changes"))
    assert shown[first] == "changes       holder: user:ada"
    assert shown[first + 2] == "              end_reason: released"


def test_an_oid_is_whole_also_where_it_leaves_no_room(forgedb: Forgedb) -> None:
    oid = bytes(range(32))
    with library.connect(forgedb.url, actor="user:ada") as db:
        project = db.projects.create("p", "P")
        made = db.repositories.create(project.id, "r", object_format=ObjectFormat.SHA256)
        lease = db.leases.acquire(made.id)
        objects = [NewObject(oid, ObjectType.BLOB, 9_000_000, 8_000_000)]
        db.objects.add_many(made.id, objects, lease.fencing_token)
    shown = on_terminal("object", "list", "p/r", "--url", forgedb.url).splitlines()
    assert shown[1].split() == [oid.hex(), "blob", "9000000", "8000000"]


def test_what_is_empty_says_so_on_a_terminal(forgedb: Forgedb) -> None:
    assert on_terminal("project", "list", "--url", forgedb.url) == "nothing found\n"


def test_json_on_a_terminal_is_indented(forgedb: Forgedb) -> None:
    made = forgedb.data("project", "create", "x")
    shown = on_terminal("project", "show", "x", "--json", "--url", forgedb.url)
    assert shown.startswith(f'{{\n  "id": "{made["id"]}",\n')
