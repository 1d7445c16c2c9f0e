"""The lease log: replayed in order and in one transaction, kept by line, and written out again."""

from __future__ import annotations

import io
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forgedb.dao.leases.log_import
from forgedb import (
    ActorRequired,
    Database,
    EndReason,
    InvalidValue,
    Lease,
    LeaseHeld,
    LineRefused,
    NotFound,
    Project,
    Repository,
    UnknownRepository,
    new_ulid,
)
from forgedb.lease_log.lines import parse
from forgedb.limits import LOG_LINE_BYTES_MAX
from tests.conformance.conftest import START, Clock
from tests.conformance.logs import (
    acquired,
    as_bytes,
    canonical,
    forced,
    histories,
    log,
    released,
    spellings,
)
from tests.conformance.reaching import DATABASES, Connect
from tests.conformance.values import FREE, actions, assert_refused, history

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
THEN = START - 30 * DAY
SOURCE = "/srv/leases.jsonl"


def leases_of(db: Database, repository_id: str) -> list[Lease]:
    return db.leases.history(repository_id, limit=1000).items


def exported(db: Database) -> bytes:
    file = io.BytesIO()
    db.leases.export(file)
    return file.getvalue()


def kept_lines(db: Database) -> list[tuple[Any, ...]]:
    return db.client.query(
        "SELECT source, line_number, line_sha256, event, legacy_lease_id, repository_id, lease_id"
        " FROM lease_import_lines ORDER BY source, line_number"
    )


def everything(db: Database) -> tuple[Any, ...]:
    """What an import could have changed."""
    tables = ("repositories", "leases", "audit_entries", "lease_import_lines")
    counts = [db.client.query_value(f"SELECT count(*) FROM {table}") for table in tables]
    open_leases = db.client.query_value("SELECT count(*) FROM leases WHERE ended_at IS NULL")
    return (*counts, open_leases)


# What comes of it.


def test_ended_leases_get_their_history_and_the_live_one_its_place(
    db: Database, repository: Repository
) -> None:
    done = db.leases.import_jsonl(
        log(
            acquired("l-1", repository.id, THEN),
            released("l-1", THEN + HOUR / 2),
            acquired("l-2", repository.id, THEN + HOUR, holder="user:eve", purpose=""),
            forced("l-2", THEN + HOUR + TICK, reason="she is on leave"),
            acquired("l-3", repository.id, THEN + 2 * HOUR),
            acquired("l-4", repository.id, START - HOUR, hours=72),
        ),
        SOURCE,
    )
    assert (done.source, done.lines, done.imported, done.leases) == (SOURCE, 6, 6, 4)
    assert (done.already_there, done.waiting, done.created, done.unknown) == (0, 0, [], [])
    first, second, third, live = leases_of(db, repository.id)
    assert first == Lease(
        id=first.id,
        repository_id=repository.id,
        holder="user:bob",
        purpose="nightly import",
        fencing_token=1,
        idempotency_key=None,
        acquired_at=THEN,
        expires_at=THEN + HOUR,
        ended_at=THEN + HOUR / 2,
        end_reason=EndReason.RELEASED,
        previous_lease_id=None,
        ended_by="user:bob",
        end_note=None,
    )
    assert (second.fencing_token, second.previous_lease_id) == (2, first.id)
    assert (second.end_reason, second.ended_by) == (EndReason.FORCED, "user:root")
    assert second.end_note == "she is on leave"
    assert (third.end_reason, third.ended_at) == (EndReason.EXPIRED, THEN + 3 * HOUR)
    assert (live.fencing_token, live.previous_lease_id) == (4, third.id)
    assert db.leases.active(repository.id) == live
    assert db.leases.require(repository.id, 4) == live
    with pytest.raises(LeaseHeld) as held:
        db.leases.acquire(repository.id)
    assert held.value.lease == live
    db.leases.release(live.id, "user:bob")
    assert db.leases.acquire(repository.id).fencing_token == 5


def test_every_event_is_audited_at_its_own_time_with_the_line_it_came_from(
    db: Database, repository: Repository
) -> None:
    db.leases.import_jsonl(
        log(
            acquired("l-1", repository.id, THEN),
            acquired("l-2", repository.id, THEN + 2 * HOUR),
            forced("l-2", THEN + 2 * HOUR, reason="stuck"),
        ),
        SOURCE,
    )
    first, second = leases_of(db, repository.id)
    entries = [*history(db, first.id), *history(db, second.id)]
    assert [(entry.action, entry.at, entry.actor) for entry in entries] == [
        ("lease.acquire", THEN, "user:ada"),
        ("lease.expire", THEN + 2 * HOUR, "user:ada"),
        ("lease.acquire", THEN + 2 * HOUR, "user:ada"),
        ("lease.force_release", THEN + 2 * HOUR, "user:ada"),
    ]
    assert [entry.changes["imported_from"] for entry in entries] == [
        [None, f"{SOURCE}:{line}"] for line in (1, 2, 2, 3)
    ]
    assert entries[-1].reason == "stuck"
    assert entries[2].changes["holder"] == [None, "user:bob"]


def test_each_line_is_kept_by_number_and_hash_without_its_end(
    db: Database, repository: Repository
) -> None:
    lines = [acquired("l-1", repository.id, THEN), released("l-1", THEN), acquired("x", "y", THEN)]
    db.leases.import_jsonl(log(*lines), SOURCE)
    (lease,) = leases_of(db, repository.id)
    assert kept_lines(db) == [
        (SOURCE, 1, hash_of(lines[0]), "acquired", "l-1", repository.id, lease.id),
        (SOURCE, 2, hash_of(lines[1]), "released", "l-1", None, lease.id),
        (SOURCE, 3, hash_of(lines[2]), "acquired", "x", "y", None),
    ]


def hash_of(line: dict[str, Any]) -> bytes:
    return sha256(as_bytes(line)).digest()


def test_a_lease_id_that_is_a_ulid_stays_and_another_gets_a_new_one(
    db: Database, repository: Repository
) -> None:
    db.leases.import_jsonl(
        log(
            acquired(FREE, repository.id, THEN),
            acquired(FREE.lower(), repository.id, THEN + HOUR),
        ),
        SOURCE,
    )
    kept, new = leases_of(db, repository.id)
    assert kept.id == FREE
    assert new.id != FREE.lower()
    assert [parse(line).lease_id for line in exported(db).splitlines()] == [FREE, FREE.lower()]


def test_the_histories_of_several_repositories_go_through_each_other(
    db: Database, project: Project, repository: Repository
) -> None:
    other = db.repositories.create(project.id, "web")
    db.leases.import_jsonl(
        log(
            acquired("a", repository.id, THEN),
            acquired("b", other.id, THEN),
            released("a", THEN),
            acquired("c", repository.id, THEN),
            released("b", THEN),
        ),
        SOURCE,
    )
    assert [lease.fencing_token for lease in leases_of(db, repository.id)] == [1, 2]
    assert [lease.fencing_token for lease in leases_of(db, other.id)] == [1]


# Again, and longer.


def test_a_log_that_was_imported_may_be_given_again(db: Database, repository: Repository) -> None:
    lines = [
        acquired("l-1", repository.id, THEN),
        released("l-1", THEN),
        acquired("l-2", repository.id, THEN),
    ]
    db.leases.import_jsonl(log(*lines), SOURCE)
    before = everything(db)
    again = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (again.lines, again.imported, again.already_there, again.leases) == (3, 0, 3, 0)
    assert everything(db) == before


def test_a_log_that_has_grown_brings_what_is_new(db: Database, repository: Repository) -> None:
    lines = [acquired("l-1", repository.id, THEN, hours=72)]
    db.leases.import_jsonl(log(*lines), SOURCE)
    (lease,) = leases_of(db, repository.id)
    lines += [released("l-1", THEN + HOUR), acquired("l-2", repository.id, THEN + HOUR)]
    done = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (done.lines, done.imported, done.already_there, done.leases) == (3, 2, 1, 1)
    ended, new = leases_of(db, repository.id)
    assert (ended.id, ended.end_reason) == (lease.id, EndReason.RELEASED)
    assert (new.fencing_token, new.previous_lease_id) == (2, lease.id)


def test_a_last_line_without_its_end_is_the_same_line_with_it(
    db: Database, repository: Repository
) -> None:
    line = as_bytes(acquired("l-1", repository.id, THEN))
    db.leases.import_jsonl(io.BytesIO(line), SOURCE)
    assert db.leases.import_jsonl(log(line), SOURCE).already_there == 1


def test_a_log_whose_imported_lines_changed_is_refused(
    db: Database, repository: Repository
) -> None:
    lines = [acquired("l-1", repository.id, THEN), released("l-1", THEN)]
    db.leases.import_jsonl(log(*lines), SOURCE)
    before = everything(db)
    with pytest.raises(LineRefused, match="has changed since") as refused:
        db.leases.import_jsonl(log(lines[0], released("l-1", THEN, by="user:eve")), SOURCE)
    assert (refused.value.source, refused.value.line) == (SOURCE, 2)
    with pytest.raises(LineRefused, match="the file ends at line 1: give the whole file"):
        db.leases.import_jsonl(log(lines[0]), SOURCE)
    with pytest.raises(LineRefused, match="has changed since"):
        db.leases.import_jsonl(log(acquired("l-9", repository.id, THEN), *lines), SOURCE)
    assert everything(db) == before


def test_a_log_under_another_name_brings_no_event_twice(
    db: Database, repository: Repository
) -> None:
    lines = [acquired("l-1", repository.id, THEN), released("l-1", THEN)]
    db.leases.import_jsonl(log(*lines), SOURCE)
    new = acquired("l-2", repository.id, THEN)
    done = db.leases.import_jsonl(log(*lines, new), "copy.jsonl")
    assert (done.imported, done.already_there) == (1, 2)
    assert [line[:2] for line in kept_lines(db)] == [(SOURCE, 1), (SOURCE, 2), ("copy.jsonl", 3)]
    before = everything(db)
    for changed in (
        [acquired("l-1", repository.id, THEN, holder="user:eve")],
        [lines[0], released("l-1", THEN + TICK)],
    ):
        with pytest.raises(LineRefused, match=rf"otherwise in {SOURCE}:{len(changed)}"):
            db.leases.import_jsonl(log(*changed), "third.jsonl")
    assert everything(db) == before


def test_a_part_of_a_log_goes_on_where_another_ended(db: Database, repository: Repository) -> None:
    db.leases.import_jsonl(log(acquired("l-1", repository.id, THEN)), "leases.1.jsonl")
    db.leases.import_jsonl(log(released("l-1", THEN)), "leases.2.jsonl")
    (lease,) = leases_of(db, repository.id)
    assert lease.end_reason is EndReason.RELEASED


# Repositories that aren't there.


def test_nothing_is_created_for_unknown_repositories_and_all_are_listed(
    db: Database, repository: Repository
) -> None:
    lines = [
        acquired("l-1", FREE, THEN),
        acquired("l-2", "platform/web", THEN),
        acquired("l-3", repository.id, THEN),
        released("l-1", THEN),
        acquired("l-4", FREE, THEN),
    ]
    done = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (done.imported, done.waiting, done.leases, done.created) == (1, 4, 1, [])
    assert done.unknown == [
        UnknownRepository(FREE, line=1, lines=3),
        UnknownRepository("platform/web", line=2, lines=1),
    ]
    assert db.client.query_value("SELECT count(*) FROM repositories") == 1
    again = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (again.imported, again.already_there, again.waiting) == (0, 1, 4)
    assert again.unknown == done.unknown


def test_waiting_lines_are_replayed_once_their_repository_is_there(
    db: Database, project: Project
) -> None:
    lines = [
        acquired("l-1", FREE, THEN),
        released("l-1", THEN),
        acquired("l-2", "platform/web", THEN),
    ]
    db.leases.import_jsonl(log(*lines), SOURCE)
    db.repositories.create(project.id, "api", id=FREE)
    done = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (done.imported, done.waiting) == (2, 1)
    (lease,) = leases_of(db, FREE)
    assert (lease.acquired_at, lease.end_reason) == (THEN, EndReason.RELEASED)
    web = db.repositories.create(project.id, "web")
    done = db.leases.import_jsonl(log(*lines), SOURCE)
    assert (done.imported, done.already_there, done.waiting) == (1, 2, 0)
    assert [line[6] for line in kept_lines(db)] == [
        lease.id,
        lease.id,
        leases_of(db, web.id)[0].id,
    ]


def test_missing_repositories_are_made_in_the_project_that_is_given(
    db: Database, project: Project, repository: Repository
) -> None:
    lines = [
        acquired("l-1", FREE, THEN),
        acquired("l-2", "Team One/Web", THEN),
        acquired("l-3", "platform/new", THEN),
        acquired("l-4", "platform/api", THEN),
        acquired("l-5", "4711", THEN),
    ]
    done = db.leases.import_jsonl(log(*lines), SOURCE, project.id)
    assert (done.imported, done.waiting, done.unknown) == (5, 0, [])
    assert [(made.slug, made.project_id) for made in done.created] == [
        (FREE.lower(), project.id),
        ("team-one-web", project.id),
        ("new", project.id),
        ("4711", project.id),
    ]
    assert done.created[0].id == FREE
    assert len(leases_of(db, repository.id)) == 1
    assert actions(db, FREE) == ["repository.create"]
    # Later the log says what each is called: renaming it here changes nothing.
    db.repositories.update(done.created[3].id, slug="renamed")
    grown = db.leases.import_jsonl(log(*lines, acquired("l-6", "4711", THEN + DAY)), SOURCE)
    assert (grown.imported, grown.waiting) == (1, 0)
    assert len(leases_of(db, done.created[3].id)) == 2


def test_a_repository_of_that_slug_in_the_project_is_taken(
    db: Database, project: Project, repository: Repository
) -> None:
    done = db.leases.import_jsonl(log(acquired("l-1", "API", THEN)), SOURCE, project.id)
    assert done.created == []
    assert len(leases_of(db, repository.id)) == 1


def test_two_repositories_of_a_log_never_become_one(db: Database, project: Project) -> None:
    lines = [acquired("l-1", "web app", THEN), acquired("l-2", "web-app!", THEN)]
    with pytest.raises(LineRefused, match="would become platform/web-app, as 'web app' did") as two:
        db.leases.import_jsonl(log(*lines), SOURCE, project.id)
    assert two.value.line == 2
    db.leases.import_jsonl(log(lines[0]), SOURCE, project.id)
    with pytest.raises(LineRefused, match="as 'web app' did"):
        db.leases.import_jsonl(log(lines[1]), "other.jsonl", project.id)
    with pytest.raises(LineRefused, match="no slug can be made of it"):
        db.leases.import_jsonl(log(acquired("l-3", "日本", THEN)), "third.jsonl", project.id)


def test_missing_repositories_are_made_in_a_live_project_alone(
    db: Database, project: Project
) -> None:
    db.projects.delete(project.id)
    for unknown in (project.id, FREE):
        with pytest.raises(NotFound):
            db.leases.import_jsonl(log(acquired("l-1", "x", THEN)), SOURCE, unknown)
    with pytest.raises(InvalidValue):
        db.leases.import_jsonl(log(), SOURCE, "platform")


# What stops it.


def bad_lines() -> list[Any]:
    good = acquired("l-1", FREE, THEN)
    text = as_bytes(good).decode()
    late = THEN + HOUR
    return [
        pytest.param([b"no json"], 1, "line", "no JSON", id="malformed"),
        pytest.param([good, b""], 2, "line", "empty", id="empty line"),
        pytest.param([b"[1]"], 1, "line", "JSON object", id="array"),
        pytest.param([b"[" * 60_000], 1, "line", "no JSON that can be read", id="deep"),
        pytest.param([text + text], 1, "line", "no JSON", id="two on a line"),
        pytest.param([b"\xef\xbb\xbf" + text.encode()], 1, "line", "byte order mark", id="BOM"),
        pytest.param(
            [text.replace("bob", "b\xff").encode("latin-1")], 1, "line", "UTF-8", id="latin"
        ),
        pytest.param(
            [text[:-1] + ', "at": "2026-01-01T00:00:00Z"}'], 1, "key", "twice", id="key twice"
        ),
        pytest.param([good | {"holder": "a\0b"}], 1, "holder", "NUL", id="NUL"),
        pytest.param([text.replace("bob", "\\ud800")], 1, "holder", "surrogate", id="surrogate"),
        pytest.param([good | {"purpose": "x" * LOG_LINE_BYTES_MAX}], 1, "line", "bytes", id="huge"),
        pytest.param([good | {"purpose": "x" * 1001}], 1, "purpose", "1000", id="long purpose"),
        pytest.param(
            [good | {"event": "renewed"}], 1, "event", "no such event", id="unknown event"
        ),
        pytest.param(
            [good | {"event": ["acquired"]}], 1, "event", "no such event", id="event list"
        ),
        pytest.param([good | {"ttl": 3}], 1, "ttl", "no such field", id="unknown field"),
        pytest.param(
            [{name: good[name] for name in good if name != "holder"}],
            1,
            "line",
            "no holder",
            id="no holder",
        ),
        pytest.param([good | {"lease_id": 7}], 1, "lease_id", "text", id="number"),
        pytest.param([good | {"lease_id": ""}], 1, "lease_id", "1 to 200", id="no id"),
        pytest.param([good | {"purpose": None}], 1, "purpose", "text", id="null"),
        pytest.param([good | {"at": "yesterday"}], 1, "at", "time with a zone", id="no time"),
        pytest.param([good | {"at": "2026-10-01T10:00:00"}], 1, "at", "zone", id="no zone"),
        pytest.param([good | {"at": "2026-02-30T10:00:00Z"}], 1, "at", "zone", id="no such day"),
        pytest.param(
            [good | {"at": "2026-10-01T10:00:00.1234567Z"}], 1, "at", "microseconds", id="too fine"
        ),
        pytest.param(
            [good | {"at": "0001-01-01T00:00:00+10:00"}], 1, "at", "zone", id="before all"
        ),
        pytest.param(
            [acquired("l-1", FREE, THEN, hours=0)], 1, "expires_at", "later", id="no time at all"
        ),
        pytest.param(
            [acquired("l-1", FREE, THEN, expires_at=(THEN + 72 * HOUR + TICK).isoformat())],
            1,
            "expires_at",
            "72 hours",
            id="longer than 72 hours",
        ),
        pytest.param(
            [good, released("l-1", THEN - TICK)], 2, "at", "goes backwards", id="time backwards"
        ),
        pytest.param(
            [acquired("l-1", FREE, START + timedelta(seconds=61))], 1, "at", "clock", id="future"
        ),
        pytest.param(
            [good, acquired("l-2", FREE, THEN + HOUR - TICK)],
            2,
            "lease_id",
            "overlaps lease l-1 of ",
            id="overlap",
        ),
        pytest.param(
            [released("l-1", THEN)], 1, "lease_id", "no lease of this id", id="unknown lease"
        ),
        pytest.param(
            [forced("l-1", THEN)], 1, "lease_id", "no lease of this id", id="unknown, forced"
        ),
        pytest.param([good, good], 2, "lease_id", "in line 1 already", id="lease twice"),
        pytest.param(
            [good, acquired("l-1", "x", late)], 2, "lease_id", "in line 1 already", id="id twice"
        ),
        pytest.param(
            [good, released("l-1", THEN), released("l-1", THEN)],
            3,
            "lease_id",
            "in line 2 already",
            id="released twice",
        ),
        pytest.param(
            [good, released("l-1", THEN), forced("l-1", THEN)],
            3,
            "lease_id",
            "ended at",
            id="ended twice",
        ),
        pytest.param([good, released("l-1", late)], 2, "at", "was over by then", id="late release"),
        pytest.param([good, forced("l-1", late)], 2, "at", "was over by then", id="late force"),
        pytest.param(
            [good, forced("l-1", THEN, reason="")], 2, "reason", "1 to 2000", id="no reason"
        ),
    ]


@pytest.mark.parametrize(("lines", "number", "field", "words"), bad_lines())
@pytest.mark.parametrize("name", ["sqlite-memory", "postgres"])
def test_a_log_stops_at_its_first_bad_line_and_nothing_of_it_stays(
    name: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    lines: list[Any],
    number: int,
    field: str,
    words: str,
) -> None:
    with Connect(DATABASES[name], tmp_path, lambda: request.getfixturevalue("postgres")) as connect:
        db = connect.migrated(actor="user:ada", clock=Clock())
        project = db.projects.create("platform", "Platform")
        # As well where the repository is unknown: what waits could not be corrected later.
        for known in (False, True):
            if known:
                db.repositories.create(project.id, "api", id=FREE)
            before = everything(db)
            with pytest.raises(LineRefused) as refused:
                db.leases.import_jsonl(log(*lines, b"and this is worse"), SOURCE)
            error = refused.value
            assert (error.source, error.line, error.field) == (SOURCE, number, field)
            assert str(error).startswith(f"{SOURCE}:{number}: {field} ")
            assert words in str(error)
            assert everything(db) == before


def test_a_torn_last_line_stops_it(db: Database, repository: Repository) -> None:
    whole = as_bytes(acquired("l-1", repository.id, THEN))
    for end in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(LineRefused, match="torn") as refused:
            db.leases.import_jsonl(io.BytesIO(whole + b"\n" + whole[:end]), SOURCE)
        assert refused.value.line == 2
    assert kept_lines(db) == []
    # What is wrong in a whole line is said, whether it has its end or not.
    wrong = as_bytes(acquired("l-1", repository.id, THEN, hours=73))
    with pytest.raises(LineRefused, match="72 hours"):
        db.leases.import_jsonl(io.BytesIO(wrong), SOURCE)


def test_an_old_lease_that_ran_out_makes_way_at_that_moment(
    db: Database, repository: Repository
) -> None:
    db.leases.import_jsonl(
        log(acquired("l-1", repository.id, THEN), acquired("l-2", repository.id, THEN + HOUR)),
        SOURCE,
    )
    first, second = leases_of(db, repository.id)
    assert (first.end_reason, first.ended_at) == (EndReason.EXPIRED, THEN + HOUR)
    assert second.acquired_at == THEN + HOUR


# Beside leases that were acquired here.


def test_a_log_goes_on_after_leases_that_were_acquired_here_but_not_before_them(
    db: Database, clock: Clock, repository: Repository
) -> None:
    clock.now = THEN
    own = db.leases.acquire(repository.id, duration=2 * HOUR)
    clock.now = START
    before = everything(db)
    for at, words in ((THEN + HOUR, "overlaps lease"), (THEN - DAY, "overlaps lease")):
        with pytest.raises(LineRefused, match=words):
            db.leases.import_jsonl(log(acquired("l-1", repository.id, at)), SOURCE)
    assert everything(db) == before
    db.leases.import_jsonl(log(acquired("l-1", repository.id, THEN + 2 * HOUR)), SOURCE)
    ended, imported = leases_of(db, repository.id)
    assert (ended.id, ended.end_reason) == (own.id, EndReason.EXPIRED)
    assert imported.fencing_token == 2
    with pytest.raises(LineRefused, match="overlaps"):
        db.leases.import_jsonl(log(acquired("l-0", repository.id, THEN)), "older.jsonl")


def test_nothing_is_put_in_before_a_history_that_has_ended(
    db: Database, clock: Clock, repository: Repository
) -> None:
    lease = db.leases.acquire(repository.id)
    clock.pass_by(HOUR)
    db.leases.release(lease.id)
    with pytest.raises(LineRefused, match="nothing can be put in before it"):
        db.leases.import_jsonl(log(acquired("l-1", repository.id, THEN)), SOURCE)


def test_a_lease_that_ended_here_is_not_ended_again_by_its_log(
    db: Database, repository: Repository
) -> None:
    began = acquired("l-1", repository.id, START - HOUR, hours=72)
    db.leases.import_jsonl(log(began), SOURCE)
    (lease,) = leases_of(db, repository.id)
    db.leases.force_release(lease.id, "moved")
    with pytest.raises(LineRefused, match=r"ended at .* already \(forced by user:ada\)"):
        db.leases.import_jsonl(log(began, released("l-1", START)), SOURCE)
    told = forced("l-1", START, by="user:ada", reason="moved")
    assert db.leases.import_jsonl(log(began, told), SOURCE).already_there == 2


def test_an_id_that_another_lease_has_is_refused(db: Database, repository: Repository) -> None:
    lease = db.leases.acquire(repository.id)
    with pytest.raises(LineRefused, match="another lease has this id, of user:ada"):
        db.leases.import_jsonl(log(acquired(lease.id, repository.id, START)), SOURCE)


@pytest.mark.parametrize("change", ["archived", "read_only", "deleted"])
def test_history_goes_to_any_repository_but_a_live_lease_to_an_active_one_alone(
    db: Database, repository: Repository, change: str
) -> None:
    if change == "deleted":
        db.repositories.delete(repository.id)
    else:
        db.repositories.update(repository.id, state=change)
    live = acquired("l-2", repository.id, START - HOUR, hours=72)
    past = acquired("l-1", repository.id, THEN)
    with pytest.raises(LineRefused, match="its repository is deleted, archived or read-only") as no:
        db.leases.import_jsonl(log(past, live), SOURCE)
    assert no.value.line == 2
    db.leases.import_jsonl(log(past, live, released("l-2", START)), SOURCE)
    assert len(leases_of(db, repository.id)) == 2


# Calls that can't work.


def test_a_log_is_read_as_bytes_and_has_a_name(
    db: Database, repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValue) as refused:
        db.leases.import_jsonl(io.StringIO("{}\n"), SOURCE)
    assert refused.value.field == "file"
    with pytest.raises(InvalidValue) as refused:
        db.leases.import_jsonl(log())
    assert refused.value.field == "source"
    for bad in ("", "x" * 1025, "é" * 1024 + "é", "日" * 1000, "a\0b", 7):
        assert_refused("source", bad, lambda bad=bad: db.leases.import_jsonl(log(), bad))
    db.leases.import_jsonl(log(acquired("l-1", repository.id, THEN)), "x" * 1024)
    path = tmp_path / "leases.jsonl"
    path.write_bytes(as_bytes(acquired("l-2", repository.id, THEN + DAY)))
    with path.open("rb") as file:
        assert db.leases.import_jsonl(file).source == str(path)


def test_an_import_needs_an_actor_and_an_export_none(db: Database, repository: Repository) -> None:
    nobody = db.acting_as(None)
    with pytest.raises(ActorRequired):
        nobody.leases.import_jsonl(log(), SOURCE)
    assert nobody.leases.export(io.BytesIO()) == 0


def test_an_import_in_a_transaction_that_fails_leaves_nothing(
    db: Database, repository: Repository
) -> None:
    before = everything(db)
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        assert tx.leases.import_jsonl(log(acquired("l-1", repository.id, THEN)), SOURCE).lines / 0
    assert everything(db) == before


# Writing it out again.


def test_an_export_has_all_leases_under_the_names_of_their_log(
    db: Database, clock: Clock, project: Project
) -> None:
    line = acquired("l-1", "platform/Old API", THEN)
    done = db.leases.import_jsonl(log(line), SOURCE, project.id)
    repository_id = done.created[0].id
    lease = db.leases.acquire(repository_id, purpose="as before")
    clock.pass_by(HOUR)
    db.leases.force_release(lease.id, "done")
    later = db.repositories.create(project.id, "later")
    own = db.leases.acquire(later.id)
    told = [parse(each) for each in exported(db).splitlines()]
    assert [each.lease_id for each in told] == ["l-1", lease.id, lease.id, own.id]
    names = [each.repository_id for each in told if hasattr(each, "repository_id")]
    assert names == ["platform/Old API", "platform/Old API", later.id]
    assert told[2].reason == "done"  # type: ignore[union-attr]
    text = io.StringIO()
    assert db.leases.export(text) == 4
    assert text.getvalue().encode() == exported(db)


def test_what_was_exported_is_all_there_already(
    db: Database, clock: Clock, project: Project
) -> None:
    db.leases.import_jsonl(log(acquired("l-1", "old", THEN)), SOURCE, project.id)
    repository = db.repositories.create(project.id, "own")
    lease = db.leases.acquire(repository.id)
    clock.pass_by(HOUR)
    db.leases.release(lease.id)
    before = exported(db)
    done = db.leases.import_jsonl(io.BytesIO(before), "export.jsonl")
    assert (done.lines, done.imported, done.already_there) == (3, 0, 3)
    assert exported(db) == before


class Fresh:
    """A context manager: a new database with one repository in its one project."""

    def __init__(self, name: str, request: pytest.FixtureRequest) -> None:
        self._folder = TemporaryDirectory()
        self._connect = Connect(
            DATABASES[name],
            Path(self._folder.name),
            lambda: request.getfixturevalue("postgres"),
        )

    def __enter__(self) -> tuple[Database, str]:
        self._db = self._connect.migrated(actor="user:ada", clock=Clock())
        project = self._db.projects.create("platform", "Platform")
        self._db.repositories.create(project.id, "api", id=FREE)
        return self._db, project.id

    def __exit__(self, *raised: object) -> None:
        try:
            if raised[0] is None:
                assert self._db.audit.verify().problems == []
        finally:
            self._connect.close()
            self._folder.cleanup()


@pytest.mark.parametrize("name", DATABASES)
def test_import_and_export_are_each_others_inverse(
    name: str, request: pytest.FixtureRequest
) -> None:
    """Whatever spelling a log has, its export is its one form, byte for byte, and stays so."""
    few = settings(
        max_examples=30 if name == "sqlite-memory" else 4,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )

    @few
    @given(st.data())
    def round_trip(data: st.DataObject) -> None:
        events = data.draw(histories((FREE, "platform/a b", new_ulid()), START))
        lines = [data.draw(spellings(event)) for event in events]
        cut = data.draw(st.integers(0, len(lines)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                forgedb.dao.leases.log_import, "CHUNK_LINES", data.draw(st.integers(1, 9))
            )
            patch.setattr(
                forgedb.dao.leases.log_export, "ENTRIES_A_READ", data.draw(st.integers(1, 9))
            )
            with Fresh(name, request) as (db, project_id):
                db.leases.import_jsonl(log(*lines[:cut]), SOURCE, project_id)
                db.leases.import_jsonl(log(*lines), SOURCE, project_id)
                assert exported(db) == canonical(events)
                first = histories_of(db)
            with Fresh(name, request) as (db, project_id):
                db.leases.import_jsonl(io.BytesIO(canonical(events)), SOURCE, project_id)
                assert exported(db) == canonical(events)
                assert histories_of(db) == first

    round_trip()


def histories_of(db: Database) -> list[list[tuple[Any, ...]]]:
    """All leases but for their ids, by repository and token."""
    found = db.client.query(
        "SELECT r.slug, l.fencing_token, l.holder, l.purpose, l.acquired_at, l.expires_at,"
        " l.ended_at, l.end_reason, l.ended_by, l.end_note"
        " FROM leases AS l JOIN repositories AS r ON r.id = l.repository_id"
        " ORDER BY r.slug, l.fencing_token"
    )
    return [[*row] for row in found]  # type: ignore[list-item]
