"""The history changed by hand: what a mark does to the next run, and what is kept of it."""

from __future__ import annotations

import pytest

from forgedb import InvalidValue, MigrationDrift, MigrationError, UsageError
from forgedb.migrations import Runner
from tests.migrations.folder import A, Folder

BY_HAND = {"reason": "made by hand", "by": "user:ada"}


def test_a_file_that_was_done_by_hand_is_marked_and_not_run(three: Folder) -> None:
    three.runner.migrate(1)
    mark = three.runner.mark(2, "applied", **BY_HAND)
    assert (mark.label, mark.state, mark.marked_by) == ("0002_b", "applied", "user:ada")
    assert three.states() == {"0001_a": "applied", "0002_b": "applied", "0003_c": "pending"}
    assert three.tables() == {"a"}


def test_a_file_that_is_marked_pending_is_run_next(three: Folder) -> None:
    three.runner.migrate()
    three.runner.mark(3, "pending", **BY_HAND)
    three.db.client.execute("DELETE FROM b WHERE id = 2")
    assert [each.label for each in three.runner.migrate()] == ["0003_c"]
    assert three.db.client.query("SELECT id FROM b ORDER BY id") == [(1,), (2,)]


def test_an_edited_file_is_taken_as_it_is_now(three: Folder) -> None:
    three.runner.migrate()
    before = three.runner.applied()[1].checksum
    three.write(m0002_b="CREATE TABLE b (id INTEGER PRIMARY KEY); -- no row")
    with pytest.raises(MigrationDrift):
        three.runner.migrate()
    mark = three.runner.mark(2, "applied", **BY_HAND)
    assert three.runner.migrate() == []
    assert mark.checksum_before == before
    assert mark.checksum == three.runner.applied()[1].checksum != before


def test_what_has_no_file_any_more_is_forgotten(three: Folder) -> None:
    three.runner.migrate()
    three.remove("0002_b")
    assert three.states()["0002_b"] == "missing"
    three.runner.mark(2, "pending", **BY_HAND)
    assert three.states() == {"0001_a": "applied", "0003_c": "applied"}


def test_all_marks_are_kept_in_their_order_with_who_when_and_why(three: Folder) -> None:
    assert three.runner.marks() == []
    three.runner.migrate()
    assert three.runner.marks() == []
    first = three.runner.mark(3, "pending", reason="it failed halfway", by="user:ada")
    second = three.runner.mark(3, "applied", reason="finished by hand")
    assert three.runner.marks() == [first, second]
    assert first.marked_at.tzinfo is not None
    assert "0003_c was marked pending by user:ada at 20" in str(first)
    assert str(first).endswith("UTC: it failed halfway")
    assert second.marked_by.startswith("process ")


@pytest.mark.parametrize(
    ("version", "state", "why"),
    [
        (9, "applied", "no migration 9"),
        (1, "applied", "0001_a is applied already"),
        (3, "applied", "0002_b is pending, and is below 0003_c"),
        (2, "pending", "0002_b is pending already"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(
    three: Folder, version: int, state: str, why: str
) -> None:
    three.runner.migrate(1)
    with pytest.raises(UsageError, match=why):
        three.runner.mark(version, state, **BY_HAND)
    assert three.runner.marks() == []
    assert three.labels() == ["0001_a"]


def test_the_order_of_the_numbers_is_given_up_only_when_asked(three: Folder) -> None:
    three.runner.migrate()
    with pytest.raises(UsageError, match="0003_c is applied, and is above 0002_b"):
        three.runner.mark(2, "pending", **BY_HAND)
    three.runner.mark(2, "pending", allow_out_of_order=True, **BY_HAND)
    assert three.states()["0002_b"] == "late"
    three.runner.mark(2, "applied", **BY_HAND)
    assert three.runner.migrate() == []


def test_a_file_whose_applied_text_is_gone_is_not_taken_as_applied(three: Folder) -> None:
    three.runner.migrate()
    three.remove("0003_c")
    with pytest.raises(UsageError, match="no file of 0003_c"):
        three.runner.mark(3, "applied", **BY_HAND)


def test_a_file_that_was_begun_is_resolved_and_not_marked(folder: Folder) -> None:
    folder.write(m0001_a=f"-- forgedb: no-transaction\n{A}\nSELECT nothing;")
    with pytest.raises(MigrationError, match=r"see .forgedb migrate resolve 1"):
        folder.runner.migrate()
    with pytest.raises(UsageError, match=r"begun outside a transaction.*resolve 1"):
        folder.runner.mark(1, "applied", **BY_HAND)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001, "a\0b"])
def test_a_mark_needs_its_reason(three: Folder, reason: str) -> None:
    three.runner.migrate()
    with pytest.raises(InvalidValue, match="reason"):
        three.runner.mark(3, "pending", reason=reason)
    assert three.labels() == ["0001_a", "0002_b", "0003_c"]


def test_forgedbs_own_history_is_not_changed_by_hand(migrated) -> None:
    with pytest.raises(UsageError, match="forgedb's own"):
        Runner(migrated).mark(1, "pending", **BY_HAND)


def test_a_table_of_marks_that_somebody_else_put_there_is_refused(three: Folder) -> None:
    three.runner.migrate()
    three.db.client.execute("CREATE VIEW app_schema_migrations_marked AS SELECT 1 AS version")
    with pytest.raises(MigrationDrift, match=r"app_schema_migrations_marked.*a view"):
        three.runner.mark(3, "pending", **BY_HAND)
