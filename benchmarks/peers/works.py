"""The six works: forgedb and its peers take turns at each, and every result is compared first."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import count, islice
from operator import itemgetter
from typing import Any, TypeAlias

from benchmarks.databases import PROJECT
from benchmarks.objects import PAGE, generated
from benchmarks.peers.places import Place, counted, filled
from benchmarks.peers.sides import Side
from benchmarks.peers.values import as_time
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Slice, Times, interleave

OIDS = 10_000
"""How many of them a check asks for; the repository has half."""

LEASED = 100
"""Over how many repositories the leases go round."""

WRITTEN = (
    "SELECT count(*), sum(audit_seq), sum(lease_epoch), min(length(slug)) FROM repositories",
    "SELECT count(*), count(ended_at), max(fencing_token), count(previous_lease_id) FROM leases",
    "SELECT action, target_type, count(*), min(seq), max(seq), min(length(entry_hash))"
    " FROM audit_entries GROUP BY action, target_type ORDER BY action",
)

RECORDED = (
    "SELECT type, count(*), sum(size), sum(disk_size), min(oid), max(oid)"
    " FROM object_metadata GROUP BY type ORDER BY type",
)

SHOWN = ("id", "project_id", "slug", "description", "default_branch", "visibility", "lease_epoch")

Work: TypeAlias = Callable[[Scale, Place, Sequence[Side]], Iterator[Row]]


def get(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Repositories by id, none twice in a slice: no session may remember one."""
    url = place.base()
    with place.open(url) as db:
        ids = [row[0] for row in db.client.query("SELECT id FROM repositories ORDER BY id")]
    wanted = random.Random(0).sample(ids, k=min(scale.gets, len(ids)))
    opened = [side.open(url) for side in sides]
    first, *others = [[_shown(found) for found in each.get(wanted)] for each in opened]
    assert all(other == first for other in others), "all read the same"
    times = interleave([partial(_slice, each.get, wanted) for each in opened], scale.peer_rounds)
    _close(opened)
    yield from _rows(place.row_name("get"), "get by id", place, sides, len(wanted), times)


def create(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Repositories, each in a transaction of its own with the first entry of its stream."""
    base = place.base()
    with place.open(base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id

    def contender(opened: Any) -> Contender:
        slugs = (f"new-{number}" for number in count())

        def prepare() -> Slice:
            return partial(opened.create, project_id, [*islice(slugs, scale.writes)])

        return prepare

    times = _written(scale, place, sides, base, contender)
    yield from _rows(
        place.row_name("create"), "create a repository, audited", place, sides, scale.writes, times
    )


def lease(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Leases of one repository after the other, each acquired and released."""
    base = place.base()
    with place.open(base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id
        ids = [each.id for each in db.repositories.list(project_id, limit=LEASED).items]

    def contender(opened: Any) -> Contender:
        turn = (ids[number % len(ids)] for number in count())
        return lambda: partial(opened.lease, [*islice(turn, scale.writes)])

    times = _written(scale, place, sides, base, contender)
    yield from _rows(
        place.row_name("lease"),
        "lease acquire + release, audited",
        place,
        sides,
        scale.writes,
        times,
    )


def page(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Pages at nine tenths of a repository's objects, by their key; and by OFFSET, as many do."""
    objects = generated(scale.objects)
    url, repository_id = filled(place, objects)
    depth = len(objects) * 9 // 10
    after = objects[depth - 1].oid
    opened = [side.open(url) for side in sides]
    asked = (repository_id, after, PAGE, scale.pages)
    first, *others = [[*map(_object, each.page(*asked)[-1])] for each in opened]
    assert len(first) == PAGE
    assert all(other == first for other in others), "all read the same"
    contenders = [partial(_slice, each.page, *asked) for each in opened]
    times = interleave(contenders, scale.peer_rounds)
    yield from _rows(
        place.row_name("page"),
        "page of 100 at depth 900,000 of 1 M",
        place,
        sides,
        scale.pages,
        times,
    )
    by_offset = [
        (side, each)
        for side, each in zip(sides, opened, strict=True)
        if hasattr(each, "page_by_offset")
    ]
    for side, each in by_offset:
        ours = next(
            one
            for one, of in zip(opened, sides, strict=True)
            if of.is_ours and of.is_async == side.is_async
        )
        skipping = (repository_id, depth, PAGE)
        assert [*map(_object, each.page_by_offset(*skipping))] == first, "both read the same"
        times = interleave(
            [
                partial(_slice, each.page_by_offset, *skipping),
                partial(_slice, ours.page, repository_id, after, PAGE, 1),
            ],
            scale.peer_rounds,
        )
        work = f"page of 100 at depth 900,000 of 1 M, {place.words}"
        yield Row(place.row_name("page"), work, f"{side.words}, OFFSET", 1, None, *times)
    _close(opened)


def missing(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Which of many oids a large repository doesn't have: it has half of them."""
    objects = generated(scale.objects)
    url, repository_id = filled(place, objects)
    source = random.Random(1)
    half = min(OIDS, len(objects)) // 2
    asked = [each.oid for each in source.sample(objects, k=half)]
    asked += [source.randbytes(20) for _ in range(half)]
    source.shuffle(asked)
    opened = [side.open(url) for side in sides]
    first, *others = [sorted(each.missing(repository_id, asked)) for each in opened]
    assert len(first) == half
    assert all(other == first for other in others), "all miss the same"
    contenders = [partial(_slice, each.missing, repository_id, asked) for each in opened]
    times = interleave(contenders, scale.peer_rounds)
    _close(opened)
    yield from _rows(place.row_name("missing"), "missing of 10,000 oids", place, sides, 1, times)


def add(scale: Scale, place: Place, sides: Sequence[Side]) -> Iterator[Row]:
    """Objects in Git's order, into a repository that has none, in one transaction."""
    base = place.base()
    objects = generated(scale.objects)
    with place.open(base) as db:
        project_id = db.projects.get_by_slug(PROJECT).id
        repository_id = db.repositories.list(project_id, limit=1).items[0].id
    urls: dict[str, str] = {}

    def contender(number: int, side: Side) -> Contender:
        def prepare() -> Slice:
            url = urls[side.words] = place.copy(base, f"added_{number}")
            opened = side.open(url)
            rows = opened.rows(repository_id, objects)

            def run() -> None:
                opened.add(rows)
                opened.close()

            return run

        return prepare

    contenders = [contender(number, side) for number, side in enumerate(sides)]
    times = interleave(contenders, scale.peer_bulk_rounds, warm_up=False)
    first, *others = [counted(place, url, *RECORDED) for url in urls.values()]
    assert all(other == first for other in others), "all wrote the same"
    yield from _rows(
        place.row_name("add"), "insert of 1 M objects", place, sides, len(objects), times
    )


WORKS: dict[str, Work] = {
    "get": get,
    "create": create,
    "page": page,
    "add": add,
    "lease": lease,
    "missing": missing,
}


def _slice(call: Callable[..., object], *arguments: Any) -> Slice:
    return partial(call, *arguments)


def _written(
    scale: Scale,
    place: Place,
    sides: Sequence[Side],
    base: str,
    contender: Callable[[Any], Contender],
) -> list[Times]:
    """Times on a copy of the base for each side; at the end all copies count the same."""
    urls = [place.copy(base, f"written_{number}") for number, _ in enumerate(sides)]
    opened = [side.open(url) for side, url in zip(sides, urls, strict=True)]
    times = interleave([contender(each) for each in opened], scale.peer_rounds)
    _close(opened)
    first, *others = [counted(place, url, *WRITTEN) for url in urls]
    for side, other in zip(sides[1:], others, strict=True):
        assert other == first, (side.words, other, first)
    return times


def _rows(
    name: str,
    work: str,
    place: Place,
    sides: Sequence[Side],
    operations: int,
    times: Sequence[Times],
) -> Iterator[Row]:
    """A row for each peer, beside forgedb on tasks where the peer is awaited."""
    ours = {side.is_async: taken for side, taken in zip(sides, times, strict=True) if side.is_ours}
    for side, taken in zip(sides, times, strict=True):
        if not side.is_ours:
            words = f"{'await ' if side.is_async else ''}{work}, {place.words}"
            yield Row(name, words, side.words, operations, None, taken, ours[side.is_async])


def _close(opened: Sequence[Any]) -> None:
    for each in opened:
        each.close()


def _shown(found: Any) -> list[Any]:
    """What can be compared of a repository: its texts and numbers, and when it was created."""
    created_at = _field(found, "created_at")
    if not isinstance(created_at, datetime):
        created_at = as_time(created_at)
    return [*(_field(found, name) for name in SHOWN), created_at]


def _object(found: Any) -> list[Any]:
    return [bytes(_field(found, "oid")), *(_field(found, name) for name in ("type", "size"))]


def _field(found: Any, name: str) -> Any:
    if isinstance(found, Mapping) or hasattr(found, "keys"):
        return itemgetter(name)(found)
    return getattr(found, name)
