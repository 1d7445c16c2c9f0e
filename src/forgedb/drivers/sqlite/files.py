"""The files of a database: made private, told apart, and kept from the log of a replaced one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from errno import ENOENT
from typing import Protocol
from weakref import WeakSet

FileId = tuple[int, int]
"""A file's device and inode: a file that replaces another one has a different pair."""

MODE = 0o660
"""Of a new file, less the umask: others have no access."""

FOLDER_SECONDS = 5.0
FOLDER_POLL_SECONDS = 0.01

_making = threading.Lock()


class Follower(Protocol):
    """A connection: which file it has open, and when it is to check whether that is still there."""

    file: FileId | None
    follow_at: float


def make_file(path: str) -> None:
    """Make an empty file; SQLite gives its log the same mode.  Raises FileExistsError, OSError."""
    # Closing a file ends all locks that this process has on it: no other thread may open it before.
    with _making:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        os.close(os.open(os.path.realpath(path), flags, MODE))


def temporary_beside(path: str) -> str:
    """The name of a file that is to take the place of another when it is complete."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.urandom(4).hex()}")


def sync(path: str) -> None:
    """fsync a folder, or a file; in this process nothing else may have the file open."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file that nobody else knows, and what SQLite made beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{ending}")


def _forked() -> None:
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def file_id(path: str) -> FileId | None:
    """Which file the path leads to; None where it leads to none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Place:
    """Where a database's file is, and which one; shared by all connections of a handle."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.file: FileId | None = None
        self._log: FileId | None = None
        self._followers: WeakSet[Follower] = WeakSet()
        self._lock = threading.RLock()
        self.when_another: Callable[[], None] | None = None
        """Called when another file was found in the place of the one that was open."""

    @contextmanager
    def opening(self, follower: Follower) -> Generator[None]:
        """For a block that opens the file that is there now; a replaced file's log is moved away.

        Raises FileNotFoundError where there is none any more, OSError.
        """
        with self._lock:
            there = file_id(self.path)
            if self.file is not None and there is None:
                raise FileNotFoundError(ENOENT, "there is none", self.path)
            kept = None
            if self.file not in (None, there):
                kept = _part(self.path, self._log)
            yield
            self._followers.add(follower)
            self._log = file_id(f"{os.path.realpath(self.path)}-wal")
            before, self.file = self.file, follower.file
            if before in (None, self.file):
                return
            self.tell()
            # Few processes ever warn.
            import logging

            logging.getLogger("forgedb").warning(
                "another file is at %s: the one that was open was renamed or removed, and nothing"
                " more is read from it or written to it%s",
                self.path,
                f"; its log is kept as {kept}" if kept else "",
            )
            if self.when_another is not None:
                self.when_another()

    def tell(self) -> None:
        """Let every connection check where the path leads to before it is used again."""
        with self._lock:
            for follower in self._followers:
                follower.follow_at = 0.0


def _part(path: str, log: FileId | None) -> str | None:
    """Keep the log of a file that was replaced from being taken for that of the file there now.

    It is removed where the file it belongs to has all of it; else it is kept under the name that is
    returned.
    """
    name = os.path.realpath(path)
    log_name = f"{name}-wal"
    with folder_locked(os.path.dirname(name)):
        # Another process may have moved the log already.
        if log is None or file_id(log_name) != log:
            return None
        kept = f"{name}.{log[1]}-wal" if os.path.getsize(log_name) else None
        if kept is None:
            os.unlink(log_name)
        else:
            os.rename(log_name, kept)
        with suppress(FileNotFoundError):
            os.unlink(f"{name}-shm")
        return kept


@contextmanager
def folder_locked(folder: str) -> Generator[None]:
    """One process at a time moves files in it.  A lock on the database file would end SQLite's."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        give_up_at = time.monotonic() + FOLDER_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(FOLDER_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
