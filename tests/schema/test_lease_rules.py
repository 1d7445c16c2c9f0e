"""What the databases hold of leases and streams by themselves, at a statement or at COMMIT.

PostgreSQL looks at COMMIT, when everything is there; SQLite at each statement, and so at less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.schema.attacks import END, OPEN
from tests.schema.reaching import Raw, Refusal, grant, insert, tell
from tests.schema.rows import (
    FREE,
    LATEST,
    LEASE,
    OTHER_REPOSITORY,
    REPOSITORY,
    ulid,
)

LAST = 2**63 - 1

STREAMS = ("projects", "repositories", "database_identity")

Whole = Callable[[], AbstractContextManager[None]]
Refused = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def whole(raw: Raw) -> Whole:
    """A transaction that would commit; it is undone."""

    @contextmanager
    def whole() -> Iterator[None]:
        with raw.undone():
            yield
            raw.settle()

    return whole


@pytest.fixture
def refused(whole: Whole) -> Refused:
    """A transaction that a rule stops, be it at its end."""

    @contextmanager
    def refused(rule: str) -> Iterator[None]:
        with pytest.raises(Refusal) as caught, whole():
            yield
        assert caught.value.is_by(rule), caught.value

    return refused


def set_epoch(raw: Raw, epoch: int, repository_id: str = REPOSITORY) -> None:
    raw.execute(
        "UPDATE repositories SET lease_epoch = :epoch WHERE id = :id",
        epoch=epoch,
        id=repository_id,
    )


def ahead(days: int) -> dict[str, str]:
    """A lease's times, so many days from now."""
    begins = datetime.now(UTC) + timedelta(days)
    times = begins, begins + timedelta(hours=1)
    acquired_at, expires_at = (f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for at in times)
    return {"acquired_at": acquired_at, "expires_at": expires_at}


# What is right.


def test_a_lease_is_granted_with_its_entry_and_its_epoch_in_either_order(
    raw: Raw, whole: Whole
) -> None:
    with whole():
        grant(raw)
    with whole():
        tell(raw, FREE, "lease.acquire")
        insert(raw, "leases", **OPEN)
        set_epoch(raw, 8)


def test_a_first_lease_has_token_1(raw: Raw, whole: Whole) -> None:
    with whole():
        grant(raw, repository_id=OTHER_REPOSITORY, fencing_token=1, previous_lease_id=None)


def test_many_leases_come_in_one_transaction_each_after_the_other(raw: Raw, whole: Whole) -> None:
    with whole():
        before = LEASE
        for token in range(8, 30):
            lease = ulid(1000 + token)
            tell(raw, lease, "lease.acquire")
            tell(raw, lease, "lease.release")
            insert(raw, "leases", id=lease, fencing_token=token, previous_lease_id=before)
            before = lease
            if token == 20:
                set_epoch(raw, token)
        set_epoch(raw, 29)


def test_a_lease_is_handed_over_in_one_transaction(raw: Raw, whole: Whole) -> None:
    with whole():
        grant(raw)
        tell(raw, FREE, "lease.handover")
        raw.execute(f"UPDATE leases SET {END} WHERE id = :id", id=FREE)
        grant(raw, id=ulid(90), fencing_token=9, previous_lease_id=FREE)


def test_a_lease_that_is_over_as_it_begins_needs_one_entry_of_another_action(
    raw: Raw, whole: Whole
) -> None:
    with whole():
        tell(raw, FREE, "lease.rebase")
        set_epoch(raw, 8)
        insert(raw, "leases")


def test_a_lease_that_comes_before_its_entry_is_taken_where_commit_is_looked_at(
    raw: Raw, whole: Whole, refused: Refused
) -> None:
    """As 0.1 imports a lease log: ends, leases, entries, and last the repository's row."""

    def replay() -> None:
        grant(raw)
        raw.execute(f"UPDATE leases SET {END} WHERE id = :id", id=FREE)
        insert(raw, "leases", id=ulid(90), fencing_token=9, previous_lease_id=FREE)
        for lease, action in ((FREE, "expire"), (ulid(90), "acquire"), (ulid(90), "release")):
            tell(raw, lease, f"lease.{action}")
        set_epoch(raw, 9)

    if raw.dialect == "postgres":
        with whole():
            replay()
    else:
        with refused("leases_told"):
            tell(raw, ulid(2000), "lease.acquire")
            insert(raw, "leases", id=ulid(2001), **OPEN)


# Tokens.


def test_an_epoch_is_not_set_to_what_is_no_token(raw: Raw, refused: Refused) -> None:
    for epoch in (9, 2**32, LAST):
        if raw.dialect == "postgres":
            with refused("leases_newest_is_epoch"):
                set_epoch(raw, epoch)
        else:
            with refused("leases_count_tokens"):
                set_epoch(raw, epoch)


def test_an_epoch_that_is_raised_by_one_wants_its_lease_or_an_entry_that_is_counted(
    raw: Raw, whole: Whole, refused: Refused
) -> None:
    with whole():
        raw.execute(
            "UPDATE repositories SET lease_epoch = lease_epoch + 1, audit_seq = audit_seq + 1"
            " WHERE id = :id",
            id=REPOSITORY,
        )
    if raw.dialect == "postgres":
        with refused("leases_newest_is_epoch"):
            set_epoch(raw, 8)
    else:
        with whole():
            set_epoch(raw, 8)


def test_a_repository_does_not_begin_with_an_epoch(raw: Raw, whole: Whole) -> None:
    if raw.dialect == "postgres":
        with pytest.raises(Refusal, match="leases_newest_is_epoch"), whole():
            insert(raw, "repositories", lease_epoch=LAST)
    with whole():
        insert(raw, "repositories", lease_epoch=0)


@pytest.mark.parametrize("token", [9, 4_000, 2**32, LAST])
def test_a_token_is_one_more_than_the_last(raw: Raw, refused: Refused, token: int) -> None:
    with refused("leases_count_tokens"):
        grant(raw, fencing_token=token)
    with refused("leases_newest_is_epoch"):
        tell(raw, FREE, "lease.acquire")
        insert(raw, "leases", fencing_token=token, **OPEN)


@pytest.mark.parametrize("epoch", [None, 8])
def test_no_lease_comes_before_one_that_is_there(
    raw: Raw, refused: Refused, epoch: int | None
) -> None:
    with refused("leases_newest_is_epoch"):
        tell(raw, FREE, "lease.release")
        if epoch is not None:
            set_epoch(raw, epoch)
        insert(raw, "leases", fencing_token=3, previous_lease_id=None)


def test_an_epoch_does_not_stay_behind_its_newest_lease(raw: Raw, refused: Refused) -> None:
    with refused("leases_newest_is_epoch"):
        for token, before in ((8, LEASE), (9, FREE)):
            lease = {8: FREE, 9: ulid(90)}[token]
            tell(raw, lease, "lease.release")
            insert(raw, "leases", id=lease, fencing_token=token, previous_lease_id=before)
        set_epoch(raw, 8)


# Entries.


@pytest.mark.parametrize("action", [None, "lease.acquire"])
def test_no_lease_ends_without_an_entry_that_says_so(
    raw: Raw, refused: Refused, action: str | None
) -> None:
    with refused("leases_told"):
        lease = ulid(2000)
        grant(raw, id=lease)
        if action is not None:
            tell(raw, lease, action)
        raw.execute(f"UPDATE leases SET {END} WHERE id = :id", id=lease)


@pytest.mark.parametrize("state", ["open", "ended"])
def test_no_lease_begins_without_an_entry_that_says_so(
    raw: Raw, refused: Refused, state: str
) -> None:
    lease: dict[str, Any] = {"id": ulid(2000)} | (OPEN if state == "open" else {})
    with refused("leases_told"):
        set_epoch(raw, 8)
        if state == "ended":
            tell(raw, lease["id"], "lease.acquire")
        insert(raw, "leases", **lease)


def test_an_entry_of_something_else_tells_of_no_lease(raw: Raw, refused: Refused) -> None:
    with refused("leases_told"):
        insert(raw, "audit_entries", seq=900, target_type="repository", target_id=ulid(2000))
        set_epoch(raw, 8)
        insert(raw, "leases", id=ulid(2000), **OPEN)


def test_an_entry_of_an_earlier_transaction_tells_of_nothing_new_where_that_is_known(
    raw: Raw, refused: Refused, whole: Whole
) -> None:
    """FREE has an entry of its end, which was committed before."""
    if raw.dialect == "postgres":
        with refused("leases_told"):
            set_epoch(raw, 8)
            insert(raw, "leases")
    else:
        with whole():
            set_epoch(raw, 8)
            insert(raw, "leases")


# Times.


@pytest.mark.parametrize("days", [-40_000, 0, 366, 9 * 365])
def test_a_clock_may_be_years_ahead_or_behind(raw: Raw, whole: Whole, days: int) -> None:
    with whole():
        grant(raw, **ahead(days))


@pytest.mark.parametrize("days", [11 * 366, 2_000_000])
def test_no_lease_begins_when_nobody_lives(raw: Raw, refused: Refused, days: int) -> None:
    with refused("leases_within_reach"):
        grant(raw, **ahead(days))


def test_no_lease_outlasts_its_expiry(raw: Raw, refused: Refused, whole: Whole) -> None:
    late = "9000-01-01T00:00:00.000000Z"
    with refused("leases_ended_by_expiry"):
        tell(raw, FREE, "lease.release")
        set_epoch(raw, 8)
        insert(raw, "leases", ended_at=late)
    ending = (
        "UPDATE leases SET ended_at = :at, end_reason = 'released', ended_by = holder"
        " WHERE id = :id"
    )
    with refused("leases_ended_by_expiry"):
        grant(raw)
        tell(raw, FREE, "lease.release")
        raw.execute(ending, at=late, id=FREE)
    with whole():
        grant(raw)
        tell(raw, FREE, "lease.release")
        raw.execute(ending, at=LATEST, id=FREE)


# Streams.


@pytest.mark.parametrize("table", STREAMS)
def test_a_streams_end_moves_forward_and_never_far(raw: Raw, refused: Refused, table: str) -> None:
    raw.execute(f"UPDATE {table} SET audit_seq = 5, audit_head = :head", head=b"\1" * 32)
    for seq in (4, 0, 5 + 2**20, LAST):
        with refused(f"{table}_stream_moves_forward"):
            raw.execute(f"UPDATE {table} SET audit_seq = :seq", seq=seq)


@pytest.mark.parametrize("table", STREAMS)
def test_a_stream_grows_by_what_one_transaction_can_append(
    raw: Raw, whole: Whole, table: str
) -> None:
    with whole():
        raw.execute(
            f"UPDATE {table} SET audit_seq = audit_seq + 1048575, audit_head = :head",
            head=b"\1" * 32,
        )
        raw.execute(f"UPDATE {table} SET audit_seq = audit_seq, audit_head = audit_head")


def test_an_era_that_has_begun_gives_tokens_and_no_later_one_does(
    raw: Raw, whole: Whole, refused: Refused
) -> None:
    ((before,),) = raw.execute("SELECT era FROM database_identity")
    raw.execute(
        "UPDATE database_identity SET era = era + 1000, audit_seq = 1, audit_head = :head",
        head=b"\1" * 32,
    )
    ((timeline,),) = raw.execute(
        {"sqlite": "SELECT 1", "postgres": "SELECT forgedb_timeline()"}[raw.dialect]
    )
    era = before + 1000 + timeline - 1
    for token in (1 << 32, (era << 32) + 4_000):
        with whole():
            grant(raw, fencing_token=token)
    with whole():
        grant(raw, fencing_token=era << 32)
        tell(raw, FREE, "lease.handover")
        raw.execute(f"UPDATE leases SET {END} WHERE id = :id", id=FREE)
        grant(raw, id=ulid(90), fencing_token=(era << 32) + 1, previous_lease_id=FREE)
    for token in (9, (era + 1) << 32, LAST):
        with refused("leases_count_tokens"):
            grant(raw, fencing_token=token)
    with refused("leases_newest_is_epoch"):
        grant(raw, fencing_token=era << 32)
        tell(raw, FREE, "lease.expire")
        raw.execute(f"UPDATE leases SET {END} WHERE id = :id", id=FREE)
        tell(raw, ulid(90), "lease.release")
        insert(raw, "leases", id=ulid(90), fencing_token=8)
