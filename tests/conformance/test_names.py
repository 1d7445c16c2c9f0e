"""Who acts, for whom, on which request, from where: names that read as what they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest

from forgedb import Database, InvalidValue, LeaseHeld, LeaseLost, Project, Repository
from tests.conformance.conftest import START
from tests.conformance.logs import acquired, log
from tests.conformance.reaching import Connect, on_each_database

UNREADABLE = [
    " user:ada",
    "user:ada ",
    "user:ada\n",
    "\u3000user:ada",
    "user:ada\u00a0",
    "user:\tada",
    "user:\x07ada",
    "user:\x85ada",
    "user:\u202eada",
    "user:\u2066ada",
    "user:\u200bada",
    "user:\u00adada",
    "\ufeffuser:ada",
    "user:\u2028ada",
    "user:\u2029ada",
    "user:\U000e0041ada",
    "user:\ud800",
    "user:\0ada",
    "",
    " ",
]

READABLE = ["a", "user:ada lovelace", "worker-7@host.example/42", "Ünïcode 名前", "x" * 200, "🦀"]


@on_each_database
@pytest.mark.parametrize("name", UNREADABLE, ids=ascii)
def test_a_name_that_can_not_be_seen_as_it_is_is_refused(
    db: Database, repository: Repository, name: str
) -> None:
    lease = db.leases.acquire(repository.id, idempotency_key="key")
    calls: dict[str, Callable[[], object]] = {
        "actor": lambda: db.acting_as(name),
        "request_id": lambda: db.acting_as("user:ada", request_id=name),
        "holder": lambda: db.leases.acquire(repository.id, holder=name),
        "to": lambda: db.leases.handover(lease.id, name),
    }
    for field, call in calls.items():
        with pytest.raises(InvalidValue) as refused:
            call()
        assert (refused.value.field, refused.value.value) == (field, name)
        assert str(refused.value).isprintable()
    with pytest.raises(InvalidValue, match="holder "), db.leases.hold(repository.id, holder=name):
        pass


@on_each_database
def test_a_database_is_opened_by_nobody_who_can_not_be_seen(connect: Connect) -> None:
    for name in UNREADABLE:
        with pytest.raises(InvalidValue, match="actor "):
            connect(actor=name)


@pytest.mark.parametrize("name", READABLE)
def test_any_other_name_acts_and_holds(db: Database, repository: Repository, name: str) -> None:
    acting = db.acting_as(name, request_id=name)
    lease = acting.leases.acquire(repository.id)
    assert (acting.actor, lease.holder) == (name, name)
    acting.leases.handover(lease.id, f"{name[:199]}!")
    (entry, *_) = db.audit.list(target=lease.id).items
    assert (entry.actor, entry.request_id) == (name, name)


def test_a_holder_of_an_old_log_is_kept_as_it_was_and_still_gives_its_lease_back(
    db: Database, project: Project, repository: Repository
) -> None:
    holder = "user:\u202eada "
    line = acquired("l-1", "platform/api", START, holder=holder, hours=1)
    assert db.leases.import_jsonl(log(line), "log").imported == 1
    lease = db.leases.active(repository.id)
    assert lease is not None
    assert lease.holder == holder
    assert db.leases.list(holder=holder).items == [lease]
    assert db.leases.require(repository.id, lease.fencing_token, holder=holder) == lease
    for call in (
        lambda: db.leases.acquire(repository.id),
        lambda: db.leases.release(lease.id),
    ):
        with pytest.raises((LeaseHeld, LeaseLost)) as refused:
            call()
        # What it says is not read the other way round.
        assert r"'user:\u202eada '" in str(refused.value)
    exported = BytesIO()
    assert db.leases.export(exported) == 1
    assert db.leases.release(lease.id, holder).end_reason == "released"


ADDRESSES = [
    "127.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "2001:DB8::0:1",
    "::ffff:10.0.0.7",
    "fe80::1%eth0",
    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
]

NO_ADDRESSES: list[Any] = [
    "",
    "localhost",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "10.0.0.7:443",
    "[::1]",
    "10.0.0.0/8",
    " 10.0.0.7",
    "10.0.0.7\n",
    "١٠.0.0.7",
    "fe80::1%",
    "fe80::1%\u202e",
    "fe80::1%eth0\n",
    f"fe80::1%{'x' * 45}",
    "10.0.0.7, 10.0.0.8",
    "unknown",
    7,
    b"\x7f\x00\x00\x01",
]


def test_where_a_request_came_from_is_an_address_kept_as_it_is_written(
    db: Database, project: Project
) -> None:
    for address in ADDRESSES:
        db.acting_as("user:ada", source_ip=address).audit.record("seen.at", project.id, {})
    entries = db.audit.list(stream=project.id, action="seen.at").items
    assert [entry.source_ip for entry in entries] == ADDRESSES
    for bad in NO_ADDRESSES:
        with pytest.raises(InvalidValue) as refused:
            db.acting_as("user:ada", source_ip=bad)
        assert (refused.value.field, refused.value.value) == ("source_ip", bad)


def test_who_asks_is_told_how_long_a_lease_is_held(db: Database, repository: Repository) -> None:
    db.leases.acquire(repository.id, purpose="gc", duration=timedelta(minutes=90))
    with pytest.raises(LeaseHeld) as held:
        db.acting_as("user:bob").leases.acquire(repository.id)
    assert str(held.value) == (
        f"the write lease on repository {repository.id} is held by user:ada for 'gc' since"
        " 2026-11-22 10:00:00 UTC, and for 1 h 30 min more at most: wait until it is released, or"
        " until it expires at 2026-11-22 11:30:00 UTC"
    )
