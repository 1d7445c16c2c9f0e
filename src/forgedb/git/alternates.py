"""The object stores that a repository borrows from: ``objects/info/alternates``."""

from __future__ import annotations

import os
import re

_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}

_replace_escapes = re.compile(rb"\\([0-3][0-7]{2}|.)").sub


def read_alternates(git_dir: str) -> list[str]:
    """The repositories it borrows from, as absolute paths of git directories, whether they exist.

    For an object directory that is in no repository, its own path.  Those that an alternate
    borrows from in turn are not followed.
    """
    objects = os.path.join(git_dir, "objects")
    try:
        with open(os.path.join(objects, "info", "alternates"), "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return []
    found = [
        os.path.realpath(os.path.join(objects, os.fsdecode(unquoted(line))))
        for line in lines
        if line and not line.startswith(b"#")
    ]
    return list(dict.fromkeys(_repository_of(directory) for directory in found))


def unquoted(path: bytes) -> bytes:
    """A path as git prints it: bare, or in double quotes with C's escapes."""
    if len(path) < 2 or not (path.startswith(b'"') and path.endswith(b'"')):
        return path
    return _replace_escapes(_unescaped, path[1:-1])


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    return bytes([int(escape, 8)]) if len(escape) == 3 else _ESCAPES.get(escape, escape)


def _repository_of(objects: str) -> str:
    folder, name = os.path.split(objects)
    return folder if name == "objects" else objects
