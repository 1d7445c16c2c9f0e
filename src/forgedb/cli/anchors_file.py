"""The file to append checkpoint lines to; refused if it is torn, or another database's."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import click

from forgedb.audit.checkpoint import from_line, from_row
from forgedb.models import Checkpoint
from forgedb.operations.rows import columns

if TYPE_CHECKING:
    from forgedb.database import Database

BLOCK_BYTES = 65_536
LINE_BYTES_MAX = 64 * 2**20
"""Several times the line of a checkpoint that has as many heads as one may have."""

OF_NUMBER = f"SELECT {columns(Checkpoint)} FROM audit_checkpoints WHERE seq = :seq"  # noqa: S608 - a model's


@contextmanager
def kept_lines(path: str | None, db: Database) -> Generator[IO[bytes]]:
    """The file, opened to append to, or standard output.

    Raises UsageError where the file's last line isn't a checkpoint of this database.
    """
    if path is None:
        yield sys.stdout.buffer
        return
    with open(path, "a+b") as file:
        last = _last_line(file)
        if last:
            fault = _fault(last, db)
            if fault is not None:
                raise click.UsageError(f"{path}: {fault}; nothing was written")
        yield file


def _last_line(file: IO[bytes]) -> bytes:
    """The file's last line, with its line end; of a line that is too long, only its end."""
    start = file.seek(0, os.SEEK_END)
    line = b""
    while start > 0 and len(line) < LINE_BYTES_MAX and b"\n" not in line[:-1]:
        block = min(BLOCK_BYTES, start)
        start = file.seek(start - block)
        line = file.read(block) + line
    return line[line.rfind(b"\n", 0, -1) + 1 :]


def _fault(line: bytes, db: Database) -> str | None:
    """Why the line is not a checkpoint of this database, and what to do about it; or None."""
    if line.startswith(b"{") and not line.endswith(b"\n"):
        return (
            "its last line is torn: take it out, add what is missing by `forgedb audit checkpoints"
            " --after SEQ`, or choose another file"
        )
    try:
        seq = from_line(line).seq
    except ValueError:
        return (
            "it is no file of checkpoints, or its last line is none: take the line out, or choose"
            " another file"
        )
    row = db.client.query_one(OF_NUMBER, {"seq": seq})
    if row is None:
        return (
            f"its last line is checkpoint {seq}, and the database has none of this number: the file"
            " is another database's, or this one was put back to what it was before; look with"
            " `forgedb audit verify --anchors`, or choose another file"
        )
    if from_row(row).line.encode() != line:
        return (
            f"its last line is another checkpoint {seq} than the database's: the file is another"
            " database's, or somebody edited one of them; look with `forgedb audit verify"
            " --anchors`, or choose another file"
        )
    return None
