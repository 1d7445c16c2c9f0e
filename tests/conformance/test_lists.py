"""What holds for every list, so that who knows one knows all: filters by name, pages, places."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import pytest

import forgedb
from forgedb import Database, InvalidValue, Page
from forgedb.dao.audit import AuditDao
from forgedb.dao.identity import IdentityDao
from forgedb.dao.leases.dao import LeasesDao
from forgedb.dao.mirrors import MirrorsDao
from forgedb.dao.objects import ObjectsDao
from forgedb.dao.projects import ProjectsDao
from forgedb.dao.relationships import RelationshipsDao
from forgedb.dao.repositories import RepositoriesDao
from forgedb.operations.binding import Operation
from tests.conformance.values import BAD_AFTERS, FREE

DAOS: list[type[Any]] = [
    AuditDao,
    IdentityDao,
    LeasesDao,
    MirrorsDao,
    ObjectsDao,
    ProjectsDao,
    RelationshipsDao,
    RepositoriesDao,
]

OPERATIONS = {
    f"{dao.__name__}.{name}": inspect.signature(operation.function)
    for dao in DAOS
    for name, operation in vars(dao).items()
    if isinstance(operation, Operation)
}

LISTS = {name: each for name, each in OPERATIONS.items() if "Page[" in each.return_annotation}


def test_a_list_is_what_gives_pages() -> None:
    assert sorted(LISTS) == [
        "AuditDao.list",
        "LeasesDao.history",
        "LeasesDao.list",
        "MirrorsDao.list",
        "ObjectsDao.list",
        "ObjectsDao.repositories_with",
        "ProjectsDao.list",
        "RelationshipsDao.list",
        "RepositoriesDao.list",
    ]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_takes_all_but_what_it_is_of_by_name(name: str) -> None:
    _self, *parameters = LISTS[name].parameters.values()
    for each in parameters:
        assert (each.kind is each.KEYWORD_ONLY) == (each.default is not each.empty), each
    after, limit = (LISTS[name].parameters[of_a_page] for of_a_page in ("after", "limit"))
    assert (after.annotation, after.default) == ("str | None", None)
    assert (limit.annotation, limit.default) == ("int", 100)


def test_a_limit_has_a_default_wherever_there_is_one() -> None:
    defaults = {
        name: each.parameters["limit"].default
        for name, each in OPERATIONS.items()
        if "limit" in each.parameters and name not in LISTS
    }
    assert defaults == {"LeasesDao.expire_due": 100, "MirrorsDao.claim_due": 10}


def lists_of(db: Database) -> dict[str, Callable[..., Page[Any]]]:
    return {
        "AuditDao.list": db.audit.list,
        "LeasesDao.history": partial(db.leases.history, FREE),
        "LeasesDao.list": db.leases.list,
        "MirrorsDao.list": partial(db.mirrors.list, FREE),
        "ObjectsDao.list": partial(db.objects.list, FREE),
        "ObjectsDao.repositories_with": partial(db.objects.repositories_with, b"o" * 20),
        "ProjectsDao.list": db.projects.list,
        "RelationshipsDao.list": partial(db.relationships.list, FREE),
        "RepositoriesDao.list": partial(db.repositories.list, FREE),
    }


def test_a_place_that_no_page_told_is_refused_alike_by_every_list(db: Database) -> None:
    lists = lists_of(db)
    assert lists.keys() == LISTS.keys()
    for fetch in lists.values():
        assert fetch().items == []
        for bad in BAD_AFTERS:
            with pytest.raises(InvalidValue) as refused:
                fetch(after=bad)
            assert (refused.value.field, refused.value.value) == ("after", bad)
            assert refused.value.why == "give the `next` of the page before, unchanged"


def test_a_filter_that_is_given_by_its_place_is_refused_and_named(db: Database) -> None:
    for call, written in {
        partial(db.audit.list, FREE, FREE): f"AuditDao.list(stream='{FREE}', target='{FREE}')",
        partial(db.leases.list, "user:bob"): "LeasesDao.list(holder='user:bob')",
        partial(db.objects.list, FREE, 3): "ObjectsDao.list(..., type=3)",
        partial(db.relationships.list, FREE, "fork", "in"): (
            "RelationshipsDao.list(..., kind='fork', direction='in')"
        ),
    }.items():
        with pytest.raises(TypeError) as refused:
            call()
        assert f"write {written}" in str(refused.value)
    # What never was an argument is refused in Python's words.
    for call, words in (
        (lambda: db.projects.get(FREE, FREE), "positional arguments but 3 were given"),  # type: ignore[call-arg]
        (lambda: db.audit.list(steam=FREE), "unexpected keyword argument 'steam'"),
        (lambda: db.audit.list(*range(9)), "takes 1 positional argument but 10 were given"),  # type: ignore[misc]
    ):
        with pytest.raises(TypeError, match=words):
            call()


def test_a_method_that_has_another_name_now_is_refused_and_the_name_told() -> None:
    with forgedb.connect("sqlite://") as db:
        leases: Any = db.leases
        assert not hasattr(leases, "export_jsonl")
        with pytest.raises(AttributeError, match=r"LeasesDao\.export_jsonl is called export now"):
            leases.export_jsonl(BytesIO())
        with pytest.raises(AttributeError, match="'LeasesDao' object has no attribute 'exprt'"):
            leases.exprt(BytesIO())


def test_a_page_is_not_its_rows() -> None:
    page: Any = Page(["a row"], None)
    with pytest.raises(TypeError, match=r"`\.items`, and forgedb\.every\(\)"):
        list(page)
