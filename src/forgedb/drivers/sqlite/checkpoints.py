"""When the write-ahead log is copied into the file or truncated, and who holds that up."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import apsw

from forgedb.drivers.sqlite.timeouts import Waiting

LOG_PAGES = 1000
"""A log of so many pages is copied into the file: SQLite's own default, 4 MiB."""

LOG_BYTES_MAX = 64 * 1024 * 1024
"""A log above this is truncated once nobody reads it, or warned of; below, it is written over."""

CUT_SECONDS = 0.05
"""How long truncating the log waits for its readers; other writers wait meanwhile."""


class Checkpoints:
    """The writer's hook, which SQLite calls after each commit, in the place of its own."""

    def __init__(self, path: str, waiting: Waiting, *, leaves_alone: bool) -> None:
        self._path = path
        self._waiting = waiting
        self._leaves_alone = leaves_alone
        self._held_since: datetime | None = None
        self._told = False

    def __call__(self, raw: apsw.Connection, name: str, pages: int) -> int:
        if pages >= LOG_PAGES:
            # The commit is done, and must not seem to have failed: another process may be copying,
            # or the disk is full.  The next commit looks again.
            with suppress(apsw.Error):
                self._look(raw, pages)
        return apsw.SQLITE_OK

    def _look(self, raw: apsw.Connection, pages: int) -> None:
        size = pages * raw.pragma("page_size")
        is_copied = not self._leaves_alone and _copy(raw, apsw.SQLITE_CHECKPOINT_PASSIVE)
        if is_copied and size > LOG_BYTES_MAX:
            with self._waiting.for_locks(CUT_SECONDS):
                _copy(raw, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if is_copied or (self._leaves_alone and size <= LOG_BYTES_MAX):
            self._held_since, self._told = None, False
            return
        if self._held_since is None:
            self._held_since = datetime.now(UTC)
        if size > LOG_BYTES_MAX and not self._told:
            self._told = True
            self._tell(size)

    def _tell(self, size: int) -> None:
        # Few processes ever warn.
        import logging

        from forgedb.drivers.sqlite.lock_owner import readers_of

        log = logging.getLogger("forgedb")
        mebibytes = size >> 20
        if self._leaves_alone:
            log.warning(
                "the log %s-wal has grown to %d MiB: checkpoint=never leaves it to another program,"
                " which hasn't copied it into the file; see whether that runs",
                self._path,
                mebibytes,
            )
            return
        log.warning(
            "the log %s-wal has grown to %d MiB: since %s a snapshot holds back what would copy it"
            " into the file, read by %s; it shrinks when that ends",
            self._path,
            mebibytes,
            f"{self._held_since:%Y-%m-%d %H:%M:%S} UTC",
            " or ".join(readers_of(self._path)) or "a process that the system doesn't tell",
        )


def _copy(raw: apsw.Connection, mode: int) -> bool:
    """Whether the whole log is in the file now."""
    in_log, copied = raw.wal_checkpoint("main", mode)
    return copied >= in_log
