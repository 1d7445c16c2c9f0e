"""Options that many commands share, and the database and actor that they name.

``--url`` and ``--actor`` are taken before a command's name and after it; the last one counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from forgedb.database import Database

F = TypeVar("F", bound=Callable[..., Any])

_URL = "forgedb.cli.url"
_ACTOR = "forgedb.cli.actor"


def kept(key: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    """A callback that keeps an option's value for the whole command line: the last one counts."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[key] = value

    return callback


SHARED: tuple[click.Parameter, ...] = (
    click.Option(
        ["--url"],
        metavar="URL",
        expose_value=False,
        callback=kept(_URL),
        help="The database: sqlite:///forge.db, or postgresql://host/forge.",
    ),
    click.Option(
        ["--actor"],
        metavar="NAME",
        expose_value=False,
        callback=kept(_ACTOR),
        help="On whose behalf; else FORGEDB_ACTOR, else user:<login>.",
    ),
)


RENAMED = {"lease export-jsonl": "export"}
"""The commands of groups that have another name now."""


class Command(click.Command):
    """A command that takes the shared options too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += SHARED


class Group(click.Group):
    """A group whose commands take the shared options too."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += SHARED

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        former = f"{ctx.info_name} {args[0]}" if args else ""
        if former in RENAMED:
            now = f"{ctx.info_name} {RENAMED[former]}"
            raise click.UsageError(f"`forgedb {former}` is called `forgedb {now}` now.", ctx)
        return super().resolve_command(ctx, args)


def given_url() -> str:
    """The database's URL: from the command line, else from the environment."""
    from forgedb.drivers.url import url_from_environment

    url: str | None = click.get_current_context().meta.get(_URL)
    return url_from_environment() if url is None else url


def given_actor() -> str:
    """Who acts: from the command line, else FORGEDB_ACTOR, else the login."""
    actor: str | None = click.get_current_context().meta.get(_ACTOR)
    if actor is not None:
        return actor
    return os.environ.get("FORGEDB_ACTOR") or f"user:{_login()}"


@contextmanager
def database() -> Generator[Database]:
    """The database, on behalf of the actor; a file that isn't there is an error, not made."""
    from forgedb.database import connect
    from forgedb.drivers.url import parse_url

    url = given_url()
    options: dict[str, Any] = {"mode": "rw"} if parse_url(url).makes_its_file else {}
    with connect(url, actor=given_actor(), **options) as db:
        yield db


def json_option(function: F) -> F:
    """``--json``: print one JSON document instead of text for people."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(
        function
    )


def paging_options(function: F) -> F:
    """``--limit``, ``--after`` and ``--all``, passed as ``paging``; and ``--json``."""
    function = click.option("--all", "every", is_flag=True, help="Print all pages.")(function)
    function = click.option("--after", metavar="NEXT", help="Begin after this position.")(function)
    function = click.option(
        "--limit", default=100, show_default=True, help="How many at most, up to 1000."
    )(function)
    return json_option(function)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
