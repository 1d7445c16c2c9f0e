"""The guard against growing costs: what it fails for, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import check, counting, record
from benchmarks.__main__ import main
from benchmarks.check import Ratio, compare, differing_versions

KEPT = [Ratio("instructions", "get", 1.5), Ratio("time", "page", 1.6)]


@pytest.mark.parametrize(
    ("ratio", "is_worse", "words"),
    [
        (1.5, False, "+0.0%"),
        (1.54, False, "+2.7%"),
        (1.56, True, "beyond 3%; find out why, or python -m benchmarks check --accept"),
        (1.4, False, "better; keep it with python -m benchmarks check --accept"),
    ],
)
def test_a_ratio_is_held_to_the_committed_one(ratio: float, is_worse: bool, words: str) -> None:
    (line,) = compare(KEPT, [Ratio("instructions", "get", ratio)])
    assert line.is_worse is is_worse
    assert line.words.startswith(f"get: {ratio:.3f} in instructions, committed 1.500, ")
    assert line.words.endswith(words)


def test_times_may_differ_by_more() -> None:
    (within,) = compare(KEPT, [Ratio("time", "page", 1.9)])
    (beyond,) = compare(KEPT, [Ratio("time", "page", 1.95)])
    assert (within.is_worse, beyond.is_worse) == (False, True)


def test_what_is_new_or_gone_is_told() -> None:
    new, gone = compare(KEPT, [Ratio("instructions", "lease", 1.3)])
    assert (new.is_worse, "lease: 1.300 in instructions is not committed" in new.words) == (
        True,
        True,
    )
    assert (gone.is_worse, gone.words.startswith("get: ")) == (True, True)


def test_other_versions_are_told() -> None:
    assert differing_versions({"apsw": "1", "msgspec": "2"}, {"apsw": "3", "msgspec": "2"}) == [
        "apsw is 3 here, and was 1 when the ratios were committed"
    ]


def test_a_run_compares_and_accepts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(counting, "is_there", lambda: True)
    monkeypatch.setattr(counting, "ratios", lambda: {"get": 1.5})
    monkeypatch.setattr(check, "timed", lambda: [Ratio("time", "page", 1.6)])
    assert main(["check", "--accept"]) == 0
    assert main(["check"]) == 0
    monkeypatch.setattr(counting, "ratios", lambda: {"get": 1.7})
    assert main(["check", "--short"]) == 1
    assert (
        "get: 1.700 in instructions, committed 1.500, +13.3%: beyond 3%" in capsys.readouterr().out
    )
    # What wasn't measured is kept as it was.
    assert main(["check", "--short", "--accept"]) == 0
    assert main(["check"]) == 0


def test_without_valgrind_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(counting, "is_there", lambda: False)
    assert main(["check"]) == 2
    assert "install it" in capsys.readouterr().err


def test_every_work_that_is_counted_is_committed() -> None:
    rows = record.load("check")["rows"]
    committed = {row["work"] for row in rows if row["measure"] == "instructions"}
    assert committed == {*counting.WORKS, counting.MIGRATE}
