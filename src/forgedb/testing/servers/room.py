"""A folder for servers that is always removed, even if the process that made it is killed.

A watching process waits for the maker's end: ``python -m forgedb.testing.servers.room FOLDER``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forgedb.testing.servers import processes

MEMORY = "/dev/shm"  # noqa: S108 - a folder of one's own is made in it
MEMORY_BYTES_MIN = 4 * 1024**3

QUIT_SECONDS_MAX = 5.0
END_SECONDS_MAX = 30.0


class Room:
    """A new folder: in a given one, else in memory if there is room, else with temporary files.

    ``close`` ends all processes that have the folder in their command line, and removes it.  The
    end of this process does the same, even by SIGKILL.
    """

    def __init__(self, prefix: str, within: str | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=within or roomy_memory()))
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "forgedb.testing.servers.room", str(self.path)],
            stdin=subprocess.PIPE,
            # Not ended by Ctrl-C, nor by a signal to the maker's process group.
            start_new_session=True,
        )

    def close(self) -> None:
        """End what still runs in it, and remove it.  It may be called again."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(END_SECONDS_MAX)


def clear(folder: Path) -> None:
    """End all processes that have the folder in their command line, and remove it."""
    found = [pid for pid in _all_of(folder) if pid != os.getpid()]
    servers = [pid for pid in found if "/postgres " in processes.title_of(pid)]
    # First the processes that would restart a server, such as Patroni.
    processes.send([pid for pid in found if pid not in servers], signal.SIGKILL)
    everything = [*servers, *(child for pid in servers for child in processes.children_of(pid))]
    processes.send(everything, signal.SIGCONT)
    # A server that ends by SIGQUIT frees its shared memory; one that is killed doesn't.
    processes.send(servers, signal.SIGQUIT)
    give_up_at = time.monotonic() + QUIT_SECONDS_MAX
    while any(map(processes.is_there, everything)) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    processes.send(everything, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _all_of(folder: Path) -> list[int]:
    # With the slash: the name of another folder may begin with this one's.
    inside = f"{folder}/"
    return [pid for pid in processes.all_ids() if inside in processes.title_of(pid)]


def roomy_memory() -> str | None:
    """A folder in memory with room, if there is one: a database is made there far faster."""
    if not os.path.isdir(MEMORY) or not os.access(MEMORY, os.W_OK):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN else None


if __name__ == "__main__":
    sys.stdin.buffer.read()
    clear(Path(sys.argv[1]))
