"""The peers' own process: the interpreter that has them, with forgedb from this checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.postgres import server

ROOT = Path(__file__).parents[2]

WORKS = ("get", "create", "page", "offset", "lease", "missing", "add")
"""Their names, known without importing what does them."""


def run(python: Path, on: str, works: Sequence[str], *options: str, url: str | None = None) -> None:
    """Measure the works and print their rows; ``url`` is of a server to measure on."""
    command = [str(python), "-m", "benchmarks.peers", "--on", on, *options]
    for work in works:
        command += ["--work", work]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    if url is not None:
        environment[server.URL] = url
    done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"the peers' process ended with {done.returncode}: {' '.join(command)}")
