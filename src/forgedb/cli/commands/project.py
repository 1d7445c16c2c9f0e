"""``forgedb project``: namespaces of repositories."""

from __future__ import annotations

from typing import Any

import click

from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import fields, print_one, print_page
from forgedb.cli.values import find_project, given_changes, one_of
from forgedb.models import Visibility

VISIBILITY = one_of(Visibility)


@click.group(cls=Group)
def command() -> None:
    """Projects, the namespaces of repositories."""


@command.command("list")
@click.option("--deleted", is_flag=True, help="Deleted ones too.")
@paging_options
def list_(deleted: bool, **paging: Any) -> None:
    """List projects."""
    with database() as db:
        print_page(
            lambda limit, after: db.projects.list(
                after=after, limit=limit, include_deleted=deleted
            ),
            fields("id", "slug", "name", "visibility", *(["deleted_at"] if deleted else [])),
            **paging,
        )


@command.command()
@click.argument("project")
@json_option
def show(project: str, as_json: bool) -> None:
    """Show a project, by id or slug."""
    with database() as db:
        print_one(find_project(db, project), as_json)


@command.command()
@click.argument("slug")
@click.option("--name", help="For people; else the slug.")
@click.option("--description", default="")
@click.option("--visibility", type=VISIBILITY, default=Visibility.PRIVATE.value)
@json_option
def create(slug: str, name: str | None, description: str, visibility: str, as_json: bool) -> None:
    """Create a project."""
    with database() as db:
        name = slug if name is None else name
        print_one(db.projects.create(slug, name, description, visibility), as_json)


@command.command()
@click.argument("project")
@click.option("--slug")
@click.option("--name")
@click.option("--description")
@click.option("--visibility", type=VISIBILITY)
@json_option
def update(project: str, as_json: bool, **given: Any) -> None:
    """Change a project's slug, name, description or visibility."""
    changes = given_changes(given)
    with database() as db:
        print_one(db.projects.update(find_project(db, project).id, **changes), as_json)


@command.command()
@click.argument("project")
@json_option
def delete(project: str, as_json: bool) -> None:
    """Delete a project without live repositories; its history stays."""
    with database() as db:
        print_one(db.projects.delete(find_project(db, project).id), as_json)


@command.command()
@click.argument("project_id")
@json_option
def restore(project_id: str, as_json: bool) -> None:
    """Make a deleted project live again, by its id."""
    with database() as db:
        print_one(db.projects.restore(project_id), as_json)
