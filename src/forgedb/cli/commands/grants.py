"""``forgedb grants``: the SQL that lets an application's role use the database, on PostgreSQL."""

from __future__ import annotations

import click

from forgedb.cli.options import Command, json_option
from forgedb.cli.output import print_json


@click.command(cls=Command)
@click.option("--role", required=True, metavar="NAME", help="The role that the application is.")
@click.option("--schema", default="public", show_default=True, help="Where forgedb's tables are.")
@json_option
def command(role: str, schema: str, as_json: bool) -> None:
    """Print the SQL of what a PostgreSQL role needs.

    It reads and writes as an application does, and can't rewrite history.  Let the tables' owner
    run it: forgedb grants --role app | psql DATABASE
    """
    from forgedb.admin.grants import grants

    statements = grants(role, schema)
    if as_json:
        print_json({"statements": statements})
        return
    for statement in statements:
        click.echo(statement)
