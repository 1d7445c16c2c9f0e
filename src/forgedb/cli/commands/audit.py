"""``forgedb audit``: who changed what, and whether the history can be proven."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import fields, jsonable, new_file, print_json, print_one, print_page
from forgedb.cli.values import TIME, find_stream

EXIT_VIOLATION = 8


@click.group(cls=Group)
def command() -> None:
    """The audit trail: each project and repository is a stream."""


@command.command("list")
@click.option("--stream", metavar="NAME", help="Of one PROJECT or REPO, in its order.")
@click.option("--target", metavar="ID", help="About one thing alone.")
@click.option("--by", metavar="ACTOR", help="Of one actor alone.")
@click.option("--action", help="Of one kind, such as lease.acquire.")
@click.option("--since", type=TIME, metavar="TIME", help="From this time on; 2h: two hours ago.")
@click.option("--until", type=TIME, metavar="TIME", help="Before this time.")
@paging_options
def list_(
    stream: str | None,
    target: str | None,
    by: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    **paging: Any,
) -> None:
    """List entries."""
    with database() as db:
        stream_id = find_stream(db, stream)
        print_page(
            lambda limit, after: db.audit.list(
                stream_id, target, by, action, since, until, after=after, limit=limit
            ),
            fields("at", "actor", "action", "changes"),
            **paging,
        )


@command.command()
@click.argument("entry_id")
@json_option
def show(entry_id: str, as_json: bool) -> None:
    """Show an entry, by its id."""
    with database() as db:
        print_one(db.audit.get(entry_id), as_json)


@command.command()
@click.option("--stream", metavar="NAME", help="Of one PROJECT or REPO alone.")
@json_option
@click.pass_context
def verify(ctx: click.Context, stream: str | None, as_json: bool) -> None:
    """Prove the history; exit 8 and say where, if it can't be proven."""
    with database() as db:
        report = db.audit.verify(find_stream(db, stream))
    if as_json:
        print_json(jsonable(report))
    else:
        for problem in report.problems:
            where = (
                problem.stream_id
                if problem.seq is None
                else (f"{problem.stream_id} entry {problem.seq}")
            )
            click.echo(f"{where}: {problem.what}", err=True)
        found = "nothing wrong" if report.ok else f"{len(report.problems)} problems"
        click.echo(f"{report.entries} entries in {report.streams} streams: {found}")
    if not report.ok:
        ctx.exit(EXIT_VIOLATION)


@command.command()
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False), help="Else stdout.")
def export(output: str | None) -> None:
    """Write every entry as a line of JSON."""
    with database() as db, new_file(output) as file:
        count = db.audit.export(file)
    if output is not None:
        click.echo(f"wrote {count} entries to {output}", err=True)
