"""``forgedb backup``: a copy of the database while others write to it."""

from __future__ import annotations

import os

import click

from forgedb.cli.options import Command, database, json_option
from forgedb.cli.output import print_json, size_text


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@json_option
def command(file: str, force: bool, as_json: bool) -> None:
    """Copy the database to FILE, as it is at one moment.

    Others read and write meanwhile.  FILE appears when it is complete.
    """
    if os.path.exists(file) and not force:
        raise click.UsageError(f"{file} is there already: choose another, or use --force")
    with database() as db:
        db.backup(file)
    size = os.path.getsize(file)
    if as_json:
        print_json({"file": file, "size": size})
    else:
        click.echo(f"wrote {size_text(size)} to {file}")
