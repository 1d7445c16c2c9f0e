"""``forgedb status``: the whole database in a few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forgedb.cli.options import Command, database, given_url, json_option
from forgedb.cli.output import jsonable, print_json, size_text, text

if TYPE_CHECKING:
    from forgedb.admin.status import Status

EXIT_DRIFT = 4


@click.command(cls=Command)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what the database holds; exit 3 if it needs migrating.

    Exit 4, and each difference, if its schema isn't as its migrations made it.
    """
    from forgedb.admin.status import read_status
    from forgedb.drivers.url import redacted

    with database() as db:
        status = read_status(db, redacted(given_url()))
    if as_json:
        print_json(jsonable(status))
    else:
        _print(status)
    if status.differences:
        ctx.exit(EXIT_DRIFT)


def _print(status: Status) -> None:
    from forgedb.admin.status import COUNTS

    many = len(status.differences)
    state = "up to date"
    if many:
        state = f"{many} difference{'' if many == 1 else 's'} from what its migrations make"
    click.echo(f"{'database':<14}  {status.database}")
    click.echo(f"{'schema':<14}  version {status.schema_version}, {state}")
    for each in status.differences:
        click.echo(f"{'':<14}  {each}")
    click.echo(f"{'history':<14}  {status.history}")
    click.echo(f"{'size':<14}  {size_text(status.size)}")
    timeline = f", on timeline {status.timeline}" if status.timeline else ""
    if status.timeline is None and not status.database.startswith("sqlite"):
        timeline = "; the server doesn't tell its timeline, which counts as 1"
    click.echo(f"{'era':<14}  {status.era}{timeline}")
    click.echo(f"{'durability':<14}  {status.durability}")
    for name in COUNTS:
        click.echo(f"{name.replace('_', ' '):<14}  {getattr(status, name):,}")
    click.echo(f"{'last change':<14}  {text(status.last_change_at)}")
