"""``forgedb status``: the whole database in a few numbers."""

from __future__ import annotations

import click

from forgedb.cli.options import Command, database, given_url, json_option
from forgedb.cli.output import jsonable, print_json, size_text, text


@click.command(cls=Command)
@json_option
def command(as_json: bool) -> None:
    """Say what the database holds; exit 3 if it needs migrating."""
    from forgedb.status import read_status
    from forgedb.url import redacted

    with database() as db:
        status = read_status(db, redacted(given_url()))
    if as_json:
        print_json(jsonable(status))
        return
    click.echo(f"{'database':<14}  {status.database}")
    click.echo(f"{'schema':<14}  version {status.schema_version}, up to date")
    click.echo(f"{'size':<14}  {size_text(status.size)}")
    for name in status.__struct_fields__[3:-1]:
        click.echo(f"{name.replace('_', ' '):<14}  {getattr(status, name):,}")
    click.echo(f"{'last change':<14}  {text(status.last_change_at)}")
