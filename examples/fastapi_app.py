"""A small forge over HTTP: projects, repositories and write leases, as JSON.

Run it with ``uvicorn examples.fastapi_app:app``; FORGEDB_URL says on which database.  Then

    curl localhost:8000/projects -H 'X-Actor: user:ada' --json '{"slug": "web", "name": "Web"}'

It believes what ``X-Actor`` says: let it be reached only through a proxy that authenticates users
and sets that header.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict

import forgedb
from forgedb import AsyncDatabase, ObjectFormat, Visibility
from forgedb.models import LEASE_DURATION_MAX

BODY_BYTES_MAX = 64 * 1024
RETRY_AFTER_SECONDS = 1

STATUSES: dict[type[Exception], int] = {
    RequestValidationError: 422,
    forgedb.InvalidValue: 422,
    forgedb.ActorRequired: 401,
    forgedb.NotFound: 404,
    forgedb.Conflict: 409,
    # Not 410: the lease may well be there, and another's.
    forgedb.LeaseLost: 409,
    forgedb.SchemaOutdated: 503,
    forgedb.Unavailable: 503,
}
"""Any other error is a mistake of this program: a 500, and a traceback in its log."""

logger = logging.getLogger(__name__)


class Json(Response):
    """forgedb's structs as JSON: msgspec writes them as they are, with no copy of the models."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, AsyncDatabase]]:
    """The database, open as long as the application runs, in the state of every request."""
    async with await forgedb.connect_async() as db:
        await db.migrate()
        yield {"db": db}


app = FastAPI(title="forge", lifespan=lifespan, max_body_size=BODY_BYTES_MAX)

GivenHeader = Annotated[str | None, Header()]


async def on_behalf_of_the_user(
    request: Request, x_actor: GivenHeader = None, x_request_id: GivenHeader = None
) -> AsyncDatabase:
    """The database, for one request: the audit trail names its user, its id and its source."""
    if not x_actor:
        raise forgedb.ActorRequired(f"{request.method} {request.url.path}")
    db: AsyncDatabase = request.state.db
    source_ip = request.client.host if request.client else None
    return db.acting_as(x_actor, request_id=x_request_id, source_ip=source_ip)


Db = Annotated[AsyncDatabase, Depends(on_behalf_of_the_user)]


class Body(BaseModel):
    """What a client sends: the arguments of a method of forgedb's, which checks the values."""

    model_config = ConfigDict(extra="forbid")


class NewProject(Body):
    slug: str
    name: str
    description: str = ""
    visibility: Visibility = Visibility.PRIVATE


class NewRepository(Body):
    slug: str
    description: str = ""
    default_branch: str = "main"
    object_format: ObjectFormat = ObjectFormat.SHA1
    visibility: Visibility | None = None


class NewLease(Body):
    purpose: str = ""
    duration: timedelta = LEASE_DURATION_MAX  # in JSON a number of seconds


@app.post("/projects")
async def create_project(db: Db, new: NewProject) -> Json:
    return Json(await db.projects.create(**dict(new)), 201)


@app.get("/projects")
async def list_projects(db: Db, after: str | None = None, limit: int = 100) -> Json:
    """Part of the list; give its ``next`` as ``after`` for the following part."""
    return Json(await db.projects.list(after=after, limit=limit))


@app.get("/projects/{project_id}")
async def get_project(db: Db, project_id: str) -> Json:
    return Json(await db.projects.get(project_id))


@app.post("/projects/{project_id}/repositories")
async def create_repository(db: Db, project_id: str, new: NewRepository) -> Json:
    return Json(await db.repositories.create(project_id, **dict(new)), 201)


@app.get("/projects/{project_id}/repositories")
async def list_repositories(
    db: Db, project_id: str, after: str | None = None, limit: int = 100
) -> Json:
    return Json(await db.repositories.list(project_id, after=after, limit=limit))


@app.get("/repositories/{repository_id}")
async def get_repository(db: Db, repository_id: str) -> Json:
    return Json(await db.repositories.get(repository_id))


@app.get("/by-path/{path:path}")
async def get_repository_by_path(db: Db, path: str) -> Json:
    return Json(await db.repositories.get_by_path(path))


@app.post("/repositories/{repository_id}/lease")
async def acquire_lease(
    db: Db, repository_id: str, new: NewLease, idempotency_key: GivenHeader = None
) -> Json:
    """Who lost the reply sends the same Idempotency-Key again, and gets the same lease."""
    lease = await db.leases.acquire(repository_id, **dict(new), idempotency_key=idempotency_key)
    return Json(lease, 201)


@app.get("/repositories/{repository_id}/lease")
async def get_lease(db: Db, repository_id: str) -> Json:
    lease = await db.leases.active(repository_id)
    if lease is None:
        raise forgedb.NotFound("lease that is live on repository", repository_id)
    return Json(lease)


@app.delete("/repositories/{repository_id}/lease")
async def release_lease(db: Db, repository_id: str, lease_id: str) -> Json:
    # A lease never moves to another repository: what is read here stays true.
    if (await db.leases.get(lease_id)).repository_id != repository_id:
        raise forgedb.NotFound(f"lease of repository {repository_id}", lease_id)
    return Json(await db.leases.release(lease_id))


async def refused(request: Request, error: Exception) -> Json:
    """Tell the user what to do about an error of STATUSES, and the log what only we can mend."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    body: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    headers: dict[str, str] = {}
    if isinstance(error, RequestValidationError):
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        body["message"] = "; ".join(wrong)
    elif isinstance(error, forgedb.ActorRequired):
        headers["WWW-Authenticate"] = "X-Actor"
        body["message"] = "say on whose behalf you ask, as in `X-Actor: user:ada`"
    elif isinstance(error, forgedb.LeaseHeld):
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
        body |= {"holder": error.lease.holder, "expires_at": error.lease.expires_at}
    elif isinstance(error, forgedb.Unavailable):
        body["outcome"] = error.outcome
        if error.retryable:
            headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == 503:
        # The error's own words name hosts and files.
        logger.error("%s %s: %s", request.method, request.url.path, error)
        body["message"] = "the database can't be used now"
    return Json(body, status, headers)


for kind in STATUSES:
    app.add_exception_handler(kind, refused)
