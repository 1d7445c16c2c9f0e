"""``forgedb era``: the lives of a database, which its fencing tokens begin with."""

from __future__ import annotations

import click

from forgedb.cli.options import Group, database, json_option
from forgedb.cli.output import print_one


@click.group(cls=Group)
def command() -> None:
    """The eras of a database, which its fencing tokens begin with."""


@command.command()
@json_option
def show(as_json: bool) -> None:
    """Show which database this is, its era, and where it is known to be."""
    with database() as db:
        print_one(db.identity.get(), as_json)


@command.command()
@click.option("--reason", required=True, help="Why; it stays in the history.")
@json_option
def advance(reason: str, as_json: bool) -> None:
    """Begin a new era: the last step after a whole machine was put back to a snapshot."""
    with database() as db:
        print_one(db.identity.advance_era(reason), as_json)
