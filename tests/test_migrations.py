"""The migration runner on folders of a test's own, and databases that are not as they should be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import forgedb
from forgedb import (
    Database,
    MigrationDrift,
    MigrationError,
    NewObject,
    SchemaOutdated,
    Unavailable,
    UsageError,
)
from forgedb.migrations import Runner
from forgedb.migrations.files import load, packaged
from tests.conformance.conftest import START

A = "CREATE TABLE a (id INTEGER PRIMARY KEY);"
B = "CREATE TABLE b (id INTEGER PRIMARY KEY);\nINSERT INTO b VALUES (1);"
C = "-- third\nINSERT INTO b VALUES (2);\n"


class Folder:
    """Migration files that a test writes, and a runner for them."""

    def __init__(self, path: Path, db: Database) -> None:
        self.path = path
        self.db = db
        path.mkdir()

    def write(self, **files: str | bytes) -> Folder:
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            (self.path / f"{name.removeprefix('m')}.sql").write_bytes(raw)
        return self

    @property
    def runner(self) -> Runner:
        return Runner(self.db._runner, str(self.path))

    def labels(self) -> list[str]:
        return [entry.label for entry in self.runner.applied()]

    def tables(self) -> set[str]:
        found = self.db.client.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {name for (name,) in found} - {"schema_migrations"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/forge.db"


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    with forgedb.connect(url, actor="user:ada", clock=lambda: START) as db:
        yield db


@pytest.fixture
def folder(tmp_path: Path, db: Database) -> Folder:
    return Folder(tmp_path / "migrations", db)


@pytest.fixture
def three(folder: Folder) -> Folder:
    return folder.write(m0001_a=A, m0002_b=B, m0003_c=C)


# Applying.


def test_what_is_pending_is_applied_in_the_order_of_the_numbers(three: Folder) -> None:
    assert [each.label for each in three.runner.pending()] == ["0001_a", "0002_b", "0003_c"]
    applied = three.runner.migrate()
    assert [(each.version, each.name) for each in applied] == [(1, "a"), (2, "b"), (3, "c")]
    assert three.runner.applied() == applied
    assert three.runner.pending() == []
    assert three.db.client.query("SELECT id FROM b ORDER BY id") == [(1,), (2,)]


def test_the_history_keeps_the_checksum_the_time_and_how_long_it_took(three: Folder) -> None:
    for entry, text in zip(three.runner.migrate(), (A, B, C), strict=True):
        assert entry.checksum == hashlib.sha256(text.encode()).hexdigest()
        assert entry.applied_at == START
        assert 0 <= entry.duration_ms < 10_000


def test_migrating_again_changes_nothing(three: Folder) -> None:
    before = three.runner.migrate()
    assert three.runner.migrate() == []
    assert three.runner.applied() == before
    assert three.db.client.query_value("SELECT count(*) FROM b") == 2


def test_looking_at_what_is_pending_writes_nothing(three: Folder) -> None:
    assert len(three.runner.pending()) == 3
    assert three.runner.applied() == []
    assert three.db.client.query("SELECT * FROM sqlite_schema") == []


def test_new_files_are_applied_on_top(three: Folder) -> None:
    three.runner.migrate()
    three.write(m0004_d="CREATE TABLE d (id INTEGER PRIMARY KEY)")
    assert [each.label for each in three.runner.migrate()] == ["0004_d"]


def test_a_target_is_the_last_one_applied(three: Folder) -> None:
    assert [each.version for each in three.runner.pending(2)] == [1, 2]
    assert [each.version for each in three.runner.migrate(2)] == [1, 2]
    assert three.runner.migrate(1) == []
    assert three.labels() == ["0001_a", "0002_b"]
    assert [each.version for each in three.runner.migrate()] == [3]


def test_a_target_that_no_file_has_is_refused(three: Folder) -> None:
    for call in (three.runner.migrate, three.runner.pending):
        with pytest.raises(UsageError, match="there is no migration 9 in"):
            call(9)
    assert three.tables() == set()


def test_each_file_is_reported_when_it_has_been_applied(three: Folder) -> None:
    seen: list[tuple[str, list[str]]] = []
    three.runner.migrate(report=lambda entry: seen.append((entry.label, three.labels())))
    assert seen == [
        ("0001_a", ["0001_a"]),
        ("0002_b", ["0001_a", "0002_b"]),
        ("0003_c", ["0001_a", "0002_b", "0003_c"]),
    ]


def test_an_empty_folder_has_nothing_to_apply(folder: Folder) -> None:
    assert folder.runner.migrate() == []


def test_what_is_no_sql_file_is_left_alone(three: Folder) -> None:
    (three.path / "README.md").write_text("about")
    (three.path / "0004_d.sql.orig").write_text("not SQL")
    assert len(three.runner.migrate()) == 3


def test_triggers_quotes_and_comments_do_not_end_a_statement(folder: Folder) -> None:
    script = """
    CREATE TABLE a (id INTEGER, note TEXT DEFAULT 'x;y'); -- a; b
    /* ; */ CREATE TRIGGER t AFTER INSERT ON a BEGIN
        UPDATE a SET note = CASE WHEN NEW.id > 1 THEN 'many;' ELSE 'one' END WHERE id = NEW.id;
        DELETE FROM a WHERE id = 0;
    END;
    INSERT INTO a (id) VALUES (2)
    """
    folder.write(m0001_a=script).runner.migrate()
    assert folder.db.client.query("SELECT id, note FROM a") == [(2, "many;")]


def test_the_databases_own_migrations_apply_once(db: Database) -> None:
    applied = db.migrate()
    assert [f"{each.label}.sql" for each in applied] == [
        migration.file for migration in load(packaged("sqlite"))
    ]
    assert db.migrate() == []
    assert db.pending_migrations() == []
    assert db.audit.verify().ok


# Files that changed, went away, or came late.


def test_an_edited_file_is_named_with_both_checksums(three: Folder) -> None:
    three.runner.migrate()
    edited = B.replace("(1)", "(9)")
    three.write(m0002_b=edited)
    for call in (three.runner.migrate, three.runner.pending):
        with pytest.raises(MigrationDrift, match=r"0002_b\.sql is not what was applied") as drift:
            call()
        assert drift.value.file == "0002_b.sql"
        assert drift.value.expected == hashlib.sha256(B.encode()).hexdigest()
        assert drift.value.found == hashlib.sha256(edited.encode()).hexdigest()


def test_line_ends_and_a_byte_order_mark_are_no_edit(three: Folder) -> None:
    three.runner.migrate()
    assert load(str(three.path))[1].text == B
    checksum = load(str(three.path))[1].checksum
    for raw in (
        B.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + B.encode(),
        b"\xef\xbb\xbf" + B.replace("\n", "\r\n").encode(),
    ):
        three.write(m0002_b=raw)
        assert load(str(three.path))[1].checksum == checksum
        assert three.runner.migrate() == []


def test_an_applied_file_that_is_missing_is_named(three: Folder) -> None:
    three.runner.migrate()
    (three.path / "0002_b.sql").unlink()
    with pytest.raises(MigrationError, match="the file is missing: put it back") as refused:
        three.runner.migrate()
    assert refused.value.file == "0002_b.sql"


def test_a_lower_number_that_comes_late_is_refused(folder: Folder) -> None:
    folder.write(m0001_a=A, m0003_c="CREATE TABLE c (id INTEGER)").runner.migrate()
    folder.write(m0002_b=B, m0004_d="CREATE TABLE d (id INTEGER)")
    with pytest.raises(MigrationError, match="a higher number, 3, is applied") as refused:
        folder.runner.migrate()
    assert refused.value.file == "0002_b.sql"
    assert refused.value.applied == ("0001_a", "0003_c")
    assert refused.value.pending == ("0002_b", "0004_d")
    assert folder.tables() == {"a", "c"}


# Files that make no sense: nothing at all is run.


@pytest.mark.parametrize(
    ("files", "file", "why"),
    [
        ({"m0002_other": B}, "0002_other.sql", "has the same number"),
        ({"m00003_c": B}, "00003_c.sql", "padded unlike"),
        ({"m3_c": B}, "3_c.sql", "padded unlike"),
        ({"m0003_c": ""}, "0003_c.sql", "it is empty"),
        ({"m0003_c": " \n\t\r\n"}, "0003_c.sql", "it is empty"),
        ({"m0003_c": b"\xef\xbb\xbf"}, "0003_c.sql", "it is empty"),
        ({"m0003_c": "-- later\n/* much; later */"}, "0003_c.sql", "holds no statement"),
        ({"m0003_c": ";;"}, "0003_c.sql", "holds no statement"),
        ({"m0003_c": b"SELECT '\xff'"}, "0003_c.sql", r"not UTF-8 \(byte 8\)"),
        ({"m0003_C": B}, "0003_C.sql", "NNNN_name.sql"),
        ({"m0003-c": B}, "0003-c.sql", "NNNN_name.sql"),
        ({"mc": B}, "c.sql", "NNNN_name.sql"),
        ({"m0003_": B}, "0003_.sql", "NNNN_name.sql"),
        ({"m٣_c": B}, "٣_c.sql", "NNNN_name.sql|padded unlike"),
        ({"m0003_c": "SELECT 'open"}, "0003_c.sql", "never closed"),
        ({"m0003_c": "SELECT 1; /* open"}, "0003_c.sql", "never closed"),
        ({"m0003_c": "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"}, "0003_c.sql", "no end"),
    ],
)
def test_a_bad_file_is_refused_before_any_other_is_run(
    folder: Folder, files: dict[str, str | bytes], file: str, why: str
) -> None:
    folder.write(m0001_a=A, m0002_b=B).write(**files)
    with pytest.raises(MigrationError, match=why) as refused:
        folder.runner.migrate()
    assert refused.value.file == file
    assert folder.tables() == set()
    assert folder.runner.applied() == []


@pytest.mark.parametrize(
    "keyword",
    [
        "BEGIN",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT s",
        "RELEASE s",
        "begin immediate",
        "/**/Commit",
    ],
)
def test_a_file_ends_no_transaction_and_begins_none(folder: Folder, keyword: str) -> None:
    folder.write(m0001_a=A, m0002_b=f"SELECT 1;\n\n  {keyword};\nSELECT 2")
    with pytest.raises(MigrationError, match="in one transaction of the runner's") as refused:
        folder.runner.migrate()
    assert (refused.value.file, refused.value.line) == ("0002_b.sql", 3)
    assert folder.tables() == set()


def test_a_script_that_can_not_be_split_is_named_by_its_line(folder: Folder) -> None:
    folder.write(m0001_a="SELECT 1;\nSELECT 2;\nSELECT 'open;\nSELECT 3;")
    with pytest.raises(MigrationError, match=r"0001_a\.sql:3: ") as refused:
        folder.runner.migrate()
    assert refused.value.line == 3


def test_a_folder_that_is_missing_is_named(db: Database, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="the folder can't be read") as refused:
        Runner(db._runner, str(tmp_path / "nowhere")).migrate()
    assert refused.value.file == str(tmp_path / "nowhere")


def test_a_file_beyond_16_mib_is_refused(folder: Folder) -> None:
    folder.write(m0001_a=b"--" + b" " * (16 * 1024 * 1024 - 1))
    with pytest.raises(MigrationError, match="larger than 16777216 bytes"):
        folder.runner.migrate()


def test_a_directory_in_the_place_of_a_file_is_named(folder: Folder) -> None:
    (folder.path / "0001_a.sql").mkdir()
    with pytest.raises(MigrationError, match="it can't be read") as refused:
        folder.runner.migrate()
    assert refused.value.file == "0001_a.sql"


# Statements that fail.


def test_a_failing_statement_is_named_and_its_file_rolled_back(folder: Folder) -> None:
    folder.write(
        m0001_a=A,
        m0002_b="CREATE TABLE b (id INTEGER);\n\nINSERT INTO b\nVALUES (1);\n\n"
        "INSERT INTO nowhere\nVALUES (1);\nCREATE TABLE c (id INTEGER);",
        m0003_d="CREATE TABLE d (id INTEGER)",
    )
    with pytest.raises(MigrationError, match=r"0002_b\.sql:6: .*no such table: nowhere") as failed:
        folder.runner.migrate()
    error = failed.value
    assert (error.file, error.line) == ("0002_b.sql", 6)
    assert error.statement == "INSERT INTO nowhere\nVALUES (1)"
    assert (error.applied, error.pending) == (("0001_a",), ("0002_b", "0003_d"))
    assert "applied before: 0001_a; still pending: 0002_b, 0003_d" in str(error)
    assert isinstance(error.__cause__, forgedb.ForgeDbError)
    assert folder.tables() == {"a"}
    assert folder.labels() == ["0001_a"]


def test_a_repaired_file_goes_on_where_it_failed(folder: Folder) -> None:
    folder.write(m0001_a=A, m0002_b="SELECT nothing").write(m0003_c="CREATE TABLE c (id INTEGER)")
    with pytest.raises(MigrationError):
        folder.runner.migrate()
    folder.write(m0002_b=B)
    assert [each.label for each in folder.runner.migrate()] == ["0002_b", "0003_c"]


def test_a_constraint_that_stored_rows_break_rolls_the_file_back(folder: Folder) -> None:
    folder.write(m0001_a=f"{A} INSERT INTO a VALUES (1), (2);").runner.migrate()
    folder.write(
        m0002_b="ALTER TABLE a ADD COLUMN kind TEXT DEFAULT 'x' NOT NULL;\n"
        "CREATE UNIQUE INDEX one ON a (kind);"
    )
    with pytest.raises(MigrationError) as failed:
        folder.runner.migrate()
    assert failed.value.line == 2
    assert folder.db.client.query("SELECT * FROM a") == [(1,), (2,)]


# Several at once.

MIGRATE = """
import sys, time, forgedb
from forgedb.migrations import Runner
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


HOLD_LOCK = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked_by_another(url: str) -> Iterator[Callable[[], None]]:
    """Another process holds the write lock; calling this ends it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, url.removeprefix("sqlite:///")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"

    def let_go() -> None:
        process.communicate("", timeout=60)

    yield let_go
    let_go()
    process.stdout.close()


@pytest.fixture
def migrated(db: Database) -> Database:
    db.migrate()
    return db


@pytest.mark.usefixtures("migrated")
def test_a_write_lock_held_by_another_process_past_the_timeout_is_told_as_such(
    url: str, locked_by_another: Callable[[], None], folder: Folder
) -> None:
    folder.write(m0001_a=A)
    with forgedb.connect(url, actor="user:ada", busy_timeout=0.05) as impatient:
        assert impatient.projects.list().items == []
        for write in (
            lambda: impatient.projects.create("p", "P"),
            lambda: impatient.client.execute("CREATE TABLE x (id INTEGER)"),
            lambda: impatient.transaction().__enter__(),
        ):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="locked by another process") as refused:
                write()
            assert time.monotonic() - began >= 0.05
            assert refused.value.retryable
            assert refused.value.outcome == "not_committed"
            assert refused.value.__cause__ is not None
        locked_by_another()
        assert impatient.projects.create("p", "P").slug == "p"


def test_migrating_a_database_locked_by_another_process_changes_nothing(
    url: str, three: Folder, locked_by_another: Callable[[], None]
) -> None:
    with forgedb.connect(url, busy_timeout=0.05) as impatient:
        runner = Runner(impatient._runner, str(three.path))
        with pytest.raises(Unavailable, match="locked by another process") as refused:
            runner.migrate()
        assert refused.value.retryable
        assert three.tables() == set()
        locked_by_another()
        assert len(runner.migrate()) == 3


def test_a_patient_writer_gets_its_turn(
    migrated: Database, locked_by_another: Callable[[], None]
) -> None:
    timer = threading.Timer(0.2, locked_by_another)
    timer.start()
    assert migrated.projects.create("p", "P").slug == "p"
    timer.join()


def test_the_first_write_to_a_new_database_waits_for_the_other_that_makes_it(
    url: str, tmp_path: Path
) -> None:
    # Until a file is in WAL mode its lock is another one, for which SQLite itself doesn't wait.
    other = apsw.Connection(str(tmp_path / "forge.db"))
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, lambda: other.execute("COMMIT"))
    timer.start()
    try:
        with forgedb.connect(url, busy_timeout=20) as db:
            assert db.client.execute("INSERT INTO t VALUES (1)") == 1
            assert db.client.query_value("SELECT count(*) FROM t") == 1
            assert db.client.query_value("PRAGMA journal_mode") == "wal"
    finally:
        timer.join()
        other.close()


# Databases that are not as they should be.


def test_an_unmigrated_database_is_told_what_is_pending(db: Database) -> None:
    for call in (
        lambda: db.projects.list(limit=1),
        lambda: db.projects.create("p", "P"),
        lambda: db.leases.active("01JD" + "0" * 22),
        lambda: db.audit.verify("01JD" + "0" * 22),
    ):
        with pytest.raises(SchemaOutdated) as refused:
            call()
        assert refused.value.pending == ("0001_initial",)
        assert "forgedb migrate" in str(refused.value)
    db.migrate()
    assert db.projects.list().items == []


def _make_newer(url: str) -> None:
    with forgedb.connect(url) as db:
        db.client.execute(
            "INSERT INTO schema_migrations"
            " SELECT 9999, 'from_tomorrow', checksum, applied_at, 0 FROM schema_migrations LIMIT 1"
        )


def test_a_database_newer_than_the_code_reads_with_a_warning_and_refuses_writes(
    url: str, migrated: Database
) -> None:
    project = migrated.projects.create("p", "P")
    _make_newer(url)
    with forgedb.connect(url, actor="user:ada") as db:
        with pytest.warns(UserWarning, match="has migration 9999, and this forgedb knows up to 1"):
            assert db.projects.list().items == [project]
        with pytest.raises(MigrationError, match="newer than this program") as refused:
            db.projects.create("q", "Q")
        assert refused.value.file == "9999_from_tomorrow.sql"
        with pytest.raises(MigrationError, match="newer than this program"):
            db.leases.require("01JD" + "0" * 22, 1)
        with pytest.raises(MigrationError, match="newer than this program"):
            db.migrate()
        with pytest.warns(UserWarning, match="upgrade forgedb"), db.transaction() as tx:
            assert tx.projects.get(project.id) == project
        assert db.client.query_value("SELECT count(*) FROM projects") == 1


@pytest.mark.parametrize("content", [b"not a database, but a text\n" * 100, b"x" * 5000])
def test_a_file_that_is_no_sqlite_database_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable, match="not an SQLite database") as refused:
        forgedb.connect(f"sqlite:///{path}")
    assert str(path) in str(refused.value)
    assert not refused.value.retryable
    assert path.read_bytes() == content


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with forgedb.connect(f"sqlite:///{tmp_path}/empty.db", actor="user:ada") as db:
        db.migrate()
        assert db.projects.create("p", "P").slug == "p"


def test_a_damaged_file_is_told_as_corrupt(url: str, migrated: Database) -> None:
    project = migrated.projects.create("p", "P")
    migrated.close()
    path = Path(url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)

    def read() -> None:
        with forgedb.connect(url, actor="user:ada") as db:
            db.projects.get(project.id)

    with pytest.raises(Unavailable, match="corrupt: restore a backup") as refused:
        read()
    assert not refused.value.retryable
    assert path.read_bytes() == content


def test_a_database_opened_read_only_reads_and_refuses_writes(url: str, migrated: Database) -> None:
    project = migrated.projects.create("p", "P")
    before = Path(url.removeprefix("sqlite:///")).read_bytes()
    with forgedb.connect(url, actor="user:ada", mode="ro") as db:
        assert db.projects.get(project.id) == project
        assert db.migrate() == []
        for write in (
            lambda: db.projects.create("q", "Q"),
            lambda: db.projects.update(project.id, name="Other"),
            lambda: db.client.execute("DROP TABLE mirrors"),
        ):
            with pytest.raises(Unavailable, match="read-only") as refused:
                write()
            assert not refused.value.retryable
    assert Path(url.removeprefix("sqlite:///")).read_bytes() == before


def test_an_unmigrated_database_opened_read_only_can_not_be_migrated(url: str) -> None:
    forgedb.connect(url).close()
    with (
        forgedb.connect(url, mode="ro") as db,
        pytest.raises(Unavailable, match="read-only"),
    ):
        db.migrate()


def test_a_database_that_must_be_there_and_is_not_is_named(tmp_path: Path) -> None:
    for mode in ("ro", "rw"):
        path = tmp_path / "absent.db"
        with pytest.raises(Unavailable, match="there is no database at") as refused:
            forgedb.connect(f"sqlite:///{path}", mode=mode)
        assert str(path) in str(refused.value)
        assert not path.exists()


def test_a_file_in_a_missing_folder_and_a_folder_itself_are_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"there is no folder .*/missing, make it first"):
        forgedb.connect(f"sqlite:///{tmp_path}/missing/forge.db")
    with pytest.raises(Unavailable, match="is a folder: name a file in it"):
        forgedb.connect(f"sqlite:///{tmp_path}")
    assert not (tmp_path / "missing").exists()


# A full disk: SQLite's own limit of pages stands for it.


def _allow_pages(db: Database, more: int) -> None:
    pages = db.client.query_value("PRAGMA page_count")
    assert db.client.query_value(f"PRAGMA max_page_count = {pages + more}") == pages + more


def _fill(db: Database) -> None:
    """Write more than ``_allow_pages`` left room for."""
    for number in range(20):
        db.projects.create(f"filler{number}", "Filler", "x" * 10_000)


def _content(db: Database) -> list[Any]:
    tables = ("projects", "repositories", "leases", "object_metadata", "audit_entries")
    return [db.client.query(f"SELECT * FROM {table}") for table in tables]


def test_a_full_disk_leaves_nothing_half_done_and_the_database_usable(
    migrated: Database,
) -> None:
    db = migrated
    repository = db.repositories.create(db.projects.create("p", "P").id, "a")
    lease = db.leases.acquire(repository.id)
    objects = [NewObject(n.to_bytes(20, "big"), 3, n) for n in range(20_000)]
    before = _content(db)
    _allow_pages(db, 10)
    for write in (
        lambda: db.objects.add_many(repository.id, objects, lease.fencing_token),
        lambda: _fill(db),
    ):
        with pytest.raises(Unavailable, match="the disk is full") as refused:
            write()
        assert refused.value.outcome == "not_committed"
    assert _content(db)[1:4] == before[1:4]
    assert db.audit.verify().problems == []
    _allow_pages(db, 100_000)
    assert db.objects.add_many(repository.id, objects, lease.fencing_token).added == 20_000
    assert db.projects.create("another", "A").slug == "another"
    assert db.audit.verify().problems == []


def test_a_full_disk_in_a_transaction_dooms_all_of_it(migrated: Database) -> None:
    db = migrated
    project = db.projects.create("p", "P")
    before = _content(db)
    _allow_pages(db, 4)

    def fill() -> None:
        with db.transaction() as tx:
            tx.projects.update(project.id, name="Other")
            _fill(tx)

    with pytest.raises(Unavailable, match="the disk is full"):
        fill()
    assert _content(db) == before
    _allow_pages(db, 1000)
    assert db.projects.create("q", "Q").slug == "q"


def test_who_carries_on_in_a_transaction_after_a_full_disk_loses_nothing_silently(
    migrated: Database,
) -> None:
    db = migrated
    _allow_pages(db, 4)

    def carry_on() -> None:
        with db.transaction() as tx:
            tx.projects.create("first", "F")
            with pytest.raises(Unavailable, match="the disk is full"):
                _fill(tx)

    try:
        carry_on()
    except Unavailable:
        assert db.projects.list().items == []
    else:
        assert db.projects.get_by_slug("first").name == "F"
    assert db.audit.verify().problems == []


def test_a_migration_that_fills_the_disk_is_rolled_back_and_named(three: Folder) -> None:
    three.runner.migrate(1)
    _allow_pages(three.db, 1)
    three.write(m0003_c="\nCREATE TABLE big (x TEXT);\nINSERT INTO big VALUES (zeroblob(99999));")
    with pytest.raises(MigrationError, match="the disk is full") as failed:
        three.runner.migrate()
    assert isinstance(failed.value.__cause__, Unavailable)
    assert "big" not in three.tables()
    _allow_pages(three.db, 1000)
    assert three.runner.migrate()[-1].label == "0003_c"
