"""Recording a real Git repository: project and repository, remotes, relationships, every object.

An import holds the repository's write lease, and records a batch of objects per transaction.  Its
idempotency key is the same at the next run: if an import was killed, the next run gets its lease
back and finishes the import.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from itertools import starmap
from typing import TypeVar

import msgspec

from forgedb.database import Database
from forgedb.errors import AlreadyExists, Conflict, InvalidValue, NotFound
from forgedb.git import GitRepository, open_repository, strip_credentials
from forgedb.models import (
    AddResult,
    Direction,
    Lease,
    NewObject,
    ObjectFormat,
    ObjectStats,
    Page,
    Project,
    RelationshipKind,
    Repository,
)
from forgedb.validation import check_slug, slug_like

__all__ = ["ImportSummary", "Progress", "import_repository"]

T = TypeVar("T")

PROJECT_DEFAULT = "imported"

BATCH_OBJECTS = 20_000
"""Objects per transaction: bounds the memory, and what is lost if an import is killed."""


class Progress(msgspec.Struct, frozen=True):
    """How many objects are done; ``total`` is git's own count, and may be a little high."""

    done: int
    added: int
    total: int | None


class ImportSummary(msgspec.Struct, frozen=True):
    """What an import did; ``stats`` is what the repository has now, of each type."""

    path: str
    project: Project
    repository: Repository
    project_created: bool
    repository_created: bool
    fencing_token: int
    lease_resumed: bool
    objects: AddResult
    stats: list[ObjectStats]
    mirrors_created: int
    mirrors_total: int
    relationships_created: int
    relationships_total: int
    warnings: list[str]


def import_repository(
    db: Database,
    path: str | os.PathLike[str],
    *,
    project: str = PROJECT_DEFAULT,
    slug: str | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> ImportSummary:
    """Record the Git repository at ``path``; if it was recorded before, add only what is new.

    Without a ``slug`` it is made from the name of the repository's folder.  ``report`` is called
    after each batch of objects.

    Raises GitError (no repository, a corrupt one), LeaseHeld, LeaseLost, InvalidValue, Conflict.
    """
    git = open_repository(path)
    project_slug = check_slug("project", project)
    repository_slug = slug_from(git.name) if slug is None else check_slug("slug", slug)
    found_project, project_created = _project(db, project_slug)
    repository, repository_created = _repository(db, found_project, repository_slug, git)
    before = db.leases.active(repository.id)
    with db.leases.hold(
        repository.id,
        purpose=_fitting(f"import of {git.path}", 1000),
        idempotency_key="import:" + sha256(os.fsencode(git.path)).hexdigest(),
    ) as lease:
        warnings: list[str] = []
        mirrors = _record_mirrors(db, repository, git, warnings)
        relationships = _record_relationships(db, repository, git, warnings)
        objects = _record_objects(db, repository, git, lease, report)
        # The warnings of the reader, about submodules and objects.
        warnings += git.warnings
        return ImportSummary(
            git.path,
            found_project,
            db.repositories.get(repository.id),
            project_created,
            repository_created,
            lease.fencing_token,
            before == lease,
            objects,
            db.objects.stats(repository.id),
            *mirrors,
            *relationships,
            warnings,
        )


def slug_from(name: str) -> str:
    """A slug made of a folder's name.  Raises InvalidValue if no character can be kept."""
    slug = slug_like(name)
    if not slug:
        raise InvalidValue("slug", name, "it has no letter or digit: give one with --slug")
    return check_slug("slug", slug)


def _project(db: Database, slug: str) -> tuple[Project, bool]:
    try:
        return db.projects.get_by_slug(slug), False
    except NotFound:
        pass
    try:
        return db.projects.create(slug, slug), True
    except AlreadyExists:
        # Another import made it in between.
        return db.projects.get_by_slug(slug), False


def _repository(
    db: Database, project: Project, slug: str, git: GitRepository
) -> tuple[Repository, bool]:
    created = False
    branch = _fitting(git.default_branch, 255)
    try:
        repository = db.repositories.get_by_path(f"{project.slug}/{slug}")
    except NotFound:
        try:
            repository = db.repositories.create(
                project.id,
                slug,
                default_branch=branch,
                object_format=git.object_format,
            )
            created = True
        except AlreadyExists:
            repository = db.repositories.get_by_path(f"{project.slug}/{slug}")
    if repository.object_format is not ObjectFormat(git.object_format):
        raise Conflict(
            "repositories.object_format",
            f"{project.slug}/{slug} is a {repository.object_format} repository, and {git.path}"
            f" is {git.object_format}: give the import another --slug",
        )
    if repository.default_branch != branch:
        repository = db.repositories.update(repository.id, default_branch=branch)
    return repository, created


def _record_mirrors(
    db: Database, repository: Repository, git: GitRepository, warnings: list[str]
) -> tuple[int, int]:
    """Record each remote as a mirror: pull from ``origin``, or else the first, push to all others.

    A repository follows one source, so it has one pull mirror.
    """
    there = _all(lambda after: db.mirrors.list(repository.id, after=after, limit=1000))
    remotes = sorted(git.remotes(), key=lambda remote: remote.name != "origin")
    created = 0
    for remote in remotes:
        given = remote.fetch_url or remote.push_urls[0]
        url = _clean_url(given, f"remote {remote.name!r}", warnings)
        pull = [mirror for mirror in there if mirror.direction is Direction.PULL]
        is_source = remote is remotes[0] and remote.fetch_url is not None
        direction = Direction.PULL if is_source else Direction.PUSH
        if any((mirror.direction, mirror.remote_url) == (direction, url) for mirror in there):
            continue
        try:
            if direction is Direction.PULL and pull:
                # The same source at another address.
                changed = db.mirrors.update(pull[0].id, remote_url=url)
                there = [changed if mirror.id == changed.id else mirror for mirror in there]
            else:
                there.append(db.mirrors.create(repository.id, direction, url, enabled=False))
                created += 1
        except AlreadyExists:
            # The same import, running twice: the other one was first.
            continue
        except InvalidValue as error:
            warnings.append(f"remote {remote.name!r} is left out: {error.why}")
    return created, len(there)


def _record_relationships(
    db: Database, repository: Repository, git: GitRepository, warnings: list[str]
) -> tuple[int, int]:
    """Record each submodule and alternate by URL: its repository may not be in this database."""
    there = _all(lambda after: db.relationships.list(repository.id, after=after, limit=1000))
    known = {(edge.kind, edge.target_url, edge.path) for edge in there}
    wanted = [
        (
            RelationshipKind.SUBMODULE,
            _clean_url(submodule.url, f"submodule {submodule.name!r}", warnings),
            _printable(submodule.path),
        )
        for submodule in git.submodules()
    ] + [
        (RelationshipKind.OBJECT_POOL, f"file://{_printable(alternate)}", "")
        for alternate in git.alternates()
    ]
    created = 0
    for kind, url, path in dict.fromkeys(wanted):
        if (kind, url, path) in known:
            continue
        try:
            db.relationships.create(repository.id, kind, target_url=url, path=path)
            created += 1
        except AlreadyExists:
            continue
        except InvalidValue as error:
            warnings.append(f"{kind.value} {path or url!r} is left out: {error.why}")
    return created, len(there) + created


def _record_objects(
    db: Database,
    repository: Repository,
    git: GitRepository,
    lease: Lease,
    report: Callable[[Progress], None],
) -> AddResult:
    total = git.count_objects()
    added = already_there = 0
    report(Progress(0, 0, total))
    with closing(git.objects(BATCH_OBJECTS)) as batches:
        for batch in batches:
            result = db.objects.add_many(
                repository.id, starmap(NewObject, batch), lease.fencing_token
            )
            added += result.added
            already_there += result.already_there
            report(Progress(added + already_there, added, total))
    return AddResult(added, already_there)


def _clean_url(url: str, of_what: str, warnings: list[str]) -> str:
    clean, had_credentials = strip_credentials(url)
    if had_credentials:
        warnings.append(f"credentials were removed from the URL of {of_what}")
    return _printable(clean)


def _printable(path: str) -> str:
    """A path as text that databases keep; bytes that are no UTF-8 are replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _fitting(text: str, length: int) -> str:
    printable = _printable(text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"


def _all(fetch: Callable[[str | None], Page[T]]) -> list[T]:
    page = fetch(None)
    items = page.items
    while page.next is not None:
        page = fetch(page.next)
        items += page.items
    return items
