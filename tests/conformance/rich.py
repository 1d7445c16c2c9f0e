"""A history with an entry of every kind, rows in every table, and a clock that stepped back."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha1
from typing import NamedTuple

from forgedb import Database, Lease, Mirror, NewObject, Project, Relationship, Repository
from tests.conformance.conftest import Clock

MINUTE = timedelta(minutes=1)
OID = sha1(b"object", usedforsecurity=False).digest()
OTHER_OID = sha1(b"other object", usedforsecurity=False).digest()


class Rich(NamedTuple):
    """The database, and what in it tests look at; ``repository`` has some of everything."""

    db: Database
    project: Project
    gone_project: Project
    repository: Repository
    fork: Repository
    lease: Lease
    mirror: Mirror
    relationship: Relationship


def make_rich(db: Database, clock: Clock) -> Rich:
    """Make every kind of change at least once."""
    ada = db.acting_as("user:ada", request_id="req-1", source_ip="10.0.0.7", reason="setting up")
    bob = db.acting_as("user:bob")
    project = ada.projects.create("platform", "Platform", "Everything — in one place")
    gone_project = bob.projects.create("old", "Old")
    bob.projects.update(gone_project.id, visibility="public")
    bob.projects.delete(gone_project.id)
    ada.projects.restore(gone_project.id)
    ada.projects.delete(gone_project.id)
    repository = ada.repositories.create(project.id, "api")
    fork = bob.repositories.create(project.id, "fork", object_format="sha256")
    bob.repositories.update(repository.id, slug="web", description="The web")
    bob.repositories.delete(fork.id)
    ada.repositories.restore(fork.id)
    _a_clock_that_was_ahead(bob, clock, fork)
    _leases_and_objects(ada, bob, clock, repository)
    lease = bob.leases.acquire(repository.id, purpose="import", idempotency_key="run-7")
    objects = [NewObject(OID, 3, 10, 7), NewObject(OTHER_OID, 1, 200)]
    bob.objects.add_many(repository.id, objects, lease.fencing_token)
    mirror = _mirrors(ada, bob, clock, repository)
    ada.relationships.delete(ada.relationships.create(fork.id, "template", repository.id).id)
    ada.relationships.create(fork.id, "fork", repository.id)
    relationship = ada.relationships.create(
        repository.id, "submodule", target_url="https://example.org/lib", path="vendor/lib"
    )
    bob.audit.record("scan.done", repository.id, {"found": [None, 3]})
    ada.audit.record("plan.changed", project.id, {"plan": ["free", "paid"]})
    return Rich(
        db,
        db.projects.get(project.id),
        db.projects.get(gone_project.id),
        db.repositories.get(repository.id),
        db.repositories.get(fork.id),
        lease,
        db.mirrors.get(mirror.id),
        relationship,
    )


def _a_clock_that_was_ahead(bob: Database, clock: Clock, repository: Repository) -> None:
    clock.pass_by(60 * MINUTE)
    bob.leases.acquire(repository.id)
    clock.pass_by(-60 * MINUTE)
    bob.leases.rebase(repository.id, "the clock is right again")


def _leases_and_objects(ada: Database, bob: Database, clock: Clock, repository: Repository) -> None:
    first = ada.leases.acquire(repository.id, duration=5 * MINUTE)
    ada.objects.add_many(repository.id, [NewObject(OID, 3, 10)], first.fencing_token)
    ada.objects.remove_many(repository.id, [OID], first.fencing_token)
    clock.pass_by(MINUTE)
    ada.leases.release(first.id)
    bob.leases.force_release(ada.leases.acquire(repository.id).id, "stuck")
    handed = ada.leases.handover(ada.leases.acquire(repository.id).id, "user:bob", "on leave")
    bob.leases.release(handed.id)
    ada.leases.acquire(repository.id, duration=MINUTE)
    clock.pass_by(MINUTE)
    bob.leases.expire_due()
    # The order of the times is not that of the ids from here on.
    clock.pass_by(-timedelta(seconds=50))


def _mirrors(ada: Database, bob: Database, clock: Clock, repository: Repository) -> Mirror:
    brief = ada.mirrors.create(repository.id, "push", "https://example.org/brief")
    mirror = ada.mirrors.create(
        repository.id, "pull", "https://example.org/web", 5 * MINUTE, credential_ref="vault:web"
    )
    ada.mirrors.update(mirror.id, interval=10 * MINUTE)
    (run,) = bob.mirrors.claim_due(9, MINUTE)
    assert run.run_token is not None
    bob.mirrors.finish(mirror.id, run.run_token, "the remote hung up")
    clock.pass_by(10 * MINUTE)
    bob.mirrors.claim_due(9, MINUTE)
    bob.mirrors.delete(brief.id)
    return mirror
