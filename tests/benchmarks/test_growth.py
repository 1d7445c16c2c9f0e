"""The benchmark of a growing database: everything is measured at each size, and can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import tables
from benchmarks.__main__ import main
from benchmarks.growth import places, works
from benchmarks.growth import running as growth
from benchmarks.places import Files
from benchmarks.plots import lines as by_number
from benchmarks.plots import ratios
from benchmarks.plots import running as plots
from benchmarks.scale import QUICK
from benchmarks.server import URL

WORKS = {"get", "page", "objects", "missing", "add_many", "lease", "bytes"}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "postgres":
        monkeypatch.setenv(URL, request.getfixturevalue("postgres_url"))
    return str(request.param)


def test_everything_is_measured_at_each_size(
    database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept: list[dict[str, Any]] = []
    there = {"database": "other", "objects": 1, "work": "get"}
    monkeypatch.setattr(growth, "load", lambda name: {"rows": [there], "notes": "As before."})
    monkeypatch.setattr(growth, "save", lambda name, rows, notes: kept.extend(rows))
    main(["growth", "--quick", "--save", "--only", database])
    # What is known of other databases stays.
    assert kept.pop(0) == there
    for size in growth.QUICK_SIZES:
        at = [row for row in kept if row["objects"] == size]
        assert {row["work"] for row in at} == WORKS
        assert {row["repositories"] for row in at} == {size // places.OBJECTS_A_REPOSITORY}
        for row in at:
            assert row["database"] == database
            assert row.get("seconds", 1) > 0
            assert row.get("bytes", 100) > 20
    imports = [row for row in kept if row["work"] == "import"]
    assert [row["objects"] for row in imports] == [*growth.QUICK_IMPORTS]
    for name in ("peak_bytes", "git_peak_bytes"):
        assert all(10 * 2**20 < row[name] < 2**30 for row in imports)


def test_a_grown_database_has_as_many_objects_as_it_says(tmp_path: Path) -> None:
    with places.growing(Files(QUICK, tmp_path)) as (db, put, settle):
        for grown in places.grow(db, put, settle, [300, 1000]):
            found = db.client.query(
                "SELECT repository_id, count(*) FROM object_metadata GROUP BY 1 ORDER BY 1"
            )
            counts = dict(found)
            assert sum(counts.values()) == grown.objects
            assert counts[grown.repository_ids[0]] == grown.objects // 2
            for work in works.works(grown, works.QUICK):
                works.measured(work, 2)
            # What was added while it was measured is gone again.
            assert db.client.query_value("SELECT count(*) FROM object_metadata") == grown.objects


def test_a_figure_shows_every_work_of_both_databases() -> None:
    rows = [
        {"database": database, "objects": objects, "work": each.work, each.field: objects / 3e6}
        for database in ("sqlite", "postgres")
        for objects in (10_000, 1_000_000)
        for each in by_number.GROWTH
    ]
    drawn = by_number.drawing(rows, "objects", by_number.GROWTH)
    root = ET.fromstring(drawn)
    lines = [each for each in root.iter() if each.get("class", "").startswith("line ")]
    assert len(lines) == 2 + 2 * len(by_number.GROWTH)
    texts = {each.text for each in root.iter() if each.tag.endswith("text")}
    assert {
        *(each.title for each in by_number.GROWTH),
        "SQLite",
        "PostgreSQL",
        "10k",
        "1M",
    } <= texts


def test_the_committed_figures_are_those_of_the_committed_results() -> None:
    for name, drawn in plots.drawings().items():
        assert (plots.IMAGES / f"{name}.svg").read_text("utf-8") == drawn


def test_the_tables_of_the_docs_are_those_of_the_committed_results() -> None:
    for page in tables.PAGES:
        text = (tables.DOCS / f"{page}.md").read_text("utf-8")
        assert tables.written(text) == text
        assert "<!-- results: " in text


def test_the_bars_of_a_peer_that_takes_longer_go_to_the_right() -> None:
    row = {"name": "peers-get", "against": "Django ORM 5.2.19", "ratio": 0.1, "awaited": False}
    faster = {**row, "name": "postgres-peers-get", "against": "asyncpg 0.32.0", "ratio": 1.6}
    root = ET.fromstring(ratios.peers([row, {**faster, "awaited": True}]))
    right, left = (each for each in root.iter() if each.tag.endswith("rect"))
    assert (right.get("class"), left.get("class")) == ("sqlite", "faster")
    assert float(left.get("x", 0)) + float(left.get("width", 0)) == float(right.get("x", 0))
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert {"Django ORM", "10.0", "asyncpg *", "0.62"} <= {*texts}
