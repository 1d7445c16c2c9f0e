"""Which process writes to an SQLite file now, where the system tells."""

from __future__ import annotations

import os

WRITE_LOCK_BYTE = "120"
"""Of the -shm file: who has it locked is the writer (see SQLite's file wal.c)."""


def writer_of(path: str) -> str | None:
    """The process that holds the write lock of a database in WAL mode, in words.

    None where nobody does, or the system has no ``/proc/locks``, as Linux has.
    """
    # Not asked of the file itself: closing another descriptor of it would end SQLite's own locks.
    try:
        inode = str(os.stat(f"{path}-shm").st_ino)
        with open("/proc/locks", encoding="ascii") as locks:
            lines = [line.split() for line in locks]
    except OSError:
        return None
    for line in lines:
        if len(line) == 8 and line[3] == "WRITE" and line[6] == WRITE_LOCK_BYTE:
            process, file = line[4], line[5]
            if file.rpartition(":")[2] == inode:
                return f"process {process}{_name_of(process)}"
    return None


def _name_of(process: str) -> str:
    try:
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            return f" ({file.read().strip()})"
    except OSError:
        return ""
