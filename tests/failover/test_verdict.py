"""The verdict on a failover names what is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import forgedb
from forgedb import Database, Lease, NewObject, SigningKey, Ulid
from forgedb.testing.failover.ledger import Anchored, Ended, Granted, Ledger, Written
from forgedb.testing.failover.verdict import judge

OID = "8ab686eafeb1f44702738c8b0f24f2567c36da6d"

KEY = SigningKey.generate()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with forgedb.connect(f"sqlite:///{tmp_path}/forge.db", actor="clients:thread:0") as db:
        db.migrate()
        yield db


@pytest.fixture
def repository_id(db: Database) -> Ulid:
    return db.repositories.create(db.projects.create("p", "P").id, "r").id


def _granted(lease: Lease, asked_at: float, *, token: int | None = None) -> Granted:
    return Granted(
        "clients's threads",
        lease.holder,
        lease.repository_id,
        lease.id,
        lease.fencing_token if token is None else token,
        asked_at,
        asked_at + 0.5,
    )


@pytest.fixture
def ledger(db: Database, repository_id: Ulid) -> Ledger:
    """Of one lease that was acquired, written under, and released, and of a checkpoint then."""
    ledger = Ledger()
    lease = db.leases.acquire(repository_id)
    ledger.granted.append(_granted(lease, 1))
    db.objects.add_many(repository_id, [NewObject(OID, 3, 1)], lease.fencing_token)
    ledger.written.append(Written(repository_id, OID, 3))
    db.leases.release(lease.id)
    ledger.ended.append(Ended(repository_id, lease.id, 4))
    taken = db.audit.checkpoint(KEY)
    assert taken is not None
    ledger.anchored.append(Anchored("clients", taken.line, 5, 6))
    ledger.risked_at.append(8)
    return ledger


def _rules(db: Database, repository_id: Ulid, ledger: Ledger, *, keeps: bool) -> set[str]:
    faults, _ = judge(db, [repository_id], ledger, keeps=keeps, key=KEY)
    return {fault.rule for fault in faults}


def _lost(lease: Lease) -> Lease:
    """A lease like this one, of which the database knows nothing."""
    return forgedb.Lease(
        **{
            name: getattr(lease, name)
            for name in lease.__struct_fields__
            if name not in ("id", "fencing_token")
        },
        id=forgedb.new_ulid(),
        fencing_token=lease.fencing_token + 1,
    )


def test_what_survived_whole_is_without_fault(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    assert _rules(db, repository_id, ledger, keeps=False) == set()


def test_a_token_of_two_leases_is_found_though_one_of_them_is_lost(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    lost = _lost(db.leases.acquire(repository_id))
    ledger.replaced_at.append(2)
    ledger.granted.append(_granted(lost, 1.4, token=1))
    assert _rules(db, repository_id, ledger, keeps=False) == {"twice"}


def test_a_handle_that_is_granted_a_lower_token_than_it_knew_went_back(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    ledger.granted.insert(0, _granted(_lost(db.leases.acquire(repository_id)), 0))
    # Both were under way at one time: which came first isn't known.
    ledger.granted[0] = ledger.granted[0]._replace(answered_at=1.2)
    ledger.replaced_at.append(1.5)
    assert _rules(db, repository_id, ledger, keeps=False) == set()
    ledger.granted[0] = ledger.granted[0]._replace(answered_at=0.9)
    assert _rules(db, repository_id, ledger, keeps=False) == {"backwards"}


@pytest.mark.parametrize("what", ["granted", "written", "ended"])
def test_what_was_acknowledged_and_is_lost_is_a_fault_where_nothing_may_be(
    db: Database, repository_id: Ulid, ledger: Ledger, what: str
) -> None:
    lease = db.leases.acquire(repository_id)
    if what == "granted":
        ledger.granted.append(_granted(_lost(lease), 7))
    elif what == "written":
        ledger.written.append(Written(repository_id, OID[::-1], 7))
    else:
        ledger.ended.append(Ended(repository_id, lease.id, 7))
    assert _rules(db, repository_id, ledger, keeps=False) == set()
    assert "lost" in _rules(db, repository_id, ledger, keeps=True)


def test_a_checkpoint_that_covers_what_is_lost_has_to_disagree(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    lost = _granted(_lost(db.leases.acquire(repository_id)), 4)
    ledger.granted.append(lost)
    assert _rules(db, repository_id, ledger, keeps=False) == {"anchor"}
    # What the next primary signed doesn't cover what the one before it took along.
    ledger.replaced_at.append(4.7)
    assert _rules(db, repository_id, ledger, keeps=False) == set()


def test_a_checkpoint_need_not_cover_what_an_old_primary_granted_beside_the_new_one(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    ledger.granted.append(_granted(_lost(db.leases.acquire(repository_id)), 4))
    ledger.replaced_at.append(3.5)
    assert _rules(db, repository_id, ledger, keeps=False) == set()
    ledger.whole_at.append(3.9)
    assert _rules(db, repository_id, ledger, keeps=False) == {"anchor"}


def test_a_checkpoint_from_before_any_harm_has_to_agree(
    db: Database, repository_id: Ulid, ledger: Ledger
) -> None:
    elsewhere = forgedb.connect("sqlite://", actor="user:ada")
    with elsewhere:
        elsewhere.migrate()
        elsewhere.projects.create("other", "Other")
        taken = elsewhere.audit.checkpoint(KEY)
    assert taken is not None
    ledger.anchored.append(Anchored("clients", taken.line, 5, 6))
    assert _rules(db, repository_id, ledger, keeps=False) == {"anchor"}
