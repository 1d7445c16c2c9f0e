"""The benchmarks run, and each gives its ratios; how fast they are is no matter of a test's."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.databases import base, open_ours, open_raw
from benchmarks.scale import QUICK
from benchmarks.timing import Row, Times

ROWS = {
    "get": 2,
    "page": 1,
    "lease": 1,
    "add-many": 2,
    "repository": 1,
    "depth": 1,
    "migrate": 1,
}

SETTINGS = ("foreign_keys", "recursive_triggers", "cache_size", "journal_mode", "synchronous")


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_benchmark_is_run_here():
    assert ROWS.keys() == BENCHMARKS.keys()


@pytest.mark.parametrize(("name", "count"), ROWS.items())
def test_a_quick_run_gives_the_ratio_of_each_row(name, count):
    rows = [json.loads(line) for line in run("--quick", "--json", "--only", name).splitlines()]
    assert [row["name"] for row in rows] == [name] * count
    assert all(row["ratio"] > 0 and row["raw_seconds"] > 0 for row in rows)


def test_the_table_shows_the_raw_time_the_ratio_and_the_bound_of_a_row():
    header, *rows = run("--quick", "--only", "page").splitlines()
    assert header.split() == [
        *("work", "against", "raw", "forgedb", "ratio", "quartiles", "CPU", "bound"),
    ]
    assert len(rows) == 1
    assert rows[0].startswith("page of 100 → models")
    assert rows[0].endswith((" 1.7    ok", " 1.7  over"))


def test_a_ratio_compares_neighbours_so_that_a_slow_spell_cancels_out():
    raw, ours = Times([1.0, 10.0, 1.0], [1.0] * 3), Times([1.5, 15.0, 1.5], [1.5] * 3)
    row = Row("x", "x", "x", 1, 1.4, raw, ours)
    assert row.ratio == 1.5
    assert row.spread == (1.5, 1.5)
    assert not row.is_within


@pytest.mark.parametrize("writes", [True, False])
def test_the_raw_connection_has_the_settings_of_forgedbs(tmp_path, writes):
    path = base(QUICK, tmp_path)
    with open_ours(path) as db, closing(open_raw(path, writes=writes)) as raw:
        pool = db._runner.writer if writes else db._runner.readers
        ours = pool.take()
        assert [raw.pragma(name) for name in SETTINGS] == [
            ours.raw.pragma(name) for name in SETTINGS
        ]
        pool.give(ours)
