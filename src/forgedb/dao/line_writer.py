"""Writing lines to a file of the caller's, open as text or as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from forgedb.validation import check_offers


def line_writer(file: IO[Any]) -> Callable[[bytes], object]:
    """What writes a line of UTF-8 to the file.  Raises InvalidValue."""
    check_offers("file", file, ["write"], "open for writing")
    if hasattr(file, "encoding"):
        return lambda line: file.write(line.decode())
    return file.write
