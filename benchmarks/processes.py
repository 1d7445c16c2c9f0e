"""Processes that are measured: started in the same way, with Python's bytecode cached."""

from __future__ import annotations

import os
import subprocess


def environment(**more: str) -> dict[str, str]:
    """This process's environment, but Python always writes its bytecode files."""
    kept = {**os.environ, **more}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def run(*command: str, is_quiet: bool = False) -> None:
    """Run it to its end.  Raises RuntimeError (it failed, and said why)."""
    done = subprocess.run(command, check=False, env=environment(), capture_output=is_quiet)
    if done.returncode:
        said = (done.stdout or b"") + (done.stderr or b"")
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {said.decode()}")
