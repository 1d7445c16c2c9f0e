"""Relationships: who comes from whom, in this database or not, and never in a circle of forks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forgedb import (
    ActorRequired,
    AlreadyExists,
    Cycle,
    Database,
    InvalidValue,
    NotFound,
    Project,
    Relationship,
    RelationshipKind,
    Repository,
)
from tests.conformance.conftest import START
from tests.conformance.reaching import on_each_database
from tests.conformance.test_mirrors import GOOD_URLS, SECRET_URLS
from tests.conformance.values import (
    BAD_ULIDS,
    FREE,
    actions,
    assert_list_pages_well,
    assert_refused,
    count_of_entries,
    history,
)

ACYCLIC = [RelationshipKind.FORK, RelationshipKind.TEMPLATE, RelationshipKind.OBJECT_POOL]
CYCLIC = [RelationshipKind.MIRROR, RelationshipKind.SUBMODULE]


@pytest.fixture
def repositories(db: Database, project: Project) -> list[Repository]:
    """Six of them, a to f."""
    return [db.repositories.create(project.id, slug) for slug in "abcdef"]


def slugs(found: list[Repository]) -> str:
    return "".join(repository.slug for repository in found)


@pytest.mark.parametrize("kind", RelationshipKind)
def test_a_relationship_reads_back_as_it_was_returned(
    db: Database, repositories: list[Repository], kind: RelationshipKind
) -> None:
    a, b, *_ = repositories
    made = db.relationships.create(source_id=a.id, kind=kind.value, target_id=b.id, path="lib/b ä")
    assert made == Relationship(
        id=made.id,
        source_id=a.id,
        target_id=b.id,
        target_url=None,
        kind=kind,
        path="lib/b ä",
        created_at=START,
        updated_at=START,
    )
    found = db.relationships.get(made.id)
    assert found == made
    assert type(found.kind) is RelationshipKind


@on_each_database
@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_target_may_be_elsewhere(db: Database, repository: Repository, url: str) -> None:
    made = db.relationships.create(repository.id, "submodule", target_url=url, path="lib")
    assert (made.target_id, made.target_url) == (None, url)
    assert db.relationships.get(made.id) == made


@on_each_database
@pytest.mark.parametrize("url", SECRET_URLS)
def test_credentials_in_an_address_are_refused_and_never_shown(
    db: Database, repository: Repository, url: str
) -> None:
    before = count_of_entries(db)
    with pytest.raises(InvalidValue) as raised:
        db.relationships.create(repository.id, "fork", target_url=url)
    assert raised.value.field == "target_url"
    assert "s3cret" not in f"{raised.value} {raised.value!r} {raised.value.args}"
    assert count_of_entries(db) == before


def test_there_is_exactly_one_target_and_it_is_another_repository(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, *_ = repositories
    with pytest.raises(InvalidValue, match="not both") as none:
        db.relationships.create(a.id, "fork")
    with pytest.raises(InvalidValue, match="not both") as both:
        db.relationships.create(a.id, "fork", b.id, "https://host/b")
    with pytest.raises(InvalidValue, match="it is the source") as itself:
        db.relationships.create(a.id, "mirror", a.id)
    assert {none.value.field, both.value.field, itself.value.field} == {"target_id"}
    assert db.relationships.list(a.id).items == []


@on_each_database
def test_malformed_values_are_refused(db: Database, repositories: list[Repository]) -> None:
    a, b, *_ = repositories
    for bad in BAD_ULIDS:
        assert_refused(
            "relationship_id",
            bad,
            partial(db.relationships.get, bad),
            partial(db.relationships.delete, bad),
        )
        assert_refused(
            "repository_id",
            bad,
            partial(db.relationships.list, bad),
            partial(db.relationships.ancestors, bad, "fork"),
            partial(db.relationships.descendants, bad, "fork"),
        )
        assert_refused("source_id", bad, partial(db.relationships.create, bad, "fork", b.id))
        assert_refused("target_id", bad, partial(db.relationships.create, a.id, "fork", bad))
    kinds: list[Any] = ["", "Fork", "child", 1, b"fork"]
    for kind in kinds:
        assert_refused(
            "kind",
            kind,
            partial(db.relationships.create, a.id, kind, b.id),
            partial(db.relationships.list, a.id, kind=kind),
            partial(db.relationships.ancestors, a.id, kind),
            partial(db.relationships.descendants, a.id, kind),
        )
    paths: list[Any] = ["p" * 4097, "nul\0", "\udc80", None, 7]
    for path in paths:
        assert_refused(
            "path", path, partial(db.relationships.create, a.id, "submodule", b.id, path=path)
        )
    sides: list[Any] = ["", "OUT", "both", None, 1]
    for side in sides:
        assert_refused("direction", side, partial(db.relationships.list, a.id, direction=side))


def test_both_ends_are_live_repositories(db: Database, repositories: list[Repository]) -> None:
    a, b, *_ = repositories
    db.repositories.delete(b.id)
    before = count_of_entries(db)
    for source, target, missing in (
        (a.id, FREE, FREE),
        (FREE, a.id, FREE),
        (a.id, b.id, b.id),
        (b.id, a.id, b.id),
    ):
        with pytest.raises(NotFound) as raised:
            db.relationships.create(source, "fork", target)
        assert (raised.value.entity, raised.value.key) == ("repository", missing)
    assert count_of_entries(db) == before


def test_what_is_not_there_is_named(db: Database) -> None:
    for call in (lambda: db.relationships.get(FREE), lambda: db.relationships.delete(FREE)):
        with pytest.raises(NotFound) as raised:
            call()
        assert (raised.value.entity, raised.value.key) == ("relationship", FREE)


def test_the_same_relationship_is_not_recorded_twice(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, *_ = repositories
    wanted: list[dict[str, Any]] = [
        {"target_id": b.id, "path": "lib"},
        {"target_id": b.id, "path": ""},
        {"target_url": "https://host/b", "path": "lib"},
        {"target_url": "https://host/b"},
    ]
    made = [db.relationships.create(a.id, "submodule", **each) for each in wanted]
    for each in wanted:
        with pytest.raises(AlreadyExists, match="submodule relationship") as raised:
            db.relationships.create(a.id, "submodule", **each)
        assert raised.value.constraint == "repository_relationships_no_duplicates"
    assert db.relationships.list(a.id).items == made
    assert db.relationships.create(a.id, "mirror", b.id).kind is RelationshipKind.MIRROR


def test_a_repository_is_a_fork_of_one_only(db: Database, repositories: list[Repository]) -> None:
    a, b, c, *_ = repositories
    made = db.relationships.create(a.id, "fork", b.id)
    others: list[dict[str, Any]] = [
        {"target_id": b.id},
        {"target_id": c.id},
        {"target_url": "https://host/x"},
    ]
    for other in others:
        with pytest.raises(AlreadyExists, match="is a fork already") as raised:
            db.relationships.create(a.id, "fork", **other)
        assert raised.value.constraint == "repository_relationships_one_fork_parent"
    db.relationships.delete(made.id)
    assert db.relationships.create(a.id, "fork", c.id).target_id == c.id


@pytest.mark.parametrize("kind", ACYCLIC)
def test_no_repository_comes_from_itself(
    db: Database, repositories: list[Repository], kind: RelationshipKind
) -> None:
    for child, parent in itertools.pairwise(repositories):
        db.relationships.create(child.id, kind, parent.id)
    before = count_of_entries(db)
    a, b, *_, e, f = repositories
    for source, target in ((b, a), (f, a), (f, e)):
        with pytest.raises(Cycle) as raised:
            db.relationships.create(source.id, kind, target.id)
        assert raised.value.constraint == "repository_relationships_acyclic"
        assert str(raised.value).startswith(f"repository {source.id} can't be a ")
    assert count_of_entries(db) == before


def test_a_cycle_is_told_by_the_repositories_on_its_way(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, c, *_ = repositories
    db.relationships.create(a.id, "fork", b.id)
    db.relationships.create(b.id, "fork", c.id)
    with pytest.raises(Cycle, match=f"{c.id} <- {b.id} <- {a.id} <- {c.id}"):
        db.relationships.create(c.id, "fork", a.id)


def test_a_long_cycle_is_told_in_part(db: Database, project: Project) -> None:
    chain = [db.repositories.create(project.id, f"r{number}") for number in range(12)]
    for child, parent in itertools.pairwise(chain):
        db.relationships.create(child.id, "fork", parent.id)
    with pytest.raises(Cycle, match=rf"{chain[7].id} <- \.\.\. <- {chain[11].id}\)"):
        db.relationships.create(chain[11].id, "fork", chain[0].id)


@pytest.mark.parametrize("kind", ACYCLIC)
def test_two_ways_to_one_ancestor_are_no_cycle(
    db: Database, repositories: list[Repository], kind: RelationshipKind
) -> None:
    a, b, c, d, *_ = repositories
    db.relationships.create(a.id, "template", b.id)
    db.relationships.create(a.id, "template", c.id)
    db.relationships.create(b.id, "template", d.id)
    db.relationships.create(c.id, "template", d.id)
    assert slugs(db.relationships.ancestors(a.id, "template")) == "bcd"
    assert slugs(db.relationships.descendants(d.id, "template")) == "bca"
    # What closes a circle with edges of another kind is none.
    if kind is not RelationshipKind.TEMPLATE:
        db.relationships.create(d.id, kind, a.id)


@pytest.mark.parametrize("kind", CYCLIC)
def test_mirrors_and_submodules_may_go_in_circles_which_are_walked_once(
    db: Database, repositories: list[Repository], kind: RelationshipKind
) -> None:
    ring = repositories[:4]
    for near, far in zip(ring, ring[1:] + ring[:1], strict=True):
        db.relationships.create(near.id, kind, far.id)
    db.relationships.create(ring[0].id, kind, ring[2].id)
    assert slugs(db.relationships.ancestors(ring[0].id, kind)) == "bcd"
    assert slugs(db.relationships.descendants(ring[0].id, kind)) == "dcb"


def test_ancestors_come_nearest_first_and_of_one_kind(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, c, d, e, f = repositories
    db.relationships.create(a.id, "object_pool", f.id)
    db.relationships.create(f.id, "object_pool", b.id)
    db.relationships.create(a.id, "object_pool", c.id)
    db.relationships.create(b.id, "object_pool", c.id)
    db.relationships.create(a.id, "fork", d.id)
    db.relationships.create(b.id, "object_pool", target_url="https://host/pool")
    db.relationships.create(e.id, "object_pool", a.id)
    found = db.relationships.ancestors(a.id, "object_pool")
    assert found == [c, f, b]
    assert slugs(db.relationships.ancestors(e.id, "object_pool")) == "acfb"
    assert slugs(db.relationships.descendants(c.id, "object_pool")) == "abef"
    assert db.relationships.ancestors(a.id, "submodule") == []
    assert db.relationships.descendants(FREE, "fork") == []


def test_deleted_repositories_are_nobodys_family(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, c, *_ = repositories
    db.relationships.create(a.id, "fork", b.id)
    db.relationships.create(c.id, "fork", b.id)
    db.repositories.delete(a.id)
    assert slugs(db.relationships.descendants(b.id, "fork")) == "c"


@on_each_database
def test_a_family_of_more_than_ten_thousand_relationships_is_not_read_whole(
    db: Database, project: Project
) -> None:
    with db.transaction() as tx:
        ids = [tx.repositories.create(project.id, f"r{number}").id for number in range(101)]
        rows: list[dict[str, Any]] = [
            {"id": f"01KD{number:022d}", "source": source, "target": target}
            for number, (source, target) in enumerate(itertools.permutations(ids, 2))
        ]
        insert = """
            INSERT INTO repository_relationships (
                id, source_id, target_id, kind, path, created_at, updated_at)
            VALUES (:id, :source, :target, 'submodule', '',
                '2026-11-22T10:00:00.000000Z', '2026-11-22T10:00:00.000000Z')
        """
        tx.client.execute_many(insert, rows[:10_000])
        assert len(tx.relationships.ancestors(ids[0], "submodule")) == 100
        tx.client.execute(insert, rows[10_000])
        for walk in (tx.relationships.ancestors, tx.relationships.descendants):
            with pytest.raises(
                InvalidValue, match=r"more than 10000 .* page through list"
            ) as raised:
                walk(ids[0], "submodule")
            assert (raised.value.field, raised.value.value) == ("repository_id", ids[0])
        # They have no entries, and each test's history must prove itself.
        tx.client.execute("DELETE FROM repository_relationships")


@pytest.mark.parametrize("side", ["out", "in"])
def test_a_list_is_of_one_side_and_pages_by_key(
    db: Database, project: Project, repository: Repository, side: str
) -> None:
    others = [db.repositories.create(project.id, f"r{number}") for number in range(5)]
    for other in others:
        ends = (repository.id, other.id) if side == "out" else (other.id, repository.id)
        db.relationships.create(ends[0], "submodule", ends[1])
        db.relationships.create(ends[1], "mirror", ends[0])
    assert_list_pages_well(partial(db.relationships.list, repository.id, direction=side))
    assert_list_pages_well(
        partial(db.relationships.list, repository.id, kind="submodule", direction=side)
    )
    assert db.relationships.list(repository.id, kind="mirror", direction=side).items == []  # type: ignore[arg-type]
    assert db.relationships.list(repository.id, kind="fork").items == []
    assert db.relationships.list(FREE).items == []


def test_a_list_goes_out_unless_told_and_holds_what_is_elsewhere(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, c, *_ = repositories
    fork = db.relationships.create(a.id, "fork", b.id)
    elsewhere = db.relationships.create(a.id, "submodule", target_url="https://host/x", path="x")
    incoming = db.relationships.create(c.id, "fork", a.id)
    assert db.relationships.list(a.id).items == [fork, elsewhere]
    assert db.relationships.list(a.id, kind=RelationshipKind.FORK).items == [fork]
    assert db.relationships.list(a.id, direction="in").items == [incoming]


def test_a_deleted_relationship_is_returned_as_it_was(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, *_ = repositories
    made = db.relationships.create(a.id, "fork", b.id)
    assert db.relationships.delete(made.id) == made
    with pytest.raises(NotFound):
        db.relationships.delete(made.id)
    assert db.relationships.list(a.id).items == []
    assert db.repositories.delete(b.id).deleted_at is not None


def test_a_relationship_of_a_deleted_repository_can_still_be_deleted(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, *_ = repositories
    made = db.relationships.create(a.id, "fork", b.id)
    db.repositories.delete(a.id)
    assert db.relationships.delete(made.id) == made


def test_each_change_leaves_an_entry_in_the_sources_stream(
    db: Database, repositories: list[Repository]
) -> None:
    a, b, *_ = repositories
    made = db.relationships.create(a.id, "submodule", b.id, path="lib/b")
    db.relationships.delete(made.id)
    created, deleted = history(db, made.id)
    assert (created.action, deleted.action) == ("relationship.create", "relationship.delete")
    assert {created.stream_id, deleted.stream_id} == {a.id}
    assert {created.target_type, deleted.target_type} == {"relationship"}
    assert created.changes == {
        "source_id": [None, a.id],
        "target_id": [None, b.id],
        "kind": [None, "submodule"],
        "path": [None, "lib/b"],
    }
    assert deleted.changes == {name: [after, None] for name, (_, after) in created.changes.items()}
    assert actions(db, b.id) == ["repository.create"]


def test_a_change_by_nobody_is_refused(db: Database) -> None:
    nobody = db.acting_as(None)
    for operation, call in (
        ("create", lambda: nobody.relationships.create("bad id", "bad")),
        ("delete", lambda: nobody.relationships.delete("bad id")),
    ):
        with pytest.raises(ActorRequired) as raised:
            call()
        assert raised.value.operation == f"RelationshipsDao.{operation}"


def test_writers_that_each_add_an_edge_of_one_cycle_dont_all_succeed(
    db: Database, repositories: list[Repository]
) -> None:
    started = threading.Barrier(len(repositories))
    cycles: list[Cycle] = []

    def add(child: Repository, parent: Repository) -> None:
        started.wait(10)
        try:
            db.relationships.create(child.id, "template", parent.id)
        except Cycle as cycle:
            cycles.append(cycle)

    ring = zip(repositories, repositories[1:] + repositories[:1], strict=True)
    threads = [threading.Thread(target=add, args=ends) for ends in ring]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(cycles) == 1
    edges = [db.relationships.list(each.id).items for each in repositories]
    assert sum(map(len, edges)) == len(repositories) - 1


EDGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14)


@on_each_database
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(edges=EDGES, start=st.integers(0, 5), kind=st.sampled_from([*ACYCLIC[1:], *CYCLIC]))
def test_what_is_recorded_and_walked_is_what_a_graph_on_paper_says(
    db: Database,
    repositories: list[Repository],
    edges: list[tuple[int, int]],
    start: int,
    kind: RelationshipKind,
) -> None:
    drawn: dict[int, set[int]] = {number: set() for number in range(6)}
    made = []
    for source, target in edges:
        expected: type[Exception] | None = None
        if source == target:
            expected = InvalidValue
        elif kind in ACYCLIC and source in distances(drawn, target):
            expected = Cycle
        elif target in drawn[source]:
            expected = AlreadyExists
        create: Callable[[], Relationship] = partial(
            db.relationships.create, repositories[source].id, kind, repositories[target].id
        )
        if expected is None:
            made.append(create())
            drawn[source].add(target)
        else:
            with pytest.raises(expected):
                create()
    for find, graph in (
        (db.relationships.ancestors, drawn),
        (db.relationships.descendants, {n: {m for m in drawn if n in drawn[m]} for n in drawn}),
    ):
        away = distances(graph, start)
        assert slugs(find(repositories[start].id, kind)) == "".join(
            "abcdef"[number] for number in sorted(away, key=lambda number: (away[number], number))
        )
    for edge in made:
        db.relationships.delete(edge.id)


def distances(graph: dict[int, set[int]], start: int) -> dict[int, int]:
    """How far each that can be reached is; the start is not among them."""
    away: dict[int, int] = {}
    level, distance = {start}, 0
    while level:
        distance += 1
        level = {far for near in level for far in graph[near]} - {start, *away}
        away |= dict.fromkeys(level, distance)
    return away
