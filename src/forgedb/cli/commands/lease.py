"""``forgedb lease``: who may write to which repository, and until when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from forgedb.cli.options import Group, database, given_actor, json_option, paging_options
from forgedb.cli.output import (
    Columns,
    field,
    fields,
    jsonable,
    print_json,
    print_list,
    print_one,
    print_page,
)
from forgedb.cli.values import DURATION, find_repository
from forgedb.models import LEASE_DURATION_MAX, Lease

if TYPE_CHECKING:
    from forgedb.database import Database


@click.group(cls=Group)
def command() -> None:
    """Write leases: one holder a repository, 72 hours at most."""


@command.command("list")
@click.option("--holder", help="Of this holder alone.")
@click.option("--mine", is_flag=True, help="Of the actor alone.")
@click.option("--expiring", type=DURATION, metavar="2h", help="That end within this time.")
@paging_options
def list_(holder: str | None, mine: bool, expiring: timedelta | None, **paging: Any) -> None:
    """List live leases."""
    if mine:
        holder = given_actor()
    before = None if expiring is None else datetime.now(UTC) + expiring
    with database() as db:
        print_page(
            lambda limit, after: db.leases.list(holder, before, after=after, limit=limit),
            {
                "ID": field("id"),
                "REPO": _path_of(db),
                "HOLDER": field("holder"),
                "PURPOSE": field("purpose"),
                "LEFT": lambda lease: lease.expires_at - datetime.now(UTC),
            },
            **paging,
        )


@command.command()
@click.argument("lease_id")
@json_option
def show(lease_id: str, as_json: bool) -> None:
    """Show a lease, live or ended, by its id."""
    with database() as db:
        print_one(db.leases.get(lease_id), as_json)


@command.command()
@click.argument("repo")
@click.option("--holder", help="Else the actor.")
@click.option("--purpose", default="")
@click.option("--duration", type=DURATION, default=LEASE_DURATION_MAX, metavar="72h")
@click.option("--idempotency-key", metavar="KEY", help="Get the live lease of this key back.")
@json_option
def acquire(repo: str, as_json: bool, **given: Any) -> None:
    """Acquire a repository's write lease."""
    with database() as db:
        print_one(db.leases.acquire(find_repository(db, repo).id, **given), as_json)


@command.command()
@click.argument("lease_id")
@click.option("--holder", help="Else the actor.")
@json_option
def release(lease_id: str, holder: str | None, as_json: bool) -> None:
    """Release one's own lease."""
    with database() as db:
        print_one(db.leases.release(lease_id, holder), as_json)


@command.command("force-release")
@click.argument("lease_id")
@click.option("--reason", required=True, help="Why; it stays in the history.")
@json_option
def force_release(lease_id: str, reason: str, as_json: bool) -> None:
    """End someone else's lease."""
    with database() as db:
        print_one(db.leases.force_release(lease_id, reason), as_json)


@command.command()
@click.argument("repo")
@paging_options
def history(repo: str, **paging: Any) -> None:
    """Show who held a repository's lease, and when."""
    with database() as db:
        repository_id = find_repository(db, repo).id
        print_page(
            lambda limit, after: db.leases.history(repository_id, after=after, limit=limit),
            {
                "TOKEN": field("fencing_token"),
                **fields("holder", "acquired_at"),
                "ENDED": lambda lease: lease.ended_at or f"until {lease.expires_at:%d %H:%M}Z",
                "HOW": lambda lease: lease.end_reason or "open",
            },
            **paging,
        )


@command.command("expire-due")
@click.option("--limit", default=100, show_default=True, help="How many at most.")
@json_option
def expire_due(limit: int, as_json: bool) -> None:
    """Stamp leases whose time is over as expired."""
    with database() as db:
        expired = db.leases.expire_due(limit)
        if as_json:
            print_json({"items": jsonable(expired)})
        else:
            columns: Columns = {
                "ID": field("id"),
                "REPO": _path_of(db),
                **fields("holder", "expires_at"),
            }
            print_list(expired, columns)


def _path_of(db: Database) -> Callable[[Lease], str]:
    """A column with each lease's repository as project/repo."""
    projects: dict[str, str] = {}

    def path(lease: Lease) -> str:
        repository = db.repositories.get(lease.repository_id)
        if repository.project_id not in projects:
            projects[repository.project_id] = db.projects.get(repository.project_id).slug
        return f"{projects[repository.project_id]}/{repository.slug}"

    return path
