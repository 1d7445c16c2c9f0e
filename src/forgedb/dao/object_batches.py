"""Objects in bulk: checked a column at a time, sorted by oid, and sent in slices.

Sorted rows fill the pages of the index in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter, lt
from typing import Any, TypeAlias, TypeVar

from forgedb.errors import InvalidValue
from forgedb.limits import INTEGER_MAX
from forgedb.models import NewObject, ObjectFormat, ObjectType
from forgedb.validation import check_enum, check_integer, check_oid

T = TypeVar("T")

SORTED_ROWS = 100_000
"""Objects that are sorted together, so that the pages of the index fill one after the other."""

SLICE_ROWS = 4096
"""Objects that are checked and sent together, few enough to stay in the processor's cache."""


Columns: TypeAlias = tuple[Sequence[bytes], Sequence[int], Sequence[int], Sequence[int | None]]
"""Objects as columns, sorted by oid: oids, types, sizes, disk sizes."""

_TYPE_CODES = frozenset(map(int, ObjectType))


def batched(objects: Iterable[NewObject]) -> Iterator[Sequence[NewObject]]:
    """The objects in batches of SORTED_ROWS.

    A batch is read in full before any of it is sent: the iterable may read in this transaction.
    """
    if isinstance(objects, list | tuple):
        start = 0
        # Sliced anew each time: another task may have removed some meanwhile.
        while batch := objects[start : start + SORTED_ROWS]:
            yield batch
            start += SORTED_ROWS
        return
    remaining = iterator("objects", objects)
    while batch := [*islice(remaining, SORTED_ROWS)]:
        yield batch


class Batches:
    """Objects in slices: first in the order given, while their oids ascend; then the rest, sorted.

    Each slice is read only once, while it is in the processor's cache.  Git lists objects in the
    order of their oids, and a check of that beforehand would take a tenth of the time to record
    them.
    """

    def __init__(self, objects: Sequence[NewObject], named_by: ObjectFormat) -> None:
        self._objects = objects
        self._named_by = named_by
        self._given = 0
        self._are_in_order = False

    @property
    def are_all_given(self) -> bool:
        """Whether no object is left."""
        return self._given == len(self._objects)

    def ascending(self, last: bytes) -> Iterator[Columns]:
        """Slices of ascending oids, all after ``last``; they end where the order breaks.

        If the first slice is not in order, the objects are sorted.
        """
        while not self.are_all_given:
            batch = self._slice()
            oids = batch[0]
            if last < oids[0] and all(map(lt, oids, islice(oids, 1, None))):
                last = oids[-1]
                self._given += len(oids)
                yield batch
            elif self._given or self._are_in_order:
                return
            else:
                self._put_in_order()

    def in_order(self) -> Iterator[Columns]:
        """Slices of what is left, in the order of their oids."""
        self._put_in_order()
        while not self.are_all_given:
            batch = self._slice()
            self._given += len(batch[0])
            yield batch

    def _slice(self) -> Columns:
        return _columns(self._objects[self._given : self._given + SLICE_ROWS], self._named_by)

    def _put_in_order(self) -> None:
        if not self._are_in_order and not self.are_all_given:
            self._objects = _in_order(self._objects[self._given :], self._named_by)
            self._given, self._are_in_order = 0, True


def _in_order(objects: Sequence[NewObject], named_by: ObjectFormat) -> Sequence[NewObject]:
    try:
        if {type(each.oid) for each in objects} != {bytes}:
            objects = [NewObject(*_row(each, named_by)) for each in objects]
    except AttributeError as error:
        raise _no_object(error) from error
    return sorted(objects, key=attrgetter("oid"))


def _columns(objects: Sequence[NewObject], named_by: ObjectFormat) -> Columns:
    """The objects' fields, checked a column at a time.  Raises InvalidValue."""
    try:
        oids: Any = [each.oid for each in objects]
        kinds: Any = [each.type for each in objects]
        sizes: Any = [each.size for each in objects]
        disk_sizes: Any = [each.disk_size for each in objects]
    except AttributeError as error:
        raise _no_object(error) from error
    known: Any = [size for size in disk_sizes if size is not None]
    if not (
        {*map(type, oids)} == {bytes}
        and {*map(len, oids)} == {named_by.oid_bytes}
        and {*map(type, kinds)} <= {int, ObjectType}
        and {*kinds} <= _TYPE_CODES
        and {*map(type, sizes)} == {int}
        and {*map(type, known)} <= {int}
        and min(sizes) >= 0
        and max(sizes) <= INTEGER_MAX
        and min(known, default=0) >= 0
        and max(known, default=0) <= INTEGER_MAX
    ):
        # A value needs converting, or is wrong: _row raises an error that names it.
        checked = [_row(each, named_by) for each in objects]
        oids, kinds, sizes, disk_sizes = zip(*checked, strict=True)
    return oids, kinds, sizes, disk_sizes


def _no_object(error: AttributeError) -> InvalidValue:
    return InvalidValue("objects", error.obj, "each must be a NewObject")


def _row(given: NewObject, named_by: ObjectFormat) -> tuple[bytes, int, int, int | None]:
    return (
        check_oid("oid", given.oid, named_by),
        check_enum("type", ObjectType, given.type).value,
        check_integer("size", given.size),
        None if given.disk_size is None else check_integer("disk_size", given.disk_size),
    )


def iterator(field: str, values: Iterable[T]) -> Iterator[T]:
    try:
        return iter(values)
    except TypeError:
        raise InvalidValue(field, values, "it must be several, such as a list") from None
