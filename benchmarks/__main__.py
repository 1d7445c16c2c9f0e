"""``python -m benchmarks``: compares forgedb with the raw driver, and prints each row when it is
measured.  With the name of another benchmark it runs that; ``check`` compares with the committed
ratios.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

COMMANDS = {
    "limit": "beside the raw driver, and with --peers beside other libraries; when none is named",
    "check": "whether forgedb costs what it did when its ratios were committed",
    "clients": "1 to 64 clients on PostgreSQL, 1 to 8 on a SQLite file",
    "growth": "a database that grows to 10,000,000 objects",
    "startup": "what starting costs, and which packages it is spent on",
    "rowsizes": "bytes of a row on PostgreSQL, and what each kind of write leaves behind",
    "plots": "draw the figures of what was kept, and write the docs' tables",
    "peers": "other libraries, by the interpreter that has them; limit --peers runs it",
}

PACKAGES = ("clients", "growth", "peers", "plots")
"""The commands whose ``main`` is in the module ``running`` of a package."""


def parser(rows: Sequence[str] | None = None) -> ArgumentParser:
    """The parser of all commands; ``rows`` are the names that ``limit`` knows."""
    every = ArgumentParser(prog="benchmarks", description=__doc__)
    commands = every.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in COMMANDS.items():
        of = commands.add_parser(name, help=words, description=words)
        if name not in ("check", "plots"):
            of.add_argument("--quick", action="store_true", help="too little work to judge by")
            of.add_argument("--save", action="store_true", help="keep it in benchmarks/results")
        if name in ("limit", "peers"):
            of.add_argument("--json", action="store_true", help="a line of JSON for each row")
        if name in ("clients", "growth"):
            databases = ("sqlite", "postgres")
            of.add_argument("--only", choices=databases, help="one of the databases")
        if name == "limit":
            of.add_argument("--only", choices=rows, action="append", help="this one; repeatable")
            of.add_argument(
                "--peers", type=Path, metavar="PYTHON", help="what has peers, beside those it has"
            )
        elif name == "check":
            of.add_argument("--short", action="store_true", help="instructions alone")
            of.add_argument("--accept", action="store_true", help="keep these ratios")
        elif name == "clients":
            of.add_argument("--seconds", type=float, help="of each kind of work")
        elif name == "growth":
            of.add_argument("--sizes", type=int, nargs="+", help="of objects, ascending")
        elif name == "peers":
            of.add_argument("--on", choices=("sqlite", "postgres"), required=True)
            of.add_argument("--work", action="append", help="this one; repeatable")
            of.add_argument("--peer", action="append", help="this one's module; repeatable")
    return every


def main(arguments: Sequence[str] | None = None) -> int | None:
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    if not given or (given[0] not in COMMANDS and given[0] not in ("-h", "--help")):
        given.insert(0, "limit")
    # Import only the command that was asked for: peers must choose their SQLite first.
    rows = import_module("benchmarks.limit").EVERY if given[0] == "limit" else None
    asked: Namespace = parser(rows).parse_args(given)
    module = f"{asked.command}.running" if asked.command in PACKAGES else asked.command
    status: int | None = import_module(f"benchmarks.{module}").main(asked)
    return status


if __name__ == "__main__":
    sys.exit(main())
