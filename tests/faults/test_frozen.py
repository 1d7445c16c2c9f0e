"""A server that is there and doesn't answer: every call ends, and what it knows is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import forgedb
from forgedb import Database, ForgeDbError, NewObject, ObjectType, Unavailable
from forgedb.drivers.postgres.timeouts import PROBE_SECONDS, Patient
from forgedb.migrations import Runner
from tests.faults.surfaces import (
    Surface,
    attempts,
    beside,
    refuse_first,
    sleeps,
    until,
    value,
    waits_for_a_lock,
    within,
)
from tests.servers.postgres import PostgresServer

CALL_SECONDS = 1.0

QUICK = {"call_timeout": CALL_SECONDS, "pool_timeout": 1.0, "pool_max_size": 3}

AT_ONCE_SECONDS = 2.5
"""Within which an interrupted call is back, on a machine that has other things to do."""

GIVEN_UP_SECONDS = CALL_SECONDS + 3.0

HANG_SECONDS = 30.0
"""After which the server is thawed, so that a call that would never end fails its test."""


def given_up(call: Callable[[], Any]) -> Unavailable:
    """What a call raised that was given up, in its time."""
    with within(GIVEN_UP_SECONDS), pytest.raises(Unavailable) as raised:
        call()
    return raised.value


# What isn't answered is given up


def test_a_read_that_gets_no_answer_is_given_up_and_the_next_one_works(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    with server.frozen():
        error = given_up(lambda: db.projects.get(project.id))
        assert "no answer within 1 s" in str(error)
        assert "/forge" in str(error)
        assert error.outcome == "not_committed"
        assert error.retryable
        # Every one of its connections may be as silent, and there is no new one.
        error = given_up(lambda: db.projects.get(project.id))
        assert error.retryable
        assert "didn't answer within" in str(error) or "can't be reached" in str(error)
    until(lambda: _works(lambda: db.projects.get(project.id)))


def _works(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Unavailable:
        return False
    return True


def test_a_change_that_gets_no_answer_before_its_commit_is_known_not_to_be_made(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    with server.frozen():
        error = given_up(lambda: db.projects.update(project.id, name="New"))
        assert error.outcome == "not_committed"
        assert error.retryable
    until(lambda: _works(db.projects.list))
    assert db.projects.get(project.id).name == "Platform"
    with forgedb.connect(own_url) as patient:
        assert patient.audit.verify().ok


def test_a_transaction_whose_server_falls_silent_ends_with_its_next_statement(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    with ExitStack() as frozen:
        with (
            within(GIVEN_UP_SECONDS),
            pytest.raises(Unavailable, match="no answer within 1 s") as raised,
            db.transaction() as tx,
        ):
            project = tx.projects.create("platform", "Platform")
            frozen.enter_context(server.frozen())
            tx.projects.update(project.id, name="New")
        assert raised.value.outcome == "not_committed"
        assert raised.value.retryable
    until(lambda: _works(db.projects.list))
    assert db.projects.list().items == []


def test_of_a_commit_that_gets_no_answer_it_is_unknown_whether_it_was_made(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    with ExitStack() as frozen:
        with (
            within(GIVEN_UP_SECONDS),
            pytest.raises(Unavailable, match="no answer within 1 s while") as raised,
            db.transaction() as tx,
        ):
            tx.projects.create("platform", "Platform")
            frozen.enter_context(server.frozen())
        assert raised.value.outcome == "unknown"
        assert not raised.value.retryable
    # It had the COMMIT in its buffer.
    until(lambda: _works(db.projects.list))
    until(lambda: len(db.projects.list().items) == 1)


def test_of_a_callers_own_statement_that_gets_no_answer_it_is_unknown_what_it_changed(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    with ExitStack() as frozen:
        db.client.query_value("SELECT 1")
        frozen.enter_context(server.frozen())
        error = given_up(lambda: db.client.query_value("SELECT 1"))
        assert error.outcome == "unknown"
    until(lambda: _works(db.projects.list))


def test_rows_that_are_streamed_to_a_silent_server_are_given_up(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    repository_id, token = _leased(db)
    with ExitStack() as frozen:

        def objects() -> Iterator[NewObject]:
            for number in range(500_000):
                if number == 20_000:
                    frozen.enter_context(server.frozen())
                yield NewObject(f"{number:040x}", ObjectType.BLOB, number)

        with within(20.0), pytest.raises(Unavailable, match="no answer within 1 s") as raised:
            db.objects.add_many(repository_id, objects(), token)
        assert raised.value.outcome == "not_committed"
    until(lambda: _works(db.projects.list))
    assert db.objects.list(repository_id).items == []


def test_the_end_of_streamed_rows_is_given_up_only_where_the_server_answers_nobody(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    repository_id, token = _leased(db)
    one = NewObject("1" * 40, ObjectType.BLOB, 1)
    with beside(own_url) as session:
        session.execute(SLOW_STATEMENTS)
        added = db.objects.add_many(repository_id, [one], token)
    assert added.added == 1
    with ExitStack() as frozen, ThreadPoolExecutor(1) as threads, beside(own_url) as admin:
        other = db.repositories.create(db.projects.list().items[0].id, "other")
        lease = db.leases.acquire(other.id)
        adding = threads.submit(db.objects.add_many, other.id, [one], lease.fencing_token)
        until(lambda: sleeps(admin))
        frozen.enter_context(server.frozen())
        with within(PROBE_SECONDS + 3 * GIVEN_UP_SECONDS), pytest.raises(Unavailable):
            adding.result()


def _leased(db: Database) -> tuple[str, int]:
    """A new repository, and the token of a lease of it."""
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    return repository.id, db.leases.acquire(repository.id).fencing_token


SLOW_STATEMENTS = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON object_metadata FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""


def test_a_hold_that_waits_is_entered_when_its_server_is_no_longer_silent(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")

    def held() -> str:
        with db.leases.hold(repository.id, wait=60) as lease:
            return lease.id

    with ThreadPoolExecutor(1) as threads:
        with server.frozen():
            holding = threads.submit(held)
            # Longer than any of its calls.
            time.sleep(GIVEN_UP_SECONDS)
            assert not holding.done()
        lease_id = holding.result(HANG_SECONDS)
    until(lambda: _works(db.projects.list))
    # What it asked for in vain left no other lease.
    assert [lease.id for lease in db.leases.history(repository.id).items] == [lease_id]
    assert db.leases.active(repository.id) is None


def test_a_hold_whose_server_falls_silent_is_entered_and_left_with_an_error(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    with server.frozen():
        given_up(lambda: db.leases.hold(repository.id).__enter__())
        # Who waits does so for its wait, and then for the call that it is in.
        with within(CALL_SECONDS + GIVEN_UP_SECONDS), pytest.raises(Unavailable):
            db.leases.hold(repository.id, wait=CALL_SECONDS).__enter__()
    until(lambda: _works(db.projects.list))
    assert db.leases.active(repository.id) is None
    with (
        ExitStack() as frozen,
        within(GIVEN_UP_SECONDS),
        pytest.raises(Unavailable, match="no answer"),
        db.leases.hold(repository.id),
    ):
        frozen.enter_context(server.frozen())
    until(lambda: _works(db.projects.list))


def test_closing_while_the_server_is_silent_takes_a_few_seconds(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    db.leases.acquire(repository.id)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(
            lambda: db.acting_as("user:bob").leases.hold(repository.id, wait=1.5).__enter__()
        )
        with beside(own_url) as session:
            until(lambda: value(session, HEARS))
        with server.frozen():
            given_up(lambda: db.projects.get(project.id))
            with within(6.0):
                db.close()
            with pytest.raises(ForgeDbError):
                waiting.result()


HEARS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forgedb, listening'"


def test_opening_a_silent_server_ends(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    with server.frozen():
        error = given_up(lambda: open_db(own_url, **QUICK))
        assert error.retryable


# What a live server is slow to answer is cancelled


def test_a_statement_that_waits_for_a_lock_is_cancelled_in_its_time(
    open_db: Surface, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    project = db.projects.create("platform", "Platform")
    with beside(own_url) as other, beside(own_url) as admin, other.transaction():
        other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
        error = given_up(lambda: db.projects.update(project.id, name="New"))
        assert error.outcome == "not_committed"
        assert error.retryable
        assert "wasn't done within 1 s" in str(error)
        # The server doesn't go on for nobody.
        until(lambda: not waits_for_a_lock(admin))
    assert db.projects.update(project.id, name="Newer").name == "Newer"
    assert len(db.audit.list(stream=project.id).items) == 2


def test_a_slow_query_is_cancelled_and_its_connection_goes_on(
    open_db: Surface, own_url: str
) -> None:
    db = open_db(own_url, **{**QUICK, "pool_max_size": 1})
    pid = db.client.query_value("SELECT pg_backend_pid()")
    with beside(own_url) as admin:
        error = given_up(lambda: db.client.query("SELECT pg_sleep(600)"))
        assert error.outcome == "not_committed"
        assert not sleeps(admin)
    assert db.client.query_value("SELECT pg_backend_pid()") == pid


def test_a_transaction_goes_on_to_its_rollback_after_a_statement_was_cancelled(
    open_db: Surface, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    with pytest.raises(Unavailable, match="wasn't done"), db.transaction() as tx:
        tx.projects.create("platform", "Platform")
        tx.client.query("SELECT pg_sleep(600)")
    assert db.projects.list().items == []


def test_the_time_between_the_statements_of_a_transaction_is_its_users_own(
    open_db: Surface, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    with db.transaction() as tx:
        project = tx.projects.create("platform", "Platform")
        time.sleep(2 * CALL_SECONDS)
        tx.projects.update(project.id, name="New")
    assert db.projects.get(project.id).name == "New"


def test_a_call_that_may_last_for_ever_does(open_db: Surface, own_url: str) -> None:
    db = open_db(own_url, call_timeout="never")
    assert db.client.query_value("SELECT 1 FROM pg_sleep(2)") == 1


# What lasts long by nature


def test_an_answer_that_comes_in_parts_may_take_longer_than_its_time(
    open_db: Surface, own_url: str
) -> None:
    db = open_db(own_url, **QUICK)
    rows = db.client.query("SELECT repeat('x', 4000), pg_sleep(0.02) FROM generate_series(1, 150)")
    assert len(rows) == 150


def test_a_migration_takes_as_long_as_it_must(
    server: PostgresServer, own_url: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_slow.sql").write_text("SELECT pg_sleep(3);")
    (tmp_path / "0002_alone.sql").write_text("-- forgedb: no-transaction\nSELECT pg_sleep(3);")
    (tmp_path / "0003_locked.sql").write_text("LOCK TABLE projects;")
    with forgedb.connect(own_url, **QUICK) as db, beside(own_url) as admin:
        runner = Runner(db, tmp_path, table="slow_history", lock_wait_seconds=30)
        assert len(runner.migrate(2)) == 2
        with ThreadPoolExecutor(1) as threads, admin.transaction():
            admin.execute("LOCK TABLE projects")
            migrating = threads.submit(runner.migrate)
            time.sleep(3 * CALL_SECONDS)
            assert not migrating.done()
            admin.execute("COMMIT")
            assert len(migrating.result()) == 1


@pytest.mark.parametrize("opening", ["", "-- forgedb: no-transaction\n"])
def test_a_migration_is_given_up_where_the_server_answers_nobody(
    server: PostgresServer, own_url: str, tmp_path: Path, opening: str
) -> None:
    (tmp_path / "0001_slow.sql").write_text(f"{opening}SELECT pg_sleep(600);")
    with forgedb.connect(own_url, **QUICK) as db, beside(own_url) as admin:
        runner = Runner(db, tmp_path, table="slow_history")
        with ThreadPoolExecutor(1) as threads, ExitStack() as frozen:
            migrating = threads.submit(runner.migrate)
            until(lambda: sleeps(admin))
            # It is probed, and the server answers.
            time.sleep(2 * CALL_SECONDS)
            assert not migrating.done()
            frozen.enter_context(server.frozen())
            with within(PROBE_SECONDS + 4 * GIVEN_UP_SECONDS), pytest.raises(ForgeDbError) as told:
                migrating.result()
            told.match("no answer within|didn't answer within|can't be reached")


# The whole of a call


def test_a_call_that_is_run_again_ends_in_its_time(open_db: Surface, own_url: str) -> None:
    db = open_db(own_url, **QUICK)
    with beside(own_url) as admin:
        refuse_first(admin, 1_000_000)
        error = given_up(lambda: db.projects.create("platform", "Platform"))
        assert error.retryable
        assert attempts(admin) > 1


def test_waiting_for_a_connection_is_a_part_of_a_calls_time(
    open_db: Surface, server: PostgresServer, own_url: str
) -> None:
    db = open_db(own_url, call_timeout=2.0, pool_timeout=60.0, pool_max_size=1)
    project = db.projects.create("platform", "Platform")
    with ThreadPoolExecutor(1) as threads:
        with db.transaction():
            began = time.monotonic()
            waiting = threads.submit(db.projects.get, project.id)
            with pytest.raises(Unavailable, match="stayed busy"):
                waiting.result()
            assert time.monotonic() - began < 4.0
        with beside(own_url) as other, ExitStack() as locks:
            with db.transaction():
                locks.enter_context(other.transaction())
                other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
                began = time.monotonic()
                waiting = threads.submit(db.projects.update, project.id, name="New")
                time.sleep(1.0)
            with pytest.raises(Unavailable, match="wasn't done within 1 s"):
                waiting.result()
            assert time.monotonic() - began < 4.0
        # Who comes next has all of its time again.
        slow = "SELECT 1 FROM pg_sleep(1.4)"
        assert db.client.query_value(slow) == 1


def test_without_a_limit_a_call_never_ends(
    server: PostgresServer, own_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that forgets call_timeout is found out by the same look as above."""
    monkeypatch.setattr(Patient, "call_seconds", property(lambda _: None, lambda *_: None))
    with (
        forgedb.connect(own_url, actor="user:ada", **QUICK) as db,
        ThreadPoolExecutor(1) as threads,
    ):
        project = db.projects.create("platform", "Platform")
        with server.frozen():
            reading = threads.submit(db.projects.get, project.id)
            with pytest.raises(TimeoutError):
                reading.result(GIVEN_UP_SECONDS)
        assert reading.result() == project
