"""The FastAPI example as its users meet it: its own process, a real socket, on every database."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import Request

import forgedb
from examples.fastapi_app import BODY_BYTES_MAX, refused

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 30
CLIENTS = 20

ANNOUNCED = "Uvicorn running on "
NOBODY_KNOWS = "00000000000000000000000000"
"""An id as ids are, and nobody's."""

PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}
"""A client that knows no proxy, and loads no certificates: loopback has neither."""

IMPATIENT = {
    "sqlite": "?busy_timeout=0.05",
    "postgres": "?options=-c%20lock_timeout%3D50",
}
"""In the URL: how not to wait long for somebody's lock."""


class Served:
    """The application that runs on a database."""

    def __init__(self, base_url: str, database_url: str) -> None:
        self.base_url = base_url
        self.database_url = database_url

    def client(self, actor: str | None, **headers: str) -> httpx.Client:
        """A client for one user."""
        who = {} if actor is None else {"X-Actor": actor}
        return httpx.Client(base_url=self.base_url, headers=who | headers, **PLAIN)


@contextmanager
def serving(database_url: str) -> Iterator[str]:
    """Run the application as its docstring says, and expect a clean end: the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "examples.fastapi_app:app", "--port=0"],
        cwd=ROOT,
        env=os.environ | {"FORGEDB_URL": database_url, "PYTHONWARNINGS": "error"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        log = ""
        try:
            while ANNOUNCED not in log:
                line = process.stderr.readline()
                assert line, f"the application didn't start:\n{log}"
                log += line
            yield log.partition(ANNOUNCED)[2].split()[0]
        finally:
            process.send_signal(signal.SIGINT)
            log += process.communicate(timeout=STOP_SECONDS_MAX)[1]
    assert process.returncode == 0, log
    assert "Application shutdown complete." in log
    assert "Traceback" not in log, log


@pytest.fixture(scope="module", params=IMPATIENT)
def database(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def database_url(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('forge')}/forge.db"
    else:
        with request.getfixturevalue("postgres").new() as url:
            yield url


@pytest.fixture(scope="module")
def forge(database_url: str) -> Iterator[Served]:
    with serving(database_url) as base_url:
        yield Served(base_url, database_url)


@pytest.fixture(scope="module")
def ada(forge: Served) -> Iterator[httpx.Client]:
    with forge.client("user:ada") as client:
        yield client


@pytest.fixture(scope="module")
def bob(forge: Served) -> Iterator[httpx.Client]:
    with forge.client("user:bob") as client:
        yield client


@pytest.fixture
def project(ada: httpx.Client) -> dict[str, Any]:
    """A project that no other test uses."""
    slug = forgedb.new_ulid().lower()
    return created(ada.post("/projects", json={"slug": slug, "name": "Platform"}))


@pytest.fixture
def repository(ada: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    return created(ada.post(f"/projects/{project['id']}/repositories", json={"slug": "api"}))


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def assert_refused(response: httpx.Response, status: int, error: str, *words: str) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"] == error
    for word in words:
        assert word in body["message"]


def lease_of(repository: dict[str, Any]) -> str:
    return f"/repositories/{repository['id']}/lease"


def test_what_was_created_is_found_by_id_and_by_path(ada: httpx.Client) -> None:
    new = {"slug": "found", "name": "Fónd ☂", "description": "d", "visibility": "internal"}
    project = created(ada.post("/projects", json=new))
    assert {field: project[field] for field in new} == new
    assert ok(ada.get(f"/projects/{project['id']}")) == project

    new = {"slug": "api", "default_branch": "trunk", "object_format": "sha256"}
    repository = created(ada.post(f"/projects/{project['id']}/repositories", json=new))
    assert {field: repository[field] for field in new} == new
    assert repository["visibility"] == "internal"
    assert ok(ada.get(f"/repositories/{repository['id']}")) == repository
    assert ok(ada.get("/by-path/found/api")) == repository


def test_lists_come_in_pages_and_each_names_the_next(
    ada: httpx.Client, project: dict[str, Any]
) -> None:
    repositories = f"/projects/{project['id']}/repositories"
    for number in range(5):
        created(ada.post(repositories, json={"slug": f"r{number}"}))
        created(ada.post("/projects", json={"slug": f"{project['slug']}-{number}", "name": "n"}))
    assert [[item["slug"] for item in page] for page in pages_of(ada, repositories, limit=2)] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]
    pages = list(pages_of(ada, "/projects", limit=2))
    assert {len(page) for page in pages[:-1]} == {2}
    whole = ok(ada.get("/projects"))
    assert whole == {"items": [item for page in pages for item in page], "next": None}


def pages_of(client: httpx.Client, path: str, limit: int) -> Iterator[list[dict[str, Any]]]:
    asked: dict[str, Any] = {"limit": limit}
    while True:
        page = ok(client.get(path, params=asked))
        yield page["items"]
        if page["next"] is None:
            return
        asked["after"] = page["next"]


def test_a_lease_goes_from_one_user_to_the_next_when_it_is_released(
    ada: httpx.Client, bob: httpx.Client, repository: dict[str, Any]
) -> None:
    path = lease_of(repository)
    assert_refused(bob.get(path), 404, "NotFound", repository["id"])

    asked = {"purpose": "nightly import", "duration": 3600}
    first = created(ada.post(path, json=asked))
    assert (first["holder"], first["purpose"], first["fencing_token"]) == (
        "user:ada",
        "nightly import",
        1,
    )
    assert ok(bob.get(path)) == first

    released = ok(ada.delete(path, params={"lease_id": first["id"]}))
    assert (released["id"], released["end_reason"]) == (first["id"], "released")
    assert bob.get(path).status_code == 404
    second = created(bob.post(path, json={}))
    assert (second["holder"], second["fencing_token"]) == ("user:bob", 2)


def test_who_is_refused_is_told_who_holds_the_lease_until_when_and_when_to_come_back(
    ada: httpx.Client, bob: httpx.Client, repository: dict[str, Any]
) -> None:
    held = created(ada.post(lease_of(repository), json={"duration": 3600}))
    refused = bob.post(lease_of(repository), json={})
    assert_refused(refused, 409, "LeaseHeld", "user:ada", repository["id"])
    assert refused.json()["holder"] == "user:ada"
    assert refused.json()["expires_at"] == held["expires_at"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600


def test_the_same_idempotency_key_gives_the_same_lease_again(
    forge: Served, bob: httpx.Client, repository: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "run-81"}
    with forge.client("user:ada", **key) as ada:
        first = ada.post(lease_of(repository), json={})
        again = ada.post(lease_of(repository), json={})
        assert created(again) == created(first)
    assert_refused(bob.post(lease_of(repository), json={}, headers=key), 409, "LeaseHeld")


def test_a_lease_is_released_by_its_holder_once_and_where_it_is(
    ada: httpx.Client, bob: httpx.Client, project: dict[str, Any], repository: dict[str, Any]
) -> None:
    other = created(ada.post(f"/projects/{project['id']}/repositories", json={"slug": "web"}))
    lease = created(ada.post(lease_of(repository), json={}))
    asked = {"lease_id": lease["id"]}
    assert_refused(ada.delete(lease_of(other), params=asked), 404, "NotFound", lease["id"])
    assert_refused(bob.delete(lease_of(repository), params=asked), 409, "LeaseLost", "user:ada")
    assert ok(ada.get(lease_of(repository))) == lease
    ok(ada.delete(lease_of(repository), params=asked))
    assert_refused(ada.delete(lease_of(repository), params=asked), 409, "LeaseLost")


def test_of_many_who_ask_at_once_one_gets_the_lease(
    forge: Served, repository: dict[str, Any]
) -> None:
    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=forge.base_url, **PLAIN) as client:
            asking = (
                client.post(lease_of(repository), json={}, headers={"X-Actor": f"user:{number}"})
                for number in range(CLIENTS)
            )
            return await asyncio.gather(*asking)

    answers = asyncio.run(ask_all())
    winner = next(created(answer) for answer in answers if answer.status_code == 201)
    losers = [answer for answer in answers if answer.status_code != 201]
    assert len(losers) == CLIENTS - 1
    for answer in losers:
        assert_refused(answer, 409, "LeaseHeld", winner["holder"])
        assert answer.json()["holder"] == winner["holder"]


def test_the_audit_trail_names_the_user_and_the_request(forge: Served) -> None:
    with forge.client("user:grace", **{"X-Request-Id": "req-81"}) as grace:
        project = created(grace.post("/projects", json={"slug": "audited", "name": "n"}))
    with forgedb.connect(forge.database_url) as db:
        (entry,) = db.audit.list(actor="user:grace").items
        assert (entry.action, entry.target_id) == ("project.create", project["id"])
        assert (entry.request_id, entry.source_ip) == ("req-81", "127.0.0.1")
        assert db.audit.verify().problems == []


def test_replies_can_be_read_as_forgedbs_own_models(
    forge: Served, ada: httpx.Client, repository: dict[str, Any]
) -> None:
    reply = ada.post(lease_of(repository), json={}).content
    with forgedb.connect(forge.database_url) as db:
        lease = db.leases.active(repository["id"])
    assert msgspec.json.decode(reply, type=forgedb.Lease) == lease


@pytest.mark.parametrize("actor", [None, ""])
def test_nobody_is_told_to_say_who_they_are(forge: Served, actor: str | None) -> None:
    with forge.client(actor) as nobody:
        for asked in (nobody.get("/projects"), nobody.post("/projects", json={"slug": "x"})):
            assert_refused(asked, 401, "ActorRequired", "X-Actor")
            assert asked.headers["WWW-Authenticate"] == "X-Actor"


@pytest.mark.parametrize(
    ("body", "error", "word"),
    [
        (b'{"slug": "No Slug", "name": "n"}', "InvalidValue", "No Slug"),
        (b'{"slug": "x", "name": "a\\u0000b"}', "InvalidValue", "name"),
        (b'{"slug": "x"', "RequestValidationError", "JSON"),
        (b"", "RequestValidationError", "body"),
        (b'{"slug": "x"}', "RequestValidationError", "body.name"),
        (b'{"slug": "x", "name": 7}', "RequestValidationError", "body.name"),
        (b'{"slug": "x", "name": "\\ud800"}', "InvalidValue", "name"),
        (b'{"slug": "x", "name": "n", "visible": 1}', "RequestValidationError", "body.visible"),
        (b'{"slug": "x", "name": "n", "\\ud800": 1}', "RequestValidationError", "body"),
        (b'{"slug": "x", "name": "n", "visibility": "all"}', "RequestValidationError", "internal"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_in_words(
    ada: httpx.Client, body: bytes, error: str, word: str
) -> None:
    headers = {"Content-Type": "application/json"}
    assert_refused(ada.post("/projects", content=body, headers=headers), 422, error, word)


@pytest.mark.parametrize(
    "duration", ["0", "-1", "259201", "1e30", "1" + "0" * 30, "NaN", '"long"', "null"]
)
def test_a_lease_lasts_as_long_as_leases_may(
    ada: httpx.Client, repository: dict[str, Any], duration: str
) -> None:
    headers = {"Content-Type": "application/json"}
    content = f'{{"duration": {duration}}}'
    answer = ada.post(lease_of(repository), content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    assert "duration" in answer.json()["message"]


def test_a_body_has_an_end(ada: httpx.Client) -> None:
    answer = ada.post("/projects", json={"slug": "x", "name": "n" * BODY_BYTES_MAX})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        (f"/projects/{NOBODY_KNOWS}", 404, "NotFound"),
        (f"/repositories/{NOBODY_KNOWS}", 404, "NotFound"),
        (f"/repositories/{NOBODY_KNOWS}/lease", 404, "NotFound"),
        ("/by-path/no/where", 404, "NotFound"),
        ("/by-path/nowhere", 422, "InvalidValue"),
        ("/projects/7", 422, "InvalidValue"),
        ("/projects?limit=0", 422, "InvalidValue"),
        ("/projects?limit=1001", 422, "InvalidValue"),
        ("/projects?limit=ten", 422, "RequestValidationError"),
        ("/projects?after=%00", 422, "InvalidValue"),
    ],
)
def test_what_is_not_there_and_what_cannot_be_are_told_apart(
    ada: httpx.Client, path: str, status: int, error: str
) -> None:
    assert_refused(ada.get(path), status, error)


def test_a_repository_needs_a_project_that_is_there(ada: httpx.Client) -> None:
    answer = ada.post(f"/projects/{NOBODY_KNOWS}/repositories", json={"slug": "api"})
    assert_refused(answer, 404, "NotFound", NOBODY_KNOWS)


def test_a_path_is_taken_once(ada: httpx.Client, project: dict[str, Any]) -> None:
    repositories = f"/projects/{project['id']}/repositories"
    created(ada.post(repositories, json={"slug": "api"}))
    assert_refused(ada.post(repositories, json={"slug": "api"}), 409, "AlreadyExists")


def test_a_database_that_is_busy_is_no_fault_of_the_users_and_names_no_host_or_file(
    database: str, database_url: str
) -> None:
    with (
        forgedb.connect(database_url, actor="user:ada") as db,
        serving(database_url + IMPATIENT[database]) as base_url,
        Served(base_url, database_url).client("user:bob") as bob,
    ):
        project = db.projects.create("busy", "Busy")
        repository = db.repositories.create(project.id, "api")
        path = f"/repositories/{repository.id}/lease"
        with db.transaction() as tx:
            tx.leases.acquire(repository.id)
            answer = bob.post(path, json={})
        assert answer.status_code == 503
        assert answer.json() == {
            "error": "LockTimeout",
            "message": "the database can't be used now",
            "outcome": "not_committed",
        }
        assert int(answer.headers["Retry-After"]) >= 1
        assert bob.post(path, json={}).status_code == 409


def answer_to(error: Exception) -> tuple[int, str | None]:
    """The status of a refusal, and when to come back."""
    request = Request({"type": "http", "method": "GET", "path": "/projects", "headers": []})
    answer = asyncio.run(refused(request, error))
    return answer.status_code, answer.headers.get("Retry-After")


def test_only_what_may_work_later_is_worth_trying_again() -> None:
    assert answer_to(forgedb.Unavailable("locked", retryable=True)) == (503, "1")
    assert answer_to(forgedb.Unavailable("lost", outcome="unknown")) == (503, None)
    assert answer_to(forgedb.SchemaOutdated(["0002_more"])) == (503, None)


def test_what_is_left_of_a_lease_is_rounded_up_to_seconds() -> None:
    at = datetime(2026, 11, 22, 10, tzinfo=UTC)
    ids = (forgedb.new_ulid(), forgedb.new_ulid())
    lease = forgedb.Lease(*ids, "user:ada", "", 1, None, at, at, None, None, None, None, None)
    for microseconds, seconds in ((1, "1"), (1_000_000, "1"), (1_000_001, "2")):
        held = forgedb.LeaseHeld(lease, timedelta(microseconds=microseconds), is_mine=False)
        assert answer_to(held) == (409, seconds)
