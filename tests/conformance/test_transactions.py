"""Transactions: all or nothing, savepoints within them, and who may use which handle when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from forgedb import (
    ActorRequired,
    AlreadyExists,
    Database,
    InvalidValue,
    NotFound,
    Project,
    Repository,
    UsageError,
)
from tests.conformance.conftest import Clock
from tests.conformance.reaching import Connect, on_every_pair
from tests.conformance.values import actions, count_of_entries, history

pytestmark = on_every_pair

WAIT_SECONDS = 20.0
"""How long a test waits for a thread; only a failing one does."""


class OnPurposeError(Exception):
    """What a block raises to be rolled back."""


def slugs(db: Database) -> list[str]:
    return [project.slug for project in db.projects.list().items]


def create_and_fail(db: Database, slug: str, error: BaseException | None = None) -> None:
    with db.transaction() as tx:
        tx.projects.create(slug, "P")
        assert slug in slugs(tx)
        raise error or OnPurposeError


class Running:
    """A thread that runs a call; its result, or the error it raised, is asked for later."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._value: Any = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error

    def is_done_soon(self) -> bool:
        """Whether it ends within a moment; a call that waits doesn't."""
        self._thread.join(0.1)
        return not self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive(), "it waits for ever"
        if self._error is not None:
            raise self._error
        return self._value


def test_what_a_block_does_is_seen_within_it_and_kept_at_its_end(db: Database) -> None:
    with db.transaction() as tx:
        project = tx.projects.create("a", "A")
        assert tx.projects.get(project.id) == project
        repository = tx.repositories.create(project.id, "api")
        lease = tx.leases.acquire(repository.id, purpose="in one block")
        tx.leases.release(lease.id)
        assert tx.audit.verify().ok
    assert db.repositories.get_by_path("a/api").lease_epoch == lease.fencing_token
    assert slugs(db) == ["a"]


@pytest.mark.parametrize(
    "error",
    [OnPurposeError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), UsageError("own")],
    ids=lambda error: type(error).__name__,
)
def test_a_block_that_raises_leaves_nothing_and_its_error_is_the_one_raised(
    db: Database, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised:
        create_and_fail(db, "a", error)
    assert raised.value is error
    assert slugs(db) == []
    assert count_of_entries(db) == 0
    assert db.projects.create("a", "A").slug == "a"


def test_an_inner_block_is_undone_alone(db: Database) -> None:
    with db.transaction() as tx:
        tx.projects.create("kept", "P")
        with pytest.raises(OnPurposeError):
            create_and_fail(tx, "undone")
        with tx.transaction() as inner:
            inner.projects.create("inner", "P")
            with pytest.raises(OnPurposeError):
                create_and_fail(inner, "innermost")
            assert slugs(inner) == ["kept", "inner"]
        tx.projects.create("after", "P")
    assert slugs(db) == ["kept", "inner", "after"]


def test_an_inner_block_goes_with_the_outer_one(db: Database) -> None:
    def fail_late() -> None:
        with db.transaction() as tx:
            with tx.transaction() as inner, inner.transaction() as innermost:
                innermost.projects.create("a", "A")
            assert slugs(tx) == ["a"]
            raise OnPurposeError

    with pytest.raises(OnPurposeError):
        fail_late()
    assert slugs(db) == []


def test_a_refused_change_leaves_the_block_as_it_was_before_it(
    db: Database, repository: Repository, clock: Clock
) -> None:
    with db.transaction() as tx:
        tx.projects.create("a", "A")
        with pytest.raises(AlreadyExists):
            tx.projects.create("a", "Again")
        with pytest.raises(NotFound):
            tx.repositories.update("01JD" + "0" * 22, slug="x")
        with pytest.raises(InvalidValue):
            tx.repositories.update(repository.id, slug="A B")
        with pytest.raises(AlreadyExists):
            tx.repositories.create(repository.project_id, repository.slug)
        clock.pass_by(timedelta(seconds=1))
        tx.projects.create("b", "B")
    assert slugs(db) == ["platform", "a", "b"]


def test_a_history_is_undone_with_its_change(db: Database, project: Project) -> None:
    def update_and_fail() -> None:
        with db.transaction() as tx:
            tx.projects.update(project.id, name="Undone")
            assert actions(tx, project.id) == ["project.create", "project.update"]
            raise OnPurposeError

    with pytest.raises(OnPurposeError):
        update_and_fail()
    assert db.projects.get(project.id) == project
    db.projects.update(project.id, name="LastUsed")
    created, updated = history(db, project.id)
    assert (created.seq, updated.seq) == (1, 2)
    assert updated.changes == {"name": ["Platform", "LastUsed"]}


def test_several_actors_may_share_a_block(db: Database, project: Project) -> None:
    with db.transaction() as tx:
        tx.projects.update(project.id, name="One")
        tx.acting_as("user:bob", reason="asked to").projects.update(project.id, name="Two")
    assert [(entry.actor, entry.reason) for entry in history(db, project.id)] == [
        ("user:ada", None),
        ("user:ada", None),
        ("user:bob", "asked to"),
    ]


def test_a_block_without_an_actor_reads_and_refuses_to_change(
    db: Database, project: Project
) -> None:
    with db.acting_as(None).transaction() as tx:
        assert tx.projects.get(project.id) == project
        with pytest.raises(ActorRequired):
            tx.projects.update(project.id, name="New")
        assert tx.acting_as("user:bob").projects.update(project.id, name="New").name == "New"


@pytest.mark.parametrize("read_only", [False, True])
def test_the_outer_handle_is_out_of_use_for_the_blocks_own_thread(
    db: Database, project: Project, read_only: bool
) -> None:
    derived = db.acting_as("user:bob")
    prepared = db.client.prepare("SELECT 1")
    get_before = db.projects.get
    with db.transaction(read_only=read_only) as tx:
        for call in (
            lambda: db.projects.get(project.id),
            lambda: get_before(project.id),
            lambda: db.projects.list(limit=1),
            lambda: db.projects.update(project.id, name="New"),
            db.audit.verify,
            lambda: db.client.query("SELECT 1"),
            lambda: db.client.execute("DELETE FROM projects"),
            prepared.query,
            lambda: derived.projects.create("b", "B"),
            lambda: db.transaction().__enter__(),
            lambda: db.transaction(read_only=True).__enter__(),
            db.migrate,
        ):
            with pytest.raises(UsageError, match=r"use the handle that transaction\(\) gave"):
                call()
        assert tx.projects.get(project.id) == project
    assert derived.projects.update(project.id, name="New").name == "New"


def test_the_outer_handle_is_back_in_use_when_the_block_has_ended(
    db: Database, project: Project
) -> None:
    with pytest.raises(OnPurposeError):
        create_and_fail(db, "a")
    with db.transaction():
        pass
    assert db.projects.get(project.id) == project
    assert db.projects.update(project.id, name="New").name == "New"


@pytest.mark.parametrize("read_only", [False, True])
def test_a_handle_is_out_of_use_when_its_block_has_ended(
    db: Database, project: Project, read_only: bool
) -> None:
    with db.transaction(read_only=read_only) as tx:
        tx.projects.get(project.id)
    for call in (
        lambda: tx.projects.get(project.id),
        lambda: tx.projects.update(project.id, name="New"),
        tx.audit.verify,
        lambda: tx.client.query("SELECT 1"),
        lambda: tx.client.execute("DELETE FROM projects"),
        lambda: tx.transaction().__enter__(),
        lambda: tx.acting_as("user:bob").projects.list(limit=1),
    ):
        with pytest.raises(UsageError, match="has ended"):
            call()
    assert db.projects.get(project.id) == project


def test_another_thread_never_sees_half_of_a_block(db: Database) -> None:
    with db.transaction() as tx:
        tx.projects.create("a", "A")
        seen = Running(lambda: slugs(db))
        saw_before_the_end = seen.is_done_soon()
        tx.projects.create("b", "B")
    assert seen.result() == ([] if saw_before_the_end else ["a", "b"])
    assert slugs(db) == ["a", "b"]


def test_another_threads_change_comes_after_the_block(db: Database, project: Project) -> None:
    with db.transaction() as tx:
        tx.projects.update(project.id, name="First")
        second = Running(lambda: db.projects.update(project.id, name="Second"))
        assert not second.is_done_soon()
        tx.projects.update(project.id, description="Of the block")
    assert second.result().description == "Of the block"
    names = [entry.changes.get("name") for entry in history(db, project.id)]
    assert names[1:] == [["Platform", "First"], None, ["First", "Second"]]


def test_another_thread_may_use_the_blocks_handle(db: Database) -> None:
    with db.transaction() as tx:
        tx.projects.create("a", "A")
        assert Running(lambda: slugs(tx)).result() == ["a"]
        creating = [
            Running(lambda number=number: tx.projects.create(f"b{number}", "B"))  # type: ignore[misc]
            for number in range(5)
        ]
        for each in creating:
            each.result()
    assert sorted(slugs(db)) == ["a", "b0", "b1", "b2", "b3", "b4"]


def test_many_threads_that_write_all_get_their_turn(db: Database, project: Project) -> None:
    def create_five(worker: int) -> None:
        for number in range(5):
            with db.transaction() as tx:
                tx.repositories.create(project.id, f"w{worker}-{number}")
            db.projects.update(project.id, name=f"{worker} {number}")

    running = [Running(lambda worker=worker: create_five(worker)) for worker in range(6)]  # type: ignore[misc]
    for each in running:
        each.result()
    assert len(db.repositories.list(project.id).items) == 30
    assert [entry.seq for entry in history(db, project.id)] == list(range(1, 32))


def test_a_read_only_block_refuses_every_change(
    db: Database, project: Project, repository: Repository
) -> None:
    with db.transaction(read_only=True) as tx:
        for call in (
            lambda: tx.projects.update(project.id, name="New"),
            lambda: tx.leases.acquire(repository.id),
            lambda: tx.client.execute("DELETE FROM projects"),
            lambda: tx.transaction().__enter__(),
        ):
            with pytest.raises(UsageError, match="read_only=True"):
                call()
        with tx.transaction(read_only=True) as inner:
            assert inner.projects.get(project.id) == project
        assert tx.audit.verify().ok
    assert db.projects.get(project.id) == project


def test_a_read_only_block_sees_the_database_at_one_moment(db: Database, project: Project) -> None:
    with db.transaction(read_only=True) as tx:
        assert tx.projects.get(project.id).name == "Platform"
        writing = Running(lambda: db.projects.update(project.id, name="New"))
        writing.is_done_soon()
        assert tx.projects.get(project.id).name == "Platform"
        assert actions(tx, project.id) == ["project.create"]
    assert writing.result().name == "New"
    assert db.projects.get(project.id).name == "New"


def test_a_closed_database_says_so_and_may_be_closed_again(connect: Connect) -> None:
    db = connect(actor="user:ada")
    db.migrate()
    project = db.projects.create("a", "A")
    db.close()
    db.close()
    for call in (
        lambda: db.projects.get(project.id),
        lambda: db.projects.create("b", "B"),
        lambda: db.acting_as("user:bob").projects.list(limit=1),
        lambda: db.client.query("SELECT 1"),
        lambda: db.client.execute("SELECT 1"),
        lambda: db.transaction().__enter__(),
        lambda: db.transaction(read_only=True).__enter__(),
        db.audit.verify,
        db.migrate,
    ):
        with pytest.raises(UsageError, match="this database is closed: connect again"):
            call()


def test_a_database_is_closed_at_the_end_of_its_block_also_when_it_raises(
    connect: Connect,
) -> None:
    def fail(db: Database) -> None:
        with db:
            db.migrate()
            raise OnPurposeError

    db = connect(actor="user:ada")
    with pytest.raises(OnPurposeError):
        fail(db)
    with pytest.raises(UsageError, match="closed"):
        db.projects.list()


def test_a_block_that_is_open_when_the_database_is_closed_still_ends_well(
    connect: Connect,
) -> None:
    db = connect(actor="user:ada")
    db.migrate()
    with db.transaction() as tx:
        tx.projects.create("a", "A")
        db.close()
        tx.projects.create("b", "B")
    with pytest.raises(UsageError, match="closed"):
        db.projects.list()


def test_a_handle_shows_whose_it_is(db: Database) -> None:
    assert db.actor == "user:ada"
    assert db.acting_as("user:bob").actor == "user:bob"
    assert db.acting_as(None).actor is None
    assert "actor='user:ada'" in repr(db)
    with db.transaction() as tx:
        assert tx.actor == "user:ada"


def test_a_reading_block_inside_a_writing_one_refuses_writes(db: Database) -> None:
    with db.transaction() as tx:
        project = tx.projects.create("platform", "Platform")
        with tx.transaction(read_only=True) as reading:
            assert reading.projects.get(project.id) == project
            with pytest.raises(UsageError, match="read_only"):
                reading.projects.create("other", "Other")
        with pytest.raises(UsageError, match="ended"):
            reading.projects.get(project.id)
        tx.projects.update(project.id, name="Still writing")
    assert db.projects.get(project.id).name == "Still writing"
