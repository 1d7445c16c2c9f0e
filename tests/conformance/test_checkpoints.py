"""Taking checkpoints: what each holds, how they follow on each other, and what is kept of them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import forgedb.audit.anchors
import forgedb.audit.checkpoint_steps
import forgedb.models
from forgedb import ActorRequired, Checkpoint, Database, InvalidValue, SigningKey
from forgedb.audit.checkpoint import FIRST_PREVIOUS
from forgedb.audit.merkle import root_of
from tests.conformance.conftest import Clock
from tests.conformance.reaching import DATABASES, Connect
from tests.conformance.rich import make_rich

KEY = SigningKey.generate()
KEYS = [KEY.public_key]


def taken(db: Database) -> Checkpoint:
    made = db.audit.checkpoint(KEY)
    assert made is not None
    return made


def heads(db: Database) -> list[str]:
    """Where every stream ends, read in another way."""
    ends: dict[str, Any] = {}
    for entry in forgedb.every(db.audit.list):
        if entry.seq > ends.get(entry.stream_id, (0, b""))[0]:
            ends[entry.stream_id] = (entry.seq, entry.entry_hash)
    return [f"{stream} {seq} {ends[stream][1].hex()}" for stream, (seq, _) in sorted(ends.items())]


def test_the_first_holds_the_head_of_every_stream(db: Database, clock: Clock) -> None:
    make_rich(db, clock)
    made = taken(db)
    assert made.heads == heads(db)
    assert (made.seq, made.at, made.format_version) == (1, clock.now, 1)
    assert (made.tree_size, made.previous_hash) == (len(made.heads), FIRST_PREVIOUS)
    assert made.root_hash == root_of(map(str.encode, made.heads))
    assert made.key_id == KEY.key_id


def test_the_next_holds_those_alone_that_have_changed_and_names_the_one_before(
    db: Database, clock: Clock
) -> None:
    first_project = db.projects.create("a", "A")
    db.projects.create("b", "B")
    first = taken(db)
    clock.pass_by(timedelta(hours=1))
    db.projects.update(first_project.id, name="Another")
    second = taken(db)
    assert (second.seq, second.previous_hash) == (2, first.checkpoint_hash)
    assert [head.split()[:2] for head in second.heads] == [[first_project.id, "2"]]
    assert second.at == clock.now


def test_where_nothing_has_changed_none_is_taken(db: Database) -> None:
    assert db.audit.checkpoint(KEY) is None
    db.projects.create("a", "A")
    taken(db)
    assert db.audit.checkpoint(KEY) is None
    assert db.client.query_value("SELECT count(*) FROM audit_checkpoints") == 1


def test_it_leaves_no_entry_and_changes_no_stream(db: Database) -> None:
    project = db.projects.create("a", "A")
    before = heads(db)
    taken(db)
    assert heads(db) == before
    assert db.projects.get(project.id) == project


def test_nobody_takes_one(connect: Connect) -> None:
    db = connect.migrated()
    with pytest.raises(ActorRequired):
        db.audit.checkpoint(KEY)


class Odd:
    key_id = ""

    def sign(self, message: bytes) -> bytes:
        return bytes(64)


def test_a_signer_without_a_name_is_refused_and_nothing_is_written(db: Database) -> None:
    db.projects.create("a", "A")
    with pytest.raises(InvalidValue):
        db.audit.checkpoint(Odd())
    assert taken(db).seq == 1


def test_a_transaction_that_is_undone_takes_its_checkpoint_with_it(db: Database) -> None:
    class Undone(Exception):
        pass

    db.projects.create("a", "A")
    with suppress(Undone), db.transaction() as tx:
        tx.projects.create("b", "B")
        assert tx.audit.checkpoint(KEY).tree_size == 2
        raise Undone
    assert (taken(db).seq, db.audit.checkpoint(KEY)) == (1, None)


def test_streams_that_do_not_fit_wait_for_the_next_however_often_others_change(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgedb.audit.checkpoint_steps, "CHECKPOINT_HEADS_MAX", 3)
    monkeypatch.setattr(forgedb.models, "CHECKPOINT_HEADS_MAX", 3)
    made = [db.projects.create(f"p{number}", "P") for number in range(7)]
    streams = []
    for expected_full in (True, True, False):
        checkpoint = taken(db)
        assert checkpoint.is_full is expected_full
        streams += [head.split()[0] for head in checkpoint.heads]
        for project in made[:3]:
            db.projects.update(project.id, name=f"P {len(streams)}")
    assert streams == [project.id for project in made]
    # Then it begins from the first again.
    assert [head.split()[0] for head in taken(db).heads] == [project.id for project in made[:3]]
    assert db.audit.checkpoint(KEY) is None
    assert db.audit.verify(public_keys=KEYS).ok


def test_many_streams_are_told_of_page_after_page(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        db.projects.create(f"p{number}", "P")
    lines = [taken(db).line]
    expected = db.audit.verify(public_keys=KEYS, anchors=lines)
    assert len(expected.ranges) == 7
    for size in (1, 2, 3, 7):
        monkeypatch.setattr(forgedb.audit.anchors, "HEADS_A_READ", size)
        monkeypatch.setattr(forgedb.audit.anchors, "STREAMS_A_READ", size)
        assert db.audit.verify(public_keys=KEYS, anchors=lines) == expected


# What is kept elsewhere.


def test_the_database_gives_the_same_lines_once_more(db: Database) -> None:
    lines = []
    for slug in ("a", "b", "c"):
        db.projects.create(slug, "P")
        lines.append(taken(db).line)
    for after in range(4):
        file = io.StringIO()
        assert db.audit.export_checkpoints(file, after) == 3 - after
        assert file.getvalue() == "".join(lines[after:])
    file_of_bytes = io.BytesIO()
    assert db.audit.export_checkpoints(file_of_bytes) == 3
    assert file_of_bytes.getvalue().decode() == "".join(lines)


@pytest.mark.parametrize("after", [-1, True, 2.0, "3", None, 10**30])
def test_checkpoints_after_what_is_no_number_are_refused(db: Database, after: Any) -> None:
    with pytest.raises(InvalidValue):
        db.audit.export_checkpoints(io.StringIO(), after)


def test_an_open_file_serves_as_anchors(db: Database, tmp_path: Path) -> None:
    db.projects.create("a", "A")
    path = tmp_path / "anchors.jsonl"
    path.write_text(taken(db).line)
    for mode in ("r", "rb"):
        with path.open(mode) as file:
            report = db.audit.verify(public_keys=KEYS, anchors=file)
        assert (report.problems, len(report.ranges)) == ([], 1)


def test_without_keys_nothing_is_said_of_what_is_anchored(db: Database) -> None:
    db.projects.create("a", "A")
    taken(db)
    assert db.audit.verify().ranges == []


@pytest.mark.parametrize("anchors", [[], ["\n"], [b"", b" \n"]])
def test_anchors_that_hold_nothing_are_refused(db: Database, anchors: list[Any]) -> None:
    with pytest.raises(InvalidValue) as raised:
        db.audit.verify(public_keys=KEYS, anchors=anchors)
    assert raised.value.field == "anchors"


def test_anchors_without_a_key_are_refused(db: Database) -> None:
    db.projects.create("a", "A")
    with pytest.raises(InvalidValue) as raised:
        db.audit.verify(anchors=[taken(db).line])
    assert raised.value.field == "public_keys"


# Several at once.


@pytest.fixture(params=[name for name, each in DATABASES.items() if "memory" not in name])
def several(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    with Connect(
        DATABASES[request.param], tmp_path, lambda: request.getfixturevalue("postgres")
    ) as connect:
        yield connect


def test_checkpoints_taken_at_once_make_one_chain_while_others_write(several: Connect) -> None:
    handles = [several.migrated(actor=f"user:{number}") for number in range(6)]
    takers, writers = handles[:3], handles[3:]
    made: list[Checkpoint] = []
    failed: list[BaseException] = []
    together = threading.Barrier(len(handles))

    def take(db: Database) -> None:
        for _ in range(6):
            checkpoint = db.audit.checkpoint(KEY)
            if checkpoint is not None:
                made.append(checkpoint)

    def write(db: Database) -> None:
        project = db.projects.create(f"p{db.actor[-1:]}", "P")
        for number in range(10):
            db.projects.update(project.id, name=f"P {number}")

    def run(work: Any, db: Database) -> None:
        try:
            together.wait()
            work(db)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(take, db)) for db in takers]
    threads += [threading.Thread(target=run, args=(write, db)) for db in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    last = handles[0].audit.checkpoint(KEY)
    made += [last] if last is not None else []
    made.sort(key=lambda checkpoint: checkpoint.seq)
    assert [checkpoint.seq for checkpoint in made] == list(range(1, len(made) + 1))
    before = FIRST_PREVIOUS
    for checkpoint in made:
        assert checkpoint.previous_hash == before
        before = checkpoint.checkpoint_hash
    all_heads = [head for checkpoint in made for head in checkpoint.heads]
    assert len(set(all_heads)) == len(all_heads)
    assert set(heads(handles[0])) <= set(all_heads)
    report = handles[0].audit.verify(public_keys=KEYS, anchors=[each.line for each in made])
    assert report.problems == []
    assert {each.checkpoint for each in report.ranges} <= {each.seq for each in made}


def test_two_at_once_do_not_sign_the_same_head_twice(several: Connect) -> None:
    one, other = (several.migrated(actor="user:ada") for _ in range(2))
    one.projects.create("a", "A")
    in_signing, go_on = threading.Event(), threading.Event()

    class Slow:
        key_id = KEY.key_id

        def sign(self, message: bytes) -> bytes:
            in_signing.set()
            assert go_on.wait(10)
            return KEY.sign(message)

    results: dict[str, Any] = {}
    first = threading.Thread(target=lambda: results.update(first=one.audit.checkpoint(Slow())))
    second = threading.Thread(target=lambda: results.update(second=other.audit.checkpoint(KEY)))
    first.start()
    assert in_signing.wait(10)
    second.start()
    second.join(0.3)
    assert results == {}
    go_on.set()
    first.join()
    second.join()
    assert (results["first"].seq, results["second"]) == (1, None)
