"""The audit trail: what each change leaves in it, how it is read, and how it is exported.

That tampering with it is found is in test_tampering.py.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import forgedb.audit.verify
import forgedb.dao.audit
from forgedb import (
    ActorRequired,
    AuditEntry,
    Database,
    InvalidValue,
    NewObject,
    NotFound,
    Project,
    Repository,
)
from tests.conformance.conftest import START, Clock
from tests.conformance.rich import OID, Rich, make_rich
from tests.conformance.values import (
    BAD_LIMITS,
    BAD_TEXTS,
    BAD_ULIDS,
    FREE,
    count_of_entries,
    every_page,
    history,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def rich(db: Database, clock: Clock) -> Rich:
    """A history with an entry of every kind."""
    return make_rich(db, clock)


def all_entries(db: Database) -> list[AuditEntry]:
    pages = every_page(db.audit.list, 1000)
    return [entry for page in pages for entry in page]


# What a change leaves.


def test_every_kind_of_change_that_the_daos_make_is_in_the_rich_history(rich: Rich) -> None:
    kinds = {entry.action for entry in all_entries(rich.db)}
    # A database has an id of chance, and the rich history the same hashes everywhere.
    of_the_daos = forgedb.dao.audit.OWN_ACTIONS - {"database.advance_era"}
    assert kinds == of_the_daos | {"scan.done", "plan.changed"}


def test_an_entry_carries_the_whole_context_of_its_change(db: Database, clock: Clock) -> None:
    on_behalf = db.acting_as(
        "user:bob", request_id="req-81", source_ip="10.0.0.7", reason="ticket 12"
    )
    project = on_behalf.projects.create("web", "Web")
    (entry,) = db.audit.list(stream=project.id).items
    assert entry == AuditEntry(
        stream_id=project.id,
        seq=1,
        id=entry.id,
        at=clock.now,
        actor="user:bob",
        action="project.create",
        target_type="project",
        target_id=project.id,
        request_id="req-81",
        source_ip="10.0.0.7",
        reason="ticket 12",
        changes={
            "slug": [None, "web"],
            "name": [None, "Web"],
            "description": [None, ""],
            "visibility": [None, "private"],
        },
        hash_version=1,
        entry_hash=entry.entry_hash,
    )
    assert len(entry.entry_hash) == 32
    assert entry.entry_hash_hex == entry.entry_hash.hex()
    assert db.audit.get(entry.id) == entry


def test_each_change_leaves_one_entry_with_its_context_in_its_own_stream(
    db: Database, clock: Clock
) -> None:
    ada = db.acting_as("user:ada", request_id="r-1", source_ip="::1", reason="test")
    project = ada.projects.create("p", "P")
    repository = ada.repositories.create(project.id, "a")
    other = ada.repositories.create(project.id, "b")
    made: dict[str, Any] = {}

    def keep(name: str, value: Any) -> Any:
        made[name] = value
        return value

    def acquire(name: str, **options: Any) -> Any:
        return keep(name, ada.leases.acquire(repository.id, **options))

    changes: list[tuple[str, Callable[[], Any], str]] = [
        ("project.update", lambda: ada.projects.update(project.id, name="Q"), "project"),
        ("repository.update", lambda: ada.repositories.update(other.id, slug="c"), "other"),
        ("repository.delete", lambda: ada.repositories.delete(other.id), "other"),
        ("repository.restore", lambda: ada.repositories.restore(other.id), "other"),
        ("lease.acquire", lambda: acquire("one"), "repository"),
        (
            "objects.add",
            lambda: ada.objects.add_many(repository.id, [NewObject(OID, 3, 1)], 1),
            "repository",
        ),
        ("objects.remove", lambda: ada.objects.remove_many(repository.id, [OID], 1), "repository"),
        ("lease.release", lambda: ada.leases.release(made["one"].id), "repository"),
        ("lease.acquire", lambda: acquire("two"), "repository"),
        (
            "lease.force_release",
            lambda: ada.leases.force_release(made["two"].id, "test"),
            "repository",
        ),
        ("lease.acquire", lambda: acquire("three", duration=MINUTE), "repository"),
        ("lease.expire", lambda: (clock.pass_by(MINUTE), ada.leases.expire_due()), "repository"),
        (
            "mirror.create",
            lambda: keep(
                "mirror",
                ada.mirrors.create(repository.id, "push", "https://x.example/a", 5 * MINUTE),
            ),
            "repository",
        ),
        (
            "mirror.update",
            lambda: ada.mirrors.update(made["mirror"].id, interval=2 * MINUTE),
            "repository",
        ),
        (
            "mirror.claim",
            lambda: keep("run", ada.mirrors.claim_due(1, MINUTE)[0]),
            "repository",
        ),
        (
            "mirror.finish",
            lambda: ada.mirrors.finish(made["mirror"].id, made["run"].run_token),
            "repository",
        ),
        ("mirror.delete", lambda: ada.mirrors.delete(made["mirror"].id), "repository"),
        (
            "relationship.create",
            lambda: keep("edge", ada.relationships.create(repository.id, "fork", other.id)),
            "repository",
        ),
        ("relationship.delete", lambda: ada.relationships.delete(made["edge"].id), "repository"),
        ("repository.delete", lambda: ada.repositories.delete(repository.id), "repository"),
        ("repository.delete", lambda: ada.repositories.delete(other.id), "other"),
        ("project.delete", lambda: ada.projects.delete(project.id), "project"),
        ("project.restore", lambda: ada.projects.restore(project.id), "project"),
        (
            "scan.done",
            lambda: ada.audit.record("scan.done", repository.id, {"found": [None, 3]}),
            "repository",
        ),
        ("database.advance_era", lambda: ada.identity.advance_era("test"), "database"),
    ]
    streams = {
        "project": project.id,
        "repository": repository.id,
        "other": other.id,
        "database": db.identity.get().id,
    }
    assert {action for action, _, _ in changes} >= forgedb.dao.audit.OWN_ACTIONS - {
        "lease.handover",
        "lease.rebase",
        "project.create",
        "repository.create",
    }
    for action, change, stream in changes:
        before = all_entries(db)
        last_seq = max((it.seq for it in before if it.stream_id == streams[stream]), default=0)
        clock.pass_by(timedelta(seconds=1))
        change()
        (entry,) = [it for it in all_entries(db) if it not in before]
        assert (entry.action, entry.stream_id, entry.seq) == (action, streams[stream], last_seq + 1)
        assert (entry.actor, entry.request_id, entry.source_ip, entry.reason, entry.at) == (
            "user:ada",
            "r-1",
            "::1",
            "test",
            clock.now,
        )


def test_an_entry_tells_each_field_that_changed_before_and_after(
    db: Database, project: Project
) -> None:
    db.projects.update(project.id, name="New", slug="new", visibility="public", description="")
    assert history(db, project.id)[-1].changes == {
        "slug": ["platform", "new"],
        "name": ["Platform", "New"],
        "visibility": ["private", "public"],
    }


def test_an_update_that_changes_nothing_leaves_no_entry(db: Database, project: Project) -> None:
    before = count_of_entries(db)
    assert db.projects.update(project.id, name="Platform") == project
    assert db.projects.restore(project.id) == project
    assert count_of_entries(db) == before


def test_what_a_rolled_back_transaction_did_is_not_in_the_trail(
    db: Database, project: Project
) -> None:
    def rename_and_fail() -> None:
        with db.transaction() as tx:
            tx.projects.update(project.id, name="Gone")
            assert tx.audit.list(stream=project.id, action="project.update").items != []
            raise KeyError("the block fails")

    before = all_entries(db)
    with pytest.raises(KeyError):
        rename_and_fail()
    assert all_entries(db) == before


# Reading.


def test_list_gives_what_a_filter_in_python_gives_for_every_combination(rich: Rich) -> None:
    db, everything = rich.db, all_entries(rich.db)
    assert everything != sorted(everything, key=lambda entry: (entry.at, entry.id))
    middle = sorted(entry.at for entry in everything)[len(everything) // 3]
    late = sorted(entry.at for entry in everything)[-3]
    choices: dict[str, list[Any]] = {
        "stream": [rich.repository.id, FREE],
        "target": [rich.repository.id, rich.lease.id],
        "actor": ["user:bob", "user:nobody"],
        "action": ["lease.acquire", "repository.update"],
        "since": [middle],
        "until": [late, middle],
    }
    sizes = set()
    for count in range(len(choices) + 1):
        for names in combinations(choices, count):
            for pick in (0, 1):
                asked = {name: choices[name][min(pick, len(choices[name]) - 1)] for name in names}
                expected = _in_its_order([it for it in everything if _meets(it, asked)], asked)
                sizes.add(len(expected))
                for limit in (2, 1000):
                    pages = every_page(
                        lambda asked=asked, **page: db.audit.list(**asked, **page), limit
                    )
                    assert [it for page in pages for it in page] == expected, asked
    assert len(sizes) > 5


def _meets(entry: AuditEntry, asked: dict[str, Any]) -> bool:
    return (
        asked.get("stream", entry.stream_id) == entry.stream_id
        and asked.get("target", entry.target_id) == entry.target_id
        and asked.get("actor", entry.actor) == entry.actor
        and asked.get("action", entry.action) == entry.action
        and asked.get("since", entry.at) <= entry.at
        and ("until" not in asked or entry.at < asked["until"])
    )


def _in_its_order(entries: list[AuditEntry], asked: dict[str, Any]) -> list[AuditEntry]:
    if "stream" in asked:
        return sorted(entries, key=lambda entry: entry.seq)
    if ("since" in asked or "until" in asked) and "target" not in asked:
        return sorted(entries, key=lambda entry: (entry.at, entry.id))
    return sorted(entries, key=lambda entry: entry.id)


def test_since_is_included_and_until_is_not(db: Database, clock: Clock, project: Project) -> None:
    at = clock.pass_by(MINUTE)
    db.projects.update(project.id, name="New")
    tick = timedelta(microseconds=1)
    for since, until, found in (
        (at, at + tick, 1),
        (at, at, 0),
        (at + tick, None, 0),
        (START, at, 1),
        (None, at + tick, 2),
    ):
        assert len(db.audit.list(since=since, until=until).items) == found


def test_list_takes_filters_that_make_sense(db: Database) -> None:
    bad: dict[str, list[Any]] = {
        "stream": [it for it in BAD_ULIDS if it is not None],
        "target": [it for it in BAD_ULIDS if it is not None],
        "actor": ["", "a" * 201, *filter(None, BAD_TEXTS)],
        "action": ["", "a" * 101, *filter(None, BAD_TEXTS)],
        "since": [START.replace(tzinfo=None), "2026-11-22", 7],
        "until": [START.replace(tzinfo=None), "2026-11-22", 7],
        "limit": BAD_LIMITS,
    }
    for name, values in bad.items():
        for value in values:
            with pytest.raises(InvalidValue) as refused:
                db.audit.list(**{name: value})
            assert (refused.value.field, refused.value.value) == (name, value)


def test_a_page_goes_on_only_after_the_one_before_it(db: Database) -> None:
    orders: list[dict[str, Any]] = [{}, {"stream": FREE}, {"since": START}, {"target": FREE}]
    bad_afters: list[Any] = ["", "x", "~", f"~{FREE}", "2026-11-22T10:00:00~" + FREE, 7, b"1", "٣"]
    for order in orders:
        for after in bad_afters:
            with pytest.raises(InvalidValue) as refused:
                db.audit.list(**order, after=after)
            assert refused.value.field == "after"


def test_an_entry_is_found_by_its_id(db: Database, project: Project) -> None:
    (entry,) = db.audit.list().items
    assert db.audit.get(entry.id) == entry
    with pytest.raises(NotFound) as missing:
        db.audit.get(project.id)
    assert (missing.value.entity, missing.value.key) == ("audit entry", project.id)
    for bad in BAD_ULIDS:
        with pytest.raises(InvalidValue):
            db.audit.get(bad)  # type: ignore[arg-type]


# Entries of one's own.


def test_an_entry_of_ones_own_joins_the_stream_of_its_target(
    db: Database, clock: Clock, project: Project, repository: Repository
) -> None:
    clock.pass_by(MINUTE)
    for target, kind in ((project.id, "project"), (repository.id, "repository")):
        before = history(db, target)
        entry = db.audit.record("scan.done", target, {"found": [None, {"a": [1, "é", None]}]})
        assert (entry.stream_id, entry.target_type, entry.target_id) == (target, kind, target)
        assert (entry.seq, entry.at, entry.actor) == (len(before) + 1, clock.now, "user:ada")
        assert entry.changes == {"found": [None, {"a": [1, "é", None]}]}
        assert history(db, target) == [*before, entry]


def test_an_entry_of_ones_own_may_tell_of_what_is_deleted(
    db: Database, repository: Repository
) -> None:
    db.repositories.delete(repository.id)
    assert db.audit.record("backup.removed", repository.id, {}).changes == {}


def test_no_entry_of_ones_own_can_be_taken_for_a_change_of_a_row(
    db: Database, project: Project
) -> None:
    lookalikes: list[tuple[str, dict[str, Any]]] = [
        ("repository.renamed_outside", {"slug": ["r0", "web"]}),
        ("repository.create_hook", {"slug": ["r1", "web"]}),
        ("repository.acquire", {}),
        ("repository.acquire", {"fencing_token": [None, 9]}),
        ("lease.create", {"holder": [None, "x"]}),
        ("mirror.acquire", {}),
        ("relationship.acquire", {"x": [1, 2]}),
        ("objects.verify", {"added": [None, 5]}),
        ("nodot", {"slug": [1, 2]}),
        ("a.b.c", {"state": ["active", "archived"]}),
    ]
    for number, (action, changes) in enumerate(lookalikes):
        repository = db.repositories.create(project.id, f"r{number}")
        db.audit.record(action, repository.id, changes)
        assert db.audit.verify(repository.id).problems == [], action


def test_what_the_daos_record_themselves_is_refused(db: Database, repository: Repository) -> None:
    for action in forgedb.dao.audit.OWN_ACTIONS:
        with pytest.raises(InvalidValue, match="choose another name") as refused:
            db.audit.record(action, repository.id, {})
        assert refused.value.field == "action"


def test_an_entry_of_ones_own_takes_values_that_make_sense(
    db: Database, repository: Repository
) -> None:
    before = count_of_entries(db)
    recursive: list[Any] = []
    recursive.append(recursive)
    bad: dict[str, list[Any]] = {
        "action": ["", "a" * 101, *BAD_TEXTS],
        "target": BAD_ULIDS,
        "changes": [
            None,
            [],
            "text",
            {"a": 1},
            {"a": "ab"},
            {"a": [1]},
            {"a": [1, 2, 3]},
            {1: [1, 2]},
            {"a": [None, "\0"]},
            {"a": [None, "\ud800"]},
            {"\ud800": [None, 1]},
            {"a": [None, object()]},
            {"a": [None, recursive]},
            {"a": [None, "x" * 1_000_000]},
        ],
    }
    for field, values in bad.items():
        for value in values:
            asked = {"action": "x.y", "target": repository.id, "changes": {}, field: value}
            with pytest.raises(InvalidValue) as refused:
                db.audit.record(**asked)
            assert refused.value.field == field
    assert count_of_entries(db) == before


def test_an_entry_of_ones_own_is_about_a_project_or_repository_that_is_there(
    db: Database,
) -> None:
    with pytest.raises(NotFound) as missing:
        db.audit.record("x.y", FREE, {})
    assert (missing.value.entity, missing.value.key) == ("project or repository", FREE)


def test_nobody_records_an_entry(db: Database, repository: Repository) -> None:
    with pytest.raises(ActorRequired):
        db.acting_as(None).audit.record("x.y", repository.id, {})


# Export.


def _exported(entry: AuditEntry) -> dict[str, Any]:
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
    at = entry.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {**fields, "at": at, "entry_hash": entry.entry_hash.hex()}


def test_export_writes_each_entry_as_a_line_of_json_stream_after_stream(
    rich: Rich, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [
        _exported(entry)
        for entry in sorted(all_entries(rich.db), key=lambda entry: (entry.stream_id, entry.seq))
    ]
    for entries_a_read in (1000, 1, 7, len(expected)):
        monkeypatch.setattr(forgedb.dao.audit, "EXPORT_ENTRIES_A_READ", entries_a_read)
        with open(tmp_path / "audit.jsonl", "w", encoding="utf-8") as file:
            assert rich.db.audit.export(file) == len(expected)
        text = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert [json.loads(line) for line in text.splitlines()] == expected


def test_export_writes_bytes_to_a_binary_file_and_text_to_a_text_one(
    rich: Rich, tmp_path: Path
) -> None:
    with open(tmp_path / "bytes", "wb") as binary, open(tmp_path / "text", "w") as text:
        assert rich.db.audit.export(binary) == rich.db.audit.export(text)
    buffer, string = io.BytesIO(), io.StringIO()
    rich.db.audit.export(buffer)
    rich.db.audit.export(string)
    written = (tmp_path / "bytes").read_bytes()
    assert written == (tmp_path / "text").read_bytes()
    assert written == buffer.getvalue() == string.getvalue().encode()


def test_export_of_nothing_is_no_line(db: Database) -> None:
    out = io.BytesIO()
    assert db.audit.export(out) == 0
    assert out.getvalue() == b""


def test_export_keeps_the_files_own_error(rich: Rich, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with open(tmp_path / "there") as unwritable, pytest.raises(io.UnsupportedOperation):
        rich.db.audit.export(unwritable)
    assert rich.db.audit.export(io.StringIO()) > 0


# Proving an honest history.


def test_an_honest_history_is_proven_whole_and_stream_by_stream(
    rich: Rich, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = all_entries(rich.db)
    streams = {entry.stream_id for entry in everything}
    for entries_a_read in (1000, 1, 5):
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", entries_a_read)
        report = rich.db.acting_as(None).audit.verify()
        assert (report.ok, report.entries, report.streams, report.problems) == (
            True,
            len(everything),
            len(streams),
            [],
        )
        for stream in streams:
            report = rich.db.audit.verify(stream)
            own = [entry for entry in everything if entry.stream_id == stream]
            assert (report.ok, report.entries, report.streams) == (True, len(own), 1)


def test_an_empty_database_is_proven(db: Database) -> None:
    report = db.audit.verify()
    assert (report.ok, report.entries, report.streams, report.problems) == (True, 0, 0, [])


def test_a_stream_that_never_was_is_not_found(db: Database) -> None:
    with pytest.raises(NotFound) as missing:
        db.audit.verify(FREE)
    assert (missing.value.entity, missing.value.key) == ("stream", FREE)
    for bad in BAD_ULIDS:
        if bad is not None:
            with pytest.raises(InvalidValue) as refused:
                db.audit.verify(bad)  # type: ignore[arg-type]
            assert refused.value.field == "stream"


def test_verify_sees_one_moment_of_an_open_transaction_too(db: Database, project: Project) -> None:
    with db.transaction() as tx:
        tx.projects.update(project.id, name="New")
        assert tx.audit.verify().entries == 2
        assert tx.audit.verify().ok
