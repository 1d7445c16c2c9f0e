"""``forgedb object``: the Git objects that repositories have."""

from __future__ import annotations

from typing import Any

import click

from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import (
    fields,
    jsonable,
    print_json,
    print_list,
    print_one,
    print_page,
    size_text,
)
from forgedb.cli.values import find_repository
from forgedb.models import ObjectType

TYPES = {kind.name.lower(): kind for kind in ObjectType}


@click.group(cls=Group)
def command() -> None:
    """Git objects: which repository has which."""


@command.command("list")
@click.argument("repo")
@click.option("--type", "kind", type=click.Choice([*TYPES]), help="Of one type alone.")
@paging_options
def list_(repo: str, kind: str | None, **paging: Any) -> None:
    """List a repository's objects."""
    with database() as db:
        repository_id = find_repository(db, repo).id
        print_page(
            lambda limit, after: db.objects.list(
                repository_id,
                type=None if kind is None else TYPES[kind],
                after=after,
                limit=limit,
            ),
            {
                "OID": lambda found: found.oid_hex,
                **fields("type", "size", "disk_size"),
            },
            **paging,
        )


@command.command()
@click.argument("repo")
@click.argument("oid")
@json_option
def show(repo: str, oid: str, as_json: bool) -> None:
    """Show an object of a repository, by its oid."""
    with database() as db:
        print_one(db.objects.get(find_repository(db, repo).id, oid), as_json)


@command.command()
@click.argument("oid")
@paging_options
def find(oid: str, **paging: Any) -> None:
    """List the repositories that have an object."""
    with database() as db:
        print_page(
            lambda limit, after: db.objects.repositories_with(oid, after=after, limit=limit),
            fields("id", "slug", "project_id"),
            **paging,
        )


@command.command()
@click.argument("repo")
@click.argument("oids", nargs=-1, required=True)
@json_option
def missing(repo: str, oids: tuple[str, ...], as_json: bool) -> None:
    """Print which of the oids a repository doesn't have."""
    with database() as db:
        absent = db.objects.missing(find_repository(db, repo).id, oids)
        if as_json:
            print_json({"items": jsonable(absent)})
        else:
            for oid in absent:
                click.echo(oid.hex())


@command.command()
@click.argument("repo")
@json_option
def stats(repo: str, as_json: bool) -> None:
    """Count a repository's objects and their bytes, by type."""
    with database() as db:
        found = db.objects.stats(find_repository(db, repo).id)
        if as_json:
            print_json({"items": jsonable(found)})
        else:
            print_list(
                found,
                {
                    **fields("type", "count"),
                    "SIZE": lambda each: size_text(each.size),
                    "ON DISK": lambda each: size_text(each.disk_size),
                },
            )
