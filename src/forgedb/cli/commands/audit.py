"""``forgedb audit``: who changed what, and whether the history can be proven."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click

from forgedb.cli.bar import bar
from forgedb.cli.options import Group, database, json_option, paging_options
from forgedb.cli.output import (
    fields,
    jsonable,
    new_file,
    print_json,
    print_one,
    print_page,
    text,
)
from forgedb.cli.values import TIME, find_stream

if TYPE_CHECKING:
    from forgedb.audit.keys import PublicKey
    from forgedb.models import AuditEntry, VerifyProblem, VerifyProgress, VerifyReport

EXIT_VIOLATION = 8

INDENT = "    "

FILE = click.Path(exists=True, dir_okay=False)
FILE_OR_STDIN = click.Path(exists=True, dir_okay=False, allow_dash=True)
NEW_FILE = click.Path(dir_okay=False)


@click.group(cls=Group)
def command() -> None:
    """The audit trail: each project and repository is a stream."""


@command.command("list")
@click.option("--stream", metavar="NAME", help="Of one PROJECT or REPO, in its order.")
@click.option("--target", metavar="ID", help="About one thing alone.")
@click.option("--by", metavar="ACTOR", help="Of one actor alone.")
@click.option("--action", help="Of one kind, such as lease.acquire.")
@click.option("--since", type=TIME, metavar="TIME", help="From this time on; 2h: two hours ago.")
@click.option("--until", type=TIME, metavar="TIME", help="Before this time.")
@paging_options
def list_(
    stream: str | None,
    target: str | None,
    by: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    **paging: Any,
) -> None:
    """List entries; on a terminal each with what it is about, and its changes, beneath it."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError(f"--since {text(since)} is not before --until {text(until)}")
    with database() as db:
        stream_id = find_stream(db, stream)
        print_page(
            lambda limit, after: db.audit.list(
                stream=stream_id,
                target=target,
                actor=by,
                action=action,
                since=since,
                until=until,
                after=after,
                limit=limit,
            ),
            fields("at", "actor", "action", "changes", "target_id", "id"),
            draw=_drawn if sys.stdout.isatty() else None,
            **paging,
        )


@command.command()
@click.argument("entry_id")
@json_option
def show(entry_id: str, as_json: bool) -> None:
    """Show an entry, by its id."""
    with database() as db:
        print_one(db.audit.get(entry_id), as_json)


@command.command()
@click.option("--stream", metavar="NAME", help="Of one PROJECT or REPO alone.")
@click.option(
    "--anchors",
    metavar="FILE",
    type=FILE_OR_STDIN,
    help="Checkpoints that were kept elsewhere; - for standard input.",
)
@click.option(
    "--public-key",
    "public_keys",
    metavar="FILE",
    type=FILE,
    multiple=True,
    help="Whose checkpoints prove something; for several keys, several times.",
)
@click.option(
    "--since-checkpoint",
    metavar="SEQ",
    type=click.IntRange(min=1),
    help="Take its word for all before it, and read what came later.",
)
@click.option("--after", metavar="STREAM", help="Go on where another run was stopped.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    stream: str | None,
    anchors: str | None,
    public_keys: tuple[str, ...],
    since_checkpoint: int | None,
    after: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Prove the history; exit 8 and say where, if it can't be proven."""
    for option, given in (("--anchors", anchors), ("--since-checkpoint", since_checkpoint)):
        if given is not None and not public_keys:
            raise click.UsageError(f"{option} proves nothing without a key: give --public-key FILE")
    if stream is not None and after is not None:
        raise click.UsageError("--stream is verified as a whole: leave --after out")
    keys = [_public_key(path) for path in public_keys]
    with database() as db, ExitStack() as files, _progress(quiet or as_json) as progress:
        lines = None if anchors is None else files.enter_context(click.open_file(anchors, "rb"))
        report = db.audit.verify(
            find_stream(db, stream),
            after=after,
            public_keys=keys,
            anchors=lines,
            since_checkpoint=since_checkpoint,
            report=progress,
        )
    if as_json:
        print_json(jsonable(report))
    else:
        _print_report(report)
    if not report.ok:
        ctx.exit(EXIT_VIOLATION)


def _print_report(report: VerifyReport) -> None:
    _print_problems(report.problems)
    for each in report.ranges:
        by = "not anchored yet"
        if each.on_trust:
            by = f"not read, on the word of checkpoint {each.checkpoint}"
        elif each.checkpoint is not None:
            by = f"anchored by checkpoint {each.checkpoint}"
        click.echo(f"{each.stream_id} entries {each.first_seq} to {each.last_seq}: {by}")
    found = "nothing wrong" if report.ok else f"{len(report.problems)} problems"
    click.echo(f"{report.entries} entries in {report.streams} streams: {found}")
    if report.since_checkpoint is not None:
        click.echo(
            f"{report.on_trust} entries before were not read, on the word of checkpoint"
            f" {report.since_checkpoint} and those before it; of the rows, what is told since then"
            " was compared"
        )


def _print_problems(problems: Iterable[VerifyProblem]) -> None:
    for problem in problems:
        click.echo(f"{_place(problem)}: {problem.what}", err=True)


@contextmanager
def _progress(quiet: bool) -> Generator[Callable[[VerifyProgress], None]]:
    """A bar on a terminal; if the run is interrupted, the problems found so far."""
    last: VerifyProgress | None = None
    with ExitStack() as stack:
        update = None
        if not quiet and sys.stderr.isatty():
            update = stack.enter_context(bar("entries"))

        def report(progress: VerifyProgress) -> None:
            nonlocal last
            last = progress
            if update is not None:
                update(progress.done, progress.total, f"in {progress.streams:,} streams")

        try:
            yield report
        except (KeyboardInterrupt, SystemExit):
            stack.close()
            if last is not None and last.last_stream is not None:
                _print_problems(last.problems)
                found = f"{len(last.problems)} problems" if last.problems else "nothing wrong"
                click.echo(
                    f"stopped: {found} up to stream {last.last_stream};"
                    f" go on with --after {last.last_stream}",
                    err=True,
                )
            raise


@command.command()
@click.option("--key", metavar="FILE", type=FILE, required=True, help="The private key of keygen.")
@click.option("--output", metavar="FILE", type=NEW_FILE, help="Add the lines to it, else stdout.")
def checkpoint(key: str, output: str | None) -> None:
    """Sign where every stream ends now; keep the lines elsewhere, out of the database's reach."""
    from forgedb.audit.keys import SigningKey

    with open(key, "rb") as file:
        signer = SigningKey.from_pem(file.read())
    from forgedb.cli.anchors_file import kept_lines

    # Check the file before signing: a checkpoint whose line was not written leaves a gap in it.
    with database() as db, kept_lines(output, db) as lines:
        count = 0
        made = None
        while count == 0 or (made is not None and made.is_full):
            made = db.audit.checkpoint(signer)
            if made is None:
                break
            count += 1
            lines.write(made.line.encode())
            lines.flush()
            click.echo(f"checkpoint {made.seq} over {made.tree_size} streams", err=True)
        if not count:
            click.echo("nothing has changed since the last checkpoint", err=True)


@command.command()
@click.option("--after", default=0, metavar="SEQ", help="Those alone after this number.")
@click.option("--output", metavar="FILE", type=NEW_FILE, help="Else stdout.")
def checkpoints(after: int, output: str | None) -> None:
    """Write the checkpoints that the database holds again, as the same lines."""
    from forgedb.cli.anchors_file import kept_lines

    with database() as db, kept_lines(output, db) as lines:
        db.audit.export_checkpoints(lines, after)


@command.command()
@click.argument("file", type=NEW_FILE)
def keygen(file: str) -> None:
    """Make a pair of keys for checkpoints: FILE, to be kept secret, and FILE.pub."""
    from forgedb.audit.keys import SigningKey

    key = SigningKey.generate()
    public = f"{file}.pub"
    # Write both files or none.  The private key is never readable by others, not even at first.
    _write_new(public, key.public_key.to_pem(), 0o644)
    try:
        _write_new(file, key.to_pem(), 0o600)
    except BaseException:
        os.unlink(public)
        raise
    click.echo(f"wrote {file}, to be kept secret, and {public}, for whoever verifies")
    click.echo(key.key_id)


@command.command()
@click.option("--output", metavar="FILE", type=NEW_FILE, help="Else stdout.")
def export(output: str | None) -> None:
    """Write every entry as a line of JSON."""
    with database() as db, new_file(output) as file:
        count = db.audit.export(file)
    if output is not None:
        click.echo(f"wrote {count} entries to {output}", err=True)


def _drawn(entries: Sequence[AuditEntry]) -> list[str]:
    from textwrap import wrap

    width = max(get_terminal_size().columns, 40)
    shown: list[str] = []
    for entry in entries:
        about = f"{text(entry.at)}  {text(entry.actor)}  {entry.action}"
        why = f"  ({text(entry.reason)})" if entry.reason else ""
        ids = f"{INDENT}{entry.target_type} {entry.target_id}  entry {entry.id}"
        changes = wrap(text(entry.changes), width, initial_indent=INDENT, subsequent_indent=INDENT)
        shown += [f"{about}{why}", ids, *changes]
    return shown


def _public_key(path: str) -> PublicKey:
    from forgedb.audit.keys import PublicKey

    with open(path, "rb") as file:
        return PublicKey.from_pem(file.read())


def _place(problem: VerifyProblem) -> str:
    if problem.stream_id is not None:
        entry = "" if problem.seq is None else f" entry {problem.seq}"
        return f"{problem.stream_id}{entry}"
    if problem.schema is not None:
        return "schema"
    return "checkpoints" if problem.checkpoint is None else f"checkpoint {problem.checkpoint}"


def _write_new(path: str, text: str, mode: int) -> None:
    with new_file(path, mode) as file:
        file.write(text.encode())
