"""Processes that migrate one database at once, and what must be true of it afterwards."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

import forgedb
from forgedb import AppliedMigration, ForgeDbError
from forgedb.migrations import Progress, Runner

START_SECONDS_MAX = 60
PAUSE_SECONDS = 0.003

RECORDED = "SELECT version FROM app_schema_migrations"

Race: TypeAlias = "Callable[[type[Runner], str, Path], list[list[int] | str]]"
"""Migrates in each process at once: what each says that it has applied, or its error."""


def write_steps(folder: Path, count: int) -> None:
    """Files that can each be applied twice, and tell how often they were, and in which order."""
    folder.mkdir()
    log = "CREATE TABLE IF NOT EXISTS log (number INTEGER);\n"
    for number in range(1, count + 1):
        text = f"{log if number == 1 else ''}INSERT INTO log VALUES ({number});"
        (folder / f"{number:04}_step.sql").write_text(text)


@contextmanager
def competitors(count: int) -> Generator[Race]:
    """Processes for races, each of which begins when all of them are ready."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, spawn, _meet_at, (spawn.Barrier(count),)) as processes:

        def race(kind: type[Runner], url: str, folder: Path) -> list[list[int] | str]:
            racing = [processes.submit(_compete, kind, url, folder) for _ in range(count)]
            return [each.result() for each in racing]

        yield race


_start: Barrier | None = None


def _meet_at(barrier: Barrier) -> None:
    global _start
    _start = barrier


class _Pausing(Progress):
    """Lets the others have a turn: SQLite gives its lock to whoever asks first."""

    def applied(self, entry: AppliedMigration) -> None:
        time.sleep(PAUSE_SECONDS)


def _compete(kind: type[Runner], url: str, folder: Path) -> list[int] | str:
    assert _start is not None
    with forgedb.connect(url) as db:
        _start.wait(START_SECONDS_MAX)
        try:
            return [entry.version for entry in kind(db, folder, progress=_Pausing()).migrate()]
        except ForgeDbError as error:
            return str(error)


def faults_of(url: str, told: Sequence[list[int] | str], count: int) -> list[str]:
    """What is wrong after a race: each file must have been applied once, and by one process."""
    faults = [f"a process failed: {error}" for error in told if isinstance(error, str)]
    with forgedb.connect(url) as db:
        done = [number for (number,) in db.client.query("SELECT number FROM log")]
        recorded = [number for (number,) in db.client.query(RECORDED)]
    counted = {
        "done": done,
        "on record": recorded,
        "told": [number for each in told if not isinstance(each, str) for number in each],
    }
    for how, numbers in counted.items():
        times = Counter(numbers)
        faults += [
            f"{number} is {how} {times[number]} times"
            for number in range(1, count + 1)
            if times[number] != 1
        ]
    if done != sorted(done):
        faults.append("done out of order")
    return faults
