"""Leases against a model that is too simple to be wrong: random histories under a clock of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from forgedb import EndReason, Lease, LeaseHeld, LeaseLost
from forgedb.errors import LossReason
from tests.conformance.conftest import Clock
from tests.conformance.reaching import DATABASES, Connect
from tests.conformance.values import every_page

HOLDERS = ("user:ada", "user:bob", "worker:1")
KEYS = (None, "run-1", "run-2")
# Few and small, so that times meet: a lease ends at the very moment the clock says.
SECONDS = st.sampled_from((5, 5, 10, 10, 20, 20, 60, 72 * 3600))
TICK = timedelta(microseconds=1)


class Model:
    """One repository's leases as the design tells of them, the newest last."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []

    def last(self) -> Lease | None:
        return self.leases[-1] if self.leases else None

    def floor(self, at: Any) -> Any:
        """The time that the repository goes by: no earlier than its last lease's."""
        last = self.last()
        return at if last is None else max(at, last.acquired_at, last.ended_at or last.acquired_at)

    def live(self, at: Any) -> Lease | None:
        last = self.last()
        return None if last is None or last.ended_at or last.expires_at <= at else last

    def loss(self, token: int, at: Any) -> LossReason | None:
        last = self.last()
        if last is None or token > last.fencing_token:
            return "not_holder"
        return "superseded" if token < last.fencing_token else self.end(last, at)

    def end(self, lease: Lease, at: Any) -> LossReason | None:
        if lease.end_reason is EndReason.EXPIRED:
            return "expired"
        if lease.ended_at is not None:
            return "ended"
        return "expired" if lease.expires_at <= at else None


class Leases(RuleBasedStateMachine):
    """Two repositories, several holders, and a clock that mostly goes forward."""

    reached: Callable[[Path], Connect]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock()
        self.latest = self.clock.now
        self.connect = type(self).reached(Path(self.folder.name))
        self.db = self.connect.migrated(actor="user:admin", clock=self.clock)
        project = self.db.projects.create("p", "P")
        made = [self.db.repositories.create(project.id, slug) for slug in ("a", "b")]
        self.models = {repository.id: Model() for repository in made}
        self.entries = 3

    def teardown(self) -> None:
        self.connect.close()
        self.folder.cleanup()

    repositories = st.sampled_from((0, 0, 0, 1))
    holders = st.sampled_from(HOLDERS)

    def chosen(self, repository: int) -> tuple[str, Model, Any]:
        repository_id = [*self.models][repository]
        model = self.models[repository_id]
        return repository_id, model, model.floor(self.clock.now)

    @rule(repository=repositories, holder=holders, seconds=SECONDS, key=st.sampled_from(KEYS))
    def acquire(self, repository: int, holder: str, seconds: int, key: str | None) -> None:
        repository_id, model, at = self.chosen(repository)
        live, last = model.live(at), model.last()
        asked = {"duration": timedelta(seconds=seconds), "idempotency_key": key}
        dao = self.db.acting_as(holder).leases
        if live is None:
            lease = dao.acquire(repository_id, **asked)
            assert (lease.holder, lease.acquired_at) == (holder, at)
            assert lease.expires_at == at + timedelta(seconds=seconds)
            assert lease.previous_lease_id == (last.id if last else None)
            if last is not None and last.ended_at is None:
                self.stamped(model, last)
            model.leases.append(lease)
            self.entries += 1
        elif live.holder == holder and key is not None and live.idempotency_key == key:
            assert dao.acquire(repository_id, **asked) == live
        else:
            with pytest.raises(LeaseHeld) as held:
                dao.acquire(repository_id, **asked)
            assert held.value.lease == live
            assert held.value.retry_after == live.expires_at - at
            assert held.value.is_mine is (live.holder == holder)

    def stamped(self, model: Model, lease: Lease) -> None:
        """The model's last lease was ended as expired."""
        found = self.db.leases.get(lease.id)
        assert (found.ended_at, found.end_reason) == (lease.expires_at, EndReason.EXPIRED)
        model.leases[-1] = found
        self.entries += 1

    @rule(repository=repositories, back=st.integers(1, 3), holder=st.sampled_from((None, *HOLDERS)))
    def release(self, repository: int, back: int, holder: str | None) -> None:
        _, model, at = self.chosen(repository)
        if len(model.leases) < back:
            return
        lease = model.leases[-back]
        by = holder or lease.holder
        why = "not_holder" if by != lease.holder else model.end(lease, at)
        self.ended(model, lease, why, EndReason.RELEASED, by, at)

    @rule(repository=repositories, back=st.integers(1, 2), by=holders)
    def force(self, repository: int, back: int, by: str) -> None:
        _, model, at = self.chosen(repository)
        if len(model.leases) >= back:
            lease = model.leases[-back]
            self.ended(model, lease, model.end(lease, at), EndReason.FORCED, by, at)

    def ended(
        self, model: Model, lease: Lease, why: Any, reason: EndReason, by: str, at: Any
    ) -> None:
        dao = self.db.acting_as(by).leases
        asked = (lease.id,) if reason is EndReason.RELEASED else (lease.id, "stuck")
        end: Any = dao.release if reason is EndReason.RELEASED else dao.force_release
        if why is not None:
            with pytest.raises(LeaseLost) as lost:
                end(*asked)
            assert lost.value.why == why
            return
        found = end(*asked)
        assert (found.ended_at, found.end_reason, found.ended_by) == (at, reason, by)
        model.leases[-1] = found
        self.entries += 1

    @rule(repository=repositories, offset=st.integers(-3, 1))
    def require(self, repository: int, offset: int) -> None:
        repository_id, model, at = self.chosen(repository)
        token = max(1, len(model.leases) + offset)
        why = model.loss(token, at)
        if why is None:
            assert self.db.leases.require(repository_id, token) == model.last()
        else:
            with pytest.raises(LeaseLost) as lost:
                self.db.leases.require(repository_id, token)
            assert lost.value.why == why

    @rule()
    def expire_due(self) -> None:
        due = {
            model.leases[-1].id
            for model in self.models.values()
            if model.leases
            and model.leases[-1].ended_at is None
            and model.leases[-1].expires_at <= self.clock.now
        }
        assert {lease.id for lease in self.db.leases.expire_due()} == due
        for model in self.models.values():
            if model.leases and model.leases[-1].id in due:
                self.stamped(model, model.leases[-1])

    @rule(seconds=SECONDS)
    def time_goes_on(self, seconds: int) -> None:
        self.clock.pass_by(timedelta(seconds=seconds))
        self.latest = max(self.latest, self.clock.now)

    @rule(
        repository=repositories, off_by=st.sampled_from((timedelta(0), timedelta(0), -TICK, TICK))
    )
    def time_goes_on_until_a_lease_is_over(self, repository: int, off_by: timedelta) -> None:
        _, model, _ = self.chosen(repository)
        last = model.last()
        if last is not None and last.expires_at + off_by > self.clock.now:
            self.clock.now = last.expires_at + off_by
            self.latest = max(self.latest, self.clock.now)

    @precondition(lambda self: self.clock.now > self.latest - timedelta(seconds=50))
    @rule(seconds=st.sampled_from((1, 5, 10)))
    def the_clock_steps_back_a_little(self, seconds: int) -> None:
        self.clock.pass_by(-timedelta(seconds=seconds))

    @invariant()
    def one_lease_at_most_is_live_and_active_and_list_agree(self) -> None:
        live = {}
        for repository_id, model in self.models.items():
            found = self.db.leases.active(repository_id)
            assert found == model.live(self.clock.now)
            if found is not None:
                live[found.id] = found
        assert self.db.leases.list().items == [live[key] for key in sorted(live)]

    @invariant()
    def history_is_the_models_with_tokens_that_grow_and_times_that_never_overlap(self) -> None:
        for repository_id, model in self.models.items():
            pages = every_page(
                lambda repository_id=repository_id, **page: self.db.leases.history(
                    repository_id, **page
                ),
                3,
            )
            history = [lease for page in pages for lease in page]
            assert history == model.leases
            assert [lease.fencing_token for lease in history] == [*range(1, len(history) + 1)]
            for before, after in pairwise(history):
                assert before.ended_at is not None
                assert before.ended_at <= after.acquired_at
            assert self.db.repositories.get(repository_id).lease_epoch == len(history)

    @invariant()
    def every_change_is_audited_once_and_the_trail_proves_itself(self) -> None:
        report = self.db.audit.verify()
        assert report.problems == []
        assert report.entries == self.entries


@pytest.mark.parametrize("name", DATABASES)
def test_leases_do_what_the_model_says(name: str, request: pytest.FixtureRequest) -> None:
    def reached(folder: Path) -> Connect:
        return Connect(DATABASES[name], folder, lambda: request.getfixturevalue("postgres"))

    machine = type("Leases", (Leases,), {"reached": staticmethod(reached)})
    examples = 40 if name == "sqlite-memory" else 4
    run(machine, settings=settings(max_examples=examples, stateful_step_count=40))
