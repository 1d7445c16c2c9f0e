"""``forgedb mirror``: the remotes that repositories are copied from and to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import fields, jsonable, print_json, print_list, print_one, print_page
from forgedb.cli.values import DURATION, TIME_AHEAD, find_repository, given_changes, one_of
from forgedb.models import Direction

COLUMNS = fields("id", "direction", "remote_url", "status", "next_run_at")


@click.group(cls=Group)
def command() -> None:
    """Mirrors, and the runs that keep them up to date."""


@command.command("list")
@click.argument("repo")
@paging_options
def list_(repo: str, **paging: Any) -> None:
    """List a repository's mirrors."""
    with database() as db:
        repository_id = find_repository(db, repo).id
        print_page(
            lambda limit, after: db.mirrors.list(repository_id, after=after, limit=limit),
            COLUMNS,
            **paging,
        )


@command.command()
@click.argument("mirror_id")
@json_option
def show(mirror_id: str, as_json: bool) -> None:
    """Show a mirror, by its id."""
    with database() as db:
        print_one(db.mirrors.get(mirror_id), as_json)


@command.command()
@click.argument("repo")
@click.argument("direction", type=one_of(Direction))
@click.argument("remote_url")
@click.option("--interval", type=DURATION, metavar="1h", help="How often; else by hand.")
@click.option("--credential-ref", metavar="NAME", help="Where its credentials are found.")
@click.option("--disabled", is_flag=True, help="Don't run it yet.")
@json_option
def create(
    repo: str, direction: str, remote_url: str, disabled: bool, as_json: bool, **given: Any
) -> None:
    """Add a mirror to a repository."""
    with database() as db:
        repository_id = find_repository(db, repo).id
        mirror = db.mirrors.create(
            repository_id, direction, remote_url, enabled=not disabled, **given
        )
        print_one(mirror, as_json)


@command.command()
@click.argument("mirror_id")
@click.option("--remote-url")
@click.option("--interval", type=DURATION, metavar="1h")
@click.option("--by-hand", is_flag=True, help="Without an interval from now on.")
@click.option("--credential-ref", metavar="NAME")
@click.option("--enabled/--disabled", default=None)
@click.option("--next-run-at", type=TIME_AHEAD, metavar="TIME", help="2h: in two hours.")
@json_option
def update(mirror_id: str, by_hand: bool, as_json: bool, **given: Any) -> None:
    """Change a mirror's URL, interval, credentials or next run."""
    if by_hand and given["interval"] is not None:
        raise click.UsageError("--by-hand is without an interval: give one of the two")
    changes = given_changes({**given, "by_hand": by_hand or None})
    if changes.pop("by_hand", False):
        changes["interval"] = None
    with database() as db:
        print_one(db.mirrors.update(mirror_id, **changes), as_json)


@command.command()
@click.argument("mirror_id")
@json_option
def delete(mirror_id: str, as_json: bool) -> None:
    """Remove a mirror; its history stays."""
    with database() as db:
        print_one(db.mirrors.delete(mirror_id), as_json)


@command.command("claim-due")
@click.option("--limit", default=10, show_default=True, help="How many at most.")
@click.option("--run-for", type=DURATION, default="1h", show_default=True)
@json_option
def claim_due(limit: int, run_for: timedelta, as_json: bool) -> None:
    """Take the mirrors whose run is due, to run them."""
    with database() as db:
        claimed = db.mirrors.claim_due(limit, run_for)
        if as_json:
            print_json({"items": jsonable(claimed)})
        else:
            print_list(claimed, fields("id", "remote_url", "run_token"))


@command.command()
@click.argument("mirror_id")
@click.argument("run_token")
@click.option("--error", help="What went wrong; else the run went well.")
@json_option
def finish(mirror_id: str, run_token: str, error: str | None, as_json: bool) -> None:
    """Say how a claimed run ended."""
    with database() as db:
        print_one(db.mirrors.finish(mirror_id, run_token, error), as_json)
