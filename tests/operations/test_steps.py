"""A lookup, driven by hand: all that is asked of the generator of one step that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from forgedb import InvalidValue, NotFound, Unavailable
from forgedb.operations.steps import Lookup, SelectOne, Steps, change, lookup, one
from forgedb.sql.catalogue import Sql

FIND = Sql("SELECT id FROM named WHERE id = :id", "SELECT id FROM named WHERE id = :id", own=True)
TOUCH = Sql("UPDATE named SET id = :id", "UPDATE named SET id = :id", own=True)


class Named(msgspec.Struct):
    id: str


ROW = Named("a")

Find = Callable[[str], Steps[Named]]


def by_lookup(key: str) -> Steps[Named]:
    return lookup(Named, FIND, "name", key, id=key)


def written_out(key: str) -> Steps[Named]:
    found = yield from one(Named, FIND, id=key)
    if found is None:
        raise NotFound("name", key)
    return found


@pytest.fixture(params=[by_lookup, written_out])
def find(request: pytest.FixtureRequest) -> Find:
    """A lookup, and the generator that it stands for: what is said here holds for both."""
    find: Find = request.param
    return find


def result(steps: Steps[Any], sent: object) -> Any:
    """What the operation returns when it is sent the last result."""
    with pytest.raises(StopIteration) as stop:
        steps.send(sent)
    return stop.value.value


def test_a_lookup_is_made_without_a_generator() -> None:
    made: Any = by_lookup("a")
    assert type(made) is Lookup
    assert (made.statement, made.params, made.model) == (FIND, {"id": "a"}, Named)
    assert (made.entity, made.key) == ("name", "a")


@pytest.mark.parametrize("begin", [next, lambda steps: steps.send(None)])
def test_its_one_step_is_to_select_the_row(
    find: Find, begin: Callable[[Steps[Named]], object]
) -> None:
    assert begin(find("a")) == SelectOne(FIND, {"id": "a"}, Named)


def test_the_row_that_it_is_sent_is_its_result(find: Find) -> None:
    steps = find("a")
    next(steps)
    assert result(steps, ROW) is ROW


def test_a_row_is_one_however_empty(find: Find) -> None:
    for row in ((), "", 0, False):
        steps = find("a")
        next(steps)
        assert result(steps, row) is row


def test_where_there_is_no_row_it_is_told_what_was_not_found(find: Find) -> None:
    for tell in (next, lambda steps: steps.send(None)):
        steps = find("a")
        next(steps)
        with pytest.raises(NotFound) as missing:
            tell(steps)
        assert (missing.value.entity, missing.value.key) == ("name", "a")


def test_what_is_thrown_into_it_comes_out(find: Find) -> None:
    for already in (True, False):
        steps = find("a")
        if already:
            next(steps)
        error = Unavailable("the server is gone")
        with pytest.raises(Unavailable) as raised:
            steps.throw(error)
        assert raised.value is error


def test_it_is_closed_before_its_step_and_after_it_and_at_its_end(find: Find) -> None:
    steps = find("a")
    steps.close()
    steps = find("a")
    next(steps)
    steps.close()
    steps = find("a")
    next(steps)
    assert result(steps, ROW) is ROW
    steps.close()
    steps.close()


def test_two_of_the_same_know_nothing_of_each_other(find: Find) -> None:
    first, second = find("a"), find("a")
    assert next(first) == next(second)
    assert result(second, ROW) is ROW
    with pytest.raises(NotFound):
        first.send(None)


# In an operation that builds on it.


def test_an_operation_gets_the_row_and_goes_on(find: Find) -> None:

    def renamed() -> Steps[str]:
        first = yield from find("a")
        second = yield from find("b")
        changed = yield from change(TOUCH, id="c")
        return f"{first.id}{second.id}{changed}"

    steps = renamed()
    assert next(steps) == SelectOne(FIND, {"id": "a"}, Named)
    assert steps.send(ROW) == SelectOne(FIND, {"id": "b"}, Named)
    step: Any = steps.send(Named("b"))
    assert step.statement is TOUCH
    assert result(steps, 7) == "ab7"


def test_an_operation_passes_its_result_on(find: Find) -> None:

    def wrapped() -> Steps[Named]:
        return (yield from find("a"))

    steps = wrapped()
    next(steps)
    assert result(steps, ROW) is ROW


def test_what_was_not_found_comes_through_an_operation(find: Find) -> None:

    def wrapped() -> Steps[Named]:
        return (yield from find("a"))

    steps = wrapped()
    next(steps)
    with pytest.raises(NotFound) as missing:
        steps.send(None)
    assert (missing.value.entity, missing.value.key) == ("name", "a")


def test_an_operation_may_go_on_without_what_was_not_found(find: Find) -> None:

    def either() -> Steps[Named]:
        try:
            return (yield from find("a"))
        except NotFound:
            return (yield from find("b"))

    steps = either()
    next(steps)
    assert steps.send(None) == SelectOne(FIND, {"id": "b"}, Named)
    assert result(steps, ROW) is ROW


def test_what_the_step_raises_is_raised_in_the_operation_that_asked_for_it(find: Find) -> None:
    caught: list[Exception] = []

    def careful() -> Steps[str]:
        try:
            yield from find("a")
        except (InvalidValue, Unavailable) as error:
            caught.append(error)
        found = yield from find("b")
        return found.id

    for error in (Unavailable("the server is gone"), InvalidValue("id", 7, "it must be text")):
        steps = careful()
        next(steps)
        assert steps.throw(error) == SelectOne(FIND, {"id": "b"}, Named)
        assert caught.pop() is error
        assert result(steps, ROW) == "a"


def tidy(find: Find, cleaned: list[str]) -> Steps[Named]:
    try:
        return (yield from find("a"))
    finally:
        cleaned.append("tidied")


def test_what_an_operation_does_not_catch_comes_through_it(find: Find) -> None:
    cleaned: list[str] = []

    for error in (Unavailable("the server is gone"), KeyboardInterrupt()):
        steps = tidy(find, cleaned)
        next(steps)
        with pytest.raises(type(error)) as raised:
            steps.throw(error)
        assert raised.value is error
        assert cleaned.pop() == "tidied"


def test_an_operation_is_closed_while_it_waits_for_the_row(find: Find) -> None:
    cleaned: list[str] = []

    steps = tidy(find, cleaned)
    next(steps)
    steps.close()
    assert cleaned == ["tidied"]
