"""What two sessions of PostgreSQL, each seeing its own snapshot, can't do to a rule at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from forgedb.dao.relationships import LOCK_KIND
from tests.schema.attacks import END, OPEN
from tests.schema.reaching import (
    PostgresRaw,
    Refusal,
    Row,
    apply_postgres,
    fill,
    grant,
    insert,
    tell,
)
from tests.schema.rows import (
    FREE,
    LATER,
    OTHER_REPOSITORY,
    REPOSITORY,
    THIRD_REPOSITORY,
    ulid,
)
from tests.servers.postgres import Databases

WAIT_SECONDS_MAX = 30.0
EMPTY_PROJECT = ulid(50)


@pytest.fixture(scope="module")
def url(postgres: Databases) -> Iterator[str]:
    with postgres.new() as url:
        with psycopg.connect(url) as connection:
            apply_postgres(connection)
            raw = PostgresRaw(connection)
            fill(raw)
            insert(raw, "projects", id=EMPTY_PROJECT, slug="empty", deleted_at=None)
        yield url


@pytest.fixture
def first(url: str) -> Iterator[PostgresRaw]:
    with _session(url) as connection:
        yield PostgresRaw(connection)
        connection.rollback()


@pytest.fixture
def second(url: str) -> Iterator[PostgresRaw]:
    with _session(url) as connection:
        yield PostgresRaw(connection)
        connection.rollback()


def _session(url: str) -> psycopg.Connection[Row]:
    milliseconds = round(1000 * WAIT_SECONDS_MAX)
    return psycopg.connect(url, options=f"-c statement_timeout={milliseconds}")


def _commit(raw: PostgresRaw) -> None:
    raw.connection.execute("COMMIT AND CHAIN")


def _roll_back(raw: PostgresRaw) -> None:
    raw.connection.execute("ROLLBACK AND CHAIN")


class Waiting:
    """What the second session does in a thread, until the first lets it go on."""

    def __init__(self, second: PostgresRaw, watcher: psycopg.Connection[Row]) -> None:
        self._second = second.connection
        self._watcher = watcher
        self._thread = ThreadPoolExecutor(1)

    def begin(self, work: Callable[[], object]) -> Future[object]:
        """Start it, and return when it waits for the other session's lock."""
        future = self._thread.submit(work)
        give_up_at = time.monotonic() + WAIT_SECONDS_MAX
        while not self._is_blocked():
            assert not future.done(), f"it didn't wait: {future}"
            assert time.monotonic() < give_up_at
            time.sleep(0.005)
        return future

    def _is_blocked(self) -> bool:
        query = "SELECT pg_blocking_pids(%s) <> '{}'"
        row = self._watcher.execute(query, (self._second.info.backend_pid,)).fetchone()
        return row == (True,)

    def close(self) -> None:
        self._thread.shutdown()


@pytest.fixture
def waiting(second: PostgresRaw, url: str) -> Iterator[Waiting]:
    with psycopg.connect(url, autocommit=True) as watcher:
        waiting = Waiting(second, watcher)
        yield waiting
        waiting.close()


# A live repository has a live project.


def _create(raw: PostgresRaw) -> None:
    insert(raw, "repositories", project_id=EMPTY_PROJECT, deleted_at=None)


def _restore(raw: PostgresRaw) -> None:
    raw.execute("UPDATE repositories SET deleted_at = NULL WHERE id = :id", id=FREE)


def _delete_project(raw: PostgresRaw) -> None:
    raw.execute("UPDATE projects SET deleted_at = :at WHERE id = :id", at=LATER, id=EMPTY_PROJECT)


@pytest.fixture(params=[_create, _restore], ids=["created", "restored"])
def bring_to_life(
    request: pytest.FixtureRequest, url: str, first: PostgresRaw, second: PostgresRaw
) -> Iterator[Callable[[PostgresRaw], None]]:
    """Either way in which a repository comes into the project; nothing of it stays."""
    with _session(url) as connection:
        raw = PostgresRaw(connection)
        if request.param is _restore:
            insert(raw, "repositories", project_id=EMPTY_PROJECT)
            _commit(raw)
        yield request.param
        _roll_back(first)
        _roll_back(second)
        raw.execute("ALTER TABLE repositories DISABLE TRIGGER repositories_never_deleted")
        raw.execute("DELETE FROM repositories WHERE id = :id", id=FREE)
        raw.execute("ALTER TABLE repositories ENABLE TRIGGER repositories_never_deleted")
        raw.execute("UPDATE projects SET deleted_at = NULL")


def _live_in_deleted_projects(raw: PostgresRaw) -> list[Row]:
    return raw.execute(
        """
        SELECT repositories.id
        FROM repositories
        JOIN projects ON projects.id = repositories.project_id
        WHERE repositories.deleted_at IS NULL AND projects.deleted_at IS NOT NULL
        """
    )


def test_a_project_is_not_deleted_while_a_repository_comes_to_life_in_it(
    first: PostgresRaw,
    second: PostgresRaw,
    waiting: Waiting,
    bring_to_life: Callable[[PostgresRaw], None],
) -> None:
    bring_to_life(first)
    deleting = waiting.begin(lambda: _delete_project(second))
    _commit(first)
    with pytest.raises(Refusal) as caught:
        deleting.result()
    assert caught.value.rule == "projects_without_live_repositories"
    _commit(second)
    assert _live_in_deleted_projects(first) == []


def test_no_repository_comes_to_life_while_its_project_is_deleted(
    first: PostgresRaw,
    second: PostgresRaw,
    waiting: Waiting,
    bring_to_life: Callable[[PostgresRaw], None],
) -> None:
    _delete_project(first)
    creating = waiting.begin(lambda: bring_to_life(second))
    _commit(first)
    with pytest.raises(Refusal) as caught:
        creating.result()
    assert caught.value.rule == "repositories_under_live_project"
    _commit(second)
    assert _live_in_deleted_projects(first) == []


def test_what_the_other_session_took_back_stands_in_nobodys_way(
    first: PostgresRaw,
    second: PostgresRaw,
    waiting: Waiting,
    bring_to_life: Callable[[PostgresRaw], None],
) -> None:
    bring_to_life(first)
    deleting = waiting.begin(lambda: _delete_project(second))
    _roll_back(first)
    deleting.result()
    _roll_back(second)
    _delete_project(first)
    creating = waiting.begin(lambda: bring_to_life(second))
    _roll_back(first)
    creating.result()


def test_two_repositories_come_to_life_at_once(first: PostgresRaw, second: PostgresRaw) -> None:
    insert(first, "repositories", id=ulid(60), slug="one", deleted_at=None)
    insert(second, "repositories", id=ulid(61), slug="two", deleted_at=None)


# No repository is its own ancestor.

ACYCLIC = ("fork", "template", "object_pool")


def _relate(raw: PostgresRaw, number: int, source: str, target: str, kind: str) -> None:
    ends = {"source_id": source, "target_id": target, "path": ""}
    insert(raw, "repository_relationships", id=ulid(number), kind=kind, **ends)


def _turn_to(raw: PostgresRaw, target: str, kind: str) -> None:
    raw.execute(
        """
        UPDATE repository_relationships
        SET source_id = :source_id, target_id = :target_id, kind = :kind
        WHERE id = :id
        """,
        source_id=OTHER_REPOSITORY,
        target_id=target,
        kind=kind,
        id=ulid(8),
    )


@pytest.mark.parametrize("kind", ACYCLIC)
@pytest.mark.parametrize("how", ["insert", "update"])
def test_two_sessions_do_not_close_a_circle_of_an_edge_each(
    first: PostgresRaw, second: PostgresRaw, waiting: Waiting, kind: str, how: str
) -> None:
    def close() -> None:
        if how == "insert":
            _relate(second, 102, OTHER_REPOSITORY, REPOSITORY, kind)
        else:
            _turn_to(second, REPOSITORY, kind)

    _relate(first, 101, REPOSITORY, OTHER_REPOSITORY, kind)
    closing = waiting.begin(close)
    _commit(first)
    try:
        with pytest.raises(Refusal) as caught:
            closing.result()
        assert caught.value.rule == "repository_relationships_acyclic"
    finally:
        _roll_back(second)
        first.execute("DELETE FROM repository_relationships WHERE id = :id", id=ulid(101))
        _commit(first)


def test_an_edge_that_was_taken_back_closes_no_circle(
    first: PostgresRaw, second: PostgresRaw, waiting: Waiting
) -> None:
    _relate(first, 101, REPOSITORY, OTHER_REPOSITORY, "template")
    closing = waiting.begin(lambda: _relate(second, 102, OTHER_REPOSITORY, REPOSITORY, "template"))
    _roll_back(first)
    closing.result()


def test_kinds_do_not_wait_for_each_other(first: PostgresRaw, second: PostgresRaw) -> None:
    _relate(first, 101, REPOSITORY, OTHER_REPOSITORY, "template")
    _relate(second, 102, OTHER_REPOSITORY, THIRD_REPOSITORY, "object_pool")
    _relate(second, 103, OTHER_REPOSITORY, THIRD_REPOSITORY, "submodule")
    _relate(first, 104, OTHER_REPOSITORY, REPOSITORY, "submodule")


@pytest.mark.parametrize("kind", ACYCLIC)
def test_statements_from_outside_wait_for_the_lock_that_forgedb_takes(
    first: PostgresRaw, second: PostgresRaw, waiting: Waiting, kind: str
) -> None:
    first.execute(LOCK_KIND.postgres, kind=kind)
    relating = waiting.begin(lambda: _relate(second, 101, REPOSITORY, OTHER_REPOSITORY, kind))
    _roll_back(first)
    relating.result()


def test_a_writer_that_waits_for_its_turn_has_written_nothing_others_could_wait_for(
    first: PostgresRaw, second: PostgresRaw, waiting: Waiting
) -> None:
    """Else the one who has the turn would wait for the other's key, and both for ever."""
    first.execute(LOCK_KIND.postgres, kind="fork")
    relating = waiting.begin(lambda: _relate(second, 101, REPOSITORY, OTHER_REPOSITORY, "fork"))
    _relate(first, 102, REPOSITORY, OTHER_REPOSITORY, "fork")
    _roll_back(first)
    relating.result()


# The keys.


def test_a_repository_gets_one_open_lease_of_two_sessions(
    first: PostgresRaw, second: PostgresRaw, waiting: Waiting
) -> None:
    grant(first, id=ulid(70))
    granting = waiting.begin(lambda: insert(second, "leases", id=ulid(71), fencing_token=9, **OPEN))
    _commit(first)
    with pytest.raises(Refusal) as caught:
        granting.result()
    assert caught.value.rule == "leases_one_open_per_repository"
    tell(first, ulid(70), "lease.expire")
    first.execute(f"UPDATE leases SET {END} WHERE id = :id", id=ulid(70))
    _commit(first)


# Leases and what is said of them elsewhere.


def _newest(raw: PostgresRaw) -> list[Row]:
    return raw.execute(
        """
        SELECT lease_epoch, (SELECT max(fencing_token) FROM leases WHERE repository_id = :id)
        FROM repositories
        WHERE id = :id
        """,
        id=REPOSITORY,
    )


def test_no_two_transactions_grant_a_lease_that_each_did_half_of(
    first: PostgresRaw, second: PostgresRaw
) -> None:
    ((before, _),) = _newest(first)
    tell(first, ulid(90), "lease.acquire")
    insert(first, "leases", id=ulid(90), fencing_token=before + 1, **OPEN)
    second.execute(
        "UPDATE repositories SET lease_epoch = lease_epoch + 1 WHERE id = :id", id=REPOSITORY
    )
    for half in (first, second):
        with pytest.raises(psycopg.IntegrityError) as caught:
            half.connection.commit()
        assert caught.value.diag.constraint_name == "leases_newest_is_epoch"
    assert _newest(first) == [(before, before)]


# An entry of this transaction tells of a lease, and no other.


def test_an_entry_tells_of_its_lease_whatever_was_asked_before_the_transaction_had_a_number(
    first: PostgresRaw, second: PostgresRaw
) -> None:
    """PostgreSQL goes on counting ages from the number that was the next one then."""
    first.execute("SELECT age(CAST('3' AS xid))")
    for _ in range(3):
        second.execute("SELECT pg_current_xact_id()")
        _commit(second)
    # Each statement is in a savepoint, which has a later number than the transaction.
    first.execute("SELECT pg_current_xact_id()")
    lease = {"id": ulid(92), "repository_id": OTHER_REPOSITORY}
    grant(first, **lease, fencing_token=1, previous_lease_id=None)
    first.settle()
