"""``forgedb repo``: repositories."""

from __future__ import annotations

from typing import Any

import click

from forgedb.cli.commands.project import VISIBILITY
from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import fields, print_one, print_page
from forgedb.cli.values import find_project, find_repository, given_changes, one_of
from forgedb.models import ObjectFormat, RepositoryState


@click.group(cls=Group)
def command() -> None:
    """Repositories; REPO is an id, or project/repo."""


@command.command("list")
@click.argument("project")
@click.option("--deleted", is_flag=True, help="Deleted ones too.")
@paging_options
def list_(project: str, deleted: bool, **paging: Any) -> None:
    """List a project's repositories."""
    with database() as db:
        project_id = find_project(db, project).id
        print_page(
            lambda limit, after: db.repositories.list(
                project_id, after=after, limit=limit, include_deleted=deleted
            ),
            fields(
                *("id", "slug", "state", "visibility", "object_format"),
                *(["deleted_at"] if deleted else []),
            ),
            **paging,
        )


@command.command()
@click.argument("repo")
@json_option
def show(repo: str, as_json: bool) -> None:
    """Show a repository."""
    with database() as db:
        print_one(find_repository(db, repo), as_json)


@command.command()
@click.argument("project")
@click.argument("slug")
@click.option("--description", default="")
@click.option("--default-branch", default="main", show_default=True)
@click.option("--object-format", type=one_of(ObjectFormat), default=ObjectFormat.SHA1.value)
@click.option("--visibility", type=VISIBILITY, help="Else the project's.")
@json_option
def create(project: str, slug: str, as_json: bool, **given: Any) -> None:
    """Create a repository in a project."""
    with database() as db:
        project_id = find_project(db, project).id
        print_one(db.repositories.create(project_id, slug, **given), as_json)


@command.command()
@click.argument("repo")
@click.option("--slug")
@click.option("--description")
@click.option("--default-branch")
@click.option("--visibility", type=VISIBILITY)
@click.option("--state", type=one_of(RepositoryState))
@json_option
def update(repo: str, as_json: bool, **given: Any) -> None:
    """Change a repository's slug, description, branch, visibility or state."""
    changes = given_changes(given)
    with database() as db:
        print_one(db.repositories.update(find_repository(db, repo).id, **changes), as_json)


@command.command()
@click.argument("repo")
@json_option
def delete(repo: str, as_json: bool) -> None:
    """Delete a repository that nothing depends on; its history stays."""
    with database() as db:
        print_one(db.repositories.delete(find_repository(db, repo).id), as_json)


@command.command()
@click.argument("repository_id")
@json_option
def restore(repository_id: str, as_json: bool) -> None:
    """Make a deleted repository live again, by its id."""
    with database() as db:
        print_one(db.repositories.restore(repository_id), as_json)
