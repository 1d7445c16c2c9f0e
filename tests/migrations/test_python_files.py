"""Migrations in Python: in a transaction of the file's, or in batches that are gone on with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

import forgedb
from forgedb import LockTimeout, MigrationDrift, MigrationError
from forgedb.migrations import AsyncMigrator, Migrator
from forgedb.migrations.batches import Batches
from forgedb.migrations.files import MigrationFile
from forgedb.migrations.lock_retry import LockRetry
from forgedb.migrations.transaction import FileTransaction
from forgedb.operations.steps import Steps
from tests.migrations.folder import A, B, Folder
from tests.migrations.mutants import RecordsAfterTheBatch
from tests.migrations.watching import Heard

FILL = """
import dataclasses

@dataclasses.dataclass
class Row:
    id: "int"

def migrate(db):
    for row in [Row(1), Row(2)]:
        db.execute("INSERT INTO a VALUES (:id)", {"id": row.id})
"""

BATCHES = """
def batch(db, after):
    first = (after or 0) + 1
    db.execute("INSERT INTO done (id) VALUES (:id)", {"id": first})
    return first if first < 4 else None
"""

DONE = "CREATE TABLE done (id INTEGER);"


def _python(folder: Folder, **files: str) -> Folder:
    for name, text in files.items():
        (folder.path / f"{name.removeprefix('m')}.py").write_text(text)
    return folder


def _ids(folder: Folder, table: str = "a") -> list[int]:
    return [each for (each,) in folder.db.client.query(f"SELECT id FROM {table} ORDER BY id")]


def test_it_runs_in_the_order_of_the_numbers_and_is_recorded_like_any_other(folder: Folder) -> None:
    _python(folder.write(m0001_a=A, m0003_b=B), m0002_fill=FILL)
    assert [entry.label for entry in folder.runner.migrate()] == ["0001_a", "0002_fill", "0003_b"]
    assert _ids(folder) == [1, 2]
    assert set(folder.states().values()) == {"applied"}
    assert folder.runner.migrate() == []
    _python(folder, m0002_fill=FILL + "# more")
    with pytest.raises(MigrationDrift, match=r"0002_fill\.py"):
        folder.runner.migrate()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("def migrate(db):\n    x = 1\n    raise RuntimeError('no')", 3, r"RuntimeError: no; in"),
        ("def migrate(db):\n    db.execute('SELECT nothing')", 2, "nothing"),
        ("def migrate(db):\n    db.execute('COMMIT')", 2, "COMMIT"),
        ("def migrate(db):\n    db.execute('ROLLBACK')", 2, "ROLLBACK"),
        ("def migrate(db):\n    db.close()", 2, "a transaction ends with its block"),
        ("import sys\ndef migrate(db):\n    sys.exit(0)", 3, r"it called sys\.exit\(\)"),
        (
            "import argparse\ndef migrate(db):\n    argparse.ArgumentParser().parse_args(['-h'])",
            3,
            r"it called sys\.exit\(\)",
        ),
        ("import nothing_of_the_kind\ndef migrate(db):\n    pass", 1, "ModuleNotFoundError"),
        ("def migrate(db):\n    return 1", 0, "migrate.* gave back int"),
        ("def inner(db):\n    db.execute('oops')\ndef migrate(db):\n    inner(db)", 2, "oops"),
    ],
)
def test_what_it_raises_is_told_with_its_line_and_rolled_back(
    folder: Folder, text: str, line: int, why: str
) -> None:
    before = "def migrate(db):\n    db.execute('INSERT INTO a VALUES (1)')\n"
    _python(folder.write(m0001_a=A), m0002_x=text, m0003_y=before)
    with pytest.raises(MigrationError, match=why) as failed:
        folder.runner.migrate()
    assert (failed.value.file, failed.value.line) == ("0002_x.py", line)
    assert (failed.value.applied, failed.value.pending) == (("0001_a",), ("0002_x", "0003_y"))
    assert folder.labels() == ["0001_a"]
    assert _ids(folder) == []


def test_what_it_did_before_it_failed_is_undone(folder: Folder) -> None:
    text = "def migrate(db):\n    db.execute('INSERT INTO a VALUES (1)')\n    1 / 0"
    _python(folder.write(m0001_a=A), m0002_x=text)
    with pytest.raises(MigrationError, match="ZeroDivisionError"):
        folder.runner.migrate()
    assert _ids(folder) == []


def test_a_statement_that_fails_may_be_caught_and_a_savepoint_undone(folder: Folder) -> None:
    text = """
def migrate(db):
    db.execute("INSERT INTO a VALUES (1)")
    try:
        db.execute("INSERT INTO a VALUES (1)")
    except Exception:
        pass
    try:
        with db.transaction() as tx:
            tx.execute("INSERT INTO a VALUES (2)")
            raise KeyError
    except KeyError:
        pass
    assert db.query_value("SELECT count(*) FROM a") == 1
    db.execute("INSERT INTO a VALUES (3)")
"""
    _python(folder.write(m0001_a=A), m0002_x=text).runner.migrate()
    assert _ids(folder) == [1, 3]


def test_its_handle_ends_with_it(folder: Folder) -> None:
    kept = "def migrate(db):\n    import builtins\n    builtins.kept_handle = db\n"
    used = "def migrate(db):\n    import builtins\n    builtins.kept_handle.query('SELECT 1')\n"
    _python(folder.write(m0001_a=A), m0002_x=kept, m0003_y=used)
    with pytest.raises(MigrationError, match=r"^0003_y\.py:3: this transaction has ended"):
        folder.runner.migrate()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("def migrate(db:\n", 1, "Python refuses it"),
        ("x = 1", 0, "it defines neither"),
        (f"{FILL}{BATCHES}", 12, "more than one"),
        ("async def migrate(db): ...", 1, "awaited by nobody"),
        ("def migrate(db):\n    yield 1", 1, "is a generator, and nothing of it would run"),
        ("def migrate(): ...", 1, "called with db:"),
        ("def batch(db): ...", 1, "called with db and after"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_is(
    folder: Folder, text: str, line: int, why: str
) -> None:
    _python(folder.write(m0001_a=A), m0002_x=text)
    with pytest.raises(MigrationError, match=why) as refused:
        folder.runner.migrate()
    assert refused.value.line == line
    assert folder.tables() == set()


def test_nothing_of_it_runs_where_one_only_looks(folder: Folder) -> None:
    _python(folder, m0001_x="raise SystemExit\ndef migrate(db): ...")
    assert [each.label for each in folder.runner.check()] == ["0001_x"]
    assert folder.states() == {"0001_x": "pending"}


def test_only_a_name_that_begins_with_a_number_is_taken(folder: Folder) -> None:
    _python(folder.write(m0001_a=A), conftest="1 / 0", __init__="1 / 0", R__x="1 / 0")
    assert [entry.label for entry in folder.runner.migrate()] == ["0001_a"]
    (folder.path / "2-x.py").write_text(FILL)
    with pytest.raises(MigrationError, match=r"NNNN_name\.py"):
        folder.runner.migrate()


def test_forgedbs_own_folder_runs_no_program(folder: Folder) -> None:
    with pytest.raises(MigrationError, match="a folder that is named alone"):
        Migrator(folder.db)._parsed(MigrationFile(9, "x", "0009_x.py", FILL, ""))


def test_a_rehearsal_runs_it_and_leaves_nothing(folder: Folder) -> None:
    _python(folder.write(m0001_a=A), m0002_fill=FILL)
    assert [entry.label for entry in folder.runner.rehearse()] == ["0001_a", "0002_fill"]
    assert folder.tables() == set()


@pytest.mark.parametrize("dialect", ["postgres"])
@pytest.mark.parametrize("entry", ["migrate(db)", "batch(db, after)"])
def test_what_it_sets_ends_with_it(folder: Folder, entry: str) -> None:
    folder.db.client.execute("CREATE SCHEMA elsewhere")
    folder.db.client.execute("CREATE ROLE nobody_else")
    folder.db.client.execute("GRANT USAGE, CREATE ON SCHEMA elsewhere TO nobody_else")
    sets = f"def {entry}:\n    db.execute('SET search_path TO elsewhere')\n"
    sets += "    db.execute('SET ROLE nobody_else')\n    db.execute('CREATE TABLE x (id int)')"
    try:
        _python(folder.write(m0001_a=A, m0003_b=B), m0002_x=sets).runner.migrate()
        assert folder.labels() == ["0001_a", "0002_x", "0003_b"]
        assert _ids(folder, "public.b") == [1]
    finally:
        folder.db.client.execute("DROP OWNED BY nobody_else")
        folder.db.client.execute("DROP ROLE nobody_else")


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_rows_that_a_table_would_take_along_are_kept_here_too(folder: Folder) -> None:
    folder.write(
        m0001_a="CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (p INTEGER REFERENCES p ON DELETE CASCADE);"
        "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1);"
    )
    _python(folder, m0002_x="def migrate(db):\n    db.execute('DROP TABLE main.\"p\"')")
    with pytest.raises(MigrationError, match=r"^0002_x\.py:2: .*rebuild"):
        folder.runner.migrate()
    assert _ids(folder, "p") == [1]


def test_batches_go_on_to_their_end_each_told(folder: Folder) -> None:
    class Told(Heard):
        def batch(self, migration: MigrationFile, done: int, after: str) -> None:
            self.reasons.append(f"{migration.label} {done} {after}")

    told = Told()
    _python(folder.write(m0001_done=DONE), m0002_x=BATCHES)
    assert len(folder.runner_with(progress=told).migrate()) == 2
    assert _ids(folder, "done") == [1, 2, 3, 4]
    assert told.reasons == ["0002_x 1 1", "0002_x 2 2", "0002_x 3 3"]
    assert folder.runner.unfinished() == []
    assert set(folder.states().values()) == {"applied"}


def test_batches_that_fail_are_gone_on_with_where_they_were(folder: Folder) -> None:
    failing = BATCHES.replace("    return", "    if first == 3:\n        1 / 0\n    return")
    _python(folder.write(m0001_done=DONE), m0002_x=failing)
    with pytest.raises(MigrationError, match=r"^0002_x\.py:6: ZeroDivisionError"):
        folder.runner.migrate()
    assert _ids(folder, "done") == [1, 2]
    (begun,) = folder.runner.unfinished()
    assert (begun.label, begun.done, begun.cursor) == ("0002_x", 2, "2")
    assert folder.states()["0002_x"] == "pending"
    assert folder.runner.resolve(2, "retry") == [
        "the next `forgedb migrate` goes on with batch 3 of 0002_x, after 2"
    ]
    _python(folder, m0002_x=BATCHES)
    assert [entry.label for entry in folder.runner.migrate()] == ["0002_x"]
    assert _ids(folder, "done") == [1, 2, 3, 4]


def test_batches_that_were_finished_by_hand_are_recorded(folder: Folder) -> None:
    failing = BATCHES.replace("    return", "    if first == 3:\n        1 / 0\n    return")
    _python(folder.write(m0001_done=DONE), m0002_x=failing)
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    assert folder.runner.resolve(2, "applied") == ["0002_x is recorded as applied"]
    assert folder.runner.migrate() == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("after or 1", "gave back 1, which it was given"),
        ("object()", "TypeError: .*not JSON serializable"),
        ("float('nan')", "ValueError"),
        ("'x' * 20_000", "at most 10000 are kept"),
    ],
)
def test_a_cursor_that_can_not_be_kept_is_refused(folder: Folder, given: str, why: str) -> None:
    _python(folder, m0001_x=f"def batch(db, after):\n    return {given}")
    with pytest.raises(MigrationError, match=why):
        folder.runner.migrate()


def test_batches_can_not_be_rehearsed_but_on_a_copy(folder: Folder) -> None:
    _python(folder.write(m0001_done=DONE), m0002_x=BATCHES)
    rehearsed = folder.runner.rehearse()
    if folder.db.client.dialect == "sqlite":
        assert ([each.version for each in rehearsed], rehearsed.unrehearsed) == ([1, 2], ())
    else:
        (left,) = rehearsed.unrehearsed
        assert (left.label, left.why[:19]) == ("0002_x", "it runs in batches,")
    assert (folder.tables(), folder.runner.unfinished()) == (set(), [])


def test_two_at_once_share_the_batches(folder: Folder) -> None:
    _python(folder.write(m0001_done=DONE), m0002_x=BATCHES)

    class Overtaken(Heard):
        def batch(self, migration: MigrationFile, done: int, after: str) -> None:
            if done == 2:
                assert len(folder.runner.migrate()) == 1

    assert len(folder.runner_with(progress=Overtaken()).migrate()) == 1
    assert _ids(folder, "done") == [1, 2, 3, 4]


class _Killed(BaseException):
    """The process is gone."""


class _Mortal(LockRetry):
    """Ends the process after so many transactions."""

    left = 0

    def write(self, begin: Callable[[], Steps[object]], *, no_foreign_keys: bool = False) -> object:  # type: ignore[override]
        if _Mortal.left == 0:
            raise _Killed
        _Mortal.left -= 1
        return super().write(begin, no_foreign_keys=no_foreign_keys)


def _run_once_for_each_crash(folder: Folder, kind: type[Batches]) -> set[tuple[int, ...]]:
    """What was done in all, for a crash after each of the transactions."""
    found: set[tuple[int, ...]] = set()
    folder.write(m0001_done=DONE).runner.migrate()
    _python(folder, m0002_x=BATCHES)
    script = folder.runner._parsed(folder.runner.pending()[0])
    table = folder.runner._table
    for crash in range(9):
        _Mortal.left = crash
        try:
            kind(_Mortal(folder.db._runner, 1.0, None), FileTransaction(table, 1.0)).apply(script)
        except _Killed:
            Batches(LockRetry(folder.db._runner, 1.0, None), FileTransaction(table, 1.0)).apply(
                script
            )
        found.add(tuple(_ids(folder, "done")))
        folder.db.client.execute("DELETE FROM done")
        folder.db.client.execute("DELETE FROM app_schema_migrations WHERE version = 2")
    return found


def test_a_crash_between_any_two_transactions_does_each_batch_once(folder: Folder) -> None:
    assert _run_once_for_each_crash(folder, Batches) == {(1, 2, 3, 4)}


def test_a_record_in_another_transaction_than_its_batch_is_caught(folder: Folder) -> None:
    assert _run_once_for_each_crash(folder, RecordsAfterTheBatch) > {(1, 2, 3, 4)}


def test_tasks_run_them_too_and_end_them_when_cancelled(folder: Folder, url: str) -> None:
    endless = BATCHES.replace("first < 4", "True")
    _python(folder.write(m0001_done=DONE), m0002_x=endless)

    async def run() -> None:
        async with await forgedb.connect_async(url) as db:
            migrator = AsyncMigrator(db, folder.path)
            task = asyncio.create_task(migrator.migrate())
            deadline = time.monotonic() + 10
            while not [each for each in folder.runner.unfinished() if each.done > 2]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (begun,) = await migrator.unfinished()
            assert _ids(folder, "done") == [*range(1, begun.done + 1)]

    asyncio.run(run())


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_it_waits_for_a_lock_like_any_other(folder: Folder, url: str) -> None:
    _python(folder.write(m0001_a=A), m0002_fill=FILL).runner.migrate(1)
    with forgedb.connect(url) as other, other.client.transaction(), pytest.raises(LockTimeout):
        folder.runner_with(lock_timeout_seconds=0.1).migrate()
    assert len(folder.runner.migrate()) == 1
