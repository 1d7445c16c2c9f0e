"""``forgedb migrate``: bring the schema up to date."""

from __future__ import annotations

import click

from forgedb.cli.options import Command, given_url

EXIT_PENDING = 3


@click.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Say what would be applied; exit 3 if anything.")
@click.option("--target", type=int, metavar="N", help="Go no further than migration N.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool, target: int | None) -> None:
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
    with connect(url) as db:
        if dry_run:
            pending = db.pending_migrations(target)
            for migration in pending:
                click.echo(f"would apply {migration.label}")
            if pending:
                ctx.exit(EXIT_PENDING)
            click.echo("nothing to apply")
            return
        applied = db.migrate(target)
        for entry in applied:
            click.echo(f"applied {entry.label} in {entry.duration_ms} ms")
        if not applied:
            click.echo("nothing to apply")
