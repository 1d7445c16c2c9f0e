"""``forgedb import``: record a real Git repository."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from forgedb.cli.bar import bar
from forgedb.cli.options import Command, database, json_option
from forgedb.cli.output import jsonable, print_json, print_list, size_text

if TYPE_CHECKING:
    from forgedb.importing import ImportSummary, Progress


@click.command(cls=Command)
@click.argument("path", type=click.Path())
@click.option("--project", default="imported", show_default=True, help="The project's slug.")
@click.option("--slug", help="The repository's slug; else from its folder's name.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def command(path: str, project: str, slug: str | None, quiet: bool, as_json: bool) -> None:
    """Record a Git repository, or what is new in it.

    Its remotes become mirrors, its submodules and alternates relationships; of every object, the
    type and sizes are kept.  The repository's write lease is held meanwhile.
    """
    from forgedb.importing import import_repository

    began = time.monotonic()
    with database() as db, _progress(quiet) as report:
        summary = import_repository(db, path, project=project, slug=slug, report=report)
    seconds = time.monotonic() - began
    for warning in summary.warnings:
        click.echo(f"forgedb: note: {warning}", err=True)
    if as_json:
        print_json({**jsonable(summary), "seconds": round(seconds, 3)})
    else:
        _print_summary(summary, seconds)


def _print_summary(summary: ImportSummary, seconds: float) -> None:
    path = f"{summary.project.slug}/{summary.repository.slug}"
    how = "created" if summary.repository_created else "found"
    resumed = ", taken up again" if summary.lease_resumed else ""
    objects = summary.objects
    rate = (objects.added + objects.already_there) / max(seconds, 0.001)
    for name, value in (
        ("repository", f"{path} ({how}), {summary.repository.object_format}"),
        ("id", summary.repository.id),
        ("lease", f"fencing token {summary.fencing_token}{resumed}, released"),
        ("mirrors", f"{summary.mirrors_total}, {summary.mirrors_created} new"),
        ("relationships", f"{summary.relationships_total}, {summary.relationships_created} new"),
        ("objects", f"{objects.added:,} new, {objects.already_there:,} known before"),
        ("time", f"{seconds:.1f} s, {rate:,.0f} objects/s"),
    ):
        click.echo(f"{name:<13}  {value}")
    if summary.stats:
        click.echo()
        print_list(
            summary.stats,
            {
                "TYPE": lambda each: each.type,
                "COUNT": lambda each: f"{each.count:,}",
                "SIZE": lambda each: size_text(each.size),
                "ON DISK": lambda each: size_text(each.disk_size),
            },
        )


@contextmanager
def _progress(quiet: bool) -> Generator[Callable[[Progress], None]]:
    """On stderr: a bar on a terminal, else a line every five seconds."""
    if quiet:
        yield lambda progress: None
    elif sys.stderr.isatty():
        with bar("objects") as update:
            yield lambda progress: update(progress.done, progress.total, "")
    else:
        yield _lines()


def _lines() -> Callable[[Progress], None]:
    began = last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 5:
            last = now
            of = f" of about {progress.total:,}" if progress.total else ""
            rate = progress.done / (now - began)
            click.echo(f"{progress.done:,}{of} objects, {rate:,.0f}/s", err=True)

    return report
