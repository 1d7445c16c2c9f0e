"""``forgedb relationship``: forks, templates, submodules, object pools."""

from __future__ import annotations

from typing import Any, Literal

import click

from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import fields, jsonable, print_json, print_list, print_one, print_page
from forgedb.cli.values import find_repository, one_of
from forgedb.models import RelationshipKind

KIND = one_of(RelationshipKind)


@click.group(cls=Group)
def command() -> None:
    """Which repository forks, borrows from or contains which."""


@command.command("list")
@click.argument("repo")
@click.option("--kind", type=KIND)
@click.option("--direction", type=click.Choice(["out", "in"]), default="out", show_default=True)
@paging_options
def list_(repo: str, kind: str | None, direction: Literal["out", "in"], **paging: Any) -> None:
    """List a repository's relationships."""
    end = "target_id" if direction == "out" else "source_id"
    with database() as db:
        repository_id = find_repository(db, repo).id
        print_page(
            lambda limit, after: db.relationships.list(
                repository_id, kind=kind, direction=direction, after=after, limit=limit
            ),
            {
                **fields("id", "kind"),
                end.removesuffix("_id").upper(): lambda edge: getattr(edge, end) or edge.target_url,
                **fields("path"),
            },
            **paging,
        )


@command.command()
@click.argument("relationship_id")
@json_option
def show(relationship_id: str, as_json: bool) -> None:
    """Show a relationship, by its id."""
    with database() as db:
        print_one(db.relationships.get(relationship_id), as_json)


@command.command()
@click.argument("repo")
@click.argument("kind", type=KIND)
@click.option("--target", metavar="REPO", help="A repository here.")
@click.option("--target-url", metavar="URL", help="A repository elsewhere.")
@click.option("--path", default="", help="The submodule's place.")
@json_option
def create(
    repo: str, kind: str, target: str | None, target_url: str | None, path: str, as_json: bool
) -> None:
    """Relate a repository to another, here or elsewhere."""
    with database() as db:
        source_id = find_repository(db, repo).id
        target_id = None if target is None else find_repository(db, target).id
        edge = db.relationships.create(source_id, kind, target_id, target_url, path)
        print_one(edge, as_json)


@command.command()
@click.argument("relationship_id")
@json_option
def delete(relationship_id: str, as_json: bool) -> None:
    """Remove a relationship; its history stays."""
    with database() as db:
        print_one(db.relationships.delete(relationship_id), as_json)


def _family(repo: str, kind: str, as_json: bool, way: str) -> None:
    with database() as db:
        repositories = getattr(db.relationships, way)(find_repository(db, repo).id, kind)
        if as_json:
            print_json({"items": jsonable(repositories)})
        else:
            print_list(repositories, fields("id", "slug", "project_id"))


@command.command()
@click.argument("repo")
@click.option("--kind", type=KIND, default=RelationshipKind.FORK.value, show_default=True)
@json_option
def ancestors(repo: str, kind: str, as_json: bool) -> None:
    """List what a repository comes from, nearest first."""
    _family(repo, kind, as_json, "ancestors")


@command.command()
@click.argument("repo")
@click.option("--kind", type=KIND, default=RelationshipKind.FORK.value, show_default=True)
@json_option
def descendants(repo: str, kind: str, as_json: bool) -> None:
    """List what comes from a repository, nearest first."""
    _family(repo, kind, as_json, "descendants")
