"""One run of the benchmarks: sides that take turns on databases of one kind, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from benchmarks.databases import ids_of, open_ours, project_of
from benchmarks.objects import Deep, deep
from benchmarks.peers.sides import Side
from benchmarks.places import Place
from benchmarks.timing import Contender, Row, Times, interleave

Taken: TypeAlias = Sequence[tuple[Side, Times]]


class Work(NamedTuple):
    """A kind of work: its name in the row, and the function that measures it."""

    words: str
    measure: Callable[[Contest], tuple[int, Taken]]
    """Returns the number of operations in a slice, and each side's times."""


class Contest:
    """forgedb and its peers, on databases of one kind."""

    def __init__(self, place: Place, sides: Sequence[Side]) -> None:
        self.scale = place.scale
        self.place = place
        self.sides = sides

    def rows(self, name: str, work: Work) -> Iterator[Row]:
        """A row for each peer; an async peer is compared with forgedb's async API."""
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
    def project_id(self) -> str:
        with open_ours(self.place.base) as db:
            return project_of(db)

    def repositories(self, count: int) -> list[str]:
        """The ids of the first of them."""
        with open_ours(self.place.base) as db:
            return ids_of(db, count)

    @cached_property
    def large(self) -> Deep:
        return deep(self.place)

    def content(self, url: str, *texts: str) -> list[list[tuple[Any, ...]]]:
        """The rows that the queries return from this database."""
        with open_ours(url) as db:
            return [db.client.query(text) for text in texts]
