"""The works.  Each side's result is compared with forgedb's, once and untimed."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from itertools import count, islice
from typing import Any

from benchmarks.databases import PAGE
from benchmarks.peers.contest import Contest, Taken, Work
from benchmarks.peers.sides import Side
from benchmarks.peers.values import as_time
from benchmarks.timing import Contender, Slice, interleave

OIDS = 10_000
"""How many of them a check asks for; the repository has half."""

LEASED = 100
"""How many repositories are leased in turn."""

WRITTEN = (
    "SELECT count(*), sum(audit_seq), sum(lease_epoch), min(length(slug)) FROM repositories",
    "SELECT count(*), count(ended_at), max(fencing_token), count(previous_lease_id) FROM leases",
    """
    SELECT action, target_type, count(*), min(seq), max(seq), min(length(entry_hash))
    FROM audit_entries
    GROUP BY action, target_type
    ORDER BY action
    """,
)

RECORDED = """
SELECT type, count(*), sum(size), sum(disk_size)
FROM object_metadata
GROUP BY type
ORDER BY type
"""

# Where the oids begin and end: older servers have no min() of bytes.
FIRST = "SELECT oid FROM object_metadata ORDER BY oid LIMIT 1"
LAST = "SELECT oid FROM object_metadata ORDER BY oid DESC LIMIT 1"

SHOWN = ("id", "project_id", "slug", "description", "default_branch", "visibility", "lease_epoch")


def get(contest: Contest) -> tuple[int, Taken]:
    """Repositories by id, none twice in a slice, since a session would return it from memory."""
    ((*found,),) = contest.content(contest.place.base, "SELECT id FROM repositories ORDER BY id")
    ids = [row[0] for row in found]
    wanted = random.Random(0).sample(ids, k=min(contest.scale.gets, len(ids)))
    with ExitStack() as stack:
        opened = _opened(stack, contest.sides, contest.place.base)
        _check_same(contest.sides, [[*map(_repository, each.get(wanted))] for each in opened])
        return len(wanted), contest.turns([_each(one.get, wanted) for one in opened])


def create(contest: Contest) -> tuple[int, Taken]:
    """Repositories, each in a transaction of its own with the first entry of its stream."""

    def contender(opened: Any) -> Contender:
        slugs = (f"new-{number}" for number in count())
        size = contest.scale.writes
        return lambda: partial(opened.create, contest.project_id, [*islice(slugs, size)])

    return contest.scale.writes, _written(contest, contender)


def lease(contest: Contest) -> tuple[int, Taken]:
    """Leases of one repository after the other, each acquired and released."""
    ids = contest.repositories(LEASED)

    def contender(opened: Any) -> Contender:
        turn = (ids[number % len(ids)] for number in count())
        return lambda: partial(opened.lease, [*islice(turn, contest.scale.writes)])

    return contest.scale.writes, _written(contest, contender)


def page(contest: Contest) -> tuple[int, Taken]:
    """Pages at nine tenths of a repository's objects, by their key."""
    large = contest.large
    asked = (large.repository_id, large.after, PAGE, contest.scale.pages)
    with ExitStack() as stack:
        opened = _opened(stack, contest.sides, large.url)
        _check_same(contest.sides, [[*map(_object, one.page(*asked)[-1])] for one in opened])
        return contest.scale.pages, contest.turns([_each(one.page, *asked) for one in opened])


def offset(contest: Contest) -> tuple[int, Taken]:
    """The same page, which a peer finds by OFFSET, as many write; forgedb has no such way."""
    large = contest.large
    depth = len(large.objects) * 9 // 10
    with ExitStack() as stack:
        calls: list[tuple[Side, Callable[[], Any]]] = []
        for side, one in zip(contest.sides, _opened(stack, contest.sides, large.url), strict=True):
            if side.is_ours:
                calls.append((side, partial(_first, one.page, large.repository_id, large.after)))
            elif hasattr(one, "page_by_offset"):
                at = (large.repository_id, depth, PAGE)
                calls.append((side, partial(one.page_by_offset, *at)))
        sides = [side for side, _ in calls]
        _check_same(sides, [[*map(_object, call())] for _, call in calls])
        times = interleave([_each(call) for _, call in calls], contest.scale.peer_rounds)
    return 1, [*zip(sides, times, strict=True)]


def missing(contest: Contest) -> tuple[int, Taken]:
    """Which of many oids a large repository doesn't have: it has half of them."""
    large = contest.large
    source = random.Random(1)
    half = min(OIDS, len(large.objects)) // 2
    asked = [one.oid for one in source.sample(large.objects, k=half)]
    asked += [source.randbytes(20) for _ in range(half)]
    source.shuffle(asked)
    with ExitStack() as stack:
        opened = _opened(stack, contest.sides, large.url)
        _check_same(contest.sides, [one.missing(large.repository_id, asked) for one in opened])
        contenders = [_each(one.missing, large.repository_id, asked) for one in opened]
        return 1, contest.turns(contenders)


def add(contest: Contest) -> tuple[int, Taken]:
    """Objects in Git's order, into a repository that has none, in one transaction."""
    large = contest.large
    urls: dict[int, str] = {}

    def contender(number: int, side: Side) -> Contender:
        def prepare() -> Slice:
            urls[number] = contest.place.copy(contest.place.base, f"added_{number}")
            opened = side.open(urls[number])
            rows = opened.rows(large.repository_id, large.objects)
            # Keep the prepared rows out of garbage collections during the slices.
            gc.collect()
            gc.freeze()

            def run() -> None:
                opened.add(rows)
                opened.close()

            return run

        return prepare

    contenders = [contender(number, side) for number, side in enumerate(contest.sides)]
    times = interleave(contenders, contest.scale.peer_bulk_rounds, warm_up=False)
    found = [contest.content(urls[number], RECORDED, FIRST, LAST) for number in urls]
    _check_same(contest.sides, found)
    return len(large.objects), [*zip(contest.sides, times, strict=True)]


WORKS: dict[str, Work] = {
    "get": Work("get by id", get),
    "create": Work("create a repository, audited", create),
    "page": Work("page of 100 at depth 900,000", page),
    "offset": Work("page of 100 by OFFSET 900,000", offset),
    "lease": Work("lease acquire + release, audited", lease),
    "missing": Work("missing of 10,000 oids", missing),
    "add": Work("insert of 1 M objects", add),
}


def _opened(stack: ExitStack, sides: Sequence[Side], url: str) -> list[Any]:
    return [stack.enter_context(closing(side.open(url))) for side in sides]


def _each(call: Callable[..., object], *arguments: Any) -> Contender:
    return lambda: partial(call, *arguments)


def _first(page: Callable[..., Any], repository_id: str, after: bytes) -> Any:
    return page(repository_id, after, PAGE, 1)[0]


def _written(contest: Contest, contender: Callable[[Any], Contender]) -> Taken:
    """Times on a copy of the base for each side; at the end all copies count the same."""
    urls = [
        contest.place.copy(contest.place.base, f"written_{number}")
        for number, _ in enumerate(contest.sides)
    ]
    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(side.open(url)))
            for side, url in zip(contest.sides, urls, strict=True)
        ]
        taken = contest.turns([contender(one) for one in opened])
    _check_same(contest.sides, [contest.content(url, *WRITTEN) for url in urls])
    return taken


def _check_same(sides: Sequence[Side], results: Sequence[Any]) -> None:
    """The first side is forgedb."""
    for side, result in zip(sides, results, strict=True):
        assert result == results[0], f"{side.words} did other work than forgedb"


def _repository(found: Any) -> list[Any]:
    """What can be compared of a repository: its texts and numbers, and when it was created."""
    created_at = _field(found, "created_at")
    if not isinstance(created_at, datetime):
        created_at = as_time(created_at)
    return [*(_field(found, name) for name in SHOWN), created_at]


def _object(found: Any) -> list[Any]:
    return [bytes(_field(found, "oid")), *(_field(found, name) for name in ("type", "size"))]


def _field(found: Any, name: str) -> Any:
    """A field of a model, or of a row that is a mapping."""
    if isinstance(found, Mapping) or hasattr(found, "keys"):
        return found[name]
    return getattr(found, name)
