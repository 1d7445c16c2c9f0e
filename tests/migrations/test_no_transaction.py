"""Files that run in no transaction: what is on record of them, and how one goes on that failed."""

from __future__ import annotations

import pytest
from msgspec import structs

from forgedb import Conflict, LockTimeout, MigrationDrift, MigrationError, UsageError
from forgedb.migrations.history import FOLDERS_TABLE, HistoryTable
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.steps import Steps, now
from tests.conformance.conftest import START
from tests.migrations.folder import A, B, Folder

HEADER = "-- forgedb: no-transaction\n"

ONE = "CREATE TABLE one (id INTEGER PRIMARY KEY);\nINSERT INTO one VALUES (1);\n"
FAILING = f"{HEADER}{ONE}INSERT INTO two VALUES (1);\n"
"""Its third statement, in line 4, fails as long as there is no table two."""


@pytest.fixture
def failed(folder: Folder) -> Folder:
    """The second of three files stopped at its third statement."""
    folder.write(m0001_a=A, m0002_b=FAILING, m0003_c="CREATE TABLE c (id INTEGER)")
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    return folder


def _count(folder: Folder) -> int:
    count: int = folder.db.client.query_value("SELECT count(*) FROM one")
    return count


def test_a_file_that_comes_to_its_end_is_recorded_like_any_other(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b=f"{HEADER}{ONE}", m0003_c=B)
    assert [entry.label for entry in folder.runner.migrate()] == ["0001_a", "0002_b", "0003_c"]
    assert set(folder.states().values()) == {"applied"}
    assert folder.runner.unfinished() == []
    assert folder.runner.migrate() == []


def test_each_statement_is_kept_by_itself(folder: Folder) -> None:
    xid = {"sqlite": "1", "postgres": "pg_current_xact_id()::text"}[folder.db.client.dialect]
    folder.write(
        m0001_a=f"{HEADER}CREATE TABLE ids (id TEXT);"
        f"INSERT INTO ids SELECT {xid}; INSERT INTO ids SELECT {xid};"
    ).runner.migrate()
    if folder.db.client.dialect == "postgres":
        assert folder.db.client.query_value("SELECT count(DISTINCT id) FROM ids") == 2
    folder.write(m0002_b=f"{HEADER}INSERT INTO ids VALUES ('kept'); SELECT nothing;")
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    assert folder.db.client.query_value("SELECT count(*) FROM ids WHERE id = 'kept'") == 1


def test_a_failure_names_the_place_and_the_way_out(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b=FAILING, m0003_c="CREATE TABLE c (id INTEGER)")
    with pytest.raises(MigrationError, match="see `forgedb migrate resolve 2 --dir") as refused:
        folder.runner.migrate()
    error = refused.value
    assert (error.file, error.line, error.statement) == (
        "0002_b.sql",
        4,
        "INSERT INTO two VALUES (1)",
    )
    assert (error.applied, error.pending) == (("0001_a",), ("0002_b", "0003_c"))
    assert folder.tables() == {"a", "one"}
    assert folder.states() == {"0001_a": "applied", "0002_b": "failed", "0003_c": "pending"}
    (begun,) = folder.runner.unfinished()
    assert (begun.label, begun.state, begun.done) == ("0002_b", "failed", 2)
    assert begun.begun_at == START
    assert begun.begun_by.startswith("process ")
    assert begun.error is not None
    assert "two" in begun.error


def test_nothing_more_is_applied_until_it_is_resolved(failed: Folder) -> None:
    for call in (failed.runner.migrate, failed.runner.pending, failed.runner.rehearse):
        with pytest.raises(MigrationError, match=r"failed after 2 of its statements.*resolve 2"):
            call()
    assert failed.tables() == {"a", "one"}


def test_a_retry_goes_on_with_the_statement_that_failed(failed: Folder) -> None:
    assert failed.runner.resolve(2, "retry") == [
        "the next `forgedb migrate` goes on with statement 3 of 0002_b"
    ]
    assert failed.states()["0002_b"] == "pending"
    failed.db.client.execute("CREATE TABLE two (id INTEGER)")
    assert [entry.label for entry in failed.runner.migrate()] == ["0002_b", "0003_c"]
    assert _count(failed) == 1
    assert failed.db.client.query("SELECT id FROM two") == [(1,)]
    assert failed.runner.unfinished() == []


def test_what_follows_what_was_run_may_be_changed_before_the_retry(failed: Folder) -> None:
    failed.write(m0002_b=f"-- mended\n{HEADER}{ONE}-- not two\nINSERT INTO one VALUES (2);")
    failed.runner.resolve(2, "retry")
    failed.runner.migrate()
    assert _count(failed) == 2
    assert set(failed.states().values()) == {"applied"}


def test_a_retry_that_fails_again_is_on_record_again(failed: Folder) -> None:
    failed.runner.resolve(2, "retry")
    with pytest.raises(MigrationError, match="resolve 2") as refused:
        failed.runner.migrate()
    assert refused.value.line == 4
    assert failed.states()["0002_b"] == "failed"
    assert _count(failed) == 1


@pytest.mark.parametrize(
    "edited",
    [
        f"{HEADER}{ONE.replace('(1)', '(7)')}INSERT INTO one VALUES (2);",
        f"{HEADER}CREATE TABLE one (id INTEGER PRIMARY KEY);",
    ],
)
def test_statements_that_were_run_and_edited_since_are_refused(failed: Folder, edited: str) -> None:
    failed.write(m0002_b=edited)
    for how in ("retry", "applied"):
        with pytest.raises(MigrationError, match=r"its first 2 statement\(s\) .* edited since"):
            failed.runner.resolve(2, how)
    assert failed.states()["0002_b"] == "failed"
    failed.write(m0002_b=FAILING).runner.resolve(2, "retry")
    failed.write(m0002_b=edited)
    with pytest.raises(MigrationError, match="edited since"):
        failed.runner.migrate()
    assert _count(failed) == 1


def test_what_was_finished_by_hand_is_recorded_as_applied(failed: Folder) -> None:
    assert failed.runner.resolve(2, "applied") == ["0002_b is recorded as applied"]
    assert failed.states() == {"0001_a": "applied", "0002_b": "applied", "0003_c": "pending"}
    assert [entry.label for entry in failed.runner.migrate()] == ["0003_c"]
    assert failed.runner.unfinished() == []


def test_what_is_not_unfinished_can_not_be_resolved(failed: Folder) -> None:
    for version in (1, 3, 9):
        with pytest.raises(UsageError, match=f"migration {version} isn't unfinished"):
            failed.runner.resolve(version, "retry")
    failed.remove("0002_b")
    with pytest.raises(UsageError, match="there is no file of 0002_b in"):
        failed.runner.resolve(2, "applied")


def _begun_elsewhere(folder: Folder, version: int = 1) -> None:
    """Leave what a process does that is at work on the file, or was killed there."""
    (migration,) = [each for each in folder.runner.pending() if each.version == version]
    table = HistoryTable(FOLDERS_TABLE)

    def begin() -> Steps[None]:
        yield from FileTransaction(table, 1.0).locked_history()
        yield from table.begin(migration, (yield from now()), "process 7 on elsewhere")

    folder.db._runner.write(begin())


def test_who_meets_another_at_work_waits_gives_up_and_names_the_way_out(folder: Folder) -> None:
    folder.write(m0001_a=f"{HEADER}{ONE}", m0002_b=B)
    _begun_elsewhere(folder)
    assert folder.states() == {"0001_a": "running", "0002_b": "pending"}
    with pytest.raises(
        LockTimeout,
        match=r"0001_a is being run by process 7 on elsewhere since 2026-11-22 10:00:00 UTC; "
        r"if that process is gone, see `forgedb migrate resolve 1 --dir",
    ):
        folder.runner_with(lock_timeout_seconds=0.1).migrate()
    assert folder.tables() == set()
    folder.runner.resolve(1, "retry")
    assert len(folder.runner.migrate()) == 2


def test_who_was_at_work_when_it_was_resolved_does_no_more_of_it(folder: Folder) -> None:
    folder.write(m0001_a=f"{HEADER}{ONE}", m0002_b=B)
    _begun_elsewhere(folder)
    (lost,) = folder.runner.unfinished()
    folder.runner.resolve(1, "retry")
    table = HistoryTable(FOLDERS_TABLE)
    further = structs.replace(lost, done=1)
    for work in (table.note(lost, further), table.end(lost)):
        with pytest.raises(Conflict, match="0001_a was resolved, or taken up, by somebody else"):
            folder.db._runner.write(work)
    assert len(folder.runner.migrate()) == 2
    assert folder.tables() == {"one", "b"}


def test_what_was_interrupted_is_on_record_as_failed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(steps: Steps[None]) -> None:
        steps.close()
        raise KeyboardInterrupt

    folder.write(m0001_a=f"{HEADER}{ONE}", m0002_b=B)
    with monkeypatch.context() as patch:
        patch.setattr(folder.db._runner, "autocommit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.runner.migrate()
    with pytest.raises(MigrationError, match=r"\(it was interrupted\): see .* resolve 1 --dir"):
        folder.runner.migrate()
    folder.runner.resolve(1, "retry")
    assert len(folder.runner.migrate()) == 2


def test_no_later_file_overtakes_one_that_another_is_at_work_on(folder: Folder) -> None:
    folder.write(m0001_a=f"{HEADER}{ONE}", m0002_b=B)
    _begun_elsewhere(folder)
    with pytest.raises(LockTimeout):
        folder.runner_with(lock_timeout_seconds=0.1).migrate()
    assert folder.labels() == []


def test_an_edit_of_an_applied_file_is_drift_here_too(folder: Folder) -> None:
    folder.write(m0001_a=f"{HEADER}{ONE}").runner.migrate()
    folder.write(m0001_a=f"{HEADER}{ONE}SELECT 1;")
    with pytest.raises(MigrationDrift):
        folder.runner.migrate()


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_sqlite_vacuums_only_outside_a_transaction(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="VACUUM")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:1: .*cannot VACUUM from within"):
        folder.runner.migrate()
    folder.write(m0002_b=f"{HEADER}VACUUM")
    assert [entry.label for entry in folder.runner.migrate()] == ["0002_b"]


def test_an_invalid_index_is_no_matter_where_there_is_none(folder: Folder) -> None:
    folder.write(m0001_a=A).runner.migrate()
    assert folder.runner.invalid_indexes() == []
