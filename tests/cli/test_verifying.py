"""``forgedb audit verify`` while it runs: the bar on a terminal, and what a stopped run says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

import forgedb as library
import forgedb.cli.commands.audit as command
from tests.cli.running import Forgedb, on_sqlite
from tests.cli.test_tables import on_terminal

INTERRUPTED = 130


@on_sqlite
def test_a_terminal_shows_how_far_it_is_and_a_pipe_does_not(
    forgedb: Forgedb, repository: str
) -> None:
    shown = on_terminal("--url", forgedb.url, "audit", "verify", TERM="xterm")
    assert "entries" in shown
    assert "2/2" in shown
    assert "in 2 streams" in shown
    for option in ("--quiet", "--json"):
        assert "2/2" not in on_terminal(
            "--url", forgedb.url, "audit", "verify", option, TERM="xterm"
        )
    piped = forgedb("audit", "verify")
    assert (piped.out, piped.error) == ("2 entries in 2 streams: nothing wrong\n", "")


def stop_after_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it a terminal on which Ctrl-C is pressed when two streams are through."""

    @contextmanager
    def bar(what: str) -> Generator[Callable[[int, int | None, str], None]]:
        def update(done: int, total: int | None, note: str) -> None:
            if done == 3:
                raise KeyboardInterrupt

        yield update

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(command, "bar", bar)
    monkeypatch.setattr("forgedb.audit.verify.ENTRIES_A_READ", 1)
    monkeypatch.setattr("forgedb.audit.verify.STREAMS_A_READ", 1)


@on_sqlite
def test_a_run_that_was_stopped_says_where_to_go_on(
    forgedb: Forgedb, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgedb.ok("project", "create", "other")
    with library.connect(forgedb.url) as db:
        streams = sorted({entry.stream_id for entry in library.every(db.audit.list)})
    with monkeypatch.context() as patch:
        stop_after_two(patch)
        stopped = forgedb("audit", "verify")
    assert stopped.code == INTERRUPTED
    assert f"stopped: nothing wrong up to stream {streams[1]}; go on with --after" in stopped.error
    rest = forgedb.ok("audit", "verify", "--after", streams[1], "--quiet")
    assert rest == "1 entries in 1 streams: nothing wrong\n"


@on_sqlite
def test_a_run_that_was_stopped_says_what_it_had_found(
    forgedb: Forgedb, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgedb.ok("project", "create", "other")
    with library.connect(forgedb.url) as db:
        first = min(entry.stream_id for entry in library.every(db.audit.list))
        with db.transaction() as tx:
            tx.client.execute("UPDATE projects SET name = 'x' WHERE id = :id", {"id": first})
    with monkeypatch.context() as patch:
        stop_after_two(patch)
        stopped = forgedb("audit", "verify")
    assert stopped.code == INTERRUPTED
    assert f"project {first} has name 'x'" in stopped.error
    assert "stopped: 1 problems up to stream" in stopped.error


@on_sqlite
def test_what_is_no_place_to_go_on_from_is_refused(forgedb: Forgedb, repository: str) -> None:
    assert forgedb("audit", "verify", "--after", "nowhere").code == 2
    both = forgedb("audit", "verify", "--after", repository, "--stream", repository)
    assert (both.code, "leave --after out" in both.error) == (2, True)
