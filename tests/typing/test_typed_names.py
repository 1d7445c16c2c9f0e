"""What type checkers are told of fields and options is what is taken when a program runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import forgedb
from forgedb import InvalidValue
from forgedb.dao import mirrors, projects, repositories
from forgedb.drivers.postgres.options import postgres_options
from forgedb.drivers.postgres.url import PostgresUrl
from forgedb.drivers.sqlite.options import sqlite_options
from forgedb.drivers.url import parse_url


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        (forgedb.ProjectFields, projects.UPDATABLE),
        (forgedb.RepositoryFields, repositories.UPDATABLE),
        (forgedb.MirrorFields, mirrors.UPDATABLE),
    ],
)
def test_the_fields_of_an_update_are_those_that_it_checks(
    told: type[Any], taken: Mapping[str, object]
) -> None:
    assert told.__annotations__.keys() == taken.keys()


def test_the_options_of_connect_are_those_of_both_databases_and_the_clock() -> None:
    taken, url = {"clock"}, parse_url("postgresql://")
    assert isinstance(url, PostgresUrl)
    asked: list[Callable[[dict[str, Any]], object]] = [
        lambda given: sqlite_options(":memory:", given),
        lambda given: postgres_options(url, given),
    ]
    for options in asked:
        with pytest.raises(InvalidValue) as refused:
            options({"nonsense": 1})
        names = refused.value.why.removeprefix("no such option: there are ").partition(";")[0]
        taken |= {*names.split(", ")}
    assert forgedb.ConnectOptions.__annotations__.keys() == taken
