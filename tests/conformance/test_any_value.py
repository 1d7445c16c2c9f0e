"""Whatever value a caller gives, for whatever parameter: it is taken, or refused by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

import pytest

import forgedb
from forgedb import Database, ForgeDbError, InvalidValue, Project, SigningKey
from forgedb.dao.audit import AuditDao
from forgedb.dao.leases.dao import LeasesDao
from forgedb.dao.mirrors import MirrorsDao
from forgedb.dao.objects import ObjectsDao
from forgedb.dao.projects import ProjectsDao
from forgedb.dao.relationships import RelationshipsDao
from forgedb.dao.repositories import RepositoriesDao
from forgedb.drivers.postgres.options import _CHECKS, postgres_options
from forgedb.drivers.postgres.url import postgres_url
from forgedb.drivers.sqlite.options import sqlite_options
from forgedb.drivers.sqlite.url import OPTIONS
from forgedb.drivers.url import parse_url
from forgedb.operations.binding import Operation
from tests.conformance.conftest import Clock
from tests.conformance.reaching import on_each_database
from tests.conformance.rich import Rich, make_rich

DAOS: dict[str, type[Any]] = {
    "projects": ProjectsDao,
    "repositories": RepositoriesDao,
    "leases": LeasesDao,
    "audit": AuditDao,
    "objects": ObjectsDao,
    "mirrors": MirrorsDao,
    "relationships": RelationshipsDao,
}

TEXT_CHARS_MAX = 1000
"""No message is longer, whatever was refused."""


class Unspeakable:
    """What can't even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Nowhere(tzinfo):
    """A zone that doesn't know its offset when it is asked."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        raise RuntimeError("lost")


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


_ITSELF: dict[str, Any] = {}
_ITSELF["itself"] = _ITSELF

NEVER_GOOD: dict[str, Any] = {
    "an object": object(),
    "what has no words": Unspeakable(),
    "a huge number": 10**5000,
    "a huge negative number": -(10**5000),
    "half a surrogate pair": "user:\ud800",
    "a byte that was no UTF-8": "caf\udce9",
    "NUL": "user:\0",
    "a huge text": "x" * 1_000_000,
    "a list in itself": _nested(5000),
    "what holds itself": _ITSELF,
    "a decimal": Decimal("NaN"),
    "a complex number": 1j,
    "a naive time": datetime(2026, 11, 22),  # noqa: DTZ001
    "a time before all others": datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    "a time after all others": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
    "a time of nowhere": datetime(2026, 11, 22, tzinfo=Nowhere()),
    "the shortest duration": timedelta.min,
    "a function": len,
    "a type": int,
}

NOT_ALWAYS_GOOD: dict[str, Any] = {
    "the longest duration": timedelta.max,
    "no duration": timedelta(0),
    "the first time": datetime.min.replace(tzinfo=UTC),
    "the last time": datetime.max.replace(tzinfo=UTC),
    "true": True,
    "nothing": None,
    "the empty text": "",
    "a blank": " ",
    "zero": 0,
    "a negative number": -1,
    "one past 64 bits": 2**63,
    "a fraction": 1.5,
    "no number": float("nan"),
    "infinity": float("inf"),
    "bytes": b"\xff",
    "more bytes": bytearray(b"\xff"),
    "no items": [],
    "no fields": {},
    "a set": {1},
    "marks of direction": "user:\u202eada",
    "what joins": "a\u0301\u200d",
}


class Parameter(NamedTuple):
    """A parameter of a public method; ``field`` is one of an update's."""

    dao: str
    method: str
    name: str

    def __str__(self) -> str:
        return f"{self.dao}.{self.method}({self.name}=)"


def _parameters() -> Iterator[Parameter]:
    for dao, kind in DAOS.items():
        for method, operation in vars(kind).items():
            if not isinstance(operation, Operation) or method.startswith("_"):
                continue
            for name in list(inspect.signature(operation.function).parameters)[1:]:
                if name != "fields":
                    yield Parameter(dao, method, name)
                    continue
                module: Any = inspect.getmodule(kind)
                yield from (Parameter(dao, method, field) for field in module.UPDATABLE)
                yield Parameter(dao, method, "no such field")


PARAMETERS = [*_parameters()]


def _good(rich: Rich) -> dict[str, Any]:
    """A value for each parameter that a method can't do without, by its name."""
    return {
        "project_id": rich.project.id,
        "repository_id": rich.repository.id,
        "lease_id": rich.lease.id,
        "entry_id": rich.lease.id,
        "mirror_id": rich.mirror.id,
        "relationship_id": rich.relationship.id,
        "source_id": rich.repository.id,
        "target": rich.repository.id,
        "slug": "another",
        "name": "Another",
        "path": "platform/web",
        "to": "user:eve",
        "reason": "because",
        "fencing_token": rich.lease.fencing_token,
        "limit": 2,
        "run_for": timedelta(minutes=1),
        "run_token": rich.lease.id,
        "direction": "push",
        "remote_url": "https://example.org/another",
        "kind": "template",
        "action": "scan.done",
        "changes": {},
        "objects": [],
        "oids": [],
        "oid": b"\x01" * 20,
        "file": BytesIO(),
        "signer": SigningKey.generate(),
    }


CALLED = ("audit", "verify", "report")
"""A function of whatever it takes: what it raises is the caller's own."""


class Undone(Exception):
    """Rolls back what a value did that was taken."""


def _call(db: Database, parameter: Parameter, good: Mapping[str, Any], value: Any) -> Any:
    dao, name, given = parameter
    operation: Any = vars(DAOS[dao])[name]
    signature = inspect.signature(operation.function).parameters
    arguments = {
        each.name: good[each.name]
        for each in [*signature.values()][1:]
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    }
    method: Callable[..., Any] = getattr(getattr(db, dao), name)
    arguments[given] = value
    positional = [
        arguments.pop(each.name)
        for each in [*signature.values()][1:]
        if each.kind is each.POSITIONAL_ONLY
    ]
    return method(*positional, **arguments)


def _outcome(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    return None


def _fault(error: BaseException | None, *, is_bad: bool) -> str | None:
    """What is wrong with how a call went."""
    if error is None:
        return "it was taken" if is_bad else None
    if not isinstance(error, ForgeDbError):
        return f"{type(error).__name__}: {str(error)[:100]}"
    said = str(error)
    if is_bad and not isinstance(error, InvalidValue):
        return f"{type(error).__name__}: {said}"
    for text in (said, repr(error)):
        if len(text) > TEXT_CHARS_MAX:
            return f"{len(text)} characters are said"
        if not text.isprintable():
            return f"said as it is: {text!r}"
    return None


@on_each_database
def test_no_value_brings_anything_but_forgedbs_own_errors(db: Database, clock: Clock) -> None:
    rich = make_rich(db, clock)
    good = _good(rich)
    wrong: list[str] = []
    for parameter in PARAMETERS:
        for kind, value in {**NEVER_GOOD, **NOT_ALWAYS_GOOD}.items():
            if parameter == CALLED and callable(value):
                continue
            with suppress(Undone), db.transaction() as tx:
                error = _outcome(partial(_call, tx, parameter, good, value))
                fault = _fault(error, is_bad=kind in NEVER_GOOD)
                if fault is not None:
                    wrong.append(f"{parameter}, {kind}: {fault}")
                raise Undone
    assert not wrong, "\n".join(wrong)


def test_no_parameter_of_sql_brings_anything_but_forgedbs_own_errors(
    db: Database, project: Project
) -> None:
    wrong: list[str] = []
    text = "SELECT count(*) FROM projects WHERE id = :id"
    update = "UPDATE projects SET description = :id WHERE id = ''"
    for kind, value in {**NEVER_GOOD, **NOT_ALWAYS_GOOD}.items():
        if kind == "a time of nowhere":
            # What its zone raises is the caller's own.
            continue
        calls: dict[str, Callable[[], object]] = {
            "query": lambda value=value: db.client.query(text, {"id": value}),
            "query_as": lambda value=value: db.client.query_as(Project, text, {"id": value}),
            "execute": lambda value=value: db.client.execute(update, {"id": value}),
            "execute_many": lambda value=value: db.client.execute_many(update, [{"id": value}]),
            "params": lambda value=value: db.client.query(text, value),
            "many params": lambda value=value: db.client.execute_many(update, [value]),
            "no list": lambda value=value: db.client.execute_many(update, value),
            "name": lambda value=value: db.client.query(text, {value: 1}),
            "sql": lambda value=value: db.client.query(value),
            "prepare": lambda value=value: db.client.prepare(value),
        }
        for name, call in calls.items():
            if name == "name" and not isinstance(value, Hashable):
                continue
            fault = _fault(_outcome(call), is_bad=False)
            if fault is not None:
                wrong.append(f"{name}(…), {kind}: {fault}")
    assert not wrong, "\n".join(wrong)


OPTIONS = {
    "sqlite://": [*OPTIONS],
    "postgresql://127.0.0.1:1/forge": [*_CHECKS],
}


@pytest.mark.parametrize("url", OPTIONS)
def test_no_option_brings_anything_but_forgedbs_own_errors(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[str] = []
    for kind, value in {**NEVER_GOOD, **NOT_ALWAYS_GOOD}.items():
        calls: dict[str, Callable[[], object]] = {
            option: lambda option=option, value=value: _checked(url, {option: value})
            for option in [*OPTIONS[url], "no_such_option"]
        }
        calls["clock"] = lambda value=value: forgedb.connect(url, clock=value)
        calls["actor"] = lambda value=value: forgedb.connect(url, actor=value)
        calls["url"] = lambda value=value: forgedb.connect(value)
        for name, call in calls.items():
            fault = _fault(_outcome(call), is_bad=kind in NEVER_GOOD and name != "clock")
            if fault is not None:
                wrong.append(f"{name}, {kind}: {fault}")
    assert not wrong, "\n".join(wrong)


def _checked(url: str, options: dict[str, Any]) -> object:
    parsed = parse_url(url)
    if parsed.dialect == "sqlite":
        return sqlite_options(parsed.path, options)
    return postgres_options(postgres_url(url), options)
