"""How much memory ``forgedb import`` takes, for repositories of Git that hold more and more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FILES_A_COMMIT = 50
"""A commit changes so many files of its own folder: as many blobs, two trees, and itself."""

_OBJECTS_A_COMMIT = FILES_A_COMMIT + 3

# A process's peak includes its parent's memory at the fork: so it is started by a small one.
_STARTS = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]], check=True)
"""

_TELLS_PEAKS = """
import atexit, sys
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

def tell():
    print(*(getrusage(who).ru_maxrss * 1024 for who in (RUSAGE_SELF, RUSAGE_CHILDREN)))

atexit.register(tell)
from forgedb.cli import main
main()
"""


def measured(
    database: str, url: str, folder: Path, sizes: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """A row for each size: the peak of the process's memory, of Git's, and the seconds."""
    forgedb = ["--url", url]
    subprocess.run([sys.executable, "-m", "forgedb", *forgedb, "migrate", "--quiet"], check=True)
    for size in sizes:
        repository = folder / f"import-{size}"
        made_repository(repository, size)
        began = time.perf_counter()
        peak, git_peak = peaks([*forgedb, "import", str(repository), "--quiet"])
        yield {
            "database": database,
            "objects": size,
            "work": "import",
            "of": "a process",
            "seconds": time.perf_counter() - began,
            "peak_bytes": peak,
            "git_peak_bytes": git_peak,
        }


def made_repository(folder: Path, objects: int) -> None:
    """A bare repository of about so many objects, in commits one after the other."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(max(1, objects // _OBJECTS_A_COMMIT)):
            process.stdin.write(_commit(number))
        process.stdin.close()
    if process.returncode:
        raise RuntimeError(f"git fast-import ended with {process.returncode}")


def _commit(number: int) -> bytes:
    lines = [
        "commit refs/heads/main",
        f"committer Ada <ada@example.org> {1_700_000_000 + number} +0000",
        "data 6",
        "commit",
    ]
    for file in range(FILES_A_COMMIT):
        text = f"{number} {file}\n" * 5
        lines += [f"M 100644 inline folder-{number}/file-{file}", f"data {len(text)}", text]
    return "\n".join(lines).encode() + b"\n"


def peaks(arguments: Sequence[str]) -> tuple[int, int]:
    """The most bytes that forgedb's process had at a time, and the largest of Git's."""
    command = [sys.executable, "-c", _STARTS, _TELLS_PEAKS, *arguments]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    ours, of_git = told.splitlines()[-1].split()
    return int(ours), int(of_git)
