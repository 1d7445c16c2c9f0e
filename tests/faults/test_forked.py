"""Processes that fork with a database open: its connections stay the parent's."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import forgedb
from forgedb import Database, ForgeDbError, UsageError
from tests.faults.surfaces import beside, sleeps, until


@pytest.fixture(params=["postgres", "sqlite"])
def forked_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("url")
        return url
    url = f"sqlite:///{tmp_path}/forge.db"
    with forgedb.connect(url) as db:
        db.migrate()
    return url


def _in_a_child(work: Callable[[], object]) -> None:
    """Do the work in a process that is forked off; raises where it raised there."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent sees that there was one
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def _connects_again(url: str) -> None:
    with forgedb.connect(url, actor="user:child") as db:
        db.projects.create("childs", "The child's")


def test_a_child_is_refused_its_parents_connections_and_opens_its_own(forked_url: str) -> None:
    def work() -> None:
        for call in (db.projects.list, lambda: db.projects.create("b", "B"), db.migrate):
            with pytest.raises(UsageError, match="before the process forked"):
                call()
        with pytest.raises(UsageError, match="before the process forked"), db.transaction():
            pass
        db.close()
        _connects_again(forked_url)

    with forgedb.connect(forked_url, actor="user:parent") as db:
        db.projects.create("a", "A")
        _in_a_child(work)
        assert [each.slug for each in db.projects.list().items] == ["a", "childs"]
        db.projects.create("c", "C")


def test_a_child_is_no_part_of_its_parents_transaction(forked_url: str) -> None:
    def work(db: Database, tx: Database) -> None:
        with pytest.raises(ForgeDbError):
            tx.projects.create("b", "B")
        with pytest.raises(ForgeDbError), tx.transaction() as inner:
            inner.projects.create("b", "B")
        db.close()

    with forgedb.connect(forked_url, actor="user:parent") as db:
        with db.transaction() as tx:
            tx.projects.create("a", "A")
            _in_a_child(lambda: work(db, tx))
            tx.projects.create("c", "C")
        assert [each.slug for each in db.projects.list().items] == ["a", "c"]
        assert db.audit.verify().ok


class Left(BaseException):
    """As SystemExit is."""


def test_a_child_that_leaves_its_parents_block_undoes_nothing_of_it(forked_url: str) -> None:
    with forgedb.connect(forked_url, actor="user:parent") as db:
        try:
            with db.transaction() as tx:
                tx.projects.create("a", "A")
                child = os.fork()
                _leave_if(child == 0)
                assert os.waitpid(child, 0)[1] == 0
                tx.projects.create("c", "C")
        except BaseException:
            if child == 0:
                os._exit(0)
            raise
        assert [each.slug for each in db.projects.list().items] == ["a", "c"]
        assert db.audit.verify().ok


def test_a_child_that_leaves_its_parents_block_stops_no_query_of_it(url: str) -> None:
    def linger(tx: Database) -> list[object]:
        with tx.transaction() as inner:
            inner.projects.create("a", "A")
            return [*inner.client.query("SELECT 1 FROM pg_sleep(3)")]

    with (
        forgedb.connect(url, actor="user:parent") as db,
        ThreadPoolExecutor(1) as threads,
        beside(url) as session,
    ):
        try:
            with db.transaction() as tx:
                lingering = threads.submit(linger, tx)
                until(lambda: sleeps(session))
                child = os.fork()
                _leave_if(child == 0)
                assert os.waitpid(child, 0)[1] == 0
                assert sleeps(session)
                assert len(lingering.result()) == 1
        except BaseException:
            if child == 0:
                os._exit(0)
            raise
        assert [each.slug for each in db.projects.list().items] == ["a"]


def _leave_if(leaving: bool) -> None:
    if leaving:
        raise Left
