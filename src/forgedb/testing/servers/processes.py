"""Processes by their ids, read from Linux's /proc: children, titles, and waiting for the end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

END_SECONDS_MAX = 30.0

_PROC = Path("/proc")


def children_of(parent: int) -> list[int]:
    """The ids of the processes that this one started, and that haven't ended."""
    found = {pid: _state(pid) for pid in all_ids()}
    return [pid for pid, (state, its) in found.items() if its == parent and state not in "ZX"]


def all_ids() -> list[int]:
    """The ids of all processes."""
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def is_there(pid: int) -> bool:
    """Whether the process hasn't ended."""
    return _state(pid)[0] not in "ZX"


def title_of(pid: int) -> str:
    """The command line that the process shows; empty if it has ended."""
    try:
        line = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace").strip()


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_for_end(pids: list[int]) -> None:
    """Wait until all have ended.  Raises TimeoutError."""
    give_up_at = time.monotonic() + END_SECONDS_MAX
    for pid in pids:
        while is_there(pid):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"process {pid} is still there after {END_SECONDS_MAX:g} s")
            time.sleep(0.01)


def _state(pid: int) -> tuple[str, int]:
    """Its state's letter, and its parent; X, and 0, where there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "X", 0
    # Its name, in parentheses, may hold anything.
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)
