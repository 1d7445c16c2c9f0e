"""Runs the code blocks of one page, in order, in the current folder: ``python -m tests.docs.page``.

A page is a process of its own, so that it can't change what other tests find.  Its Python blocks
share one namespace, and its console blocks one shell.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forgedb
from forgedb.sql.placeholders import compile_text
from forgedb.sql.split import split
from tests.docs.blocks import Block, blocks_of
from tests.docs.shell import STATUS_QUESTION, Shell, commands_in, is_shown

EXEMPT = {
    "make demo\nmake test\n": "tests/tooling runs the demo, and this is one of the tests",
    "make check\nmake bench\nmake format\nmake schema\nmake requirements\n": (
        "they run tools over the whole checkout, which continuous integration does by itself"
    ),
}
"""Blocks that are not run, by their text, and why."""

SCHEMA_URL = "sqlite:///schema-of-the-page.db"


class Page:
    """A page's state: the names its Python blocks made, and the shell its commands ran in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.shell = Shell()
        self.runs: dict[str, Callable[[Block], None]] = {
            "python": self.python,
            "console": self.console,
            "sh": self.script,
            "sql": self.sql,
            "mermaid": self.mermaid,
            "ini": self.file,
            "yaml": self.file,
        }

    def run(self) -> int:
        """Run every block, and return how many there are."""
        blocks = blocks_of(self.path)
        try:
            for block in blocks:
                if block.text in EXEMPT:
                    continue
                if block.language not in self.runs:
                    known = ", ".join(self.runs)
                    raise AssertionError(
                        f"{block.place}: nothing can run {block.language!r}, only {known}"
                    )
                self.runs[block.language](block)
        finally:
            self.shell.close()
        return len(blocks)

    def python(self, block: Block) -> None:
        """Execute it; a traceback shows the page's own lines."""
        name = str(block.page)
        linecache.getlines(name)
        text = "\n" * (block.line - 1) + block.text
        exec(compile(text, name, "exec", dont_inherit=True), self.names)

    def console(self, block: Block) -> None:
        """Run each command, and compare what it prints with what is shown under it.

        A command may fail only where the page asks for the status right after it.
        """
        commands = commands_in(block.text)
        for position, command in enumerate(commands):
            printed, status = self.shell.run(command.text)
            place = f"{block.page.name}:{block.line + command.line}: {command.text}"
            following = [later.text for later in commands[position + 1 : position + 2]]
            if status and following != [STATUS_QUESTION]:
                raise AssertionError(f"{place}\nended with status {status}:\n{printed}")
            if command.output and not is_shown(command.output, printed):
                raise AssertionError(f"{place}\nprinted, unlike the page:\n{printed}")

    def script(self, block: Block) -> None:
        """Run it whole."""
        printed, status = self.shell.run(block.text)
        if status:
            raise AssertionError(f"{block.place}: ended with status {status}:\n{printed}")

    def sql(self, block: Block) -> None:
        """Prepare each statement on the schema that the migrations make."""
        with forgedb.connect("sqlite://") as db:
            db.migrate()
            for statement in split(block.text, "sqlite"):
                params = dict.fromkeys(compile_text(statement.text, "sqlite").names)
                db.client.query(f"EXPLAIN {statement.text}", params)

    def file(self, block: Block) -> None:
        """Write it to the current folder, under the name that its first line says.

        That it does what the page says is for a test of its own: tests/failover/test_operating.py.
        """
        first, _, _ = block.text.partition("\n")
        if not first.startswith("# "):
            raise AssertionError(f"{block.place}: name the file in the first line: # /etc/…")
        Path(Path(first.removeprefix("# ")).name).write_text(block.text)

    def mermaid(self, block: Block) -> None:
        """Compare it with what the live schema gives."""
        forgedb_here = f"forgedb --url {SCHEMA_URL}"
        printed, status = self.shell.run(
            f"{forgedb_here} migrate >/dev/null && {forgedb_here} schema --format mermaid"
        )
        if status or printed.strip() != block.text.strip():
            raise AssertionError(
                f"{block.place}: the diagram is not what `forgedb schema --format mermaid`"
                f" prints now (status {status}):\n{printed}"
            )


if __name__ == "__main__":
    count = Page(Path(sys.argv[1])).run()
    sys.stdout.write(f"{count} blocks\n")
