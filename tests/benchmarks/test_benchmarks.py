"""The benchmarks run, both sides of each do the same work, and each gives its ratios; how fast
they are is no matter of a test's."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import limit, record, server
from benchmarks.databases import fingerprint, open_ours, open_raw
from benchmarks.limit import BENCHMARKS, ON_POSTGRES
from benchmarks.migration_peers import _as_revisions, _copied, _marked, peers_of
from benchmarks.migrations import run as run_program
from benchmarks.migrations import written
from benchmarks.places import Files
from benchmarks.scale import QUICK
from benchmarks.timing import Row, Times

ROWS = {
    "get": 2,
    "page": 1,
    "lease": 1,
    "add-many": 2,
    "repository": 1,
    "depth": 1,
    "await-get": 2,
    "await-page": 1,
    "await-lease": 1,
    "await-add-many": 1,
    "await-repository": 1,
    "await-depth": 1,
    "audit-hash": 2,
    "audit-verify": 3,
    "migrate": 1,
    "migrate-files": 4,
    "postgres-get": 2,
    "postgres-page": 1,
    "postgres-lease": 2,
    "postgres-add-many": 3,
    "postgres-repository": 2,
    "postgres-depth": 1,
    "postgres-await-get": 2,
    "postgres-await-page": 1,
    "postgres-await-lease": 1,
    "postgres-await-add-many": 1,
    "postgres-await-repository": 1,
    "postgres-await-depth": 1,
    "postgres-audit-hash": 2,
    "postgres-audit-verify": 3,
    "postgres-partitions": 2,
    "postgres-migrate": 4,
}

SETTINGS = ("foreign_keys", "recursive_triggers", "cache_size", "journal_mode", "synchronous")

POSTGRES_SETTINGS = ("TimeZone", "client_encoding", "DateStyle", "synchronous_commit", "jit")


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def on_the_tests_server(postgres_url, monkeypatch):
    monkeypatch.setenv(server.URL, postgres_url)


def test_every_benchmark_is_run_here():
    assert [*ROWS] == BENCHMARKS


@pytest.mark.parametrize("name", [name for name in ROWS if name not in ON_POSTGRES])
def test_a_quick_run_gives_the_ratio_of_each_row(name):
    check(run("--quick", "--json", "--only", name), [name])


@pytest.mark.usefixtures("on_the_tests_server")
def test_a_quick_run_on_postgresql_gives_the_ratio_of_each_row():
    chosen = [argument for name in ON_POSTGRES for argument in ("--only", name)]
    check(run("--quick", "--json", *chosen), [*ON_POSTGRES])


def check(output, names):
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["name"] for row in rows] == [name for name in names for _ in range(ROWS[name])]
    assert all(row["ratio"] > 0 and row["raw_seconds"] > 0 for row in rows)


def test_the_table_shows_the_raw_time_the_ratio_and_the_bound_of_a_row():
    header, *rows = run("--quick", "--only", "page").splitlines()
    assert header.split() == [
        *("work", "against", "raw", "forgedb", "ratio", "quartiles", "CPU", "bound"),
    ]
    assert len(rows) == 1
    assert rows[0].startswith("page of 100 → models")
    assert rows[0].endswith((" 1.7    ok", " 1.7  over"))


@pytest.mark.usefixtures("on_the_tests_server")
def test_the_table_says_which_server_it_is_and_that_its_writes_are_not_durable():
    _, server, row = run("--quick", "--only", "postgres-page").splitlines()
    assert server.startswith("PostgreSQL 1")
    assert "fsync off, synchronous_commit off" in server
    assert row.endswith(("ok", "over"))


def test_a_ratio_compares_neighbours_so_that_a_slow_spell_cancels_out():
    raw, ours = Times([1.0, 10.0, 1.0], [1.0] * 3), Times([1.5, 15.0, 1.5], [1.5] * 3)
    row = Row("x", "x", "x", 1, 1.4, raw, ours)
    assert row.ratio == 1.5
    assert row.spread == (1.5, 1.5)
    assert row.is_within is False
    assert row._replace(bound=1.5).is_within is True
    assert row._replace(bound=None).is_within is None


@pytest.mark.parametrize("writes", [True, False])
def test_the_raw_connection_has_the_settings_of_forgedbs(tmp_path, writes):
    url = Files(QUICK, tmp_path).base
    with open_ours(url) as db, closing(open_raw(url, writes=writes)) as raw:
        pool = db._runner.writer if writes else db._runner.readers
        ours = pool.take()
        assert [raw.pragma(name) for name in SETTINGS] == [
            ours.raw.pragma(name) for name in SETTINGS
        ]
        pool.give(ours)


def test_the_raw_connection_to_postgresql_has_the_settings_of_forgedbs(postgres):
    with (
        postgres.new(migrated=True) as url,
        open_ours(url) as db,
        open_raw(url) as raw,
    ):
        for name in POSTGRES_SETTINGS:
            ours = db.client.query_value("SELECT current_setting(:name)", {"name": name})
            assert raw.execute("SELECT current_setting(%s)", [name]).fetchone() == (ours,)


def test_what_both_sides_wrote_to_postgresql_is_compared_to_the_last_value(postgres):
    with (
        postgres.new(migrated=True) as url,
        open_ours(url) as db,
        open_raw(url) as raw,
    ):
        project = db.projects.create(slug="platform", name="Platform")
        before = fingerprint(url, "projects")
        assert before == fingerprint(url, "projects")
        raw.execute("UPDATE projects SET name = 'platform' WHERE id = %s", [project.id])
        assert before != fingerprint(url, "projects")


def test_other_migration_runners_are_not_kept_in_the_place_of_our_own_rows(tmp_path, monkeypatch):
    row = Row(
        "migrate-files", "x", "a", 1, None, Times([1.0, 1.0], [1.0]), Times([1.0, 1.0], [1.0])
    )
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(limit, "_runners_of", lambda python: ["a runner"])
    monkeypatch.setattr(limit, "run_peers", lambda *arguments, **more: None)
    monkeypatch.setitem(limit.ON_SQLITE, "migrate-files", lambda place: [row])
    monkeypatch.setattr(limit.migration_peers, "rows", lambda place, peers: [row] * 2)
    benchmarks.main(["--quick", "--save", "--only", "migrate-files", "--peers", sys.executable])
    assert len(record.load("limit")["rows"]) == 1
    assert len(record.load("migration-peers")["rows"]) == 2


def test_peers_that_are_not_there_are_told_as_such(tmp_path):
    asked = [sys.executable, "-m", "benchmarks", "--quick", "--peers", str(tmp_path / "python")]
    refused = subprocess.run(asked, check=False, capture_output=True, text=True, env={"PATH": ""})
    assert refused.returncode == 1
    assert f"there are no peers beside {tmp_path / 'python'}" in refused.stderr
    assert "make bench-peers" in refused.stderr


def test_a_peer_gets_the_same_statements_in_its_own_form(tmp_path):
    files = written(tmp_path / "files", 3, rows=2)
    for lay_out in (_copied, _marked, _as_revisions):
        folder = tmp_path / lay_out.__name__
        folder.mkdir()
        lay_out(files, folder)
        texts = [file.read_text() for file in sorted(folder.rglob("0*_step.*"))]
        assert len(texts) == 3
        for number, text in enumerate(texts, start=1):
            assert f"CREATE TABLE step_{number} (" in text
            assert f"CREATE INDEX step_{number}_by_name" in text
            assert f"INSERT INTO step_{number} (id) SELECT id FROM moved" in text
            if lay_out is _as_revisions:
                assert text.count("op.execute(") == 3
                compile(text, "revision", "exec")


def test_a_peers_failure_is_told_with_what_it_said():
    failing = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    with pytest.raises(RuntimeError, match="ended with 1: no such table"):
        run_program(*failing, is_quiet=True)


def test_dbmate_is_found_where_npm_put_it_beside_the_interpreter(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    python = tmp_path / "bin" / "python"
    assert peers_of(python) == []
    program = tmp_path / "node_modules/@dbmate/linux-x64/bin/dbmate"
    program.parent.mkdir(parents=True)
    program.touch()
    (dbmate,) = peers_of(python)
    assert dbmate.command("sqlite:////a.db", tmp_path)[0] == str(program)
