"""Leases on a terminal: bars of terms, a chart of who held what, and a view that is live."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime, timedelta

import pytest

import forgedb as library
from forgedb import EndReason, Lease
from forgedb.cli.lease_chart import ASCII, UNICODE, history, marks_for, terms
from forgedb.cli.watching import fitting
from tests.cli.running import Forgedb, on_sqlite
from tests.cli.test_tables import on_terminal

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _lease(
    token: int,
    begins: float,
    ends: float,
    how: EndReason | None = None,
    holder: str = "user:ada",
    purpose: str = "gc",
) -> Lease:
    """A lease from and to so many hours from now."""
    at, until = NOW + begins * HOUR, NOW + ends * HOUR
    ended_at = None if how is None else until
    row = (ULID, ULID, holder, purpose, token, None, at, until, ended_at, how, None, None, None)
    return Lease(*row)


def _path(lease: Lease) -> str:
    return "acme/monorepo"


def test_a_live_lease_is_two_lines_with_a_bar_of_its_term() -> None:
    leases = [_lease(1, -6, 2), _lease(2, -1, 71, holder="worker:import-7", purpose="nightly")]
    assert terms(leases, _path, NOW, 80) == [
        "REPO           HOLDER           AGE    LEFT    TERM",
        "acme/monorepo  user:ada         6h 0m  2h 0m   ███████░░░",
        f"  {ULID}  gc",
        "acme/monorepo  worker:import-7  1h 0m  2d 23h  ░░░░░░░░░░",
        f"  {ULID}  nightly",
    ]


def test_a_lease_whose_time_is_over_says_so() -> None:
    *_, line, _ = terms([_lease(1, -3, -1)], _path, NOW, 80)
    assert line == "acme/monorepo  user:ada  3h 0m  over  ██████████"
    # A clock that is behind the database's makes no age below nothing.
    *_, line, _ = terms([_lease(1, 1, 9)], _path, NOW, 80)
    assert line == "acme/monorepo  user:ada  0s   9h 0m  ░░░░░░░░░░"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_where_there_is_no_room_the_holder_and_the_purpose_give_way(width: int) -> None:
    lease = _lease(1, -1, 1, holder="worker:" + "x" * 100, purpose="p" * 200)
    _, line, beneath = terms([lease], lambda _: "p/r", NOW, width)
    assert line.startswith("p/r   worker:")
    assert line.endswith("█████░░░░░")
    assert len(line) <= width
    assert beneath.startswith(f"  {ULID}  ppp")
    assert len(beneath) <= width


@pytest.mark.parametrize("width", [32, 40, 60, 80, 200])
def test_a_long_path_loses_its_beginning(width: int) -> None:
    path = "platform-engineering/infrastructure-as-code/modules-7"
    first, line, _ = terms([_lease(1, -1, 1)], lambda _: path, NOW, width)
    assert max(map(len, (first, line))) <= width
    assert line.split()[0].endswith("ules-7")
    assert line.startswith(path if width == 200 else "…")
    assert ("TERM" in first) is (width > 50)


@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_a_narrow_history_has_fewer_columns_and_still_its_bars(width: int) -> None:
    lines = history(
        [_lease(token, -token, 1 - token, EndReason.TRANSFERRED) for token in (1, 2)], NOW, width
    )
    assert max(map(len, lines[1:])) <= width
    assert all("█" in line and len(line) == width for line in lines[2:])
    assert lines[1].split()[:2] == ["TOKEN", "HOLDER"]
    assert ("FROM" in lines[1]) is (width > 60)


def test_what_lasted_less_than_a_second_is_told_in_milliseconds() -> None:
    lease = _lease(1, -0.4 / 3600, 0, EndReason.RELEASED)
    first, _, line = history([lease], NOW, 80)
    assert first.endswith("ms a cell")
    assert " 400ms " in line


def test_wide_characters_take_two_columns() -> None:
    first, second = (
        line
        for line in terms(
            [_lease(1, -1, 1, holder="太郎"), _lease(2, -1, 1, holder="user")], _path, NOW, 80
        )
        if line.startswith("acme")
    )
    assert first.partition("太郎")[2][:4] == "    "
    assert second.partition("user")[2][:4] == "    "
    (cut,) = history([_lease(1, -1, 1, holder="太" * 40)], NOW, 80)[2:]
    assert "太…" in cut


def test_a_history_is_drawn_on_one_axis_the_oldest_first() -> None:
    leases = [
        _lease(1, -10, -6, EndReason.RELEASED),
        _lease(2, -5.001, -5, EndReason.FORCED, holder="user:bob"),
        _lease(3, -4, -2, EndReason.TRANSFERRED),
        _lease(4, -2, 70, holder="user:bob"),
    ]
    assert history(leases, NOW, 68) == [
        "2026-03-04 02:00:00Z to 2026-03-04 12:00:00Z, 30m 0s a cell",
        "TOKEN  HOLDER    FROM      LASTED  HOW",
        "1      user:ada  02:00:00  4h 0m   released     ████████░░░░░░░░░░░░",
        "2      user:bob  06:59:56  3s      forced       ░░░░░░░░░█░░░░░░░░░░",
        "3      user:ada  08:00:00  2h 0m   transferred  ░░░░░░░░░░░░████░░░░",
        "4      user:bob  10:00:00  2h 0m   open         ░░░░░░░░░░░░░░░░███▶",
    ]


def test_a_lease_that_was_never_stamped_ends_with_its_term() -> None:
    *_, line = history([_lease(1, -10, -8, EndReason.RELEASED), _lease(2, -7, -3)], NOW, 80)
    assert " over " in line
    assert line.endswith("█")


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(1, "11:00:00  1h 0m"), (400, "02-15 20:00  16d 16h"), (9000, "2025-02-22  375d 0h")],
)
def test_times_are_as_short_as_the_axis_allows(hours: int, shown: str) -> None:
    *_, line = history([_lease(1, -hours, 0, EndReason.EXPIRED)], NOW, 80)
    assert shown in line
    assert "█" * 16 in line


def test_one_moment_is_a_chart_too() -> None:
    *_, line = history([_lease(1, 0, 0, EndReason.RELEASED)], NOW, 80)
    assert line.count("█") == 1
    assert history([], NOW, 80) == []


def test_a_terminal_that_knows_no_blocks_gets_other_marks() -> None:
    assert marks_for("utf-8") is UNICODE
    assert {marks_for(each) for each in ("ascii", "latin-1", "no such", None)} == {ASCII}
    *_, line, _ = terms([_lease(1, -1, 1)], _path, NOW, 80, ASCII)
    assert line.endswith("  #####.....")


def test_a_view_that_is_too_tall_says_how_much_is_not_shown() -> None:
    assert fitting(["a", "b"], 2) == ["a", "b"]
    assert fitting(["a", "b", "c"], 2) == ["a", "and 2 lines more"]
    assert fitting(["a"] * 5000, 1) == ["and 5,000 lines more"]


def test_leases_are_drawn_on_a_terminal(forgedb: Forgedb, repository: str) -> None:
    lease = forgedb.data("lease", "acquire", repository, "--purpose", "gc", "--duration", "2h")
    shown = on_terminal("lease", "list", "--url", forgedb.url).splitlines()
    assert shown[1].split()[:2] == ["platform/api", "user:ada"]
    assert shown[1].endswith("1h 59m  ░░░░░░░░░░")
    assert shown[2] == f"  {lease['id']}  gc"
    forgedb.ok("lease", "release", lease["id"])
    assert on_terminal("lease", "list", "--url", forgedb.url) == "nothing found\n"
    shown = on_terminal("lease", "history", "platform/api", "--url", forgedb.url).splitlines()
    assert shown[0].endswith(" a cell")
    assert shown[2].startswith("1      user:ada")
    assert " released " in shown[2]
    assert max(map(len, shown)) <= 80
    piped = forgedb.ok("lease", "history", "platform/api", "--chart").splitlines()
    assert piped[1:] == shown[1:]


@on_sqlite
def test_many_leases_are_drawn_page_by_page(forgedb: Forgedb, repository: str) -> None:
    with library.connect(forgedb.url, actor="user:ada") as db:
        for _ in range(120):
            db.leases.release(db.leases.acquire(repository).id)
    first = on_terminal("lease", "history", "platform/api", "--url", forgedb.url).splitlines()
    assert len(first) == 103
    assert first[-1].startswith("more: --after ")
    every = on_terminal("lease", "history", "platform/api", "--all", "--url", forgedb.url)
    assert len(every.splitlines()) == 124


def test_a_live_view_needs_a_terminal(forgedb: Forgedb) -> None:
    refused = forgedb("lease", "list", "--watch")
    assert (refused.code, "--watch draws on a terminal" in refused.error) == (2, True)
    for seconds in ("0", "nan", "inf", "-1"):
        assert forgedb("lease", "list", "--watch", "--interval", seconds).code == 2
    refused = forgedb("lease", "list", "--interval", "3")
    assert (refused.code, "give --watch too" in refused.error) == (2, True)


def test_a_live_view_needs_a_terminal_that_can_be_drawn_on(forgedb: Forgedb) -> None:
    shown = on_terminal("lease", "list", "--watch", "--url", forgedb.url, TERM="dumb")
    assert "--watch draws on a terminal" in shown


@pytest.mark.parametrize("paging", [["--limit", "9"], ["--after", "x"], ["--all"]])
def test_a_live_view_takes_no_page(forgedb: Forgedb, paging: list[str]) -> None:
    shown = on_terminal("lease", "list", "--watch", *paging, "--url", forgedb.url, TERM="xterm")
    assert "leave out --limit, --after and --all" in " ".join(shown.split())


def test_a_live_view_is_drawn_anew_until_it_is_interrupted(
    forgedb: Forgedb, repository: str
) -> None:
    forgedb.ok("lease", "acquire", repository, "--purpose", "first")
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "forgedb", "lease", "list", "--watch", "--interval", "0.1"]
    with subprocess.Popen(
        [*command, "--url", forgedb.url],
        env=os.environ | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        assert "first" in _until(ours, "first")
        lease = forgedb.data("lease", "list")["items"][0]
        forgedb.ok("lease", "release", lease["id"])
        assert "0 live leases" in _until(ours, "0 live leases")
        process.send_signal(signal.SIGINT)
        last = _until(ours, None)
        assert process.wait(30) == 0
    os.close(ours)
    # The screen that was there before is back, and nothing was said of the interruption.
    assert "\x1b[?1049l" in last
    assert "error" not in last


def _until(terminal: int, words: str | None) -> str:
    """What comes, up to these words, or to the end."""
    seen = ""
    give_up_at = time.monotonic() + 60
    while (words is None or words not in seen) and time.monotonic() < give_up_at:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        seen += chunk.decode(errors="replace")
    return seen
