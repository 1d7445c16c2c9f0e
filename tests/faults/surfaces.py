"""PostgreSQL reached by threads and by tasks, and what is seen of it from beside forgedb."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Barrier
from typing import Any, cast

import psycopg

import forgedb
from forgedb import Database, VerifyProblem, VerifyReport
from tests.servers.tasks import Tasks, Waited

WAIT_SECONDS_MAX = 30.0


class Surface(ExitStack):
    """A context manager: opens databases for threads, or for tasks that answer as threads do."""

    def __init__(self, *, by_tasks: bool) -> None:
        super().__init__()
        self._tasks = self.enter_context(Tasks()) if by_tasks else None

    def __call__(self, url: str, **options: Any) -> Database:
        options.setdefault("actor", "user:ada")
        if self._tasks is None:
            return self.enter_context(forgedb.connect(url, **options))
        tasks = self._tasks
        db = Waited(tasks.run(lambda: forgedb.connect_async(url, **options)), tasks)
        return cast("Database", self.enter_context(db))


@contextmanager
def beside(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of its own; it is an administrator's, and each statement is kept at once."""
    with psycopg.connect(url, autocommit=True) as session:
        yield session


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    give_up_at = time.monotonic() + WAIT_SECONDS_MAX
    while not holds():
        assert time.monotonic() < give_up_at, "it never held"
        time.sleep(0.005)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block ends in time, however it ends."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"it took {took:.1f} s"


def value(session: psycopg.Connection[Any], query: str, *params: Any) -> Any:
    row = session.execute(query.encode(), params).fetchone()
    return None if row is None else row[0]


OTHERS = (
    "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def waits_for_a_lock(session: psycopg.Connection[Any]) -> bool:
    """Whether another session of the database waits for a lock."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND wait_event_type = 'Lock'"
    return bool(value(session, query))


def sleeps(session: psycopg.Connection[Any]) -> bool:
    """Whether another session of the database is in the middle of a pg_sleep()."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND wait_event = 'PgSleep'"
    return bool(value(session, query))


def terminate_others(session: psycopg.Connection[Any]) -> int:
    """End every other session of the database; returns how many there were."""
    query = f"SELECT coalesce(array_agg(pid), '{{}}') FROM pg_stat_activity WHERE {OTHERS}"
    others: list[int] = value(session, query)
    for each in others:
        session.execute("SELECT pg_terminate_backend(%s)", [each])
    # A pool may open new ones meanwhile.
    there = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
    until(lambda: not value(session, there, others))
    return len(others)


RAISING = """
CREATE SEQUENCE attempts;
GRANT USAGE ON SEQUENCE attempts TO PUBLIC;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A sequence keeps counting where a transaction is rolled back.
    IF nextval('attempts') <= TG_ARGV[0]::bigint THEN
        RAISE EXCEPTION USING ERRCODE = TG_ARGV[1], MESSAGE = 'refused for a test';
    END IF;
    RETURN NEW;
END $$;
"""


def refuse_first(
    session: psycopg.Connection[Any],
    times: int,
    *,
    sqlstate: str = "40001",
    at_commit: bool = False,
) -> None:
    """Refuse the first so many audit entries, and so whatever change they are about."""
    session.execute(RAISING)
    kind = "CONSTRAINT TRIGGER refuse AFTER" if at_commit else "TRIGGER refuse BEFORE"
    when = "DEFERRABLE INITIALLY DEFERRED" if at_commit else ""
    session.execute(
        f"CREATE {kind} INSERT ON audit_entries {when}"
        f" FOR EACH ROW EXECUTE FUNCTION refuse('{times}', '{sqlstate}')".encode()
    )


def unexpected(report: VerifyReport) -> list[VerifyProblem]:
    """What a history doesn't prove, but for what ``refuse_first`` put into the schema."""
    return [each for each in report.problems if each.schema != "refuse"]


def attempts(session: psycopg.Connection[Any]) -> int:
    """How often an audit entry was to be written since ``refuse_first``."""
    return int(
        value(session, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM attempts")
    )


def fill_pool(db: Database, connections: int) -> None:
    """Have so many connections open, all of them idle."""
    everyone_has_one = Barrier(connections)

    def hold(_: int) -> None:
        with db.transaction(read_only=True) as tx:
            tx.projects.list()
            everyone_has_one.wait(WAIT_SECONDS_MAX)

    with ThreadPoolExecutor(connections) as threads:
        list(threads.map(hold, range(connections)))
