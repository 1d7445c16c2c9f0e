"""A disk that keeps what was synced, and of the rest as much as it likes: what SQLite may find on
it after the machine has crashed, at any moment."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

SYSTEMS_OWN = "unix"


class Written(NamedTuple):
    """What was done to a file; ``data`` is None where it was cut to ``offset`` bytes."""

    path: str
    offset: int
    data: bytes | None


class Synced(NamedTuple):
    path: str


class Deleted(NamedTuple):
    path: str


class Told(NamedTuple):
    """What somebody outside was told, and relies on from now on."""

    what: Any


class Crash(NamedTuple):
    """The files as a crash may leave them, by their names; and all that was told until then."""

    files: dict[str, bytes]
    told: list[Any]

    def leave_in(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


class Disk(apsw.VFS):
    """A context manager: within it every file that SQLite opens is on this disk."""

    def __init__(self) -> None:
        self.log: list[Written | Synced | Deleted | Told] = []
        super().__init__("forgetful", SYSTEMS_OWN, makedefault=True)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self.unregister()

    def tell(self, what: Any) -> None:
        self.log.append(Told(what))

    def xOpen(self, name: Any, flags: list[int]) -> File:
        return File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.log.append(Deleted(filename))

    def crashes(self) -> Iterator[Crash]:
        """What each moment may leave: all that was written by then, or only what was synced.

        A write is a frame's header, or its page: so a frame is torn between the two, and a
        transaction between any of its frames.
        """
        written: dict[str, bytearray] = defaultdict(bytearray)
        synced: dict[str, bytes] = {}
        told: list[Any] = []
        for event in self.log:
            match event:
                case Told(what):
                    told.append(what)
                case Deleted(path):
                    written.pop(path, None)
                    synced.pop(path, None)
                case Synced(path):
                    synced[path] = bytes(written[path])
                case Written(path, size, None):
                    del written[path][size:]
                case Written(path, offset, data):
                    content = written[path]
                    content.extend(bytes(max(0, offset - len(content))))
                    content[offset : offset + len(data or b"")] = data or b""
                    yield _crash(written, told)
            if not isinstance(event, Written):
                yield _crash(synced, told)


class File(apsw.VFSFile):
    """A file of the disk's; its content is the system's."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__(SYSTEMS_OWN, name, flags)
        self._disk = disk
        self._path = name if isinstance(name, str) else name.filename()

    def xWrite(self, data: Any, offset: int) -> None:
        super().xWrite(data, offset)
        self._disk.log.append(Written(self._path, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.log.append(Written(self._path, newsize, None))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.log.append(Synced(self._path))


def _crash(contents: dict[str, Any], told: list[Any]) -> Crash:
    files = {os.path.basename(path): bytes(content) for path, content in contents.items()}
    return Crash(files, list(told))
