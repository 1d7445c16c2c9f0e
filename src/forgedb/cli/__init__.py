"""The command line: ``main`` runs it, and turns every error into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from forgedb.cli.group import ReadEnough, forgedb
from forgedb.errors import (
    ActorRequired,
    AuditViolation,
    Conflict,
    ForgeDbError,
    InvalidValue,
    LeaseLost,
    LockTimeout,
    MigrationDrift,
    NotFound,
    SchemaOutdated,
    UsageError,
)

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
EXIT_CODES: tuple[tuple[type[ForgeDbError], int], ...] = (
    (InvalidValue, 2),
    (UsageError, 2),
    (ActorRequired, 2),
    (SchemaOutdated, 3),
    (MigrationDrift, 4),
    (LockTimeout, 5),
    (NotFound, 6),
    (Conflict, 7),
    (LeaseLost, 7),
    (AuditViolation, 8),
)

__all__ = ["exit_code_of", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line and exit with its code; ``FORGEDB_DEBUG=1`` shows tracebacks."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the shell
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


def _terminate(number: int, frame: Any) -> None:
    # An exception unwinds the stack: a lease is released, a running statement is cancelled.
    sys.exit(EXIT_TERMINATED)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    try:
        with _warnings_as_notes():
            code = forgedb.main(arguments, prog_name="forgedb", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _refuse("interrupted", EXIT_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        given = sys.argv[1:] if arguments is None else arguments
        return _refuse(_without_urls(_usage(error), given), error.exit_code)
    except (BrokenPipeError, ReadEnough):
        # The interpreter must not try to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("FORGEDB_DEBUG"):
            raise
        if isinstance(error, ForgeDbError):
            return _refuse(str(error), exit_code_of(error))
        if isinstance(error, OSError) and error.strerror:
            return _refuse(f"{error.filename or 'output'}: {error.strerror}", EXIT_FAILURE)
        what = f"{type(error).__name__}: {error}"
        return _refuse(f"unexpected {what} (FORGEDB_DEBUG=1 shows where)", EXIT_FAILURE)
    return code if isinstance(code, int) else 0


def exit_code_of(error: ForgeDbError) -> int:
    """The exit code that stands for an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_FAILURE)


def _refuse(message: str, code: int) -> int:
    click.echo(f"forgedb: error: {' '.join(message.split())}", err=True)
    return code


@contextmanager
def _warnings_as_notes() -> Generator[None]:
    with warnings.catch_warnings(record=True) as caught:
        try:
            yield
        finally:
            for warning in caught:
                click.echo(f"forgedb: note: {warning.message}", err=True)


def _without_urls(message: str, arguments: Sequence[str]) -> str:
    """The message, with each argument that may hold a password hidden."""
    from forgedb.drivers.url import hidden

    for argument in sorted(arguments, key=len, reverse=True):
        if "://" in argument or "pass" in argument.lower():
            for spelling in (argument, repr(argument)[1:-1]):
                message = message.replace(spelling, hidden(argument))
    return message


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}: see `{error.ctx.command_path} --help`"
    return message
