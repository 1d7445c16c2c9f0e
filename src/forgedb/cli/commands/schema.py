"""``forgedb schema``: tables and columns, as the live database has them."""

from __future__ import annotations

import click

from forgedb.cli.options import Command, database, json_option
from forgedb.cli.output import jsonable, print_json, print_list


@click.command(cls=Command)
@click.option(
    "--format",
    "form",
    type=click.Choice(["all", "mermaid", "table", "sql"]),
    default="all",
    show_default=True,
    help="The entity diagram, the columns, or both; or the SQL that makes it.",
)
@json_option
def command(form: str, as_json: bool) -> None:
    """Show the schema as a Mermaid diagram and a table, or as SQL."""
    from forgedb.admin.schema import mermaid, read_schema

    with database() as db:
        if form == "sql" and not as_json:
            from forgedb.admin.ddl import schema_sql

            click.echo(schema_sql(db), nl=False)
            return
        tables = read_schema(db)
    if as_json:
        print_json({"tables": jsonable(tables)})
        return
    if form != "table":
        click.echo(mermaid(tables), nl=form == "all")
    if form != "mermaid":
        print_list(
            [(table, column) for table in tables for column in table.columns],
            {
                "TABLE": lambda pair: pair[0].name,
                "COLUMN": lambda pair: pair[1].name,
                "TYPE": lambda pair: pair[1].type,
                "NULL": lambda pair: pair[1].nullable,
                "KEY": lambda pair: "primary" if pair[1].in_primary_key else None,
                "REFERENCES": lambda pair: pair[1].references,
            },
        )
