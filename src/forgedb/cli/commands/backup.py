"""``forgedb backup``: a copy of the database while others write to it."""

from __future__ import annotations

import os

import click

from forgedb.cli.options import Command, database
from forgedb.cli.output import size_text


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def command(file: str, force: bool) -> None:
    """Copy the database to FILE, as it is at one moment.

    Others read and write meanwhile.  FILE appears when it is complete.
    """
    if os.path.exists(file) and not force:
        raise click.UsageError(f"{file} is there already: choose another, or use --force")
    with database() as db:
        db.backup(file)
    click.echo(f"wrote {size_text(os.path.getsize(file))} to {file}")
