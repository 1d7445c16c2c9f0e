"""Running the command line: in this process for speed, or as a real one; and a walk over it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import msgspec
import pytest

from forgedb.cli import run
from forgedb.cli.group import forgedb


class Result(msgspec.Struct, frozen=True):
    code: int
    out: str
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Forgedb:
    """The command line on one database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capsys = capsys
        self.ran: set[str] = set()

    def __call__(self, *arguments: str) -> Result:
        """Run it in this process."""
        self._capsys.readouterr()
        code = run(["--url", self.url, *arguments])
        printed = self._capsys.readouterr()
        return Result(code, printed.out, printed.err)

    def ok(self, *arguments: str) -> str:
        """Run it, and return what it printed; it must succeed."""
        result = self(*arguments)
        assert result.code == 0, result
        return result.out

    def data(self, *arguments: str) -> Any:
        """Run it with ``--json``, and return the document; it must succeed."""
        result = self(*arguments, "--json")
        assert result.code == 0, result
        assert result.out.count("\n") == 1
        return result.json


def process(*arguments: str, **environment: str) -> Result:
    """Run it as a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORGEDB_")}
    done = subprocess.run(
        [sys.executable, "-m", "forgedb", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def all_commands() -> Iterator[str]:
    """Every command that can be run, as it is typed: ``migrate``, ``lease acquire``."""
    context = click.Context(forgedb)
    for name in forgedb.list_commands(context):
        command = forgedb.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {each}" for each in command.commands)
        else:
            yield name


on_sqlite = pytest.mark.parametrize("forgedb", ["sqlite"], indirect=True)
"""For what is about SQLite's file."""
