"""Starting the command: a migration that has nothing to do, beside the imports it can't avoid."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.databases import base
from benchmarks.scale import Scale
from benchmarks.timing import Row, Slice, interleave

IMPORTS = "import apsw, click, msgspec"
COMMAND = "from forgedb.cli import main; main()"


def migrate(scale: Scale, folder: Path) -> Iterator[Row]:
    """Whole processes, by the same interpreter."""
    url = f"sqlite:///{base(scale, folder)}"
    installed = Path(sys.executable).with_name("forgedb")
    command = [str(installed)] if installed.exists() else [sys.executable, "-c", COMMAND]
    raw, ours = interleave(
        [
            lambda: _process([sys.executable, "-c", IMPORTS]),
            lambda: _process([*command, "--url", url, "migrate"]),
        ],
        scale.process_rounds,
    )
    yield Row("migrate", "forgedb migrate, nothing pending", IMPORTS, 1, 1.3, raw, ours)


def _process(arguments: list[str]) -> Slice:
    return lambda: subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
