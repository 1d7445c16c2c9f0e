"""``forgedb migrate`` and its subcommands: bring a schema up to date, and show its state."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from forgedb.cli.options import Group, database, given_actor, given_url, json_option, kept

if TYPE_CHECKING:
    from forgedb.cli.progress import Warnings
    from forgedb.database import Database
    from forgedb.migrations.comparison import MigrationState
    from forgedb.migrations.history import BegunMigration
    from forgedb.migrations.migrator import Migrator
    from forgedb.schema_check.comparison import Difference

F = TypeVar("F", bound=Callable[..., Any])

EXIT_FAILURE = 1
EXIT_PENDING = 3
EXIT_DRIFT = 4

EXIT_CODES = {
    "edited": EXIT_DRIFT,
    "missing": EXIT_FAILURE,
    "newer": EXIT_FAILURE,
    "late": EXIT_FAILURE,
    "failed": EXIT_FAILURE,
    "running": EXIT_PENDING,
    "pending": EXIT_PENDING,
    "applied": 0,
    "gone": 0,
}
"""If migrations are in several states, the first of these decides the exit code."""

_DIRECTORY = "forgedb.cli.migrations"
_TABLE = "forgedb.cli.history"
_SCHEMA = "forgedb.cli.schema"
_HISTORY_SCHEMA = "forgedb.cli.history_schema"


def folder_options(function: F) -> F:
    """``--dir``, ``--table`` and the schemas, taken before a command's name and after it."""
    return click.option(
        "--schema",
        metavar="NAME",
        expose_value=False,
        callback=kept(_SCHEMA),
        help="Run the files in this schema of PostgreSQL's, such as a tenant's.",
    )(history_options(function))


def history_options(function: F) -> F:
    """The same without ``--schema``."""
    function = click.option(
        "--history-schema",
        metavar="NAME",
        expose_value=False,
        callback=kept(_HISTORY_SCHEMA),
        help="The schema of the history, on PostgreSQL; else --schema, or the search_path's first.",
    )(function)
    function = click.option(
        "--table",
        metavar="NAME",
        expose_value=False,
        callback=kept(_TABLE),
        help="The table of the history; else app_schema_migrations for --dir.",
    )(function)
    return click.option(
        "--dir",
        metavar="DIR",
        type=click.Path(),
        expose_value=False,
        callback=kept(_DIRECTORY),
        help="The folder of the files, or of sqlite/ and postgres/; else forgedb's own.",
    )(function)


def locking_options(function: F) -> F:
    """``--lock-timeout`` and ``--lock-wait``, in seconds, passed under the runner's names."""
    function = click.option(
        "--lock-wait",
        "lock_wait_seconds",
        type=float,
        default=3,
        show_default=True,
        metavar="SECONDS",
        help="How long a statement queues for a table's lock, on PostgreSQL.",
    )(function)
    return click.option(
        "--lock-timeout",
        "lock_timeout_seconds",
        type=float,
        default=60,
        show_default=True,
        metavar="SECONDS",
        help="How long to try again while others hold a lock; then exit 5.",
    )(function)


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--dry-run",
    is_flag=False,
    flag_value="list",
    type=click.Choice(["list", "execute"]),
    help="Say what would be applied, and exit 3 if anything; =execute does it, and rolls it back.",
)
@click.option("--target", type=int, metavar="N", help="Go no further than migration N.")
@click.option("--allow-out-of-order", is_flag=True, help="Apply numbers below the newest too.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@click.option(
    "--wait",
    type=float,
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for a database that starts.",
)
@locking_options
@folder_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    dry_run: str | None,
    target: int | None,
    allow_out_of_order: bool,
    quiet: bool,
    wait: float,
    as_json: bool,
    **times: Any,
) -> None:
    """Make the database, or bring its schema up to date.

    Each migration is applied in a transaction of its own.  Running it again does nothing.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx, ctx.invoked_subcommand)
        return
    order = {"allow_out_of_order": allow_out_of_order}
    if dry_run == "list":
        with _runner(looks_only=True, target=target, wait=wait) as runner:
            pending = [each.label for each in runner.check(target, **order)]
            begun = runner.unfinished() if pending else []
        if not quiet:
            running = {each.label: _at_work(each) for each in begun if each.state == "running"}
            lines = [running.get(label, f"would apply {label}") for label in pending]
            _report("pending", pending, lines, as_json)
        if pending:
            ctx.exit(EXIT_PENDING)
        return
    progress = None if quiet else _told("would apply" if dry_run else "applied", as_json)
    times["looks_only"] = dry_run is not None
    try:
        with _runner(runs=True, target=target, wait=wait, progress=progress, **times) as runner:
            applied = (runner.rehearse if dry_run else runner.migrate)(target, **order)
            unrehearsed = getattr(applied, "unrehearsed", ())
    finally:
        if progress is not None:
            progress.ended()
    if as_json and dry_run:
        from forgedb.cli.output import jsonable, print_json

        print_json({"rehearsed": jsonable(applied), "unrehearsed": jsonable(unrehearsed)})
    elif as_json or not (applied or unrehearsed or quiet):
        _report("applied", applied, [], as_json)
    elif not quiet:
        for each in unrehearsed:
            click.echo(f"can't rehearse {each.label}: {each.why}")
    if dry_run and (applied or unrehearsed):
        ctx.exit(EXIT_PENDING)


@command.command(short_help="Show each migration, and whether it is applied.")
@folder_options
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show each migration, and whether it is applied; exit 3, 4 or 1 if not all are as they should.

    States: applied, pending, late (a higher number is applied), edited (not what was applied),
    missing (its file is gone), newer (than all files), running and failed (outside a transaction);
    gone (a repeatable file that isn't there any more, which is no fault).
    """
    from forgedb.cli.output import jsonable, print_json, print_list
    from forgedb.migrations.invalid_indexes import unused

    with _runner(looks_only=True) as runner:
        states, invalid, marks = runner.states(), runner.invalid_indexes(), runner.marks()
        place = runner.place()
    if as_json:
        shown = [
            {
                "version": each.version,
                "name": each.name,
                "state": each.state,
                "applied_at": jsonable(each.applied_at),
                "duration_ms": None if each.applied is None else each.applied.duration_ms,
            }
            for each in states
        ]
        marked = jsonable(marks)
        shown_all = {"migrations": shown, "invalid_indexes": invalid, "marked": marked}
        print_json({"history": place, **shown_all})
    else:
        print_list(
            states,
            {
                "MIGRATION": lambda each: each.label,
                "STATE": lambda each: each.state,
                "APPLIED AT": lambda each: each.applied_at,
                "MS": lambda each: None if each.applied is None else str(each.applied.duration_ms),
            },
        )
        # On stderr: a program may parse the rows on stdout.
        click.echo(f"the history is in {place}", err=True)
        for words in [*(unused([index]) for index in invalid), *map(str, marks)]:
            click.echo(words, err=True)
    ctx.exit(_exit_code(states, invalid))


@command.command(short_help="Compare history and schema with the files.")
@click.option(
    "--schema",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Compare the schema too, a tenant's by its name: run the files in a scratch database.",
)
@click.option("--scratch", metavar="URL", help="An empty database for that; else one is made.")
@history_options
@json_option
@click.pass_context
def verify(ctx: click.Context, schema: str | None, scratch: str | None, as_json: bool) -> None:
    """Compare the history with the files; exit 0 if they agree, 3 pending, 4 drift, 1 else.

    Of forgedb's own migrations the live schema is compared too, part by part, with what they made;
    of others with --schema, which runs them in a scratch database.
    """
    whole = schema is not None
    if schema:
        ctx.meta[_SCHEMA] = schema
    if scratch is not None and not whole:
        raise click.UsageError("--scratch is where --schema runs the files: give both", ctx)
    from forgedb.migrations.comparison import problem_of
    from forgedb.migrations.invalid_indexes import unused

    with _runner(looks_only=True) as runner:
        states, invalid = runner.states(), runner.invalid_indexes()
        problems = [
            str(found)
            for each in states
            if (found := problem_of(each, states, options=runner.options)) is not None
        ]
        if whole and not problems:
            differences = _schema_differences(runner, scratch)
        else:
            differences = runner.differences()
    unseen = (
        ["the schema wasn't compared: first put the history right"] if whole and problems else []
    )
    problems += unseen
    problems += [unused([index]) for index in invalid]
    problems += [str(each) for each in differences if not each.harmless]
    gone = [each.label for each in states if each.state == "gone"]
    harmless = [f"{label} was applied, and its file is gone: drop what it made" for label in gone]
    harmless += [str(each) for each in differences if each.harmless]
    pending = [each.label for each in states if each.state in ("pending", "running")]
    running = [each.begun for each in states if each.state == "running" and each.begun]
    if as_json:
        from forgedb.cli.output import jsonable, print_json

        shown = {"problems": problems, "pending": pending, "differences": jsonable(differences)}
        print_json({"checked": len(states), **shown})
    else:
        at_work = {begun.label: _at_work(begun) for begun in running}
        for words in [*problems, *(at_work.get(each, f"{each} is pending") for each in pending)]:
            click.echo(words)
        if not problems and not pending:
            count = len(states) - len(gone)
            many = "" if count == 1 else "s"
            too = ", and the schema as they make it" if whole else ""
            click.echo(f"{count} migration{many}, each as it was applied{too}")
        for words in harmless:
            click.echo(words)
    is_drift = any(not each.harmless for each in differences)
    ctx.exit(EXIT_DRIFT if is_drift else _exit_code(states, invalid))


@command.command(short_help="Record migrations as applied without running them.")
@click.argument("number", type=int, metavar="N")
@locking_options
@folder_options
@json_option
def baseline(number: int, as_json: bool, **times: Any) -> None:
    """Record the migrations up to N as applied, without running them.

    For a database that had its schema before it had a history.
    """
    with _runner(target=number, **times) as runner:
        recorded = runner.baseline(number)
    _report("recorded", recorded, [f"recorded {entry.label}" for entry in recorded], as_json)


@command.command(short_help="Take over another tool's files and history.")
@click.argument("source", type=click.Path(), metavar="DIR")
@click.option(
    "--from",
    "tool",
    required=True,
    type=click.Choice(["dbmate", "goose", "golang-migrate", "sqlx"]),
    help="The tool that the files in DIR are for.",
)
@click.option("--history", metavar="NAME", help="Its table, where it isn't called as usual.")
@locking_options
@folder_options
@json_option
def adopt(
    source: str,
    tool: Any,
    history: str | None,
    as_json: bool,
    **times: Any,
) -> None:
    """Take over the files of another tool, and what the database has of them, from DIR to --dir.

    Nothing is run.  DIR and the other tool's table stay as they are.
    """
    with _existing("migrations", **times) as migrator:
        taken = migrator.adopt(tool, source, history=history)
        lines = [f"{len(taken.files)} files in {migrator.directory}"]
    if taken.history is None:
        lines.append(f"no history of {tool} was found: name its table with --history if it has one")
    lines += [f"recorded {entry.label}" for entry in taken.recorded]
    lines += [f"{label} is pending" for label in taken.pending]
    lines += [f"{file} does nothing" for file in taken.empty]
    if taken.downs:
        many = f"{len(taken.downs)} file{'' if len(taken.downs) == 1 else 's'}"
        lines.append(f"the way down of {many} stays in {source}: here is none")
    _report("adopted", taken, lines, as_json)


@command.command(short_help="Make one file of many.")
@click.option("--to", "number", type=int, required=True, metavar="N", help="Of those up to N.")
@click.option("--name", default="squashed", show_default=True, help="The new file's name.")
@click.option("--also", metavar="URL", help="A database of the other kind, for its folder.")
@folder_options
@json_option
def squash(number: int, name: str, also: str | None, as_json: bool) -> None:
    """Make one file that does what those up to N do; they are moved to a folder beside it.

    Databases that have applied them skip it, and new ones run it.  It is first tried in a scratch
    database beside the one of --url, which is not touched.
    """
    from forgedb.database import connect

    with _runner(looks_only=True) as runner:
        if also is None:
            written = runner.squash(number, name=name)
        else:
            with connect(also) as other:
                written = runner.squash(number, name=name, also=other)
    _report("files", written, written, as_json)


@command.command(short_help="Change the history of one migration by hand.")
@click.argument("number", type=int, metavar="N")
@click.option("--applied", is_flag=True, help="The database has it, as its file is now.")
@click.option("--pending", is_flag=True, help="The next run is to apply it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, for the record.")
@click.option("--allow-out-of-order", is_flag=True, help="Though lower numbers are pending.")
@locking_options
@folder_options
@json_option
@click.pass_context
def mark(
    ctx: click.Context,
    /,
    number: int,
    applied: bool,
    pending: bool,
    reason: str,
    allow_out_of_order: bool,
    as_json: bool,
    **times: Any,
) -> None:
    """Change the history of migration N by hand, and note who did and why; nothing is run.

    --applied takes it as applied with the text that its file has now, also where the file was
    edited since.  --pending takes it out of the history.  `forgedb migrate status` tells of it.
    """
    if applied == pending:
        raise click.UsageError("say how it stands: --applied or --pending", ctx)
    with _existing(**times) as runner:
        made = runner.mark(
            number,
            "applied" if applied else "pending",
            reason=reason,
            by=given_actor(),
            allow_out_of_order=allow_out_of_order,
        )
    _report("marked", made, [str(made)], as_json)


@command.command(short_help="Write the next migration's files.")
@click.argument("name")
@folder_options
@json_option
def new(name: str, as_json: bool) -> None:
    """Write the next migration's files, one for each database, in --dir (else migrations)."""
    from forgedb.migrations.new_files import create_files

    directory: str | None = click.get_current_context().meta.get(_DIRECTORY)
    paths = create_files(directory or "migrations", name)
    _report("files", paths, paths, as_json)


@command.command(short_help="Give a history another table.")
@click.option(
    "--from",
    "source",
    default="schema_migrations",
    show_default=True,
    metavar="NAME",
    help="The table that has it.",
)
@locking_options
@folder_options
@json_option
def move(source: str, as_json: bool, **times: Any) -> None:
    """Move the history of the files in --dir to --table, in one transaction.

    Version 0.1 kept it in the table of forgedb's own, unless it was given another.
    """
    with _runner(**times) as runner:
        moved = runner.move(source)
        place = runner.place()
    many = "" if len(moved) == 1 else "s"
    _report("moved", moved, [f"{len(moved)} migration{many} moved to {place}"], as_json)


@command.command(short_help="Go on after a failure outside a transaction.")
@click.argument("number", type=int, metavar="[N]", required=False)
@click.option("--retry", is_flag=True, help="Let the next run go on with it.")
@click.option("--applied", is_flag=True, help="It was finished by hand.")
@locking_options
@folder_options
@json_option
@click.pass_context
def resolve(
    ctx: click.Context,
    /,
    number: int | None,
    retry: bool,
    applied: bool,
    as_json: bool,
    **times: Any,
) -> None:
    """Show what failed outside a transaction, and INVALID indexes; or settle migration N.

    --retry drops the INVALID index that it left, and the next `forgedb migrate` goes on with the
    statement that failed.
    """
    if retry and applied:
        raise click.UsageError("--retry and --applied exclude each other: give one of them", ctx)
    how = "retry" if retry else "applied" if applied else None
    with _runner(looks_only=True, **times) as runner:
        if number is not None and how is not None:
            words = runner.resolve(number, "retry" if how == "retry" else "applied")
            _report("done", words, words, as_json)
            return
        if how is not None:
            raise click.UsageError(f"--{how} is about one migration: give its N", ctx)
        unfinished = [each for each in runner.unfinished() if number in (None, each.version)]
        invalid, options = runner.invalid_indexes(), runner.options
    waiting = [each for each in unfinished if each.state != "resumed"]
    if as_json:
        from forgedb.cli.output import jsonable, print_json

        print_json({"unfinished": jsonable(unfinished), "invalid_indexes": invalid})
    else:
        for each in unfinished:
            click.echo("\n".join(_unfinished(each, options)))
        for index in invalid:
            click.echo(f"the index {index} is INVALID: DROP INDEX CONCURRENTLY {index}")
        if not unfinished and not invalid:
            click.echo("nothing to resolve")
    ctx.exit(EXIT_FAILURE if waiting or invalid else 0)


def _schema_differences(runner: Migrator, scratch: str | None) -> list[Difference]:
    from forgedb.database import connect

    if scratch is None:
        return runner.schema_differences()
    with connect(scratch) as empty:
        return runner.schema_differences(empty)


def _at_work(begun: BegunMigration) -> str:
    """Who runs a migration outside a transaction, or was killed there."""
    since = f"{begun.begun_at:%Y-%m-%d %H:%M} UTC"
    return f"{begun.label} is being run by {begun.begun_by} since {since}"


def _unfinished(begun: BegunMigration, given: str) -> list[str]:
    """How far a migration came, and what to type next, in lines."""
    if begun.state == "resumed":
        return [f"the next `forgedb migrate` goes on with {begun.next_part}"]
    command = f"forgedb migrate resolve {begun.version}"
    failed = [f"  it failed: {begun.error}"] if begun.error and begun.state == "failed" else []
    return [
        f"{begun.label} is {begun.state}, with {begun.done} of its statements done",
        f"  begun by {begun.begun_by} at {begun.begun_at:%Y-%m-%d %H:%M:%S} UTC",
        *failed,
        f"  to go on: {command} --retry{given}",
        f"  if it was finished by hand: {command} --applied{given}",
    ]


def _told(verb: str, as_json: bool) -> Warnings:
    """What reports the runner's progress: with ``--json`` only the server's warnings."""
    from forgedb.cli.progress import Shown, Warnings

    return Warnings() if as_json else Shown(verb)


def _refuse_options(ctx: click.Context, command_name: str) -> None:
    """Refuse options given before a subcommand's name, where they would be ignored."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if parameter.expose_value and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} isn't heeded before {command_name}: give it after,"
                f" if {command_name} takes it",
                ctx,
            )


@contextmanager
def _runner(
    *,
    looks_only: bool = False,
    runs: bool = False,
    target: int | None = None,
    wait: float = 0,
    **options: Any,
) -> Generator[Migrator]:
    """The runner for the database and folder of the command line.

    A missing SQLite file is made only after the files were checked, and by no command that only
    looks.
    """
    import os

    from forgedb.database import connect
    from forgedb.drivers.url import parse_url
    from forgedb.migrations.migrator import Migrator

    directory: str | None = click.get_current_context().meta.get(_DIRECTORY)
    options |= _history_given()
    url = given_url()
    parsed = parse_url(url)
    if parsed.dialect == "sqlite" and not os.path.exists(parsed.path):
        with connect("sqlite://") as nothing:
            runner = Migrator(nothing, directory, **options)
            (runner.check if runs else runner.pending)(target)
            if looks_only:
                yield runner
                return
        with _connected(url, wait) as db:
            yield runner.on(db)
            return
    with _connected(url, wait) as db:
        yield Migrator(db, directory, **options)


def _connected(url: str, wait: float) -> Database:
    """The database; if its server is still starting, waits for it and says so on stderr."""
    from forgedb.database import connect
    from forgedb.drivers.startup import is_starting
    from forgedb.errors import Unavailable

    if wait > 0:
        try:
            return connect(url)
        except Unavailable as error:
            if not is_starting(error):
                raise
            click.echo(f"waiting: {error.why}", err=True)
    return connect(url, wait=wait)


@contextmanager
def _existing(default: str | None = None, **options: Any) -> Generator[Migrator]:
    """The runner on a database that must exist, with a folder that need not."""
    from forgedb.migrations.migrator import Migrator

    directory = click.get_current_context().meta.get(_DIRECTORY, default)
    with database() as db:
        yield Migrator(db, directory, **options, **_history_given())


def _history_given() -> dict[str, Any]:
    """The table and the schemas of the history, as given on the command line."""
    meta = click.get_current_context().meta
    keys = {"table": _TABLE, "schema": _SCHEMA, "history_schema": _HISTORY_SCHEMA}
    return {name: meta[key] for name, key in keys.items() if key in meta}


def _exit_code(states: Sequence[MigrationState], invalid: Sequence[str]) -> int:
    found = {each.state for each in states}
    code = next((code for state, code in EXIT_CODES.items() if state in found), 0)
    return code if code == EXIT_DRIFT or not invalid else EXIT_FAILURE


def _report(name: str, items: object, lines: Sequence[str], as_json: bool) -> None:
    if as_json:
        # Imported here: a run that has nothing to apply starts faster without it.
        from forgedb.cli.output import jsonable, print_json

        print_json({name: jsonable(items)})
        return
    for line in lines or ["nothing to apply"]:
        click.echo(line)
