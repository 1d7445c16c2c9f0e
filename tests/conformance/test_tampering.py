"""Tampering by someone who can write to the database past every guard: verify finds and names it.

Whoever rewrites a whole chain and its head too is found by what the rows themselves say, and
otherwise only by signed checkpoints: test_attacks_on_anchored.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import forgedb.audit.replay
import forgedb.audit.verify
from forgedb import Database, VerifyProblem
from tests.conformance.attacking import (
    TIME,
    Tampered,
    Undone,
    put_in,
    rehash,
    renumber,
    without_checks,
    without_guards,
)
from tests.conformance.conftest import Clock
from tests.conformance.reaching import DATABASES, EACH_DATABASE, Connect
from tests.conformance.rich import OID, OTHER_OID, Rich, make_rich
from tests.conformance.values import FREE, every_page


@pytest.fixture(scope="module", params=EACH_DATABASE)
def untouched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rich]:
    clock = Clock()
    folder = tmp_path_factory.mktemp("tampering")
    with Connect(
        DATABASES[request.param], folder, lambda: request.getfixturevalue("postgres")
    ) as connect:
        db = connect.migrated(actor="user:ada", clock=clock)
        rich = make_rich(db, clock)
        assert db.audit.verify().problems == []
        yield rich
        assert db.audit.verify().problems == []


@pytest.fixture
def tampered(untouched: Rich) -> Iterator[Tampered]:
    with without_guards(untouched) as tampered:
        yield tampered


LAST_ID = "7" + 25 * "Z"

NO_TEXT = "CAST(x'ff' AS TEXT)"
NO_TEXT_SHOWN = "X'FF'"
"""What SQLite takes for text, and no one can read; and how it is told of."""

# Entries that were edited.

EDITS: dict[str, Any] = {
    "id": FREE,
    "at": TIME,
    "actor": "user:eve",
    "action": "repository.updated",
    "target_type": "project",
    "target_id": FREE,
    "request_id": "req-2",
    "source_ip": "10.0.0.8",
    "reason": "because",
    "changes": '{"slug":["api","api2"]}',
    "hash_version": 2,
    "entry_hash": bytes(32),
}


def test_every_field_of_an_entry_is_edited_below(tampered: Tampered) -> None:
    (entry, *_) = tampered.tx.audit.list().items
    assert EDITS.keys() == set(entry.__struct_fields__) - {"stream_id", "seq"}


@pytest.mark.parametrize("seq", [1, 4, -1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("field", EDITS)
def test_an_edited_entry_is_named(tampered: Tampered, field: str, seq: int) -> None:
    stream = tampered.rich.repository.id
    seq = tampered.last_seq(stream) if seq == -1 else seq
    tampered.execute(
        f"UPDATE audit_entries SET {field} = :value WHERE stream_id = :stream AND seq = :seq",
        value=EDITS[field],
        stream=stream,
        seq=seq,
    )
    assert tampered.first() == (stream, seq)
    assert tampered.problems(stream)[0].seq == seq
    assert tampered.problems(tampered.rich.project.id) == []


@pytest.mark.parametrize("field", ["request_id", "source_ip", "reason"])
def test_a_field_that_was_taken_away_is_not_taken_for_an_empty_one(
    tampered: Tampered, field: str
) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        f"UPDATE audit_entries SET {field} = NULL WHERE stream_id = :stream AND seq = 1",
        stream=stream,
    )
    assert tampered.first() == (stream, 1)


def test_a_moved_boundary_between_two_fields_is_found(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        "UPDATE audit_entries SET actor = 'user:adar', request_id = 'eq-1'"
        " WHERE stream_id = :stream AND seq = 1",
        stream=stream,
    )
    assert tampered.first() == (stream, 1)


def test_json_that_means_the_same_in_other_words_is_found(tampered: Tampered) -> None:
    stream = tampered.rich.project.id
    tampered.reword("{", "{ ", "project.create", stream)
    assert tampered.first() == (stream, 1)


# Entries that are gone, moved, or put in.


@pytest.mark.parametrize(
    ("gone", "named"), [((1, 1), 1), ((1, 3), 1), ((4, 4), 4), ((4, 6), 4), ((2, 2), 2)]
)
def test_a_gap_names_the_first_entry_that_is_missing(
    tampered: Tampered, gone: tuple[int, int], named: int
) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq BETWEEN :low AND :high",
        stream=stream,
        low=gone[0],
        high=gone[1],
    )
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (stream, named)
    assert "missing" in problem.what


@pytest.mark.parametrize("count", [1, 3])
def test_a_tail_that_was_cut_off_is_named_where_it_began(tampered: Tampered, count: int) -> None:
    stream = tampered.rich.repository.id
    last = tampered.last_seq(stream)
    tampered.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq > :seq",
        stream=stream,
        seq=last - count,
    )
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (stream, last - count + 1)
    assert f"the head is at {last}" in problem.what


def test_a_tail_cut_off_with_its_head_set_back_shows_in_the_rows(tampered: Tampered) -> None:
    stream, tx = tampered.rich.repository.id, tampered.tx
    last = tampered.last_seq(stream)
    kept = [entry for entry in _entries(tx, stream) if entry.action != "scan.done"]
    while kept[-1].action != "relationship.create":
        kept.pop()
    tampered.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq >= :seq",
        stream=stream,
        seq=kept[-1].seq,
    )
    tampered.execute(
        "UPDATE repositories SET audit_seq = :seq, audit_head = :head WHERE id = :stream",
        seq=kept[-2].seq,
        head=kept[-2].entry_hash,
        stream=stream,
    )
    assert tampered.last_seq(stream) < last
    (problem,) = tampered.problems()
    assert problem == VerifyProblem(
        stream,
        None,
        f"relationship {tampered.rich.relationship.id} is there without an entry",
    )


def _entries(tx: Database, stream: str) -> list[Any]:
    pages = every_page(lambda **page: tx.audit.list(stream=stream, **page), 1000)
    return [entry for page in pages for entry in page]


@pytest.mark.parametrize("with_head_reset", [False, True])
def test_a_stream_that_is_wholly_gone_is_named(tampered: Tampered, with_head_reset: bool) -> None:
    for table, stream in (
        ("projects", tampered.rich.project.id),
        ("repositories", tampered.rich.fork.id),
    ):
        tampered.execute("DELETE FROM audit_entries WHERE stream_id = :stream", stream=stream)
        if with_head_reset:
            tampered.execute(
                f"UPDATE {table} SET audit_seq = 0, audit_head = :head WHERE id = :stream",
                head=bytes(32),
                stream=stream,
            )
        (problem,) = tampered.problems(stream)
        assert problem == VerifyProblem(stream, None, "all of the stream's entries are gone")
    assert {problem.stream_id for problem in tampered.problems()} == {
        tampered.rich.project.id,
        tampered.rich.fork.id,
    }


def test_a_stream_whose_row_is_gone_is_named(tampered: Tampered) -> None:
    stream = tampered.rich.gone_project.id
    tampered.execute("DELETE FROM projects WHERE id = :id", id=stream)
    assert tampered.problems() == [
        VerifyProblem(stream, None, "no project or repository has this stream")
    ]
    assert tampered.problems(stream) != []


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ({1: 2, 2: 1}, 1),
        ({4: 5, 5: 4}, 4),
        ({3: 7, 7: 3}, 3),
        ({3: 4, 4: 5, 5: 3}, 3),
        ({2: 5, 3: 4, 4: 3, 5: 2}, 2),
    ],
    ids=["first two", "neighbours", "far apart", "rotated", "reversed"],
)
def test_entries_in_another_order_are_named_from_the_first_on(
    tampered: Tampered, order: dict[int, int], named: int
) -> None:
    renumber(tampered, order)
    assert tampered.first() == (tampered.rich.repository.id, named)


def test_two_entries_whose_contents_were_swapped_are_both_named(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    names = ("actor", "action", "target_id", "request_id", "source_ip", "reason", "changes")
    content = tampered.tx.client.query(
        f"SELECT {', '.join(names)} FROM audit_entries"
        " WHERE stream_id = :stream AND seq IN (4, 5) ORDER BY seq",
        {"stream": stream},
    )
    assert content[0] != content[1]
    for seq, values in zip((5, 4), content, strict=True):
        tampered.execute(
            f"UPDATE audit_entries SET {', '.join(f'{name} = :{name}' for name in names)}"
            " WHERE stream_id = :stream AND seq = :seq",
            **dict(zip(names, values, strict=True)),
            stream=stream,
            seq=seq,
        )
    assert [problem.seq for problem in tampered.problems()] == [4, 5]


def test_an_entry_put_in_between_is_named(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    last = tampered.last_seq(stream)
    renumber(tampered, {seq: seq + 1 for seq in range(last, 3, -1)})
    put_in(tampered, stream, 4)
    assert tampered.first() == (stream, 4)


def test_an_entry_put_at_the_end_is_named(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    last = tampered.last_seq(stream)
    put_in(tampered, stream, last + 1)
    assert tampered.first() == (stream, last + 1)


def test_an_entry_put_at_the_end_with_a_hash_that_fits_is_past_the_head(
    tampered: Tampered,
) -> None:
    stream = tampered.rich.repository.id
    last = tampered.last_seq(stream)
    put_in(tampered, stream, last + 1)
    rehash(tampered, stream, last + 1)
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (stream, last + 1)
    assert f"past its head, which is at {last}" in problem.what


def test_an_entry_before_the_first_is_refused_by_its_number(tampered: Tampered) -> None:
    with pytest.raises(ValueError, match="audit_entries_seq_check"):
        put_in(tampered, tampered.rich.repository.id, 0)


def test_a_stream_put_in_for_no_row_is_named(tampered: Tampered) -> None:
    put_in(tampered, FREE, 1, target_id=FREE)
    assert {problem.stream_id for problem in tampered.problems()} == {FREE}
    assert tampered.problems(FREE) == tampered.problems()


@pytest.mark.parametrize("from_the_end", [True, False])
def test_an_entry_moved_to_another_stream_is_missed_in_one_and_refused_in_the_other(
    tampered: Tampered, from_the_end: bool
) -> None:
    source, target = tampered.rich.repository.id, tampered.rich.fork.id
    seq = tampered.last_seq(source) if from_the_end else 4
    arrives = tampered.last_seq(target) + 1
    tampered.execute(
        "UPDATE audit_entries SET stream_id = :target, seq = :arrives"
        " WHERE stream_id = :source AND seq = :seq",
        target=target,
        arrives=arrives,
        source=source,
        seq=seq,
    )
    assert tampered.problems(source)[0].seq == seq
    assert tampered.problems(target)[0].seq == arrives
    assert {problem.stream_id for problem in tampered.problems()} == {source, target}


def test_every_stream_that_was_tampered_with_is_reported(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = sorted(
        found.id for found in (tampered.rich.project, tampered.rich.repository, tampered.rich.fork)
    )
    for stream in streams:
        tampered.execute(
            "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :stream AND seq = 2",
            stream=stream,
        )
    for entries_a_read in (1000, 1, 2, 3):
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", entries_a_read)
        found = [(problem.stream_id, problem.seq) for problem in tampered.problems()]
        assert found == [(stream, 2) for stream in streams]


# Hashes and heads that were rewritten too.


def test_hashes_rewritten_after_an_edit_do_not_meet_the_head(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :stream AND seq = 4",
        stream=stream,
    )
    rehash(tampered, stream, 4)
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (stream, tampered.last_seq(stream))
    assert "isn't the one that the head names" in problem.what


def test_a_history_rewritten_up_to_its_head_is_contradicted_by_the_rows(
    tampered: Tampered,
) -> None:
    stream = tampered.rich.repository.id
    tampered.reword("The web", "The net", "repository.update", stream)
    rehash(tampered, stream, 1, head=True)
    (problem,) = tampered.problems()
    assert problem.stream_id == stream
    assert "has description 'The web', not 'The net'" in problem.what


@pytest.mark.parametrize(
    "changes",
    [
        '{"slug":5}',
        '{"slug":null}',
        '{"slug":[1,2,3]}',
        '{"slug":{"a":1}}',
        '{"slug":"ab"}',
        '{"slug":["a","\\ud800"]}',
        "{}",
    ],
)
@pytest.mark.parametrize("action", ["lease.acquire", "repository.update", "objects.add"])
def test_a_rewritten_entry_that_makes_no_sense_is_reported_and_not_raised(
    tampered: Tampered, action: str, changes: str
) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        "UPDATE audit_entries SET changes = :changes"
        " WHERE stream_id = :stream AND action = :action",
        changes=changes,
        stream=stream,
        action=action,
    )
    rehash(tampered, stream, 1, head=True)
    assert {problem.stream_id for problem in tampered.problems()} == {stream}


@pytest.mark.parametrize("amount", ['"many"', "null", "2.5", "[1]"])
def test_a_count_of_objects_that_is_none_is_reported_and_not_raised(
    tampered: Tampered, amount: str
) -> None:
    stream = tampered.rich.repository.id
    tampered.execute(
        "UPDATE audit_entries SET changes = :changes"
        " WHERE stream_id = :stream AND action = 'objects.add'",
        changes=f'{{"added":[null,{amount}]}}',
        stream=stream,
    )
    rehash(tampered, stream, 1, head=True)
    assert {problem.stream_id for problem in tampered.problems()} == {stream}


@pytest.mark.parametrize("table", ["projects", "repositories"])
def test_a_head_that_was_rewritten_is_named_with_the_last_entry(
    tampered: Tampered, table: str
) -> None:
    rich = tampered.rich
    stream = rich.project.id if table == "projects" else rich.repository.id
    last = tampered.last_seq(stream)
    for changed, named in (
        ("audit_head = :head", last),
        ("audit_seq = audit_seq - 1", last),
        ("audit_seq = audit_seq + 1", last + 1),
        ("audit_seq = 0", 1),
    ):
        with suppress(Undone), tampered.tx.transaction() as nested:
            again = Tampered(rich, nested)
            params = {"head": bytes(32)} if ":head" in changed else {}
            again.execute(f"UPDATE {table} SET {changed} WHERE id = :id", id=stream, **params)
            (problem,) = again.problems()
            assert (problem.stream_id, problem.seq) == (stream, named), changed
            raise Undone
    assert tampered.problems() == []


# Rows that were edited, put in or taken away past the audit.

ROW_EDITS: dict[str, dict[str, Any]] = {
    "project": {
        "slug": "other",
        "name": "Other",
        "description": "Other",
        "visibility": "public",
        "created_at": TIME,
        "deleted_at": "2026-11-22T11:00:00.000000Z",
    },
    "repository": {
        "project_id": None,
        "slug": "other",
        "description": "Other",
        "default_branch": "other",
        "object_format": "sha256",
        "visibility": "public",
        "state": "archived",
        "lease_epoch": 99,
        "created_at": TIME,
        "deleted_at": "2026-11-22T11:00:00.000000Z",
    },
    "lease": {
        "repository_id": None,
        "holder": "user:eve",
        "purpose": "other",
        "fencing_token": 99,
        "idempotency_key": "other",
        "acquired_at": "2026-11-22T10:05:00.000000Z",
        "expires_at": "2026-11-22T11:00:00.000000Z",
        "previous_lease_id": None,
    },
    "mirror": {
        "repository_id": None,
        "direction": "push",
        "remote_url": "https://example.org/other",
        "credential_ref": "vault:other",
        "enabled": False,
        "interval_seconds": 60,
        "next_run_at": TIME,
        "last_started_at": TIME,
        "last_success_at": TIME,
        "consecutive_failures": 99,
        "last_error": "other",
        "run_token": FREE,
        "run_deadline_at": TIME,
        "created_at": TIME,
    },
    "relationship": {
        "source_id": None,
        "target_url": "https://example.org/other",
        "kind": "mirror",
        "path": "other",
        "created_at": TIME,
    },
}

TABLES = {
    "project": "projects",
    "repository": "repositories",
    "lease": "leases",
    "mirror": "mirrors",
    "relationship": "repository_relationships",
}


def _last_entry_about(tampered: Tampered, kind: str, target: str) -> Any:
    """The last one that the DAOs wrote of it."""
    found = tampered.tx.audit.list(target=target, limit=1000).items
    return [entry for entry in found if entry.action.startswith(f"{kind}.")][-1]


def test_an_edit_of_a_row_past_the_audit_is_named_with_the_entry_it_contradicts(
    tampered: Tampered,
) -> None:
    elsewhere = {"project_id": tampered.rich.gone_project.id, "repository_id": None}
    for kind, edits in ROW_EDITS.items():
        row = getattr(tampered.rich, kind)
        entry = _last_entry_about(tampered, kind, row.id)
        for field, value in edits.items():
            if field in ("repository_id", "source_id", "previous_lease_id"):
                continue
            with suppress(Undone), tampered.tx.transaction() as nested:
                again = Tampered(tampered.rich, nested)
                again.execute(
                    f"UPDATE {TABLES[kind]} SET {field} = :value WHERE id = :id",
                    value=elsewhere.get(field, value),
                    id=row.id,
                )
                (problem,) = again.problems()
                assert (problem.stream_id, problem.seq) == (entry.stream_id, entry.seq), field
                assert problem.what.startswith(f"{kind} {row.id} has {field} ")
                raise Undone


def test_every_column_of_a_row_is_edited_above(tampered: Tampered) -> None:
    not_proven = {"id", "updated_at"}
    of_an_ended_lease = {"ended_at", "end_reason", "ended_by", "end_note"}
    of_a_url = {"target_id"}
    with_others = {"status"}
    for kind, edits in ROW_EDITS.items():
        columns = set(getattr(tampered.rich, kind).__struct_fields__)
        assert columns - not_proven - of_an_ended_lease - of_a_url - with_others == edits.keys()


@pytest.mark.parametrize(
    ("kind", "column"),
    [("lease", "repository_id"), ("mirror", "repository_id"), ("relationship", "source_id")],
)
def test_a_row_moved_to_another_repository_is_missed_in_one_and_found_in_the_other(
    tampered: Tampered, kind: str, column: str
) -> None:
    row, rich = getattr(tampered.rich, kind), tampered.rich
    tampered.execute(
        f"UPDATE {TABLES[kind]} SET {column} = :fork WHERE id = :id", fork=rich.fork.id, id=row.id
    )
    told = {problem.stream_id: problem for problem in tampered.problems()}
    assert f"{kind} {row.id} is gone without an entry" in told[rich.repository.id].what
    assert f"{kind} {row.id} is there without an entry" in told[rich.fork.id].what


def test_a_lease_that_was_ended_past_the_audit_is_named(tampered: Tampered) -> None:
    lease = tampered.rich.lease
    tampered.execute(
        "UPDATE leases SET ended_at = acquired_at, end_reason = 'released', ended_by = holder"
        " WHERE id = :id",
        id=lease.id,
    )
    told = tampered.problems()
    entry = _last_entry_about(tampered, "lease", lease.id)
    assert {problem.seq for problem in told} == {entry.seq}
    fields = {problem.what.split(" has ")[1].split()[0] for problem in told}
    assert fields == {"ended_at", "end_reason", "ended_by"}


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE leases SET end_note = 'another' WHERE id = :id",
        "UPDATE leases SET purpose = 'another' WHERE id = :id",
        "DELETE FROM leases WHERE id = :id",
    ],
)
def test_leases_that_are_forgotten_on_the_way_are_compared_all_the_same(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    stream = tampered.rich.repository.id
    ended = [each for each in _leases(tampered, stream) if each.ended_at is not None]
    tampered.tx.client.execute("UPDATE leases SET previous_lease_id = NULL")
    before = {problem.what for problem in tampered.problems()}
    tampered.execute(text, id=ended[0].id)
    expected = set(map(str, tampered.problems()))
    assert len(expected) == len(before) + 1
    for size in (1, 2, 3):
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", size)
        monkeypatch.setattr(forgedb.audit.verify, "SETTLED_MAX", size)
        monkeypatch.setattr(forgedb.audit.replay, "IDS_A_READ", size)
        assert set(map(str, tampered.problems())) == expected


def test_what_nothing_changes_any_more_does_not_stay_in_memory(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", 2)
    monkeypatch.setattr(forgedb.audit.verify, "SETTLED_MAX", 1)
    kept: list[int] = []
    settle = forgedb.audit.replay.Replay.settle

    def counted(self: Any) -> Any:
        yield from settle(self)
        kept.append(len(self.targets.get("lease", [])))

    monkeypatch.setattr(forgedb.audit.replay.Replay, "settle", counted)
    assert tampered.problems() == []
    assert len(kept) > 3
    assert max(kept) == 1


def test_an_entry_about_a_lease_that_had_ended_is_compared_too(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = tampered.rich.repository.id
    ended = next(each for each in _leases(tampered, stream) if each.ended_at is not None)
    put_in(
        tampered,
        stream,
        tampered.last_seq(stream) + 1,
        action="lease.release",
        target_type="lease",
        target_id=ended.id,
        changes='{"end_note":[null,"too late"]}',
    )
    rehash(tampered, stream, 1, head=True)
    for size in (1, 1000):
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", size)
        monkeypatch.setattr(forgedb.audit.verify, "SETTLED_MAX", size)
        (problem,) = tampered.problems()
        assert "has end_note" in problem.what
        assert "not 'too late'" in problem.what


def test_a_target_that_begins_twice_is_told_of(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = tampered.rich.repository.id
    first = next(each for each in _entries(tampered.tx, stream) if each.action == "lease.acquire")
    text = tampered.tx.client.query_value(
        "SELECT changes FROM audit_entries WHERE id = :id", {"id": first.id}
    )
    put_in(
        tampered,
        stream,
        tampered.last_seq(stream) + 1,
        action="lease.acquire",
        target_type="lease",
        target_id=first.target_id,
        changes=text,
    )
    rehash(tampered, stream, 1, head=True)
    monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", 1)
    monkeypatch.setattr(forgedb.audit.verify, "SETTLED_MAX", 1)
    assert {problem.stream_id for problem in tampered.problems()} == {stream}


def _leases(tampered: Tampered, stream: str) -> list[Any]:
    found: list[Any] = tampered.tx.leases.history(stream).items
    return found


def test_long_changes_are_read_by_themselves_and_checked_like_others(tampered: Tampered) -> None:
    stream, tx = tampered.rich.repository.id, tampered.tx
    long = "ä" * (forgedb.audit.verify.CHANGES_BYTES_MAX // 2)
    entries = [tx.audit.record("scan.done", stream, {"found": [n, long]}) for n in range(2)]
    tx.audit.record("scan.done", stream, {"found": [3, 4]})
    assert tampered.problems() == []
    tampered.execute(
        "UPDATE audit_entries SET changes = :changes WHERE id = :id",
        changes=f'{{"found":[9,"{long}"]}}',
        id=entries[0].id,
    )
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (stream, entries[0].seq)


def test_a_row_that_can_not_be_read_is_named_with_its_stream_and_the_rest_still_compared(
    tampered: Tampered,
) -> None:
    rich, tx = tampered.rich, tampered.tx
    if tx.client.dialect == "postgres":
        tx.client.execute("ALTER TABLE mirrors DROP CONSTRAINT mirrors_created_at_check")
        unreadable = "created_at = '4000-01-01 BC'"
    else:
        unreadable = "remote_url = CAST(x'ff' AS TEXT)"
    tampered.execute(f"UPDATE mirrors SET {unreadable} WHERE id = :id", id=rich.mirror.id)
    tampered.execute("UPDATE projects SET name = 'x' WHERE id = :id", id=rich.project.id)
    told = {problem.stream_id: problem.what for problem in tampered.problems()}
    assert told.keys() == {rich.repository.id, rich.project.id}
    assert told[rich.repository.id].startswith("what it tells of can't be read: ")
    assert "has name 'x'" in told[rich.project.id]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("project", "visibility"),
        ("project", "created_at"),
        ("repository", "state"),
        ("repository", "updated_at"),
        ("lease", "end_reason"),
        ("lease", "acquired_at"),
        ("mirror", "direction"),
        ("mirror", "next_run_at"),
        ("relationship", "kind"),
        ("relationship", "created_at"),
    ],
)
def test_a_value_that_no_model_can_have_is_named_with_its_stream_and_the_rest_still_compared(
    tampered: Tampered, kind: str, column: str
) -> None:
    row, table, other = getattr(tampered.rich, kind), TABLES[kind], tampered.rich.gone_project
    is_dated = column.endswith("_at") and tampered.tx.client.dialect == "postgres"
    value = "4000-01-01 BC" if is_dated else "noon"
    tampered.execute("UPDATE projects SET name = 'x' WHERE id = :id", id=other.id)
    with without_checks(tampered, table):
        tampered.execute(f"UPDATE {table} SET {column} = '{value}' WHERE id = :id", id=row.id)
        told = {problem.stream_id: problem.what for problem in tampered.problems()}
    stream = row.id if kind in ("project", "repository") else tampered.rich.repository.id
    assert told.keys() == {stream, other.id}
    assert told[stream].startswith("what it tells of can't be read: ")
    assert is_dated or f"no {column} of a " in told[stream]
    assert "has name 'x'" in told[other.id]


def test_a_stream_whose_name_is_no_text_is_told_of_and_the_rest_still_walked(
    tampered: Tampered,
) -> None:
    rich, tx = tampered.rich, tampered.tx
    expression, named = NO_TEXT, NO_TEXT_SHOWN
    if tx.client.dialect == "postgres":
        # Its text is always text, and here an id: one that no stream has.
        expression, named = f"'{LAST_ID}'", LAST_ID
    entries = tampered.verify().entries
    with without_checks(tampered, "audit_entries"):
        tampered.execute(
            f"UPDATE audit_entries SET stream_id = {expression}"
            " WHERE stream_id = :stream AND seq IN (2, 3)",
            stream=rich.fork.id,
        )
        tampered.execute("UPDATE projects SET name = 'x' WHERE id = :id", id=rich.project.id)
        report = tampered.verify()
        later = tampered.verify(after=rich.fork.id)
    assert report.entries == entries
    told = {problem.stream_id for problem in report.problems}
    assert told == {rich.fork.id, rich.project.id, named}
    assert named in {problem.stream_id for problem in later.problems}


def test_a_project_without_entries_is_named_even_if_its_id_is_no_text(tampered: Tampered) -> None:
    project, tx = tampered.rich.gone_project, tampered.tx
    expression, named = NO_TEXT, NO_TEXT_SHOWN
    if tx.client.dialect == "postgres":
        expression, named = f"'{LAST_ID}'", LAST_ID
    names = ", ".join(name for name in project.__struct_fields__ if name not in ("id", "slug"))
    with without_checks(tampered, "projects"):
        tampered.execute(
            f"INSERT INTO projects (id, slug, audit_seq, audit_head, {names})"
            f" SELECT {expression}, 'put-in', audit_seq, audit_head, {names} FROM projects"
            " WHERE id = :id",
            id=project.id,
        )
        assert tampered.problems() == [
            VerifyProblem(named, None, "all of the stream's entries are gone")
        ]


def test_long_changes_that_are_no_text_are_named(tampered: Tampered) -> None:
    rich, tx = tampered.rich, tampered.tx
    long = "a" * (forgedb.audit.verify.CHANGES_BYTES_MAX + 1)
    entry = tx.audit.record("scan.done", rich.fork.id, {"found": [None, long]})
    # PostgreSQL's text is always text: there it is another.
    edited = "CAST('{}' AS json)" if tx.client.dialect == "postgres" else f"changes || {NO_TEXT}"
    with without_checks(tampered, "audit_entries"):
        tampered.execute(f"UPDATE audit_entries SET changes = {edited} WHERE id = :id", id=entry.id)
        (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (rich.fork.id, entry.seq)


def test_a_note_of_an_ended_lease_that_was_edited_is_named(tampered: Tampered) -> None:
    last, *_ = (
        lease
        for lease in tampered.tx.leases.history(tampered.rich.repository.id).items
        if lease.end_note is not None
    )
    tampered.execute(
        "UPDATE leases SET end_note = 'another reason' WHERE id = :id",
        id=last.id,
    )
    (problem,) = tampered.problems()
    assert problem.seq == _last_entry_about(tampered, "lease", last.id).seq
    assert "has end_note 'another reason', not 'stuck'" in problem.what


def test_a_mirror_whose_run_was_wiped_past_the_audit_is_named(tampered: Tampered) -> None:
    mirror = tampered.rich.mirror
    tampered.execute(
        "UPDATE mirrors SET status = 'ok', run_token = NULL, run_deadline_at = NULL WHERE id = :id",
        id=mirror.id,
    )
    fields = {problem.what.split(" has ")[1].split()[0] for problem in tampered.problems()}
    assert fields == {"status", "run_token", "run_deadline_at"}


@pytest.mark.parametrize("kind", ["lease", "mirror", "relationship"])
def test_a_row_deleted_without_an_entry_is_named_with_the_last_one_about_it(
    tampered: Tampered, kind: str
) -> None:
    row = getattr(tampered.rich, kind)
    entry = _last_entry_about(tampered, kind, row.id)
    tampered.execute(f"DELETE FROM {TABLES[kind]} WHERE id = :id", id=row.id)
    assert tampered.problems() == [
        VerifyProblem(entry.stream_id, entry.seq, f"{kind} {row.id} is gone without an entry")
    ]


@pytest.mark.parametrize("kind", ["lease", "mirror", "relationship"])
def test_a_row_put_in_without_an_entry_is_named(tampered: Tampered, kind: str) -> None:
    row, table = getattr(tampered.rich, kind), TABLES[kind]
    changed = {
        "lease": {
            "fencing_token": "98",
            "ended_at": "acquired_at",
            "end_reason": "'released'",
            "ended_by": "holder",
        },
        "mirror": {"direction": "'push'"},
        "relationship": {"path": "'other'"},
    }[kind] | {"id": ":id"}
    columns = row.__struct_fields__
    values = ", ".join(changed.get(column, column) for column in columns)
    tampered.execute(
        f"INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {values} FROM {table} WHERE id = :there",
        id=FREE,
        there=row.id,
    )
    assert tampered.problems() == [
        VerifyProblem(tampered.rich.repository.id, None, f"{kind} {FREE} is there without an entry")
    ]


@pytest.mark.parametrize("kind", ["project", "repository"])
def test_a_project_or_repository_put_in_without_an_entry_is_named(
    tampered: Tampered, kind: str
) -> None:
    row, table = getattr(tampered.rich, kind), TABLES[kind]
    columns = (*row.__struct_fields__, "audit_seq", "audit_head")
    changed = {"id": ":id", "slug": "'put-in'", "audit_seq": "0"}
    values = ", ".join(changed.get(column, column) for column in columns)
    tampered.execute(
        f"INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {values} FROM {table} WHERE id = :there",
        id=FREE,
        there=row.id,
    )
    assert [(problem.stream_id, problem.seq) for problem in tampered.problems()] == [(FREE, None)]
    assert tampered.problems(FREE) != []


def test_objects_deleted_or_put_in_without_an_entry_are_counted(tampered: Tampered) -> None:
    stream = tampered.rich.repository.id
    deletions = {
        "DELETE FROM object_metadata WHERE repository_id = :id AND oid = :oid": 1,
        "DELETE FROM object_metadata WHERE repository_id = :id AND :oid <> ''": 0,
    }
    for text, left in deletions.items():
        with suppress(Undone), tampered.tx.transaction() as nested:
            again = Tampered(tampered.rich, nested)
            again.execute(text, id=stream, oid=OID)
            (problem,) = again.problems()
            assert (problem.stream_id, problem.seq) == (stream, None)
            assert problem.what == f"the repository has {left} objects, and its history 2"
            raise Undone
    tampered.execute(
        "INSERT INTO object_metadata (repository_id, oid, type, size, disk_size, created_at)"
        " SELECT repository_id, :oid, type, size, disk_size, created_at"
        " FROM object_metadata WHERE repository_id = :id AND oid = :there",
        id=stream,
        oid=bytes(reversed(OID)),
        there=OTHER_OID,
    )
    (problem,) = tampered.problems()
    assert problem.what == "the repository has 3 objects, and its history 2"


def test_an_entry_that_is_no_text_any_more_is_named_and_the_rest_still_read(
    tampered: Tampered,
) -> None:
    stream = tampered.rich.repository.id
    # PostgreSQL's text is always text, but its times go beyond Python's where no rule stops them.
    unreadable = "actor = CAST(x'ff' AS TEXT)"
    if tampered.tx.client.dialect == "postgres":
        unreadable = "at = '4000-01-01 BC'"
        tampered.tx.client.execute(
            "ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_at_check"
        )
    tampered.execute(
        f"UPDATE audit_entries SET {unreadable} WHERE stream_id = :stream AND seq = 3",
        stream=stream,
    )
    problems = tampered.problems()
    assert (problems[0].stream_id, problems[0].seq) == (stream, 3)
    assert problems[0].what.startswith("it can't be read: ")


# The era, and the tokens that it begins.


def test_an_era_that_no_entry_tells_of_is_named(tampered: Tampered) -> None:
    identity = tampered.tx.identity.get()
    tampered.execute("UPDATE database_identity SET era = era + 1")
    assert tampered.first() == (identity.id, None)


def test_an_era_that_was_set_back_is_named(tampered: Tampered) -> None:
    identity = tampered.tx.identity.get()
    era = tampered.tx.identity.advance_era("test").era
    assert tampered.problems() == []
    tampered.execute("UPDATE database_identity SET era = 1")
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (identity.id, 1)
    assert problem.what == f"database {identity.id} has era 1, not {era}"


def test_an_advance_that_was_taken_away_is_named(tampered: Tampered) -> None:
    identity = tampered.tx.identity.get()
    tampered.tx.identity.advance_era("test")
    tampered.execute("DELETE FROM audit_entries WHERE stream_id = :id", id=identity.id)
    assert tampered.first() == (identity.id, None)


def test_an_era_that_was_taken_away_with_its_entries_is_named_by_the_tokens_that_it_gave(
    tampered: Tampered,
) -> None:
    identity = tampered.tx.identity.get()
    era = tampered.tx.identity.advance_era("test").era
    tampered.tx.leases.force_release(tampered.rich.lease.id, "test")
    tampered.tx.leases.acquire(tampered.rich.repository.id)
    assert tampered.problems() == []
    tampered.execute("DELETE FROM audit_entries WHERE stream_id = :id", id=identity.id)
    tampered.execute(
        "UPDATE database_identity SET era = 0, audit_seq = 0, audit_head = :none", none=bytes(32)
    )
    for stream in (None, identity.id):
        (problem,) = tampered.problems(stream)
        assert (problem.stream_id, problem.seq) == (identity.id, None)
        assert problem.what == (
            f"fencing tokens of era {era} were given, and the era is 0: its entries were taken"
            " away, or it is a backup that was put in place (forgedb era advance)"
        )


def test_an_era_whose_entry_is_replaced_by_one_that_tells_nothing_is_named(
    tampered: Tampered,
) -> None:
    identity = tampered.tx.identity.get()
    tampered.tx.identity.advance_era("test")
    tampered.execute("DELETE FROM audit_entries WHERE stream_id = :id", id=identity.id)
    put_in(tampered, identity.id, 1)
    rehash(tampered, identity.id, 1, head=True)
    (problem,) = tampered.problems(identity.id)
    assert problem.what == "it has 1 rows of kind database, and its history tells of 0"


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("DELETE FROM database_identity", 0),
        (
            """
            INSERT INTO database_identity (id, era, audit_seq, audit_head, created_at)
            SELECT :id, -1, 0, audit_head, created_at FROM database_identity
            """,
            2,
        ),
    ],
    ids=["gone", "doubled"],
)
def test_an_identity_that_is_gone_or_not_the_only_one_is_named(
    tampered: Tampered, change: str, count: int
) -> None:
    tampered.execute(change, **({"id": FREE} if ":id" in change else {}))
    found = [problem.what for problem in tampered.tx.audit.verify().problems]
    assert [what for what in found if what.startswith(f"database_identity has {count} rows")]


@pytest.mark.parametrize(
    ("before", "token", "fits"),
    [
        (0, 1, True),
        (7, 8, True),
        (7, 9, False),
        (7, 7, False),
        (7, 6, False),
        (7, (1 << 32) - 1, False),
        (7, 1 << 32, True),
        (7, (1024 << 32) + 12345, True),
        ((1024 << 32) + 5, (1024 << 32) + 6, True),
        ((1024 << 32) + 5, (1024 << 32) + 7, False),
        ((1024 << 32) + 5, (1025 << 32) + 1, True),
        ((1024 << 32) + 5, (1023 << 32) + 9, False),
        ((1024 << 32) + 5, 6, False),
    ],
)
def test_a_token_follows_by_one_or_is_of_a_later_era(before: int, token: int, fits: bool) -> None:
    assert forgedb.audit.replay.follows(before, token) is fits


def test_a_token_that_follows_no_other_is_named(tampered: Tampered) -> None:
    """A forger makes the lease, its entry and all hashes fit: its token alone gives it away."""
    repository = tampered.rich.repository
    tampered.tx.leases.force_release(tampered.rich.lease.id, "test")
    lease = tampered.tx.leases.acquire(repository.id)
    forged, seq = lease.fencing_token + 5, tampered.last_seq(repository.id)
    tampered.execute(
        "UPDATE audit_entries SET changes = CAST(replace(CAST(changes AS text), :old, :new) AS"
        f" {'json' if tampered.tx.client.dialect == 'postgres' else 'text'})"
        " WHERE stream_id = :stream AND seq = :seq",
        old=f'"fencing_token":[null,{lease.fencing_token}]',
        new=f'"fencing_token":[null,{forged}]',
        stream=repository.id,
        seq=seq,
    )
    tampered.execute("UPDATE leases SET fencing_token = :t WHERE id = :id", t=forged, id=lease.id)
    tampered.execute(
        "UPDATE repositories SET lease_epoch = :t WHERE id = :id", t=forged, id=repository.id
    )
    rehash(tampered, repository.id, 1, head=True)
    (problem,) = tampered.problems()
    assert (problem.stream_id, problem.seq) == (repository.id, seq)
    assert problem.what == f"its fencing token {forged} doesn't follow {lease.fencing_token - 1}"
