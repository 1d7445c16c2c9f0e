"""Git objects: recorded in bulk under a lease, once each, all or none; and looked up again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from hashlib import sha1, sha256
from itertools import chain
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import forgedb.dao.object_batches
import forgedb.dao.objects
from forgedb import (
    ActorRequired,
    AddResult,
    Conflict,
    Database,
    InvalidValue,
    LeaseLost,
    NewObject,
    NotFound,
    ObjectMetadata,
    ObjectStats,
    ObjectType,
    Project,
    Repository,
)
from tests.conformance.conftest import START, Clock
from tests.conformance.reaching import on_every_pair
from tests.conformance.values import (
    BAD_LIMITS,
    BAD_ULIDS,
    FREE,
    count_of_entries,
    every_page,
    history,
)

pytestmark = on_every_pair

SIZE_MAX = 2**63 - 1


def oid(number: int) -> bytes:
    return sha1(str(number).encode(), usedforsecurity=False).digest()


def some(numbers: range | list[int]) -> list[NewObject]:
    """Objects whose type and sizes follow from their number."""
    return [NewObject(oid(n), 1 + n % 4, 10 * n, n) for n in numbers]


def all_objects(db: Database, repository: Repository) -> list[ObjectMetadata]:
    pages = every_page(lambda **page: db.objects.list(repository.id, **page), 1000)
    return [found for page in pages for found in page]


@pytest.fixture
def token(db: Database, repository: Repository) -> int:
    """The fencing token of a live lease on the repository."""
    return db.leases.acquire(repository.id).fencing_token


@pytest.fixture(params=[1, 3, 4])
def tiny_batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few objects reach across what is sorted together, and what is sent together."""
    monkeypatch.setattr(forgedb.dao.object_batches, "SORTED_ROWS", 4)
    monkeypatch.setattr(forgedb.dao.object_batches, "SLICE_ROWS", request.param)


# Adding.


def test_an_object_reads_back_as_it_was_given(
    db: Database, repository: Repository, token: int
) -> None:
    given = NewObject(oid(1), ObjectType.TREE, 120, 80)
    assert db.objects.add_many(repository.id, [given], token) == AddResult(1, 0)
    found = db.objects.get(repository.id, oid(1))
    assert found == ObjectMetadata(repository.id, oid(1), ObjectType.TREE, 120, 80, START)
    assert type(found.type) is ObjectType
    assert found.oid_hex == oid(1).hex()


def test_an_oid_may_be_given_in_hexadecimal_of_either_case(
    db: Database, repository: Repository, token: int
) -> None:
    texts = [oid(1).hex(), oid(2).hex().upper()]
    result = db.objects.add_many(repository.id, [NewObject(it, 3, 1) for it in texts], token)
    assert result == AddResult(2, 0)
    for number, text in enumerate(texts, 1):
        assert db.objects.get(repository.id, text) == db.objects.get(repository.id, oid(number))
    assert db.objects.add_many(repository.id, [NewObject(oid(1), 3, 1)], token) == AddResult(0, 1)


def test_bytes_and_hexadecimal_mix_in_one_call(
    db: Database, repository: Repository, token: int
) -> None:
    mixed = [NewObject(oid(n) if n % 2 else oid(n).hex(), 3, n) for n in range(9)]
    assert db.objects.add_many(repository.id, mixed, token) == AddResult(9, 0)
    assert db.objects.missing(repository.id, map(oid, range(9))) == []


def test_a_sha256_repository_takes_oids_of_32_bytes(db: Database, project: Project) -> None:
    repository = db.repositories.create(project.id, "new", object_format="sha256")
    token = db.leases.acquire(repository.id).fencing_token
    name = sha256(b"x").digest()
    objects = [NewObject(name, 3, 1), NewObject(sha256(b"y").hexdigest(), 3, 1)]
    assert db.objects.add_many(repository.id, objects, token) == AddResult(2, 0)
    assert db.objects.get(repository.id, name.hex()).oid == name
    with pytest.raises(InvalidValue, match="sha256 repository is 32 bytes"):
        db.objects.add_many(repository.id, [NewObject(oid(1), 3, 1)], token)
    with pytest.raises(InvalidValue, match="sha256 repository is 32 bytes"):
        db.objects.get(repository.id, oid(1))


def test_a_sha1_repository_refuses_oids_of_32_bytes(
    db: Database, repository: Repository, token: int
) -> None:
    name = sha256(b"x").digest()
    for call in (
        lambda: db.objects.add_many(repository.id, [NewObject(name, 3, 1)], token),
        lambda: db.objects.remove_many(repository.id, [name], token),
        lambda: db.objects.missing(repository.id, [name]),
        lambda: db.objects.get(repository.id, name),
    ):
        with pytest.raises(InvalidValue, match="sha1 repository is 20 bytes, or 40 hexadecimal"):
            call()


def test_sizes_from_nothing_to_the_largest_integer_are_kept(
    db: Database, repository: Repository, token: int
) -> None:
    sizes = [(0, 0), (SIZE_MAX, SIZE_MAX), (5, None)]
    objects = [NewObject(oid(n), 3, *given) for n, given in enumerate(sizes)]
    db.objects.add_many(repository.id, objects, token)
    found = [db.objects.get(repository.id, oid(n)) for n in range(3)]
    assert [(each.size, each.disk_size) for each in found] == sizes


def test_what_is_there_already_counts_as_such(
    db: Database, clock: Clock, repository: Repository, token: int
) -> None:
    assert db.objects.add_many(repository.id, some(range(5)), token) == AddResult(5, 0)
    clock.pass_by(timedelta(minutes=1))
    assert db.objects.add_many(repository.id, some(range(3, 9)), token) == AddResult(4, 2)
    assert db.objects.get(repository.id, oid(4)).created_at == START
    assert db.objects.get(repository.id, oid(5)).created_at == clock.now
    assert [found.oid for found in all_objects(db, repository)] == sorted(map(oid, range(9)))


def test_a_repeat_in_one_call_counts_as_already_there(
    db: Database, repository: Repository, token: int
) -> None:
    assert db.objects.add_many(repository.id, some([1, 2, 1, 1, 2]), token) == AddResult(2, 3)


def test_no_objects_are_no_change(db: Database, repository: Repository, token: int) -> None:
    before = count_of_entries(db)
    for nothing in ([], (), iter(())):
        assert db.objects.add_many(repository.id, nothing, token) == AddResult(0, 0)
    assert db.objects.add_many(repository.id, some([]), token) == AddResult(0, 0)
    assert count_of_entries(db) == before


def test_a_second_run_of_the_same_objects_leaves_no_entry(
    db: Database, repository: Repository, token: int
) -> None:
    db.objects.add_many(repository.id, some(range(5)), token)
    before = count_of_entries(db)
    assert db.objects.add_many(repository.id, some(range(5)), token) == AddResult(0, 5)
    assert count_of_entries(db) == before


def test_two_repositories_each_have_their_own(
    db: Database, project: Project, repository: Repository, token: int
) -> None:
    other = db.repositories.create(project.id, "web")
    db.objects.add_many(repository.id, some([1]), token)
    other_token = db.leases.acquire(other.id).fencing_token
    assert db.objects.add_many(other.id, [NewObject(oid(1), 3, 7)], other_token).added == 1
    assert db.objects.get(repository.id, oid(1)).size == 10
    assert db.objects.get(other.id, oid(1)).size == 7


def test_one_entry_tells_of_a_whole_call(db: Database, repository: Repository, token: int) -> None:
    db.objects.add_many(repository.id, some([3]), token)
    db.objects.add_many(repository.id, some(range(5)), token)
    entry = history(db, repository.id)[-1]
    assert (entry.action, entry.actor) == ("objects.add", "user:ada")
    digest = sha256(b"".join(sorted(map(oid, range(5))))).hexdigest()
    assert entry.changes == {
        "added": [None, 4],
        "already_there": [None, 1],
        "resized": [None, 0],
        "sha256_of_oids": [None, digest],
        "fencing_token": [None, token],
    }


def test_the_digest_of_a_call_is_the_same_for_bytes_and_for_hexadecimal_of_any_case(
    db: Database, project: Project
) -> None:
    digests = set()
    for slug, write in {"a": bytes, "b": bytes.hex, "c": _alternating_case}.items():
        repository = db.repositories.create(project.id, slug)
        token = db.leases.acquire(repository.id).fencing_token
        objects = [NewObject(write(oid(n)), 3, n) for n in range(40)]
        db.objects.add_many(repository.id, objects, token)
        digests.add(history(db, repository.id)[-1].changes["sha256_of_oids"][1])
    assert len(digests) == 1


def _alternating_case(name: bytes) -> str:
    return name.hex().upper() if name[-1] % 2 else name.hex()


# Objects that are there in another state.


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (NewObject(oid(1), 2, 10), "is recorded as a blob of 10 bytes, not as a tree of 10"),
        (NewObject(oid(1), 3, 11), "is recorded as a blob of 10 bytes, not as a blob of 11"),
    ],
)
def test_another_type_or_size_is_a_conflict_that_changes_nothing(
    db: Database, repository: Repository, token: int, again: NewObject, told: str
) -> None:
    db.objects.add_many(repository.id, [NewObject(oid(1), 3, 10, 5)], token)
    before, objects = count_of_entries(db), all_objects(db, repository)
    with pytest.raises(Conflict, match=told) as refused:
        db.objects.add_many(repository.id, [*some([7]), again], token)
    assert refused.value.constraint == "object_metadata.oid"
    assert oid(1).hex() in str(refused.value)
    assert all_objects(db, repository) == objects
    assert count_of_entries(db) == before


def test_two_contradictory_objects_in_one_call_are_a_conflict_too(
    db: Database, repository: Repository, token: int
) -> None:
    with pytest.raises(Conflict, match="blob of 10 bytes, not as a tree of 10"):
        db.objects.add_many(
            repository.id, [NewObject(oid(1), 3, 10), NewObject(oid(1), 2, 10)], token
        )
    assert all_objects(db, repository) == []


def test_disk_size_follows_the_newest_one_given(
    db: Database, repository: Repository, token: int
) -> None:
    def add(*disk_sizes: int | None) -> int | None:
        objects = [NewObject(oid(1), 3, 10, disk_size) for disk_size in disk_sizes]
        db.objects.add_many(repository.id, objects, token)
        return db.objects.get(repository.id, oid(1)).disk_size

    assert add(None) is None
    assert add(9) == 9
    assert add(None) == 9
    assert add(4) == 4
    assert add(20, 6) == 6
    assert add(3, 20) == 20


def test_the_newest_disk_size_of_new_objects_counts_too(
    db: Database, repository: Repository, token: int
) -> None:
    given = [NewObject(oid(1), 3, 5, 20), NewObject(oid(1), 3, 5, 10), NewObject(oid(1), 3, 5)]
    assert db.objects.add_many(repository.id, given, token) == AddResult(1, 2)
    assert db.objects.get(repository.id, oid(1)).disk_size == 10


def test_a_changed_disk_size_leaves_an_entry(
    db: Database, repository: Repository, token: int
) -> None:
    db.objects.add_many(repository.id, some(range(4)), token)
    resized = [NewObject(oid(n), 1 + n % 4, 10 * n, 100 + n) for n in (1, 2)]
    assert db.objects.add_many(repository.id, resized, token) == AddResult(0, 2)
    changes = history(db, repository.id)[-1].changes
    assert (changes["added"], changes["resized"]) == ([None, 0], [None, 2])


# Batches.


@pytest.mark.usefixtures("tiny_batches")
def test_batches_give_what_one_would(db: Database, project: Project) -> None:
    for count in (0, 1, 3, 4, 5, 8, 11):
        repository = db.repositories.create(project.id, f"of-{count}")
        token = db.leases.acquire(repository.id).fencing_token
        numbers = [*range(count), 0] if count else []
        result = db.objects.add_many(repository.id, iter(some(numbers)), token)
        assert result == AddResult(count, len(numbers) - count)
        found = [each.oid for each in all_objects(db, repository)]
        assert found == sorted(map(oid, range(count)))
        assert len(history(db, repository.id)) == 1 + bool(count)


ASCENDING = sorted(some(range(7)), key=lambda each: each.oid)
"""More than are sorted together, and than are sent together."""


def moved(source: int, target: int) -> list[NewObject]:
    """The objects in the order of their oids, but for one, which stands elsewhere."""
    others = [*ASCENDING]
    others.insert(target, others.pop(source))
    return others


def in_text(objects: list[NewObject]) -> list[NewObject]:
    """The same objects, some of their oids in hexadecimal, which sorts unlike bytes."""
    writings: list[Callable[[Any], Any]] = [bytes, bytes.hex, _alternating_case]
    return [
        NewObject(writings[position % 3](each.oid), each.type, each.size, each.disk_size)
        for position, each in enumerate(objects)
    ]


ORDERS = {
    "ascending": ASCENDING,
    "descending": ASCENDING[::-1],
    **{f"least at {place}": moved(0, place) for place in range(1, 7)},
    **{f"greatest at {place}": moved(6, place) for place in range(6)},
    "one at once again": [*ASCENDING[:3], *ASCENDING[2:]],
    "each at once again": [each for each in ASCENDING for _ in range(2)],
    **{f"some again after {count}": [*ASCENDING[:count], *ASCENDING[1:]] for count in (3, 4)},
    "the first at the end again": [*ASCENDING, ASCENDING[0]],
    "all again": [*ASCENDING, *ASCENDING],
    "hexadecimal, ascending": in_text(ASCENDING),
    "hexadecimal, one out of order": in_text(moved(1, 5)),
    "hexadecimal, all again": [*ASCENDING, *in_text(ASCENDING)],
}


def digest_of(given: list[NewObject]) -> str:
    oids = [as_bytes(each.oid) for each in given]
    several = forgedb.dao.object_batches.SORTED_ROWS
    parts = [sorted(oids[start : start + several]) for start in range(0, len(oids), several)]
    return sha256(b"".join(chain.from_iterable(parts))).hexdigest()


def as_bytes(name: bytes | str) -> bytes:
    return name if isinstance(name, bytes) else bytes.fromhex(name)


def one_by_one(objects: list[NewObject]) -> Iterator[NewObject]:
    yield from objects


@pytest.mark.usefixtures("tiny_batches")
@pytest.mark.parametrize("several", [list, tuple, one_by_one])
def test_objects_are_recorded_once_each_in_whatever_order_they_come(
    db: Database,
    repository: Repository,
    token: int,
    several: Callable[[list[NewObject]], Iterable[NewObject]],
) -> None:
    recorded = [
        ObjectMetadata(repository.id, *msgspec.structs.astuple(each), START) for each in ASCENDING
    ]
    for order, given in ORDERS.items():
        result = db.objects.add_many(repository.id, several(given), token)
        assert result == AddResult(7, len(given) - 7), order
        assert all_objects(db, repository) == recorded, order
        # As docs/audit.md says, whatever was sent in which slice.
        digest = history(db, repository.id)[-1].changes["sha256_of_oids"][1]
        assert digest == digest_of(given), order
        again = db.objects.add_many(repository.id, several(given), token)
        assert again == AddResult(0, len(given)), order
        assert all_objects(db, repository) == recorded, order
        # The next order finds the repository as empty as this one did.
        db.objects.remove_many(repository.id, map(oid, range(7)), token)


@pytest.mark.usefixtures("tiny_batches")
def test_across_batches_a_repeat_is_already_there_and_brings_the_newest_disk_size(
    db: Database, repository: Repository, token: int
) -> None:
    first, last = NewObject(oid(0), 3, 5, 50), NewObject(oid(0), 3, 5, 40)
    objects = [first, *some(range(1, 12)), last]
    assert db.objects.add_many(repository.id, objects, token) == AddResult(12, 1)
    assert db.objects.get(repository.id, oid(0)).disk_size == 40


@pytest.mark.usefixtures("tiny_batches")
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (NewObject(oid(99)[:-1], 3, 1), InvalidValue),
        (NewObject(oid(99), 5, 1), InvalidValue),
        (NewObject(oid(0), 1, 999), Conflict),
    ],
)
def test_an_error_in_a_late_batch_leaves_nothing_of_the_early_ones(
    db: Database, repository: Repository, token: int, bad: NewObject, error: type[Exception]
) -> None:
    before = count_of_entries(db)
    with pytest.raises(error):
        db.objects.add_many(repository.id, [*some(range(11)), bad], token)
    assert all_objects(db, repository) == []
    assert count_of_entries(db) == before
    assert db.objects.add_many(repository.id, some(range(11)), token) == AddResult(11, 0)


@pytest.mark.usefixtures("tiny_batches")
def test_an_iterable_that_raises_leaves_nothing_and_its_error_comes_through(
    db: Database, repository: Repository, token: int
) -> None:
    def failing() -> Iterator[NewObject]:
        yield from some(range(9))
        raise OSError("git went away")

    with pytest.raises(OSError, match="git went away"):
        db.objects.add_many(repository.id, failing(), token)
    assert all_objects(db, repository) == []


@pytest.mark.usefixtures("tiny_batches")
def test_an_error_in_a_callers_transaction_undoes_the_call_alone(
    db: Database, repository: Repository, token: int
) -> None:
    with db.transaction() as tx:
        tx.objects.add_many(repository.id, some([50]), token)
        with pytest.raises(Conflict):
            tx.objects.add_many(repository.id, [*some(range(9)), NewObject(oid(50), 1, 0)], token)
    assert [found.oid for found in all_objects(db, repository)] == [oid(50)]


# The lease.


def test_objects_are_written_only_under_a_live_lease(
    db: Database, clock: Clock, repository: Repository
) -> None:
    def refused(token: int) -> str:
        for call in (
            lambda: db.objects.add_many(repository.id, some([1]), token),
            lambda: db.objects.remove_many(repository.id, [oid(0)], token),
        ):
            with pytest.raises(LeaseLost) as lost:
                call()
        return lost.value.why

    assert refused(1) == "not_holder"
    first = db.leases.acquire(repository.id)
    db.objects.add_many(repository.id, some([0]), first.fencing_token)
    db.leases.release(first.id)
    assert refused(1) == "ended"
    second = db.leases.acquire(repository.id, duration=timedelta(hours=1))
    assert refused(1) == "superseded"
    clock.pass_by(timedelta(hours=1))
    assert refused(second.fencing_token) == "expired"
    assert [found.oid for found in all_objects(db, repository)] == [oid(0)]


def test_a_lost_lease_is_told_before_the_objects_are_even_asked_for(
    db: Database, repository: Repository
) -> None:
    asked: list[bool] = []

    def objects() -> Iterator[NewObject]:
        asked.append(True)
        yield from some([1])

    with pytest.raises(LeaseLost):
        db.objects.add_many(repository.id, objects(), 1)
    assert asked == []


def test_nobody_writes_objects(db: Database, repository: Repository, token: int) -> None:
    nobody = db.acting_as(None)
    with pytest.raises(ActorRequired):
        nobody.objects.add_many(repository.id, some([1]), token)
    with pytest.raises(ActorRequired):
        nobody.objects.remove_many(repository.id, [oid(1)], token)
    assert nobody.objects.missing(repository.id, [oid(1)]) == [oid(1)]


# Bad objects.

GOOD = NewObject(oid(1), 3, 1, 1)

BAD_OBJECTS: list[tuple[str, Any]] = [
    *(
        ("oid", NewObject(bad, 3, 1))  # type: ignore[arg-type]
        for bad in (
            b"",
            b"x" * 19,
            b"x" * 21,
            b"x" * 32,
            "",
            "a" * 39,
            "a" * 41,
            "a" * 64,
            "g" * 40,
            "é" * 40,
            "a" * 39 + " ",
            "aa " * 13 + "a",
            "aa" * 20 + "\r",
            "aa" * 10 + "\f" + "aa" * 10,
            None,
            7,
            bytearray(20),
        )
    ),
    *(
        ("type", NewObject(oid(1), bad, 1))  # type: ignore[arg-type]
        for bad in (0, 5, -1, True, 3.0, "3", "blob", None, [3], b"3")
    ),
    *(
        (field, NewObject(**{"oid": oid(1), "type": 3, "size": 1, field: bad}))
        for field in ("size", "disk_size")
        for bad in (-1, SIZE_MAX + 1, True, 1.0, "1", b"1", float("nan"))
    ),
    ("size", NewObject(oid(1), 3, None)),  # type: ignore[arg-type]
    *(("objects", bad) for bad in (None, (oid(1), 3, 1), oid(1), 7)),
]


def test_a_bad_object_is_refused_by_the_name_of_its_field_and_none_is_kept(
    db: Database, repository: Repository, token: int
) -> None:
    before = count_of_entries(db)
    for field, bad in BAD_OBJECTS:
        for objects in ([bad], [*some([2, 3]), bad], [bad, GOOD], [GOOD, bad, GOOD]):
            with pytest.raises(InvalidValue) as refused:
                db.objects.add_many(repository.id, objects, token)
            assert refused.value.field == field, (bad, refused.value)
    assert all_objects(db, repository) == []
    assert count_of_entries(db) == before


def test_objects_come_in_an_iterable(db: Database, repository: Repository, token: int) -> None:
    not_several: list[Any] = [None, 7, GOOD]
    for bad in not_several:
        with pytest.raises(InvalidValue) as refused:
            db.objects.add_many(repository.id, bad, token)
        assert refused.value.field == "objects"


def test_oids_come_in_an_iterable_of_at_most_a_million(
    db: Database, repository: Repository, token: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgedb.dao.objects, "OIDS_A_CALL_MAX", 3)
    not_several: list[Any] = [None, 7, oid(1), oid(1).hex(), [oid(n) for n in range(4)]]
    for call in (
        lambda bad: db.objects.missing(repository.id, bad),
        lambda bad: db.objects.remove_many(repository.id, bad, token),
    ):
        for bad in not_several:
            with pytest.raises(InvalidValue) as refused:
                call(bad)
            assert refused.value.field == "oids"
    assert len(db.objects.missing(repository.id, [oid(n) for n in range(3)])) == 3


def test_what_is_no_oid_is_refused_wherever_one_is_asked_for(
    db: Database, repository: Repository, token: int
) -> None:
    bad_oids: list[Any] = [bad.oid for field, bad in BAD_OBJECTS if field == "oid"]
    for bad in bad_oids:
        calls: list[Callable[[], object]] = [
            lambda bad=bad: db.objects.get(repository.id, bad),
            lambda bad=bad: db.objects.missing(repository.id, [bad]),
            lambda bad=bad: db.objects.remove_many(repository.id, [bad], token),
        ]
        if bad not in (b"x" * 32, "a" * 64):
            calls.append(lambda bad=bad: db.objects.repositories_with(bad))
            if bad is not None:
                calls.append(lambda bad=bad: db.objects.list(repository.id, after=bad))
        for call in calls:
            with pytest.raises(InvalidValue) as refused:
                call()
            assert refused.value.field in ("oid", "oids", "after"), bad


def test_what_is_no_ulid_is_refused_by_every_method(db: Database) -> None:
    calls: list[Callable[[Any], object]] = [
        lambda bad: db.objects.add_many(bad, some([1]), 1),
        lambda bad: db.objects.remove_many(bad, [oid(1)], 1),
        lambda bad: db.objects.get(bad, oid(1)),
        db.objects.list,
        lambda bad: db.objects.missing(bad, [oid(1)]),
        db.objects.stats,
    ]
    for call in calls:
        for bad in BAD_ULIDS:
            with pytest.raises(InvalidValue) as refused:
                call(bad)
            assert refused.value.field == "repository_id"


def test_an_unknown_repository_is_not_found(db: Database) -> None:
    for call in (
        lambda: db.objects.add_many(FREE, some([1]), 1),
        lambda: db.objects.remove_many(FREE, [oid(1)], 1),
        lambda: db.objects.get(FREE, oid(1)),
        lambda: db.objects.missing(FREE, [oid(1)]),
        lambda: db.objects.stats(FREE),
    ):
        with pytest.raises(NotFound) as missing:
            call()
        assert (missing.value.entity, missing.value.key) == ("repository", FREE)


# Removing.


def test_removed_objects_are_gone_and_those_that_were_there_are_counted(
    db: Database, repository: Repository, token: int
) -> None:
    db.objects.add_many(repository.id, some(range(6)), token)
    gone = [oid(1), oid(4).hex(), oid(4), oid(77)]
    assert db.objects.remove_many(repository.id, gone, token) == 2
    assert db.objects.missing(repository.id, map(oid, range(6))) == [oid(1), oid(4)]
    entry = history(db, repository.id)[-1]
    assert entry.action == "objects.remove"
    assert entry.changes["removed"] == [None, 2]
    assert entry.changes["fencing_token"] == [None, token]
    assert db.objects.add_many(repository.id, some([1]), token) == AddResult(1, 0)


def test_removing_nothing_is_no_change(db: Database, repository: Repository, token: int) -> None:
    before = count_of_entries(db)
    assert db.objects.remove_many(repository.id, [], token) == 0
    assert db.objects.remove_many(repository.id, [oid(1)], token) == 0
    assert count_of_entries(db) == before


def test_removal_stays_within_its_repository(
    db: Database, project: Project, repository: Repository, token: int
) -> None:
    other = db.repositories.create(project.id, "web")
    other_token = db.leases.acquire(other.id).fencing_token
    for where, with_token in ((repository, token), (other, other_token)):
        db.objects.add_many(where.id, some([1]), with_token)
    assert db.objects.remove_many(other.id, [oid(1)], other_token) == 1
    assert db.objects.get(repository.id, oid(1)).size == 10


# Reading.


def test_an_object_that_is_not_there_is_not_found(db: Database, repository: Repository) -> None:
    with pytest.raises(NotFound) as missing:
        db.objects.get(repository.id, oid(1))
    assert (missing.value.entity, missing.value.key) == ("object", oid(1).hex())


def test_missing_gives_each_oid_once_in_the_order_asked(
    db: Database, repository: Repository, token: int
) -> None:
    db.objects.add_many(repository.id, some([2, 4]), token)
    asked = [oid(5), oid(2), oid(1).hex(), oid(5), oid(4).hex().upper(), oid(1)]
    assert db.objects.missing(repository.id, asked) == [oid(5), oid(1)]
    assert db.objects.missing(repository.id, iter(asked[:2])) == [oid(5)]
    assert db.objects.missing(repository.id, []) == []


def test_list_pages_in_the_order_of_oids_of_all_types_or_of_one(
    db: Database, repository: Repository, token: int
) -> None:
    db.objects.add_many(repository.id, some(range(23)), token)
    for kind in (None, *ObjectType, 3):
        numbers = [n for n in range(23) if kind in (None, 1 + n % 4)]
        for limit in (1, 5, 6, 23, 1000):
            pages = every_page(
                lambda kind=kind, **page: db.objects.list(repository.id, type=kind, **page), limit
            )
            found = [each for page in pages for each in page]
            assert [each.oid for each in found] == sorted(map(oid, numbers))
            assert {each.type for each in found} <= set(ObjectType if kind is None else [kind])


def test_list_takes_a_type_and_a_limit_that_make_sense(
    db: Database, repository: Repository
) -> None:
    bad_types: list[Any] = [0, 5, "commit", True, 1.0]
    for bad in bad_types:
        with pytest.raises(InvalidValue) as refused:
            db.objects.list(repository.id, type=bad)
        assert refused.value.field == "type"
    bad_limits: list[Any] = BAD_LIMITS
    for bad in bad_limits:
        for call in (
            lambda bad=bad: db.objects.list(repository.id, limit=bad),
            lambda bad=bad: db.objects.repositories_with(oid(1), limit=bad),
        ):
            with pytest.raises(InvalidValue) as refused:
                call()
            assert refused.value.field == "limit"


def test_repositories_with_an_object_are_found_the_deleted_ones_left_out(
    db: Database, project: Project
) -> None:
    made = [db.repositories.create(project.id, f"r{n}") for n in range(6)]
    for repository in made[1:]:
        lease = db.leases.acquire(repository.id)
        db.objects.add_many(repository.id, some([1]), lease.fencing_token)
        db.leases.release(lease.id)
    db.repositories.delete(made[3].id)
    expected = [db.repositories.get(made[n].id) for n in (1, 2, 4, 5)]
    having = partial(db.objects.repositories_with, oid(1))
    assert every_page(having, 1000) == [expected]
    assert every_page(having, 3) == [expected[:3], expected[3:]]
    assert db.objects.repositories_with(oid(1).hex()).items == expected
    assert db.objects.repositories_with(oid(2)).items == []
    assert db.objects.repositories_with(sha256(b"x").digest()).items == []


def test_stats_count_each_type_and_its_bytes(
    db: Database, repository: Repository, token: int
) -> None:
    assert db.objects.stats(repository.id) == []
    objects = [
        NewObject(oid(1), ObjectType.BLOB, 10, 4),
        NewObject(oid(2), ObjectType.BLOB, 20),
        NewObject(oid(3), ObjectType.COMMIT, 7, 3),
        NewObject(oid(4), ObjectType.TREE, 0, 0),
    ]
    db.objects.add_many(repository.id, objects, token)
    assert db.objects.stats(repository.id) == [
        ObjectStats(ObjectType.COMMIT, 1, 7, 3),
        ObjectStats(ObjectType.TREE, 1, 0, 0),
        ObjectStats(ObjectType.BLOB, 2, 30, 4),
    ]


def test_stats_add_up_sizes_past_the_largest_integer(
    db: Database, repository: Repository, token: int
) -> None:
    objects = [NewObject(oid(n), 3, SIZE_MAX) for n in range(2)]
    db.objects.add_many(repository.id, objects, token)
    (blobs,) = db.objects.stats(repository.id)
    assert blobs.size == 2 * SIZE_MAX


@pytest.mark.parametrize("name", [oid(7), oid(7).hex()])
def test_what_has_an_oid_and_nothing_else_is_refused(
    db: Database, repository: Repository, token: int, name: bytes | str
) -> None:
    given: Any = [SimpleNamespace(oid=name)]
    for _ in ("an empty repository", "one that has an object"):
        with pytest.raises(InvalidValue, match="each must be a NewObject"):
            db.objects.add_many(repository.id, given, token)
        db.objects.add_many(repository.id, some([1]), token)


@pytest.mark.usefixtures("tiny_batches")
def test_a_list_that_loses_its_end_meanwhile_is_recorded_as_far_as_it_goes(
    db: Database, repository: Repository, token: int
) -> None:
    class Shrinking(list[NewObject]):
        def __getitem__(self, place: Any) -> Any:
            found = super().__getitem__(place)
            del self[4:]
            return found

    given = Shrinking(ASCENDING)
    assert db.objects.add_many(repository.id, given, token) == AddResult(4, 0)
    assert len(all_objects(db, repository)) == 4
