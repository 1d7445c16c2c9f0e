"""``forgedb lease``: who may write to which repository, and until when."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from shutil import get_terminal_size
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from forgedb.cli.options import Group, database, given_actor, json_option, paging_options
from forgedb.cli.output import (
    Columns,
    field,
    fields,
    jsonable,
    new_file,
    print_json,
    print_list,
    print_one,
    print_page,
    text,
)
from forgedb.cli.values import DURATION, find_project, find_repository
from forgedb.limits import LEASE_DURATION_MAX
from forgedb.models import Lease, LeaseImport, Page

if TYPE_CHECKING:
    from forgedb.database import Database

EXIT_UNKNOWN = 6

WATCHED_MAX = 1000
INTERVAL_SECONDS = 2
EXPIRING_MAX = timedelta(days=365)
"""No lease lasts for longer."""


def _checked_interval(
    ctx: click.Context, option: click.Parameter, seconds: float | None
) -> float | None:
    """Refuse nan, which FloatRange takes for a number within its range."""
    if seconds is not None and math.isnan(seconds):
        raise click.BadParameter("nan is no number of seconds.", ctx, option)
    return seconds


@click.group(cls=Group)
def command() -> None:
    """Write leases: one holder a repository, 72 hours at most."""


@command.command("list")
@click.option("--holder", help="Of this holder alone.")
@click.option("--mine", is_flag=True, help="Of the actor alone.")
@click.option("--expiring", type=DURATION, metavar="2h", help="That end within this time.")
@click.option("--watch", "watches", is_flag=True, help="Show them anew, again and again.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    callback=_checked_interval,
    metavar="SECONDS",
    help=f"How long --watch waits between.  [default: {INTERVAL_SECONDS}]",
)
@paging_options
def list_(
    holder: str | None,
    mine: bool,
    expiring: timedelta | None,
    watches: bool,
    interval: float | None,
    **paging: Any,
) -> None:
    """List live leases; on a terminal with a bar of how much of each term is over."""
    if watches:
        _check_watching(**paging)
    elif interval is not None:
        raise click.UsageError("--interval is how often --watch looks: give --watch too")
    if mine:
        holder = given_actor()

    def page_of(db: Database, limit: int, after: str | None) -> Page[Lease]:
        # Capped: a time thousands of years ahead would be out of range, and means any lease.
        before = None if expiring is None else datetime.now(UTC) + min(expiring, EXPIRING_MAX)
        return db.leases.list(holder=holder, expiring_before=before, after=after, limit=limit)

    with database() as db:
        path_of = _path_of(db)
        if watches:
            _watch(lambda: page_of(db, WATCHED_MAX, None), path_of, interval or INTERVAL_SECONDS)
            return
        print_page(
            lambda limit, after: page_of(db, limit, after),
            {
                "ID": field("id"),
                "REPO": path_of,
                **fields("holder", "purpose"),
                "AGE": lambda lease: datetime.now(UTC) - lease.acquired_at,
                "LEFT": lambda lease: lease.expires_at - datetime.now(UTC),
            },
            draw=_terms(path_of) if sys.stdout.isatty() else None,
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


@command.command()
@click.argument("lease_id")
@click.argument("to", metavar="HOLDER")
@click.option("--note", default="", help="What the next holder should know; it stays.")
@click.option("--holder", help="Who hands it over; else the actor.")
@json_option
def handover(lease_id: str, to: str, note: str, holder: str | None, as_json: bool) -> None:
    """Give the rest of one's own lease to another HOLDER, under a new token."""
    with database() as db:
        print_one(db.leases.handover(lease_id, to, note, holder), as_json)


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
@click.option("--reason", required=True, help="Why; it stays in the history.")
@json_option
def rebase(repo: str, reason: str, as_json: bool) -> None:
    """Let lease times begin anew, after a clock that was ahead."""
    with database() as db:
        print_one(db.leases.rebase(find_repository(db, repo).id, reason), as_json)


@command.command()
@click.argument("repo")
@click.option("--chart", is_flag=True, help="Draw it, also where this is no terminal.")
@paging_options
def history(repo: str, chart: bool, **paging: Any) -> None:
    """Show who held a repository's lease, and when; on a terminal as a chart."""
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
            draw=_chart if chart or sys.stdout.isatty() else None,
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


@command.command("import-jsonl")
@click.argument("file", type=click.File("rb"))
@click.option("--source", metavar="NAME", help="The log's name; else the file's path.")
@click.option("--create-missing", metavar="PROJECT", help="Make unknown repositories in it.")
@json_option
@click.pass_context
def import_jsonl(
    ctx: click.Context,
    file: IO[bytes],
    source: str | None,
    create_missing: str | None,
    as_json: bool,
) -> None:
    """Replay a lease log, a line of JSON an event: all of it, or nothing.

    It may be given again, also when it is longer.  Lines of unknown repositories wait; these are
    listed, and the exit code is 6.
    """
    if source is None:
        # Replace the bytes of a path that are not UTF-8: no database can store them.
        is_path = file.name != "<stdin>"
        source = (
            os.fsencode(os.path.abspath(file.name)).decode(errors="replace") if is_path else "stdin"
        )
    with database() as db:
        project_id = None if create_missing is None else find_project(db, create_missing).id
        done = db.leases.import_jsonl(file, source, project_id)
    if as_json:
        print_json(jsonable(done))
    else:
        _print_import(done)
    if done.unknown:
        ctx.exit(EXIT_UNKNOWN)


@command.command()
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False), help="Else stdout.")
def export(output: str | None) -> None:
    """Write every lease as a lease log: the lines that import-jsonl reads."""
    with database() as db, new_file(output) as file:
        count = db.leases.export(file)
    if output is not None:
        click.echo(f"wrote {count} lines to {output}", err=True)


def _print_import(done: LeaseImport) -> None:
    for name, value in (
        ("source", done.source),
        ("lines", f"{done.imported:,} new, {done.already_there:,} known before"),
        ("leases", f"{done.leases:,} new"),
        ("repositories", f"{len(done.created):,} made"),
        ("waiting", f"{done.waiting:,} lines, of {len(done.unknown):,} unknown repositories"),
    ):
        click.echo(f"{name:<12}  {text(value)}")
    if done.unknown:
        click.echo()
        print_list(done.unknown, fields("repository_id", "line", "lines"))
        click.echo(
            "forgedb: note: create these repositories, or give --create-missing PROJECT,"
            " and import the log again",
            err=True,
        )


def _terms(path_of: Callable[[Lease], str]) -> Callable[[Sequence[Lease]], list[str]]:
    from forgedb.cli.lease_chart import marks_for, terms

    marks = marks_for(sys.stdout.encoding)
    width = get_terminal_size().columns
    return lambda leases: terms(leases, path_of, datetime.now(UTC), width, marks)


def _chart(leases: Sequence[Lease]) -> list[str]:
    from forgedb.cli.lease_chart import history as chart
    from forgedb.cli.lease_chart import marks_for

    width = get_terminal_size().columns
    return chart(leases, datetime.now(UTC), width, marks_for(sys.stdout.encoding))


def _check_watching(*, limit: int, after: str | None, every: bool, as_json: bool) -> None:
    from rich.console import Console

    if as_json or not sys.stdout.isatty() or Console().is_dumb_terminal:
        raise click.UsageError("--watch draws on a terminal: leave it out, and ask in a loop")
    asked = click.get_current_context().get_parameter_source("limit")
    if after is not None or every or asked is not ParameterSource.DEFAULT:
        raise click.UsageError(
            f"--watch shows the first {WATCHED_MAX:,} leases: leave out --limit, --after and --all"
        )


def _watch(
    page: Callable[[], Page[Lease]], path_of: Callable[[Lease], str], interval: float
) -> None:
    from forgedb.cli.lease_chart import marks_for, terms
    from forgedb.cli.watching import watch

    marks = marks_for(sys.stdout.encoding)

    def lines(width: int) -> list[str]:
        leases = page()
        many = f"more than {WATCHED_MAX:,}" if leases.next else f"{len(leases.items):,}"
        found = terms(leases.items, path_of, datetime.now(UTC), width, marks)
        return [f"{many} live leases", *found]

    watch(lines, interval)


def _path_of(db: Database) -> Callable[[Lease], str]:
    """A column with each lease's repository as project/repo."""
    projects: dict[str, str] = {}

    def path(lease: Lease) -> str:
        repository = db.repositories.get(lease.repository_id)
        if repository.project_id not in projects:
            projects[repository.project_id] = db.projects.get(repository.project_id).slug
        return f"{projects[repository.project_id]}/{repository.slug}"

    return path
