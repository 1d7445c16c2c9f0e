"""What a client does: reads, cycles of writes, or reads by the raw driver."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count, cycle, islice
from typing import Any, NamedTuple, TypeAlias

import forgedb
from benchmarks.databases import PAGE, is_file, open_ours, open_raw, raw_text
from forgedb.dao.repositories import LIST_LIVE, SELECT_BY_ID
from forgedb.models import NewObject

GETS_A_PAGE = 9
"""How many repositories a reader gets by id before it reads a page of them."""

BATCH = 100
OID_BYTES = 20

REPOSITORIES_A_WRITER = 20
WANTED = 1_000

READS = ("get", "page")
WRITES = ("acquire", "add_many", "release")
RECORDS = ("record",)

Operation: TypeAlias = tuple[str, Callable[[], object]]
"""The kind of an operation, and the call that is timed."""

Operations: TypeAlias = Generator[Operation, None, None]

Work: TypeAlias = Callable[["Place"], Operations]
"""An endless generator of operations; closing it closes its connections."""


class Place(NamedTuple):
    """Where a client works: the database, and which of how many clients it is."""

    url: str
    project_id: str
    repositories: tuple[str, ...]
    client: int = 0
    clients: int = 1

    @property
    def own(self) -> tuple[str, ...]:
        """Repositories that no other client writes to."""
        return self.repositories[self.client :: self.clients][:REPOSITORIES_A_WRITER]

    @property
    def gets(self) -> list[str]:
        return self._chosen(self.repositories)

    @property
    def pages(self) -> list[str]:
        """The ids that pages begin after; each page is full."""
        return self._chosen(self.repositories[:-PAGE])

    def _chosen(self, ids: tuple[str, ...]) -> list[str]:
        return random.Random(self.client).choices(ids, k=WANTED)


def reads(place: Place) -> Operations:
    """Models by id, and pages of them."""
    with open_ours(place.url) as db:
        yield from _reads(db, place)


def writes(place: Place) -> Operations:
    """Cycles of three transactions: acquire a lease, add a batch of objects, release the lease."""
    with open_ours(place.url) as db:
        yield from _writes(db, place)


def both(place: Place) -> Operations:
    """For a single client: a round of reads, then a cycle of writes, in turn."""
    with open_ours(place.url) as db, closing(_writes(db, place)) as writing:
        reading = _reads(db, place)
        while True:
            yield from islice(reading, GETS_A_PAGE + 1)
            yield from islice(writing, len(WRITES))


def records(place: Place) -> Operations:
    """Entries in the audit stream of one project, which all clients add to."""
    with open_ours(place.url) as db:
        for number in count():
            changes = {"reviewed": [number, number + 1]}
            yield "record", partial(db.audit.record, "project.review", place.project_id, changes)


def raw_reads(place: Place) -> Operations:
    """The statements of ``reads``, as tuples, on one connection of the driver."""
    gets, pages = cycle(place.gets), cycle(place.pages)
    with _raw(place.url) as (get, page):
        while True:
            for _ in range(GETS_A_PAGE):
                yield "get", partial(get, {"id": next(gets)})
            params = {"project_id": place.project_id, "after": next(pages), "limit": PAGE}
            yield "page", partial(page, params)


def _reads(db: forgedb.Database, place: Place) -> Operations:
    gets, pages = cycle(place.gets), cycle(place.pages)
    while True:
        for _ in range(GETS_A_PAGE):
            yield "get", partial(db.repositories.get, next(gets))
        yield "page", partial(db.repositories.list, place.project_id, after=next(pages), limit=PAGE)


def _writes(db: forgedb.Database, place: Place) -> Operations:
    held: list[forgedb.Lease] = []

    def acquire(repository_id: str) -> None:
        held.append(db.leases.acquire(repository_id, purpose="nightly import"))

    def add(repository_id: str, objects: list[NewObject]) -> None:
        added = db.objects.add_many(repository_id, objects, held[-1].fencing_token)
        assert added.added == BATCH, "the objects are new ones"

    def release() -> None:
        db.leases.release(held.pop().id)

    try:
        for repository_id in cycle(place.own):
            yield "acquire", partial(acquire, repository_id)
            yield "add_many", partial(add, repository_id, _new_objects())
            yield "release", release
    finally:
        # Wherever this turn stopped, the next one must find no lease held.
        while held:
            release()


def _new_objects() -> list[NewObject]:
    oids = os.urandom(BATCH * OID_BYTES)
    return [
        NewObject(oids[start : start + OID_BYTES], 3, 4_000, 1_500)
        for start in range(0, len(oids), OID_BYTES)
    ]


@contextmanager
def _raw(url: str) -> Iterator[list[Callable[[dict[str, Any]], object]]]:
    """Functions that get a repository, and a page of them, by the raw driver."""
    with closing(open_raw(url, writes=False)) as raw:
        execute = raw.cursor().execute if is_file(url) else raw.execute
        yield [partial(_fetch_all, execute, raw_text(url, of)) for of in (SELECT_BY_ID, LIST_LIVE)]


def _fetch_all(execute: Callable[..., Any], text: Any, params: dict[str, Any]) -> object:
    return execute(text, params).fetchall()


WORK: dict[str, Work] = {
    "reads": reads,
    "writes": writes,
    "both": both,
    "raw reads": raw_reads,
    "records": records,
}
