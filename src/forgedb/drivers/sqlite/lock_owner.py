"""Which processes read and write an SQLite file now, where the system tells."""

from __future__ import annotations

import os
from collections.abc import Iterator

WRITE_LOCK = range(120, 121)
READ_LOCKS = range(123, 128)
"""Bytes of the -shm file: a process that has one locked is writing, or has a snapshot of the log
open (see SQLite's file wal.c)."""


def writer_of(path: str) -> str | None:
    """The process that holds the write lock of a database in WAL mode, in words.

    None where no process does, or the system has no ``/proc/locks`` (Linux has).
    """
    return next((_named(process) for process in _who_locks(path, "WRITE", WRITE_LOCK)), None)


def readers_of(path: str) -> list[str]:
    """The processes that have a snapshot of a database in WAL mode open, in words."""
    return [_named(process) for process in dict.fromkeys(_who_locks(path, "READ", READ_LOCKS))]


def _who_locks(path: str, kind: str, wanted: range) -> Iterator[str]:
    # The file itself isn't opened: closing another descriptor of it would end SQLite's own locks.
    try:
        inode = str(os.stat(f"{path}-shm").st_ino)
        with open("/proc/locks", encoding="ascii") as locks:
            lines = [line.split() for line in locks]
    except OSError:
        return
    for line in lines:
        # A lock that is waited for has an arrow, and so one field more.
        if len(line) == 8 and line[3] == kind and line[5].rpartition(":")[2] == inode:
            process, first, last = line[4], int(line[6]), line[7]
            if first < wanted.stop and (last == "EOF" or int(last) >= wanted.start):
                yield process


def _named(process: str) -> str:
    return f"process {process}{_name_of(process)}"


def _name_of(process: str) -> str:
    if process == str(os.getpid()):
        return " (this one)"
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            return f" ({file.read().strip()})"
    except OSError:
        return ""
