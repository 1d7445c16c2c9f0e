"""Verifying what came after a signed checkpoint, on its word for what came before.

What was tampered with before it isn't looked for, which is shown too; whatever came later, and the
entry that the checkpoint names, is checked as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

import forgedb.audit.verify
from forgedb import AnchoredRange, Database, InvalidValue, NotFound, SigningKey, VerifyReport
from tests.conformance.attacking import Tampered, Undone, rehash, without_guards
from tests.conformance.conftest import Clock
from tests.conformance.reaching import DATABASES, EACH_DATABASE, Connect
from tests.conformance.rich import Rich, make_rich
from tests.conformance.values import FREE

KEY = SigningKey.generate()
OTHER_KEY = SigningKey.generate()
KEYS = [KEY.public_key]


class History(NamedTuple):
    """A rich history with two checkpoints; the first saw the repository up to ``seen``."""

    rich: Rich
    lines: list[str]
    seen: int
    again: int
    last: int
    young: str
    """A stream that no checkpoint saw."""


@pytest.fixture(scope="module", params=EACH_DATABASE)
def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[History]:
    clock = Clock()
    folder = tmp_path_factory.mktemp("since")
    with Connect(
        DATABASES[request.param], folder, lambda: request.getfixturevalue("postgres")
    ) as connect:
        db = connect.migrated(actor="user:ada", clock=clock)
        rich = make_rich(db, clock)
        stream = rich.repository.id
        seen = end_of(db, stream)
        lines = [db.audit.checkpoint(KEY).line]
        db.leases.release(db.acting_as("user:bob").leases.active(stream).id, "user:bob")
        db.repositories.update(stream, description="Later")
        again = end_of(db, stream)
        lines.append(db.audit.checkpoint(KEY).line)
        db.mirrors.update(rich.mirror.id, enabled=False)
        db.relationships.delete(rich.relationship.id)
        db.leases.acquire(stream)
        young = db.projects.create("young", "Young")
        last = end_of(db, stream)
        yield History(rich, lines, seen, again, last, young.id)
        assert db.audit.verify(public_keys=KEYS, anchors=lines).problems == []


def end_of(db: Database, stream: str) -> int:
    return max(entry.seq for entry in db.audit.list(stream=stream, limit=1000).items)


class Later(NamedTuple):
    """The history in the hands of an attacker, to be verified on a checkpoint's word."""

    history: History
    tampered: Tampered

    @property
    def stream(self) -> str:
        return self.history.rich.repository.id

    def verify(self, since: int = 1, **options: Any) -> VerifyReport:
        given = {"public_keys": KEYS, "since_checkpoint": since} | options
        return self.tampered.verify(**given)

    def named(self, since: int = 1, **options: Any) -> list[tuple[str | None, int | None]]:
        return [(each.stream_id, each.seq) for each in self.verify(since, **options).problems]

    def edit(self, seq: int, **fields: Any) -> None:
        self.tampered.execute(
            f"UPDATE audit_entries SET {', '.join(f'{name} = :{name}' for name in fields)}"
            " WHERE stream_id = :stream AND seq = :seq",
            stream=self.stream,
            seq=seq,
            **fields,
        )


@pytest.fixture
def later(history: History) -> Iterator[Later]:
    with without_guards(history.rich) as tampered:
        yield Later(history, tampered)


# What is read, and what is not.


def test_the_report_says_what_was_read_and_what_was_taken_on_trust(later: Later) -> None:
    history, whole = later.history, later.tampered.verify()
    report = later.verify()
    assert (report.ok, report.since_checkpoint) == (True, 1)
    assert report.streams == whole.streams
    assert report.entries + report.on_trust == whole.entries
    assert 0 < report.entries < whole.entries
    assert [each for each in report.ranges if each.stream_id == later.stream] == [
        AnchoredRange(later.stream, 1, history.seen - 1, 1, on_trust=True),
        AnchoredRange(later.stream, history.seen, history.again, 2),
        AnchoredRange(later.stream, history.again + 1, history.last, None),
    ]
    assert [each for each in report.ranges if each.stream_id == history.young] == [
        AnchoredRange(history.young, 1, 1, None)
    ]
    trusted = [each.last_seq for each in report.ranges if each.on_trust]
    assert sum(trusted) == report.on_trust


def test_the_later_the_checkpoint_the_less_is_read(later: Later) -> None:
    first, second = later.verify(1), later.verify(2)
    assert first.ok
    assert second.ok
    assert second.entries == first.entries - (later.history.again - later.history.seen)


def test_one_stream_alone_is_read_from_the_checkpoint_on(later: Later) -> None:
    report = later.verify(stream=later.stream)
    assert report.entries == later.history.last - later.history.seen + 1
    assert {each.stream_id for each in report.ranges} == {later.stream}
    young = later.verify(stream=later.history.young)
    assert (young.entries, young.on_trust) == (1, 0)


def test_however_much_is_read_at_once_the_report_is_the_same(
    later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    later.edit(later.history.seen + 1, actor="user:eve")
    expected = later.verify()
    for size in (1, 2, 3, 5):
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_BEGUN", size)
        monkeypatch.setattr(forgedb.audit.verify, "STREAMS_BEGUN", size)
        monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", size)
        monkeypatch.setattr(forgedb.audit.verify, "STREAMS_A_READ", size)
        assert later.verify() == expected


# What is found, and what is not.


def test_an_entry_that_was_edited_before_the_checkpoint_is_not_looked_for(later: Later) -> None:
    later.edit(later.history.seen - 2, actor="user:eve")
    assert later.named() == []
    (problem,) = later.tampered.problems()
    assert problem.seq == later.history.seen - 2


@pytest.mark.parametrize("place", [1, 2, -1])
def test_an_entry_that_was_edited_after_the_checkpoint_is_named(later: Later, place: int) -> None:
    seq = later.history.last if place == -1 else later.history.seen + place
    later.edit(seq, actor="user:eve")
    assert later.named() == [(later.stream, seq)]


def test_the_entry_that_the_checkpoint_names_is_checked_itself(later: Later) -> None:
    later.edit(later.history.seen, actor="user:eve")
    assert later.named() == [(later.stream, later.history.seen)]


def test_the_hash_that_it_was_made_with_is_checked_by_it(later: Later) -> None:
    later.edit(later.history.seen - 1, entry_hash=b"\7" * 32)
    assert later.named() == [(later.stream, later.history.seen)]


def test_an_entry_missing_before_the_one_that_it_names_is_missed(later: Later) -> None:
    later.tampered.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq = :seq",
        stream=later.stream,
        seq=later.history.seen - 1,
    )
    assert (later.stream, later.history.seen - 1) in later.named()


def test_a_stream_rewritten_from_before_the_checkpoint_is_contradicted_and_read_whole(
    later: Later,
) -> None:
    later.edit(2, actor="user:eve")
    rehash(later.tampered, later.stream, 1, head=True)
    report = later.verify()
    assert {each.stream_id for each in report.problems} == {later.stream}
    assert any("checkpoint 1 saw another entry" in each.what for each in report.problems)
    assert not any(each.stream_id == later.stream for each in report.ranges)


def test_an_end_that_was_cut_off_after_the_checkpoint_is_named(later: Later) -> None:
    later.tampered.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq > :seq",
        stream=later.stream,
        seq=later.history.again,
    )
    assert later.named(2) == [(later.stream, later.history.again + 1)]


def test_streams_without_their_rows_and_rows_without_their_streams_are_named(
    later: Later,
) -> None:
    later.tampered.execute("DELETE FROM projects WHERE id = :id", id=later.history.young)
    gone = later.history.rich.gone_project.id
    later.tampered.execute("DELETE FROM audit_entries WHERE stream_id = :stream", stream=gone)
    assert {stream for stream, _ in later.named()} == {later.history.young, gone}


def test_rows_are_compared_with_what_later_entries_tell_of_them(later: Later) -> None:
    rich = later.history.rich
    for text, params, what in (
        ("UPDATE repositories SET description = 'x' WHERE id = :id", {}, "has description 'x'"),
        ("UPDATE repositories SET lease_epoch = 99 WHERE id = :id", {}, "has lease_epoch 99"),
        ("UPDATE mirrors SET enabled = :no WHERE id = :mirror", {"no": True}, "has enabled True"),
        ("DELETE FROM mirrors WHERE id = :mirror", {}, "is gone without an entry"),
        ("UPDATE leases SET purpose = 'x' WHERE ended_at IS NULL", {}, "has purpose 'x'"),
    ):
        given = {"id": later.stream, "mirror": rich.mirror.id} | params
        named = {name: value for name, value in given.items() if f":{name}" in text}
        with suppress(Undone), later.tampered.tx.transaction() as nested:
            again = Later(later.history, Tampered(rich, nested))
            again.tampered.execute(text, **named)
            (problem,) = again.verify().problems
            assert what in problem.what
            assert problem.seq is not None
            assert problem.seq > later.history.seen
            raise Undone


def test_a_row_that_a_later_entry_deleted_may_not_be_there(later: Later) -> None:
    row = later.history.rich.relationship
    columns = ", ".join(row.__struct_fields__)
    values = ", ".join(f":{name}" for name in row.__struct_fields__)
    later.tampered.execute(
        f"INSERT INTO repository_relationships ({columns}) VALUES ({values})",
        **{name: getattr(row, name) for name in row.__struct_fields__},
    )
    (problem,) = later.verify().problems
    assert problem.what == f"relationship {row.id} is there without an entry"


def test_a_row_that_no_later_entry_tells_of_is_not_compared(later: Later) -> None:
    later.tampered.execute("UPDATE projects SET name = 'x' WHERE id = :id", id=_project(later))
    assert later.named() == []
    assert later.tampered.problems()[0].stream_id == _project(later)


def _project(later: Later) -> str:
    return later.history.rich.project.id


# The checkpoint itself.


def test_a_forged_checkpoint_is_named_and_nothing_is_taken_on_its_word(later: Later) -> None:
    later.tampered.execute(
        "UPDATE audit_checkpoints SET signature = :forged WHERE seq = 1", forged=bytes(64)
    )
    later.edit(3, actor="user:eve")
    report = later.verify()
    assert (report.problems[-1].checkpoint, report.on_trust) == (1, 0)
    assert (report.problems[0].stream_id, report.problems[0].seq) == (later.stream, 3)


def test_of_another_keys_checkpoint_nothing_is_taken(later: Later) -> None:
    report = later.verify(public_keys=[OTHER_KEY.public_key])
    assert (report.ok, report.on_trust) == (False, 0)


def test_the_line_that_was_kept_stands_for_one_that_is_gone(later: Later) -> None:
    later.tampered.execute("DELETE FROM audit_checkpoints WHERE seq = 2")
    report = later.verify(2, anchors=later.history.lines)
    assert [each.checkpoint for each in report.problems] == [2]
    assert report.on_trust > 0


def test_a_checkpoint_that_is_not_there_is_told_so(later: Later) -> None:
    with pytest.raises(NotFound) as raised:
        later.verify(3)
    assert raised.value.entity == "checkpoint"


@pytest.mark.parametrize("since", [0, -1, True, "1", 1.0, 2**63])
def test_a_checkpoint_that_is_no_number_is_refused(later: Later, since: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        later.verify(since)
    assert raised.value.field == "since_checkpoint"


def test_without_a_key_no_checkpoint_is_believed(later: Later) -> None:
    with pytest.raises(InvalidValue) as raised:
        later.verify(public_keys=[])
    assert raised.value.field == "public_keys"


# Going on after a stream.


@pytest.mark.parametrize("since", [None, 1])
def test_what_is_left_after_each_stream_makes_the_whole(later: Later, since: int | None) -> None:
    options = {"public_keys": KEYS, "since_checkpoint": since}
    tx = later.tampered.tx
    later.edit(later.history.last, actor="user:eve")
    whole = later.tampered.verify(**options)
    streams = sorted({entry.stream_id for entry in forgedb.every(tx.audit.list)})
    for number, stream in enumerate(streams, start=1):
        rest = later.tampered.verify(after=stream, **options)
        assert rest.streams == len(streams) - number
        assert rest.problems == [each for each in whole.problems if each.stream_id > stream]
        assert rest.ranges == [each for each in whole.ranges if each.stream_id > stream]


def test_one_stream_is_not_begun_in_the_middle(later: Later) -> None:
    with pytest.raises(InvalidValue) as raised:
        later.tampered.tx.audit.verify(later.stream, after=FREE)
    assert raised.value.field == "after"


@pytest.mark.parametrize("after", ["", "x", 3])
def test_going_on_after_what_is_no_stream_is_refused(later: Later, after: Any) -> None:
    with pytest.raises(InvalidValue):
        later.tampered.tx.audit.verify(after=after)


# How far it is.


@pytest.mark.parametrize("since", [None, 1])
def test_it_says_how_far_it_is(
    later: Later, since: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgedb.audit.verify, "ENTRIES_A_READ", 3)
    monkeypatch.setattr(forgedb.audit.verify, "STREAMS_A_READ", 1)
    told: list[Any] = []
    options = {"public_keys": KEYS, "since_checkpoint": since, "report": told.append}
    report = later.tampered.tx.audit.verify(**options)
    done = [each.done for each in told]
    assert done == sorted(done)
    assert (told[-1].done, told[-1].total) == (report.entries, report.entries)
    assert all(each.done <= each.total for each in told)
    assert told[-1].streams == report.streams
    through = [each.last_stream for each in told if each.last_stream is not None]
    assert len(set(through)) == report.streams - 1
    assert through == sorted(through)


def test_of_one_stream_it_says_how_far_it_is(later: Later) -> None:
    told: list[Any] = []
    later.tampered.tx.audit.verify(later.stream, report=told.append)
    assert (told[-1].done, told[-1].total) == (later.history.last, later.history.last)
