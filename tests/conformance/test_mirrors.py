"""Mirrors: added and changed, claimed when due, finished well or badly, and taken over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from forgedb import (
    ActorRequired,
    AlreadyExists,
    Conflict,
    Database,
    Direction,
    InvalidValue,
    LeaseLost,
    Mirror,
    MirrorStatus,
    NotFound,
    Project,
    Repository,
)
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import on_each_database
from tests.conformance.values import (
    BAD_LIMITS,
    BAD_ULIDS,
    FREE,
    actions,
    assert_list_pages_well,
    assert_refused,
    count_of_entries,
    history,
)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def mirror(db: Database, repository: Repository) -> Mirror:
    return db.mirrors.create(repository.id, "pull", "https://host/api", interval=HOUR)


def test_a_mirror_reads_back_as_it_was_returned(db: Database, repository: Repository) -> None:
    first_run_at = datetime(2027, 1, 1, 12, tzinfo=UTC)
    made = db.mirrors.create(
        repository.id,
        "push",
        "ssh://git@host:22/api.git",
        interval=timedelta(days=365),
        credential_ref="vault:forge/api",
        enabled=False,
        next_run_at=first_run_at,
    )
    assert made == Mirror(
        id=made.id,
        repository_id=repository.id,
        direction=Direction.PUSH,
        remote_url="ssh://git@host:22/api.git",
        credential_ref="vault:forge/api",
        enabled=False,
        interval_seconds=365 * 24 * 3600,
        status=MirrorStatus.NEVER,
        next_run_at=first_run_at,
        last_started_at=None,
        last_success_at=None,
        consecutive_failures=0,
        last_error=None,
        run_token=None,
        run_deadline_at=None,
        created_at=START,
        updated_at=START,
    )
    found = db.mirrors.get(made.id)
    assert found == made
    assert found.enabled is False
    assert found.interval == timedelta(days=365)


def test_a_mirror_with_an_interval_is_due_at_once_and_one_without_never(
    db: Database, repository: Repository
) -> None:
    assert db.mirrors.create(repository.id, "pull", "/a", interval=MINUTE).next_run_at == START
    by_hand = db.mirrors.create(repository.id, "push", "/a")
    assert (by_hand.interval, by_hand.next_run_at) == (None, None)


def test_a_time_of_another_zone_is_kept_as_the_same_moment(
    db: Database, repository: Repository
) -> None:
    at = datetime.fromisoformat("2026-12-01T10:00:00.5+05:30")
    made = db.mirrors.create(repository.id, "push", "/a", next_run_at=at)
    assert db.mirrors.get(made.id).next_run_at == at
    assert made.next_run_at is not None
    assert made.next_run_at.tzinfo is UTC


GOOD_URLS = [
    "https://host/org/api.git",
    "https://host:8443/org/api.git?ref=main&author=ada#readme",
    "git@host:org/api.git",
    "host:org/api.git",
    "ssh://git@[::1]:22/org/api.git",
    "git://host/@scope/api.git",
    "file:///srv/git/user@home/api.git",
    "/srv/back up/a@b.git",
    "../api.git",
    "C:\\git\\a@b.git",
    "https://höst/ä",
    "x" * 2048,
]


@on_each_database
@pytest.mark.parametrize("url", GOOD_URLS)
def test_an_address_that_git_takes_is_kept_as_it_is(
    db: Database, repository: Repository, url: str
) -> None:
    assert db.mirrors.get(db.mirrors.create(repository.id, "pull", url).id).remote_url == url


SECRET_URLS = [
    "https://ada:s3cret@host/api",
    "https://s3cret@host/api",
    "HTTPS://:s3cret@host",
    "https://ada:s3/cr?et@host/s3cret@x:s3cret@host",
    "ssh://git:s3cret@host/api",
    "hg::https://ada:s3cret@host/api",
    "https://host/api?access_token=s3cret",
    "https://host/api?a=1&Private-Token=s3cret&b=2",
    "https://host/api#password=s3cret",
    "1x://ada:s3cret@host/api",
    "proxy https://ada:s3cret@host/api",
    "ada:s3cret@host:api.git",
    "https://ada:s3cret@" + "h" * 3000,
    "https://ada:s3cret@host/nul\0",
]


@on_each_database
@pytest.mark.parametrize("url", SECRET_URLS)
def test_credentials_in_an_address_are_refused_and_never_shown(
    db: Database, repository: Repository, mirror: Mirror, url: str
) -> None:
    before = count_of_entries(db)
    for call in (
        lambda: db.mirrors.create(repository.id, "push", url),
        lambda: db.mirrors.update(mirror.id, remote_url=url),
    ):
        with pytest.raises(InvalidValue) as raised:
            call()
        assert raised.value.field == "remote_url"
        assert "s3cret" not in f"{raised.value} {raised.value!r} {raised.value.args}"
    assert count_of_entries(db) == before


@on_each_database
@pytest.mark.parametrize(
    "url", ["", "x" * 2049, "--upload-pack=x", "a\nb", "a\x7f", "a\0b", "\ud800", None, 7, b"a"]
)
def test_what_is_no_address_is_refused(db: Database, repository: Repository, url: Any) -> None:
    with pytest.raises(InvalidValue) as raised:
        db.mirrors.create(repository.id, "pull", url)
    assert raised.value.field == "remote_url"


def test_a_mirror_of_bad_values_is_refused(
    db: Database, repository: Repository, mirror: Mirror
) -> None:
    create = partial(db.mirrors.create, repository.id, "push", "/a")
    update = partial(db.mirrors.update, mirror.id)
    bad: dict[str, list[Any]] = {
        "interval": [
            timedelta(seconds=59),
            timedelta(days=365, seconds=1),
            timedelta(minutes=1, microseconds=1),
            -HOUR,
            3600,
            "1h",
        ],
        "credential_ref": ["", "x" * 201, "a\0", 7],
        "enabled": [1, 0, "yes", None],
        "next_run_at": [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 7],  # noqa: DTZ001
    }
    for field, values in bad.items():
        for value in values:
            assert_refused(
                field, value, partial(create, **{field: value}), partial(update, **{field: value})
            )
    for direction in ("", "PULL", "both", None, 1):
        assert_refused(
            "direction", direction, partial(db.mirrors.create, repository.id, direction, "/a")
        )
    assert db.mirrors.list(repository.id).items == [mirror]


def test_malformed_ids_are_refused(db: Database, mirror: Mirror) -> None:
    for bad in BAD_ULIDS:
        assert_refused(
            "mirror_id",
            bad,
            partial(db.mirrors.get, bad),
            partial(db.mirrors.update, bad, enabled=True),
            partial(db.mirrors.delete, bad),
            partial(db.mirrors.finish, bad, FREE),
        )
        assert_refused(
            "repository_id",
            bad,
            partial(db.mirrors.create, bad, "pull", "/a"),
            partial(db.mirrors.list, bad),
        )
        assert_refused("run_token", bad, partial(db.mirrors.finish, mirror.id, bad))


def test_what_is_not_there_is_named(db: Database) -> None:
    for call in (
        lambda: db.mirrors.get(FREE),
        lambda: db.mirrors.update(FREE, enabled=True),
        lambda: db.mirrors.delete(FREE),
        lambda: db.mirrors.finish(FREE, FREE),
    ):
        with pytest.raises(NotFound) as raised:
            call()
        assert (raised.value.entity, raised.value.key) == ("mirror", FREE)
    with pytest.raises(NotFound) as raised:
        db.mirrors.create(FREE, "pull", "/a")
    assert (raised.value.entity, raised.value.key) == ("repository", FREE)


def test_a_repository_follows_one_source_alone(
    db: Database, repository: Repository, mirror: Mirror
) -> None:
    with pytest.raises(AlreadyExists, match="to pull from already") as raised:
        db.mirrors.create(repository.id, "pull", "https://other/api")
    assert raised.value.constraint == "mirrors_one_pull_per_repository"
    assert db.mirrors.list(repository.id).items == [mirror]


def test_the_same_mirror_is_not_added_twice(
    db: Database, repository: Repository, mirror: Mirror
) -> None:
    pushed = db.mirrors.create(repository.id, "push", mirror.remote_url)
    with pytest.raises(AlreadyExists, match="push mirror of https://host/api") as created:
        db.mirrors.create(repository.id, "push", mirror.remote_url)
    other = db.mirrors.create(repository.id, "push", "https://other/api")
    with pytest.raises(AlreadyExists) as updated:
        db.mirrors.update(other.id, remote_url=mirror.remote_url)
    assert created.value.constraint == updated.value.constraint == "mirrors_one_per_remote"
    assert db.mirrors.list(repository.id).items == [mirror, pushed, other]


def test_a_list_is_of_one_repository_and_pages_by_key(
    db: Database, project: Project, repository: Repository
) -> None:
    other = db.repositories.create(project.id, "other")
    for number in range(5):
        db.mirrors.create(repository.id, "push", f"/{number}")
        db.mirrors.create(other.id, "push", f"/{number}")
    assert_list_pages_well(partial(db.mirrors.list, repository.id))
    assert {each.repository_id for each in db.mirrors.list(other.id).items} == {other.id}
    assert db.mirrors.list(FREE).items == []


def test_every_field_that_may_change_does(db: Database, mirror: Mirror, clock: Clock) -> None:
    at = clock.pass_by(MINUTE)
    changed = db.mirrors.update(
        mirror.id,
        remote_url="https://new/api",
        credential_ref="vault:new",
        enabled=False,
        interval=2 * HOUR,
        next_run_at=START + 5 * HOUR,
    )
    assert db.mirrors.get(mirror.id) == changed
    assert (changed.remote_url, changed.credential_ref, changed.enabled, changed.interval) == (
        "https://new/api",
        "vault:new",
        False,
        2 * HOUR,
    )
    assert (changed.next_run_at, changed.updated_at) == (START + 5 * HOUR, at)
    cleared = db.mirrors.update(mirror.id, credential_ref=None, next_run_at=None)
    assert (cleared.credential_ref, cleared.next_run_at) == (None, None)


@on_each_database
@pytest.mark.parametrize("field", ["direction", "status", "interval_seconds", "run_token", "id"])
def test_what_is_fixed_or_unknown_is_not_updated(db: Database, mirror: Mirror, field: str) -> None:
    with pytest.raises(InvalidValue, match="no such field to update") as raised:
        db.mirrors.update(mirror.id, **{field: "push"})
    assert raised.value.field == field


def test_an_update_to_the_same_values_writes_nothing(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    clock.pass_by(MINUTE)
    assert db.mirrors.update(mirror.id, interval=HOUR, enabled=True) == mirror
    assert db.mirrors.update(mirror.id) == mirror
    assert actions(db, mirror.id) == ["mirror.create"]


def test_a_new_interval_only_ever_brings_the_next_run_forward(
    db: Database, repository: Repository, clock: Clock
) -> None:
    made = db.mirrors.create(
        repository.id, "pull", "/a", interval=4 * HOUR, next_run_at=START + 4 * HOUR
    )
    assert db.mirrors.update(made.id, interval=HOUR).next_run_at == START + HOUR
    assert db.mirrors.update(made.id, interval=9 * HOUR).next_run_at == START + HOUR
    assert db.mirrors.update(made.id, interval=None).next_run_at is None
    at = clock.pass_by(MINUTE)
    assert db.mirrors.update(made.id, interval=HOUR).next_run_at == at


def test_a_deleted_mirror_is_returned_as_it_was_and_its_history_stays(
    db: Database, mirror: Mirror
) -> None:
    assert db.mirrors.delete(mirror.id) == mirror
    with pytest.raises(NotFound):
        db.mirrors.get(mirror.id)
    with pytest.raises(NotFound):
        db.mirrors.delete(mirror.id)
    _, deleted = history(db, mirror.id)
    assert deleted.action == "mirror.delete"
    assert deleted.changes["remote_url"] == ["https://host/api", None]
    again = db.mirrors.create(mirror.repository_id, "pull", mirror.remote_url)
    assert again.id != mirror.id


def test_a_mirror_that_is_due_is_claimed_with_a_token_and_a_deadline(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    at = clock.pass_by(MINUTE)
    (claimed,) = db.mirrors.claim_due(10, timedelta(minutes=30))
    deadline = at + timedelta(minutes=30)
    assert claimed == db.mirrors.get(mirror.id)
    assert claimed.status is MirrorStatus.RUNNING
    assert claimed.run_token is not None
    assert (claimed.last_started_at, claimed.run_deadline_at) == (at, deadline)
    assert (claimed.consecutive_failures, claimed.last_error) == (0, None)
    assert db.mirrors.claim_due(10, HOUR) == []


def test_a_mirror_is_due_from_its_time_on_and_not_a_microsecond_before(
    db: Database, repository: Repository, clock: Clock
) -> None:
    due_at = START + HOUR
    made = db.mirrors.create(repository.id, "pull", "/a", next_run_at=due_at)
    clock.now = due_at - timedelta(microseconds=1)
    assert db.mirrors.claim_due(1, HOUR) == []
    clock.now = due_at
    assert [each.id for each in db.mirrors.claim_due(1, HOUR)] == [made.id]


def test_the_longest_due_are_claimed_first_up_to_the_limit(
    db: Database, project: Project, clock: Clock
) -> None:
    made = []
    for number, age in enumerate([3, 1, 4, 1, 5]):
        repository = db.repositories.create(project.id, f"r{number % 3}{number}")
        at = START - timedelta(hours=age)
        made.append(db.mirrors.create(repository.id, "pull", "/a", next_run_at=at))
    first = db.mirrors.claim_due(2, HOUR)
    assert [each.id for each in first] == [made[4].id, made[2].id]
    rest = db.mirrors.claim_due(1000, HOUR)
    assert [each.id for each in rest] == [made[0].id, made[1].id, made[3].id]
    tokens = {each.run_token for each in first + rest}
    assert len(tokens) == 5


def test_several_mirrors_of_one_repository_are_claimed_together(
    db: Database, repository: Repository
) -> None:
    made = [
        db.mirrors.create(repository.id, "push", f"/{number}", interval=HOUR) for number in range(3)
    ]
    claimed = db.mirrors.claim_due(10, HOUR)
    assert [each.id for each in claimed] == [each.id for each in made]
    assert [entry.seq for entry in history(db, made[2].id)] == [4, 7]


def test_what_is_disabled_by_hand_or_deleted_is_never_due(
    db: Database, project: Project, repository: Repository, mirror: Mirror
) -> None:
    db.mirrors.update(mirror.id, enabled=False)
    db.mirrors.create(repository.id, "push", "/by/hand")
    gone = db.repositories.create(project.id, "gone")
    db.mirrors.create(gone.id, "pull", "/a", interval=HOUR)
    db.repositories.delete(gone.id)
    assert db.mirrors.claim_due(10, HOUR) == []
    db.mirrors.update(mirror.id, enabled=True)
    assert [each.id for each in db.mirrors.claim_due(10, HOUR)] == [mirror.id]


def test_what_is_never_due_stands_in_nobodys_way(
    db: Database, project: Project, repository: Repository, mirror: Mirror
) -> None:
    early = START - HOUR
    gone = db.repositories.create(project.id, "gone")
    db.mirrors.create(gone.id, "pull", "/a", next_run_at=early)
    db.repositories.delete(gone.id)
    db.mirrors.create(repository.id, "push", "/a", next_run_at=early, enabled=False)
    assert [each.id for each in db.mirrors.claim_due(1, HOUR)] == [mirror.id]


def test_a_run_that_went_well_is_followed_by_one_an_interval_later(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    assert claimed.run_token is not None
    at = clock.pass_by(MINUTE)
    finished = db.mirrors.finish(mirror.id, claimed.run_token)
    assert finished == db.mirrors.get(mirror.id)
    assert finished.status is MirrorStatus.OK
    assert (finished.last_started_at, finished.last_success_at) == (START, at)
    assert finished.next_run_at == at + HOUR
    assert (finished.run_token, finished.run_deadline_at) == (None, None)
    assert db.mirrors.claim_due(1, HOUR) == []
    clock.pass_by(HOUR)
    assert len(db.mirrors.claim_due(1, HOUR)) == 1


def test_failures_are_counted_until_a_run_goes_well(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    for failures in (1, 2):
        (claimed,) = db.mirrors.claim_due(1, HOUR)
        assert claimed.run_token is not None
        failed = db.mirrors.finish(mirror.id, claimed.run_token, error=f"timeout {failures}")
        assert failed.status is MirrorStatus.FAILED
        assert (failed.consecutive_failures, failed.last_error) == (failures, f"timeout {failures}")
        assert (failed.last_success_at, failed.next_run_at) == (None, clock.now + HOUR)
        clock.pass_by(HOUR)
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    assert claimed.run_token is not None
    well = db.mirrors.finish(mirror.id, claimed.run_token)
    assert (well.status, well.consecutive_failures, well.last_error) == (MirrorStatus.OK, 0, None)


def test_a_mirror_by_hand_runs_once_when_it_is_told_to(
    db: Database, repository: Repository, clock: Clock
) -> None:
    by_hand = db.mirrors.create(repository.id, "push", "/a")
    db.mirrors.update(by_hand.id, next_run_at=clock.now)
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    assert claimed.run_token is not None
    assert db.mirrors.finish(by_hand.id, claimed.run_token).next_run_at is None


def test_a_run_past_its_deadline_is_taken_over_and_counts_as_a_failure(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    (dead,) = db.mirrors.claim_due(1, MINUTE)
    clock.pass_by(MINUTE - timedelta(microseconds=1))
    assert db.mirrors.claim_due(1, MINUTE) == []
    clock.pass_by(timedelta(microseconds=1))
    (taken_over,) = db.mirrors.claim_due(1, HOUR)
    assert taken_over.run_token not in (None, dead.run_token)
    assert taken_over.consecutive_failures == 1
    assert taken_over.last_error is not None
    assert "2026-11-22 10:00:00" in taken_over.last_error
    assert dead.run_token is not None
    with pytest.raises(LeaseLost, match=mirror.id) as raised:
        db.mirrors.finish(mirror.id, dead.run_token)
    assert raised.value.why == "superseded"
    assert db.mirrors.get(mirror.id) == taken_over


def test_a_late_run_may_still_finish_while_nobody_took_it_over(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    (late,) = db.mirrors.claim_due(1, MINUTE)
    clock.pass_by(HOUR)
    assert late.run_token is not None
    assert db.mirrors.finish(mirror.id, late.run_token).status is MirrorStatus.OK


def test_a_run_ends_only_once_and_only_by_its_own_token(db: Database, mirror: Mirror) -> None:
    with pytest.raises(LeaseLost) as never_begun:
        db.mirrors.finish(mirror.id, FREE)
    assert never_begun.value.why == "ended"
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    with pytest.raises(LeaseLost) as another:
        db.mirrors.finish(mirror.id, FREE)
    assert another.value.why == "superseded"
    assert claimed.run_token is not None
    db.mirrors.finish(mirror.id, claimed.run_token)
    with pytest.raises(LeaseLost) as twice:
        db.mirrors.finish(mirror.id, claimed.run_token, error="late")
    assert twice.value.why == "ended"
    assert actions(db, mirror.id) == ["mirror.create", "mirror.claim", "mirror.finish"]


def test_a_run_can_finish_also_when_its_repository_was_deleted_or_it_was_disabled(
    db: Database, repository: Repository, mirror: Mirror
) -> None:
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    db.mirrors.update(mirror.id, enabled=False)
    db.repositories.delete(repository.id)
    assert claimed.run_token is not None
    assert db.mirrors.finish(mirror.id, claimed.run_token).status is MirrorStatus.OK


def test_a_running_mirror_follows_its_new_interval_when_it_has_finished(
    db: Database, mirror: Mirror, clock: Clock
) -> None:
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    changed = db.mirrors.update(mirror.id, interval=MINUTE, remote_url="/new")
    assert changed.next_run_at == claimed.run_deadline_at
    with pytest.raises(Conflict, match="is running") as raised:
        db.mirrors.update(mirror.id, next_run_at=clock.now)
    assert raised.value.constraint == "mirrors.next_run_at"
    assert claimed.run_token is not None
    assert db.mirrors.finish(mirror.id, claimed.run_token).next_run_at == clock.now + MINUTE


def test_bad_values_of_a_run_are_refused(db: Database, mirror: Mirror) -> None:
    for limit in BAD_LIMITS:
        assert_refused("limit", limit, partial(db.mirrors.claim_due, limit, HOUR))
    for span in (timedelta(0), -HOUR, timedelta(milliseconds=999), timedelta(days=8), 3600, None):
        assert_refused("run_for", span, partial(db.mirrors.claim_due, 1, span))
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    for error in ("", "e" * 10_001, "a\0", 7):
        assert_refused(
            "error", error, partial(db.mirrors.finish, mirror.id, claimed.run_token, error)
        )
    assert db.mirrors.get(mirror.id) == claimed


def test_each_change_leaves_an_entry_in_the_repositorys_stream(
    db: Database, repository: Repository, mirror: Mirror
) -> None:
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    assert claimed.run_token is not None
    db.mirrors.finish(mirror.id, claimed.run_token, error="no route")
    db.mirrors.update(mirror.id, enabled=False)
    db.mirrors.delete(mirror.id)
    entries = history(db, mirror.id)
    assert [(entry.action, entry.seq) for entry in entries] == [
        ("mirror.create", 2),
        ("mirror.claim", 3),
        ("mirror.finish", 4),
        ("mirror.update", 5),
        ("mirror.delete", 6),
    ]
    assert {(entry.stream_id, entry.target_type) for entry in entries} == {
        (repository.id, "mirror")
    }
    assert entries[2].changes == {
        "status": ["running", "failed"],
        "consecutive_failures": [0, 1],
        "last_error": [None, "no route"],
        "run_token": [claimed.run_token, None],
        "run_deadline_at": ["2026-11-22T11:00:00.123456Z", None],
    }
    assert entries[3].changes == {"enabled": [True, False]}
    assert db.audit.verify(repository.id).ok


def test_updated_at_grows_with_each_change(db: Database, mirror: Mirror) -> None:
    (claimed,) = db.mirrors.claim_due(1, HOUR)
    assert claimed.run_token is not None
    finished = db.mirrors.finish(mirror.id, claimed.run_token)
    assert mirror.updated_at < claimed.updated_at < finished.updated_at


def test_a_change_by_nobody_is_refused(db: Database) -> None:
    nobody = db.acting_as(None)
    for operation, call in (
        ("create", lambda: nobody.mirrors.create("bad id", "bad", "")),
        ("update", lambda: nobody.mirrors.update("bad id")),
        ("delete", lambda: nobody.mirrors.delete("bad id")),
        ("claim_due", lambda: nobody.mirrors.claim_due(0, HOUR)),
        ("finish", lambda: nobody.mirrors.finish("bad id", "bad")),
    ):
        with pytest.raises(ActorRequired) as raised:
            call()
        assert raised.value.operation == f"MirrorsDao.{operation}"
