"""One run of works: the sides that take turns on databases of one kind, and the rows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from benchmarks.databases import PROJECT
from benchmarks.objects import generated
from benchmarks.peers.sides import Side
from benchmarks.places import Place
from benchmarks.scale import Scale
from benchmarks.timing import Contender, Row, Times, interleave
from forgedb.models import NewObject

Taken: TypeAlias = Sequence[tuple[Side, Times]]


class Work(NamedTuple):
    """What is done: its words for the row, and the function that measures it."""

    words: str
    measure: Callable[[Contest], tuple[int, Taken]]
    """Gives how many operations a slice has, and each side's times."""


class Large(NamedTuple):
    """A database whose first repository has many objects, in the order of their oids."""

    url: str
    repository_id: str
    objects: list[NewObject]


class Contest:
    """forgedb's sides and its peers', on databases of one kind."""

    def __init__(self, scale: Scale, place: Place, sides: Sequence[Side]) -> None:
        self.scale = scale
        self.place = place
        self.sides = sides

    def rows(self, name: str, work: Work) -> Iterator[Row]:
        """One for each peer; one that is awaited is compared with forgedb awaited."""
        operations, taken = work.measure(self)
        ours = {side.is_async: times for side, times in taken if side.is_ours}
        for side, times in taken:
            if not side.is_ours:
                words = f"{'await ' if side.is_async else ''}{work.words}, {self.place.words}"
                against = ours[side.is_async]
                yield Row(
                    f"{self.place.prefix}peers-{name}",
                    words,
                    side.words,
                    operations,
                    None,
                    times,
                    against,
                )

    def turns(self, contenders: Sequence[Contender]) -> Taken:
        """Each side's times; the contenders are in the order of the sides."""
        times = interleave(contenders, self.scale.peer_rounds)
        return [*zip(self.sides, times, strict=True)]

    @cached_property
    def base(self) -> str:
        return self.place.base()

    @cached_property
    def project_id(self) -> str:
        with self.place.open(self.base) as db:
            return db.projects.get_by_slug(PROJECT).id

    def repositories(self, count: int) -> list[str]:
        """The ids of the first of them."""
        with self.place.open(self.base) as db:
            return [one.id for one in db.repositories.list(self.project_id, limit=count).items]

    @cached_property
    def large(self) -> Large:
        objects = generated(self.scale.objects)
        url = self.place.copy(self.base, "large")
        (repository_id,) = self.repositories(1)
        with self.place.open(url) as db, db.leases.hold(repository_id) as lease:
            db.objects.add_many(repository_id, objects, lease.fencing_token)
        self.place.settle(url)
        return Large(url, repository_id, objects)

    def content(self, url: str, *texts: str) -> list[list[tuple[Any, ...]]]:
        """What the queries give there."""
        with self.place.open(url) as db:
            return [db.client.query(text) for text in texts]
