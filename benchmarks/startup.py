"""Starting the command: a migration that has nothing to do, beside the imports it can't avoid."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.databases import base
from benchmarks.migrations import IMPORTS, OURS
from benchmarks.processes import run
from benchmarks.scale import Scale
from benchmarks.timing import Row, interleave


def migrate(scale: Scale, folder: Path) -> Iterator[Row]:
    """Whole processes, by the same interpreter."""
    url = f"sqlite:///{base(scale, folder)}"
    raw, ours = interleave(
        [
            lambda: partial(run, sys.executable, "-c", IMPORTS, is_quiet=True),
            lambda: partial(run, *OURS, "--url", url, "migrate", is_quiet=True),
        ],
        scale.process_rounds,
    )
    yield Row("migrate", "forgedb migrate, nothing pending", IMPORTS, 1, 1.3, raw, ours)
