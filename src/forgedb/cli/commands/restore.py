"""``forgedb restore``: a backup in the place of the database."""

from __future__ import annotations

import click

from forgedb.cli.options import Command, given_actor, given_url, json_option
from forgedb.cli.output import jsonable, print_json


@click.command(cls=Command)
@click.argument("backup", type=click.Path(dir_okay=False))
@click.option("--reason", help="Why; it stays in the history.")
@json_option
def command(backup: str, reason: str | None, as_json: bool) -> None:
    """Put BACKUP in the place of the database, in a new era.

    A copy of what is there is kept.  Programs that have the database open go on with
    the new content.
    """
    from forgedb.admin.restore import restore

    restored = restore(backup, given_url(), actor=given_actor(), reason=reason)
    if as_json:
        print_json(jsonable(restored))
        return
    click.echo(f"restored {restored.database} from {restored.backup}, era {restored.era}")
    for label in restored.migrated:
        click.echo(f"applied {label}")
    if restored.kept is not None:
        click.echo(f"what was there before is kept as {restored.kept}")
