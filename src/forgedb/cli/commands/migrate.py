"""``forgedb migrate``: bring the schema up to date."""

from __future__ import annotations

from collections.abc import Sequence

import click

from forgedb.cli.options import Command, given_url, json_option

EXIT_PENDING = 3


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Say what would be applied; exit 3 if anything.")
@click.option("--target", type=int, metavar="N", help="Go no further than migration N.")
@json_option
@click.pass_context
def command(ctx: click.Context, dry_run: bool, target: int | None, as_json: bool) -> None:
    """Make the database, or bring its schema up to date.

    Each migration is applied in a transaction of its own.  Running it again does nothing.
    """
    from forgedb.database import connect
    from forgedb.url import parse_url

    url = given_url()
    if dry_run:
        import os

        parsed = parse_url(url)
        if parsed.dialect == "sqlite" and not os.path.exists(parsed.path):
            # Looking must not make the file.
            url = "sqlite://"
    if target is not None:
        # Asked of a database that has nothing yet, so that a wrong number makes no file.
        with connect("sqlite://") as nothing:
            nothing.pending_migrations(target)
    with connect(url) as db:
        if dry_run:
            pending = [migration.label for migration in db.pending_migrations(target)]
            _report("pending", pending, [f"would apply {label}" for label in pending], as_json)
            if pending:
                ctx.exit(EXIT_PENDING)
            return
        applied = db.migrate(target)
        done = [f"applied {entry.label} in {entry.duration_ms} ms" for entry in applied]
        _report("applied", applied, done, as_json)


def _report(name: str, migrations: Sequence[object], lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        # Not needed, and not imported, by those who look whether there is anything to do.
        from forgedb.cli.output import jsonable, print_json

        print_json({name: jsonable(migrations)})
        return
    for line in lines or ["nothing to apply"]:
        click.echo(line)
