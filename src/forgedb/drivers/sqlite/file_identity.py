"""A file's identifier: its inode's number, and when it was made.

The number alone is used again, often for the very next file: for a copy that is put in the place of
one that was removed, for example.
"""

from __future__ import annotations

import os
import sys

from forgedb.drivers.sqlite.files import FileId, file_id

# Linux's statx(2) and its answer.
AT_FDCWD = -100
STATX_BTIME = 0x800
STATX_BYTES = 256
MASK = slice(0, 4)
BTIME_SECONDS = slice(80, 88)
BTIME_NANOSECONDS = slice(88, 92)


def identifier(path: str, file: FileId) -> str | None:
    """The identifier of the file at the path, None where another one is there by now.

    Where the file system doesn't say when it was made, the number has to do.
    """
    made = _made_at(path)
    if file_id(path) != file:
        return None
    return f"{file[1]}" if made is None else f"{file[1]}-{made}"


def _made_at(path: str) -> int | None:
    """When it was made, in nanoseconds since 1970."""
    # By its path: to open the file, and close it again, would end the locks that SQLite has on it.
    try:
        birth: float | None = getattr(os.stat(path), "st_birthtime", None)
    except OSError:
        return None
    if birth is not None:
        return round(birth * 10**9)
    # Python doesn't ask Linux for it.
    import ctypes

    try:
        statx = ctypes.CDLL(None).statx
    except (AttributeError, OSError):
        return None
    answer = ctypes.create_string_buffer(STATX_BYTES)
    if statx(AT_FDCWD, os.fsencode(path), 0, STATX_BTIME, answer) != 0:
        return None
    mask, seconds, nanoseconds = (
        int.from_bytes(answer.raw[field], sys.byteorder)
        for field in (MASK, BTIME_SECONDS, BTIME_NANOSECONDS)
    )
    return seconds * 10**9 + nanoseconds if mask & STATX_BTIME else None
