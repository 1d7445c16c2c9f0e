"""The group of all commands: each is a module that is imported when its command runs."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import click

from forgedb import __version__
from forgedb.cli.options import SHARED

COMMANDS = {
    "migrate": "migrate",
    "status": "status",
    "import": "import_",
    "project": "project",
    "repo": "repo",
    "lease": "lease",
    "mirror": "mirror",
    "relationship": "relationship",
    "object": "object_",
    "audit": "audit",
    "backup": "backup",
    "restore": "restore",
    "era": "era",
    "schema": "schema",
    "grants": "grants",
}
"""Each command's module in ``forgedb.cli.commands``, in the order of the help."""


WORD = "[a-z_-]{1,30}"


class ReadEnough(Exception):
    """The reader of the output, such as `head`, has closed the pipe: that is no failure."""


class LazyGroup(click.Group):
    """A group that knows its commands by name alone until one is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module: Any = import_module(f"forgedb.cli.commands.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # click itself would exit with 1.
            raise ReadEnough from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            # A word that doesn't look like a command may be a URL with a password: don't show it.
            name = f" {args[0]!r}" if re.fullmatch(WORD, args[0]) else " of this name"
            raise click.UsageError(f"There is no command{name}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, params=list(SHARED), context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="forgedb", message="%(prog)s %(version)s")
def forgedb() -> None:
    """The database of a Git forge: --url, FORGEDB_URL, DATABASE_URL or ./forge.db."""
