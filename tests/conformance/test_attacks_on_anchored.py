"""Attacks by someone who rewrites the history, hashes and heads too: signed checkpoints show it.

Of each attack the bare chain sees nothing, or not that it is one; the checkpoints that were kept
elsewhere name it.  What no checkpoint saw can't be known: that is shown too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from forgedb import AnchoredRange, Checkpoint, SigningKey, VerifyProblem, VerifyReport
from forgedb.audit.checkpoint import FIRST_PREVIOUS, from_line, signed
from tests.conformance.attacking import Tampered, put_in, rehash, renumber, without_guards
from tests.conformance.conftest import Clock
from tests.conformance.reaching import DATABASES, EACH_DATABASE, Connect
from tests.conformance.rich import Rich, make_rich
from tests.conformance.values import FREE

KEY = SigningKey.generate()
EVES_KEY = SigningKey.generate()


class Anchored(NamedTuple):
    """A history with two checkpoints, and entries after the second, that the attacker has got at.

    The repository's stream was anchored at ``seen``, at its ``last`` entry but one later, and has
    one entry that no checkpoint saw.
    """

    tampered: Tampered
    lines: list[str]
    seen: int
    last: int

    @property
    def repository(self) -> str:
        return self.tampered.rich.repository.id

    def execute(self, text: str, **params: Any) -> None:
        self.tampered.execute(text, **params)

    def verify(self, stream: str | None = None, **options: Any) -> VerifyReport:
        given = {"public_keys": [KEY.public_key], "anchors": self.lines} | options
        return self.tampered.verify(stream, **given)

    def named(self, **options: Any) -> list[VerifyProblem]:
        """What the checkpoints add to what the bare chain finds."""
        bare = self.tampered.problems()
        problems = self.verify(**options).problems
        assert problems[: len(bare)] == bare
        return problems[len(bare) :]

    def rewrite(self, stream: str | None = None) -> None:
        """Compute all hashes anew, and write the head."""
        stream = stream or self.repository
        rehash(self.tampered, stream, 1, head=True)

    def close_gap(self, first: int, count: int = -1) -> None:
        """Renumber the entries from ``first`` on, so that none seems to be missing."""
        numbers = range(first, self.tampered.last_seq(self.repository) + 1)
        renumber(self.tampered, {seq: seq + count for seq in numbers})

    def cut(self, stream: str, seq: int) -> None:
        """Take all entries after number ``seq`` away, and set the head back."""
        self.execute(
            "DELETE FROM audit_entries WHERE stream_id = :stream AND seq > :seq",
            stream=stream,
            seq=seq,
        )
        rehash(self.tampered, stream, seq + 1, head=True)


@pytest.fixture(scope="module", params=EACH_DATABASE)
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rich, list[str], int, int]]:
    clock = Clock()
    folder = tmp_path_factory.mktemp("anchored")
    with Connect(
        DATABASES[request.param], folder, lambda: request.getfixturevalue("postgres")
    ) as connect:
        db = connect.migrated(actor="user:ada", clock=clock)
        rich = make_rich(db, clock)
        lines = [db.audit.checkpoint(KEY).line]
        seen = int(head_of(lines[0], rich.repository.id))
        for number in range(3):
            db.audit.record("scan.done", rich.repository.id, {"found": [number, number + 1]})
        lines.append(db.audit.checkpoint(KEY).line)
        last = db.audit.record("scan.done", rich.repository.id, {"found": [3, 4]}).seq
        yield rich, lines, seen, last
        report = db.audit.verify(public_keys=[KEY.public_key], anchors=lines)
        assert report.problems == []


def head_of(line: str, stream: str) -> str:
    (seq,) = (head.split()[1] for head in json.loads(line)["heads"] if head.startswith(stream))
    return seq


@pytest.fixture
def anchored(kept: tuple[Rich, list[str], int, int]) -> Iterator[Anchored]:
    rich, lines, seen, last = kept
    with without_guards(rich) as tampered:
        yield Anchored(tampered, lines, seen, last)


# What is told of a history that nobody touched.


def test_the_report_says_which_entries_are_anchored_and_which_are_not_yet(
    anchored: Anchored,
) -> None:
    report = anchored.verify()
    assert report.problems == []
    of_repository = [each for each in report.ranges if each.stream_id == anchored.repository]
    assert of_repository == [
        AnchoredRange(anchored.repository, 1, anchored.last - 1, 2),
        AnchoredRange(anchored.repository, anchored.last, anchored.last, None),
    ]
    rest = [each for each in report.ranges if each.stream_id != anchored.repository]
    assert {each.checkpoint for each in rest} == {1}
    assert len(rest) == report.streams - 1
    assert anchored.verify(anchored.repository).ranges == of_repository
    assert sum(each.last_seq - each.first_seq + 1 for each in report.ranges) == report.entries


# Entries.


def test_an_edited_entry_with_all_hashes_made_anew(anchored: Anchored) -> None:
    anchored.execute(
        "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :stream AND seq = 4",
        stream=anchored.repository,
    )
    anchored.rewrite()
    assert anchored.tampered.problems() == []
    assert anchored.named() == [
        VerifyProblem(
            anchored.repository,
            1,
            f"it was rewritten between entries 1 and {anchored.seen}: checkpoint 1 saw another"
            f" entry {anchored.seen}",
            1,
        )
    ]


def test_an_edit_is_placed_between_the_checkpoints_that_it_came_between(
    anchored: Anchored,
) -> None:
    anchored.execute(
        "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :stream AND seq = :seq",
        stream=anchored.repository,
        seq=anchored.last - 2,
    )
    anchored.rewrite()
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen + 1)
    assert f"between entries {anchored.seen + 1} and {anchored.last - 1}" in problem.what


def test_an_edited_entry_whose_hash_was_left(anchored: Anchored) -> None:
    anchored.execute(
        "UPDATE audit_entries SET actor = 'user:eve' WHERE stream_id = :stream AND seq = 4",
        stream=anchored.repository,
    )
    (problem,) = anchored.verify().problems
    assert (problem.stream_id, problem.seq) == (anchored.repository, 4)


def test_an_entry_deleted_and_the_gap_closed(anchored: Anchored) -> None:
    gone = anchored.last - 2
    anchored.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq = :seq",
        stream=anchored.repository,
        seq=gone,
    )
    anchored.close_gap(gone + 1)
    anchored.rewrite()
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen + 1)
    assert "rewritten" in problem.what


def test_a_deleted_entry_whose_gap_was_left(anchored: Anchored) -> None:
    anchored.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq = :seq",
        stream=anchored.repository,
        seq=anchored.seen,
    )
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen)
    assert problem.what == f"it is missing: checkpoint 1 saw the stream up to entry {anchored.seen}"


def test_two_entries_swapped(anchored: Anchored) -> None:
    renumber(
        anchored.tampered,
        {anchored.last - 2: anchored.last - 1, anchored.last - 1: anchored.last - 2},
    )
    anchored.rewrite()
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen + 1)


def test_an_entry_put_in_between(anchored: Anchored) -> None:
    stream, last = anchored.repository, anchored.last
    renumber(anchored.tampered, {seq: seq + 1 for seq in range(last, last - 3, -1)})
    put_in(anchored.tampered, stream, last - 2)
    anchored.rewrite()
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (stream, anchored.seen + 1)


def test_the_beginning_of_a_stream_cut_off(anchored: Anchored) -> None:
    anchored.execute(
        "DELETE FROM audit_entries WHERE stream_id = :stream AND seq = 1",
        stream=anchored.repository,
    )
    anchored.close_gap(2)
    anchored.rewrite()
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, 1)
    assert "checkpoint 1 saw another entry" in problem.what


def test_the_end_of_a_stream_cut_off_and_its_head_set_back(anchored: Anchored) -> None:
    anchored.cut(anchored.repository, anchored.last - 2)
    assert anchored.tampered.problems() == []
    assert anchored.named() == [
        VerifyProblem(
            anchored.repository,
            anchored.last - 1,
            f"its end is cut: checkpoint 2 saw the stream up to entry {anchored.last - 1}",
            2,
        )
    ]


def test_an_end_cut_off_and_written_anew(anchored: Anchored) -> None:
    anchored.cut(anchored.repository, anchored.last - 3)
    for number in range(5):
        anchored.tampered.tx.audit.record("scan.done", anchored.repository, {"n": [0, number]})
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen + 1)
    assert "rewritten" in problem.what


def test_an_entry_moved_to_another_stream(anchored: Anchored) -> None:
    target = anchored.tampered.rich.fork.id
    anchored.execute(
        "UPDATE audit_entries SET stream_id = :target, seq = :arrives"
        " WHERE stream_id = :source AND seq = :seq",
        target=target,
        arrives=anchored.tampered.last_seq(target) + 1,
        source=anchored.repository,
        seq=anchored.last - 1,
    )
    anchored.close_gap(anchored.last)
    anchored.rewrite()
    anchored.rewrite(target)
    assert anchored.tampered.problems() == []
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (anchored.repository, anchored.seen + 1)
    # Where it arrived it stands behind all that was seen: as any new entry does.
    arrived = [each for each in anchored.verify().ranges if each.stream_id == target]
    assert [each.checkpoint for each in arrived] == [1, None]


# Streams, and all of them.


def test_a_whole_stream_gone_with_its_row(anchored: Anchored) -> None:
    stream = anchored.tampered.rich.gone_project.id
    count = anchored.tampered.last_seq(stream)
    anchored.execute("DELETE FROM audit_entries WHERE stream_id = :stream", stream=stream)
    anchored.execute("DELETE FROM projects WHERE id = :stream", stream=stream)
    assert anchored.tampered.problems() == []
    expected = VerifyProblem(
        stream,
        None,
        f"the whole stream is gone: checkpoint 1 saw the stream up to entry {count}",
        1,
    )
    assert anchored.named() == [expected]
    assert anchored.verify(stream).problems == [expected]


def test_all_entries_of_a_stream_gone_but_not_its_row(anchored: Anchored) -> None:
    stream = anchored.tampered.rich.gone_project.id
    anchored.execute("DELETE FROM audit_entries WHERE stream_id = :stream", stream=stream)
    (problem,) = anchored.named()
    assert (problem.stream_id, problem.seq) == (stream, None)
    assert problem.what.startswith("all of the stream's entries are gone: checkpoint 1 saw")


def test_a_database_rewritten_as_a_whole(anchored: Anchored) -> None:
    streams = {each.stream_id for each in anchored.verify().ranges}
    anchored.execute("UPDATE audit_entries SET actor = 'user:eve' WHERE actor <> ''")
    for stream in streams:
        anchored.rewrite(stream)
    anchored.execute("DELETE FROM audit_checkpoints WHERE seq > 0")
    eves = anchored.tampered.tx.audit.checkpoint(EVES_KEY)
    assert eves.tree_size == len(streams)
    assert anchored.tampered.problems() == []
    named = anchored.named()
    assert {problem.stream_id for problem in named} == {None, *streams}
    of_checkpoints = [(each.checkpoint, each.what) for each in named if each.stream_id is None]
    assert of_checkpoints == [
        (1, f"of the database: it names another key, {EVES_KEY.key_id}, than the one given"),
        (2, "it is missing from the database"),
    ]
    assert anchored.verify().ranges == []


def test_an_older_copy_put_in_the_place_of_the_database(anchored: Anchored) -> None:
    anchored.cut(anchored.repository, anchored.seen)
    anchored.execute("DELETE FROM audit_checkpoints WHERE seq = 2")
    assert anchored.tampered.problems() == []
    assert [(each.stream_id, each.seq, each.checkpoint) for each in anchored.named()] == [
        (None, None, 2),
        (anchored.repository, anchored.seen + 1, 2),
    ]


# Checkpoints.


@pytest.mark.parametrize("gone", [(1,), (2,), (1, 2)])
def test_checkpoints_missing_from_the_database(anchored: Anchored, gone: tuple[int, ...]) -> None:
    for seq in gone:
        anchored.execute("DELETE FROM audit_checkpoints WHERE seq = :seq", seq=seq)
    assert anchored.tampered.problems() == []
    assert anchored.named() == [
        VerifyProblem(None, None, "it is missing from the database", seq) for seq in gone
    ]
    # What they witness holds all the same.
    assert anchored.verify().ranges != []


def test_a_missing_checkpoint_shows_by_the_next_without_any_anchors(anchored: Anchored) -> None:
    anchored.execute("DELETE FROM audit_checkpoints WHERE seq = 1")
    (problem,) = anchored.named(anchors=None)
    assert (problem.checkpoint, problem.what) == (1, "it is missing from the database")


EDITS: dict[str, Any] = {
    "at": "2026-11-22T09:00:00.000000Z",
    "format_version": 2,
    "root_hash": bytes(32),
    "previous_hash": b"\1" * 32,
    "checkpoint_hash": bytes(32),
    "key_id": EVES_KEY.key_id,
    "signature": bytes(64),
}


@pytest.mark.parametrize("with_anchors", [True, False])
@pytest.mark.parametrize("field", EDITS)
def test_a_checkpoint_edited_in_the_database(
    anchored: Anchored, field: str, with_anchors: bool
) -> None:
    anchored.execute(
        f"UPDATE audit_checkpoints SET {field} = :value WHERE seq = 2", value=EDITS[field]
    )
    (problem, *others) = anchored.named() if with_anchors else anchored.named(anchors=None)
    assert (problem.stream_id, problem.checkpoint) == (None, 2)
    assert problem.what.startswith("of the database: ")
    assert others == []


def test_a_checkpoints_heads_edited_in_the_database_to_fit_a_cut(anchored: Anchored) -> None:
    stream, hidden = anchored.repository, anchored.last - 2
    anchored.cut(stream, hidden)
    head = anchored.tampered.tx.client.query_value(
        "SELECT audit_head FROM repositories WHERE id = :id", {"id": stream}
    )
    anchored.execute(
        "UPDATE audit_checkpoints SET heads = :heads WHERE seq = 2",
        heads=json.dumps([f"{stream} {hidden} {head.hex()}"]),
    )
    (of_checkpoint, of_stream) = anchored.named()
    assert "heads are not those that were signed" in of_checkpoint.what
    assert (of_stream.stream_id, of_stream.seq) == (stream, hidden + 1)


def forged(anchored: Anchored, key: Any) -> Checkpoint:
    """A checkpoint 2 over a history that was cut, by another's key."""
    first = from_line(anchored.lines[0])
    head = anchored.tampered.tx.client.query_value(
        "SELECT audit_head FROM repositories WHERE id = :id", {"id": anchored.repository}
    )
    heads = [f"{anchored.repository} {anchored.seen + 1} {head.hex()}"]
    return signed(2, first.at, heads, first.checkpoint_hash, key)


class Pretending:
    """Eve's key under the name of the true one."""

    key_id = KEY.key_id

    def sign(self, message: bytes) -> bytes:
        return EVES_KEY.sign(message)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (Pretending(), "it is forged: the key did not sign it"),
        (EVES_KEY, f"it names another key, {EVES_KEY.key_id}, than the one given"),
    ],
    ids=["under the true key's name", "under its own name"],
)
@pytest.mark.parametrize("with_anchors", [True, False])
def test_a_forged_checkpoint_in_the_database(
    anchored: Anchored, key: Any, what: str, with_anchors: bool
) -> None:
    anchored.cut(anchored.repository, anchored.seen + 1)
    made = forged(anchored, key)
    anchored.execute("DELETE FROM audit_checkpoints WHERE seq = 2")
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    fields["heads"] = json.dumps(made.heads)
    values = ", ".join(f":{name}" for name in fields)
    anchored.execute(f"INSERT INTO audit_checkpoints VALUES ({values})", **fields)
    assert anchored.tampered.problems() == []
    of_checkpoint, *of_streams = anchored.named() if with_anchors else anchored.named(anchors=None)
    assert of_checkpoint == VerifyProblem(None, None, f"of the database: {what}", 2)
    # What it hides is named where the true one was kept.
    assert [(each.stream_id, each.seq) for each in of_streams] == (
        [(anchored.repository, anchored.seen + 2)] if with_anchors else []
    )


def test_a_forged_line_among_the_anchors(anchored: Anchored) -> None:
    lines = [anchored.lines[0], forged(anchored, Pretending()).line]
    assert anchored.named(anchors=lines) == [
        VerifyProblem(None, None, "of the anchors: it is forged: the key did not sign it", 2)
    ]
    # The database's own is good, so that nothing is lost by it.
    assert any(each.checkpoint == 2 for each in anchored.verify(anchors=lines).ranges)


def test_a_forged_line_of_any_number_is_one_problem_or_two(anchored: Anchored) -> None:
    forgery = signed(2**62, from_line(anchored.lines[0]).at, [], FIRST_PREVIOUS, Pretending())
    problems = anchored.named(anchors=[*anchored.lines, forgery.line])
    assert {problem.checkpoint for problem in problems} == {3, 2**62}
    assert len(problems) <= 3


def test_another_history_signed_with_the_same_key(anchored: Anchored) -> None:
    first = from_line(anchored.lines[0])
    other = signed(2, first.at, first.heads, first.checkpoint_hash, KEY)
    problems = anchored.named(anchors=[anchored.lines[0], other.line])
    assert problems == [
        VerifyProblem(None, None, "the database holds another one than the anchors, signed too", 2)
    ]
    unchained = signed(2, first.at, first.heads, b"\1" * 32, KEY)
    anchored.execute("DELETE FROM audit_checkpoints WHERE seq = 2")
    assert [
        problem.what for problem in anchored.named(anchors=[anchored.lines[0], unchained.line])
    ] == [
        "it is missing from the database",
        "it doesn't follow on checkpoint 1, but on another",
    ]


def test_a_wrong_key_proves_nothing_and_says_so(anchored: Anchored) -> None:
    problems = anchored.named(public_keys=[EVES_KEY.public_key])
    assert problems == [
        VerifyProblem(
            None,
            None,
            f"of the anchors: it names another key, {KEY.key_id}, than the one given",
            seq,
        )
        for seq in (1, 2)
    ]
    report = anchored.verify(public_keys=[EVES_KEY.public_key])
    assert {each.checkpoint for each in report.ranges} == {None}


def test_several_keys_are_known_at_once(anchored: Anchored) -> None:
    third = anchored.tampered.tx.audit.checkpoint(EVES_KEY)
    keys = [KEY.public_key, EVES_KEY.public_key]
    assert anchored.named(public_keys=keys, anchors=[*anchored.lines, third.line]) == []
    assert len(anchored.named(anchors=None)) == 1


@pytest.mark.parametrize(
    ("heads", "what"),
    [
        ("{}", "heads make no sense"),
        ("5", "heads make no sense"),
        ("[1]", "heads make no sense"),
        ("[", "can't be read"),
    ],
)
def test_heads_that_are_no_list_are_reported_and_not_raised(
    anchored: Anchored, heads: str, what: str
) -> None:
    client = anchored.tampered.tx.client
    if client.dialect == "postgres":
        client.execute(
            "ALTER TABLE audit_checkpoints DROP CONSTRAINT audit_checkpoints_heads_check"
        )
        client.execute("ALTER TABLE audit_checkpoints ALTER heads TYPE text")
    else:
        client.execute("PRAGMA ignore_check_constraints = on")
    try:
        anchored.execute("UPDATE audit_checkpoints SET heads = :heads WHERE seq = 2", heads=heads)
        (problem,) = anchored.named()
    finally:
        if client.dialect == "sqlite":
            client.execute("PRAGMA ignore_check_constraints = off")
    assert problem.checkpoint == 2
    assert what in problem.what


# Lines.


def test_lines_that_hold_no_checkpoint_are_named(anchored: Anchored) -> None:
    problems = anchored.named(
        anchors=["garbage\n", anchored.lines[0], "\n", "{}\n", anchored.lines[1]]
    )
    assert [problem.what.split(":")[0] for problem in problems] == [
        "line 1 of the anchors can't be read",
        "line 3 of the anchors can't be read",
    ]


def test_lines_in_another_order_are_named(anchored: Anchored) -> None:
    for lines in (anchored.lines[::-1], [*anchored.lines, anchored.lines[0]]):
        (problem,) = anchored.named(anchors=lines)
        assert (problem.checkpoint, "after checkpoint 2" in problem.what) == (1, True)


def test_a_few_lines_are_enough_where_the_database_has_the_rest(anchored: Anchored) -> None:
    for lines in (anchored.lines[:1], anchored.lines[1:]):
        report = anchored.verify(anchors=lines)
        assert (report.problems, report.ranges) == ([], anchored.verify().ranges)


# What can't be found.


def test_what_was_removed_before_its_first_checkpoint_was_never_seen(anchored: Anchored) -> None:
    tx = anchored.tampered.tx
    before = anchored.verify()
    project = tx.projects.create("secret", "Secret")
    tx.audit.record("scan.done", anchored.repository, {"found": [4, 5]})
    assert len(anchored.verify().ranges) == len(before.ranges) + 1
    anchored.execute("DELETE FROM audit_entries WHERE stream_id = :id", id=project.id)
    anchored.execute("DELETE FROM projects WHERE id = :id", id=project.id)
    anchored.cut(anchored.repository, anchored.last)
    # Nobody can tell it from a history in which neither ever happened.
    assert anchored.verify() == before


def test_the_same_is_found_once_a_checkpoint_saw_it(anchored: Anchored) -> None:
    tx = anchored.tampered.tx
    project = tx.projects.create("secret", "Secret")
    anchored.lines.append(tx.audit.checkpoint(KEY).line)
    try:
        anchored.execute("DELETE FROM audit_entries WHERE stream_id = :id", id=project.id)
        anchored.execute("DELETE FROM projects WHERE id = :id", id=project.id)
        anchored.cut(anchored.repository, anchored.last - 1)
        assert [(each.stream_id, each.seq) for each in anchored.named()] == [
            (anchored.repository, anchored.last),
            (project.id, None),
        ]
    finally:
        anchored.lines.pop()


def test_a_stream_of_no_database_and_no_checkpoint_is_not_found(anchored: Anchored) -> None:
    with pytest.raises(LookupError):
        anchored.verify(FREE)
