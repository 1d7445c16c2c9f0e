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

# A process counts what its parent had when it forked: so the parent must be a small one.
_TELLS_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(
    database: str, url: str, folder: Path, sizes: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """A row for each size: the peak of the process's memory, and its seconds."""
    forgedb = [sys.executable, "-m", "forgedb", "--url", url]
    subprocess.run([*forgedb, "migrate", "--quiet"], check=True)
    for size in sizes:
        repository = folder / f"import-{size}"
        made_repository(repository, size)
        began = time.perf_counter()
        peak = peak_bytes([*forgedb, "import", str(repository), "--quiet"])
        yield {
            "database": database,
            "objects": size,
            "work": "import",
            "of": "a process",
            "seconds": time.perf_counter() - began,
            "peak_bytes": peak,
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


def peak_bytes(command: Sequence[str]) -> int:
    """The most memory that the process had at a time."""
    told = subprocess.run(
        [sys.executable, "-c", _TELLS_PEAK, *command], check=True, stdout=subprocess.PIPE
    )
    return int(told.stdout) * 1024
