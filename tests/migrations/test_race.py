"""Processes that migrate at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import forgedb
from forgedb.migrations import Runner

MIGRATE = """
import sys, time, forgedb
from forgedb.migrations import Progress, Runner
url, folder, start = sys.argv[1:]
time.sleep(max(0, float(start) - time.time()))
with forgedb.connect(url) as db:
    print(*[entry.version for entry in Runner(db._runner, folder).migrate()])
"""


def _start(program: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(forgedb.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_migrate_at_once_apply_each_file_once(url: str, tmp_path: Path) -> None:
    files = 30
    (tmp_path / "many").mkdir()
    for number in range(1, files + 1):
        begins = "CREATE TABLE log (number INTEGER);" if number == 1 else ""
        (tmp_path / "many" / f"{number:04}_step.sql").write_text(
            f"{begins}INSERT INTO log VALUES ({number});"
        )
    start = str(time.time() + 0.5)
    racing = [_start(MIGRATE, url, str(tmp_path / "many"), start) for _ in range(3)]
    applied: list[int] = []
    for process in racing:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        applied += map(int, out.split())
    assert sorted(applied) == [*range(1, files + 1)]
    with forgedb.connect(url) as db:
        assert db.client.query("SELECT number FROM log") == [(n,) for n in range(1, files + 1)]
        assert [
            entry.version for entry in Runner(db._runner, str(tmp_path / "many")).applied()
        ] == [*range(1, files + 1)]
