"""What a program that asks finds out of a DAO's methods: what a caller gives, and what one gets."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import typing
from typing import Any

import pytest

import forgedb
from forgedb import Lease, Ulid
from forgedb.operations.binding import Dao, read
from forgedb.operations.steps import Steps


@pytest.fixture
def db() -> typing.Iterator[forgedb.Database]:
    with forgedb.connect("sqlite://", actor="user:ada") as db:
        db.migrate()
        yield db


def methods_of(dao: Any) -> dict[str, Any]:
    names = [name for name in dir(dao) if not name.startswith("_")]
    return {name: getattr(dao, name) for name in names if callable(getattr(dao, name, None))}


def test_a_methods_signature_is_what_is_given_and_what_is_got(db):
    shown = str(inspect.signature(db.leases.release))
    assert shown == "(lease_id: 'Ulid', holder: 'str | None' = None) -> 'Lease'"


def test_no_method_of_a_handle_tells_of_steps_or_of_a_self(db):
    daos = (db.identity, db.projects, db.repositories, db.leases, db.audit, db.objects)
    for dao in (*daos, db.mirrors, db.relationships, db.client, db.client.prepare("SELECT 1")):
        for name, method in methods_of(dao).items():
            if name == "context":
                continue
            signature = inspect.signature(method)
            assert "Steps" not in str(signature), name
            assert "self" not in signature.parameters, name


def test_a_tasks_method_has_the_same_signature_and_is_a_coroutines(db):
    async def look() -> None:
        async with await forgedb.connect_async("sqlite://") as adb:
            method = adb.leases.release
            assert inspect.signature(method) == inspect.signature(db.leases.release)
            assert inspect.iscoroutinefunction(method)
            assert inspect.iscoroutinefunction(adb.client.execute)
            assert inspect.iscoroutinefunction(adb.client.query)

    asyncio.run(look())


def test_help_on_a_method_shows_what_a_caller_gets(db):
    told = pydoc.render_doc(db.leases.release, renderer=pydoc.plaintext)
    assert "release(lease_id: 'Ulid', holder: 'str | None' = None) -> 'Lease'" in told
    assert "Raises LeaseLost (another's, expired, or ended already)" in told


def test_a_method_of_which_no_actor_is_known_has_its_signature_too(db):
    nobody = db.acting_as(None)
    assert inspect.signature(nobody.leases.release) == inspect.signature(db.leases.release)


def test_a_methods_source_and_the_module_of_its_types_are_the_generators(db):
    method = db.leases.release
    assert inspect.unwrap(method) is type(db.leases).release
    assert "def release(self" in inspect.getsource(method)
    hints = typing.get_type_hints(method)
    assert hints["lease_id"] is Ulid
    assert hints["return"] is Lease


def test_a_dao_of_ones_own_need_not_write_its_types_as_text_nor_write_any(db):
    def count(dao, least: int = 0):
        yield from ()

    def counted(dao, least=0):
        yield from ()

    count.__annotations__["return"] = Steps[list[int]]

    class Own(Dao[Any]):
        typed, untyped = read(count), read(counted)

    own = Own(db._runner, db.leases.context)
    assert str(inspect.signature(own.typed)) == "(least: 'int' = 0) -> list[int]"
    assert str(inspect.signature(own.untyped)) == "(least=0)"


def test_on_the_class_it_is_the_generator(db):
    shown = str(inspect.signature(type(db.leases).release))
    assert shown == "(self, lease_id: 'Ulid', holder: 'str | None' = None) -> 'Steps[Lease]'"
