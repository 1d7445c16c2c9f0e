"""Migrations in Python, ``NNNN_name.py``: a function that is given the file's transaction.

``def migrate(db)`` runs in one transaction.  ``def batch(db, after)`` is called again and again,
each time in a transaction of its own: ``after`` is what the last call returned, None at first, and
the file is finished when a call returns None.  No code of a file runs before the file is applied:
which function it defines is read from its text.
"""

from __future__ import annotations

import ast
import json
import linecache
import sys
from types import ModuleType
from typing import Any, Literal

import msgspec

from forgedb.client import SyncClient
from forgedb.handle import make_context
from forgedb.migrations.files import MigrationFile, refused
from forgedb.operations.binding import SyncRunner

ENDING = ".py"

CURSOR_CHARS_MAX = 10_000

_PARAMETERS = {"migrate": ("db",), "batch": ("db", "after")}


class PythonFile(msgspec.Struct, frozen=True):
    """What a file defines, and its text."""

    migration: MigrationFile
    entry: Literal["migrate", "batch"]

    def migrate(self, transaction: SyncRunner) -> None:
        """Run it in the transaction."""
        given = self._function()(SyncClient(transaction, make_context(None)))
        if given is not None:
            raise TypeError(
                f"migrate() gave back {type(given).__name__}, which is looked at by nobody: for"
                " batches define batch(db, after)"
            )

    def batch(self, after: str | None, transaction: SyncRunner) -> str | None:
        """Run the batch after a cursor; returns the next cursor, both as JSON."""
        db = SyncClient(transaction, make_context(None))
        given = self._function()(db, None if after is None else json.loads(after))
        if given is None:
            return None
        cursor = json.dumps(given, allow_nan=False)
        if cursor == after:
            raise ValueError(
                f"batch() gave back {cursor}, which it was given: it would never come to an end"
            )
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError(
                f"batch() gave back {len(cursor)} characters of JSON, and at most"
                f" {CURSOR_CHARS_MAX} are kept: give back a key"
            )
        return cursor

    def line_of(self, error: BaseException) -> int:
        """The last line of the file that led to the error; 0 where none did."""
        line, traceback = 0, error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self.migration.file:
                line = traceback.tb_lineno
            traceback = traceback.tb_next
        return line

    def text_of(self, line: int) -> str:
        """That line."""
        return self.migration.text.splitlines()[line - 1].strip() if line else ""

    def words_of(self, error: BaseException) -> str:
        """What it raised, where that isn't an error of the database's."""
        if isinstance(error, SystemExit):
            return "it called sys.exit(), which ends no migration: raise an error"
        return f"{type(error).__name__}: {error}"

    def exits_by_itself(self, error: SystemExit) -> bool:
        """Whether the file itself called exit, and not a signal's handler while it ran.

        Exit code 0 always counts as the file's: no handler exits so, and a deploy would take it to
        mean that the file was applied.
        """
        if not error.code:
            return True
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        return (
            traceback is not None and traceback.tb_frame.f_code.co_filename == self.migration.file
        )

    def _function(self) -> Any:
        """The function, of a module that is made anew for each call: nothing is kept in it."""
        migration = self.migration
        lines = migration.text.splitlines(keepends=True)
        # A traceback shows the lines that were run, even if the file has changed since.
        linecache.cache[migration.file] = (len(migration.text), None, lines, migration.file)
        module = ModuleType(f"migration_{migration.label}_{migration.checksum[:12]}")
        # Dataclasses and type hints look up their module there.
        sys.modules[module.__name__] = module
        exec(compile(migration.text, migration.file, "exec"), module.__dict__)  # noqa: S102
        return getattr(module, self.entry)


def parse_python(migration: MigrationFile) -> PythonFile:
    """What the file defines.  Raises MigrationError (its syntax, nothing to run, or both)."""
    try:
        tree = ast.parse(migration.text, migration.file)
    except SyntaxError as error:
        raise refused(
            migration.file,
            f"Python refuses it: {error.msg}",
            line=error.lineno or 0,
            column=error.offset or 0,
            statement=(error.text or "").strip(),
        ) from error
    defined = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in _PARAMETERS
    ]
    if len(defined) != 1:
        raise refused(
            migration.file,
            "it defines neither migrate(db) nor batch(db, after): define one of them"
            if not defined
            else "it defines more than one of migrate(db) and batch(db, after): take one of them"
            " out, or make two files",
            line=defined[1].lineno if defined else 0,
        )
    (node,) = defined
    _check(migration, node)
    return PythonFile(migration, "batch" if node.name == "batch" else "migrate")


def _check(migration: MigrationFile, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Raise MigrationError for a function that can't be called as it is meant."""
    taken = len(node.args.posonlyargs) + len(node.args.args)
    wanted = _PARAMETERS[node.name]
    why = ""
    if isinstance(node, ast.AsyncFunctionDef):
        why = f"{node.name} is awaited by nobody: make it a plain def, also where tasks migrate"
    elif any(isinstance(each, ast.Yield | ast.YieldFrom) for each in _own_nodes(node)):
        why = f"{node.name} is a generator, and nothing of it would run: for batches define"
        why += " batch(db, after), which gives back where it came to"
    elif taken != len(wanted):
        why = f"{node.name} is called with {' and '.join(wanted)}: let it take just that"
    if why:
        raise refused(migration.file, why, line=node.lineno)


def _own_nodes(node: ast.AST) -> list[ast.AST]:
    """The nodes of a function, without those of the functions in it."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += [child, *_own_nodes(child)]
    return found
