"""Files that make no sense: nothing at all is run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import forgedb
from forgedb import Database, InvalidValue, MigrationError, UsageError
from forgedb.migrations import Runner
from forgedb.sql.lexer import Dialect
from tests.migrations.folder import A, B, Folder


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


def test_a_body_without_an_end_is_refused(folder: Folder) -> None:
    body = {
        "sqlite": "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;",
        "postgres": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;",
    }
    folder.write(m0001_a=A, m0002_b=body[folder.db.client.dialect])
    with pytest.raises(MigrationError, match=r"0002_b\.sql:1:1: .*no end"):
        folder.runner.migrate()
    assert folder.tables() == set()


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
    with pytest.raises(MigrationError, match=r"0001_a\.sql:3:8: ") as refused:
        folder.runner.migrate()
    assert refused.value.line == 3


def test_a_folder_that_is_missing_is_named(db: Database, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="the folder can't be read") as refused:
        Runner(db._runner, str(tmp_path / "nowhere")).migrate()
    assert refused.value.file == str(tmp_path / "nowhere")


def test_a_folder_without_a_migration_is_refused_by_all_that_read_it(folder: Folder) -> None:
    (folder.path / "README.md").write_text("about")
    (folder.path / "old").mkdir()
    (folder.path / "old" / "0001_a.sql").write_text(A)
    runner = folder.runner
    for call in (runner.migrate, runner.rehearse, runner.pending, runner.check, runner.states):
        with pytest.raises(MigrationError, match="it holds no migration: give the") as refused:
            call()
        assert refused.value.file == str(folder.path)
    with pytest.raises(MigrationError, match="it holds no migration"):
        runner.baseline(1)
    assert folder.runner.applied() == []


def test_a_folder_for_another_database_alone_is_refused(folder: Folder, dialect: Dialect) -> None:
    other = "postgres" if dialect == "sqlite" else "sqlite"
    (folder.path / other).mkdir()
    (folder.path / other / "0001_a.sql").write_text(A)
    with pytest.raises(MigrationError, match=f"{dialect}: the folder can't be read"):
        folder.runner.migrate()
    (folder.path / dialect).mkdir()
    with pytest.raises(MigrationError, match=f"{dialect}: it holds no migration"):
        folder.runner.migrate()


def test_a_folder_of_repeatable_files_alone_is_one_of_migrations(folder: Folder) -> None:
    folder.write(R__v="DROP VIEW IF EXISTS v; CREATE VIEW v AS SELECT 1 AS one;")
    assert [each.label for each in folder.runner.migrate()] == ["R__v"]
    assert folder.runner.migrate() == []


def test_a_file_beyond_16_mib_is_refused(folder: Folder) -> None:
    folder.write(m0001_a=b"--" + b" " * (16 * 1024 * 1024 - 1))
    with pytest.raises(MigrationError, match="larger than 16777216 bytes"):
        folder.runner.migrate()


def test_folders_and_what_begins_with_a_dot_are_left_alone(folder: Folder) -> None:
    (folder.path / "0002_b.sql").mkdir()
    (folder.path / ".#0001_a.sql").write_text("SELECT nothing")
    (folder.path / "._0001_a.sql").write_bytes(b"\0\xff")
    (folder.path / "notes.txt").write_text("SELECT nothing")
    folder.write(m0001_a=A).runner.migrate()
    assert folder.labels() == ["0001_a"]


def test_a_number_that_no_database_holds_is_refused(folder: Folder) -> None:
    folder.write(m9223372036854775808_a=A)
    with pytest.raises(MigrationError, match="its number is beyond 9223372036854775807"):
        folder.runner.migrate()
    folder.remove("9223372036854775808_a").write(m9223372036854775807_a=A).runner.migrate()
    assert folder.labels() == ["9223372036854775807_a"]


def test_a_nul_character_is_refused_with_its_place(folder: Folder) -> None:
    folder.write(m0001_a="SELECT 1;\n  SELECT '\0'")
    with pytest.raises(MigrationError, match=r"^0001_a\.sql:2:11: .* NUL character: remove it"):
        folder.runner.migrate()


@pytest.mark.parametrize("name", ["0001_a.SQL", "a.sql", "1-a.sql", "٠٠٠١_a.sql"])
def test_a_name_of_another_form_is_refused(folder: Folder, name: str) -> None:
    (folder.path / name).write_text(A)
    with pytest.raises(MigrationError, match=r"NNNN_name\.sql, or R__name\.sql, .*: rename it"):
        folder.runner.migrate()


def test_statements_that_hold_transactions_are_refused_in_fitting_words(folder: Folder) -> None:
    folder.write(m0001_a="BEGIN; SELECT 1")
    with pytest.raises(MigrationError, match=r"BEGIN is refused: each file runs in one"):
        folder.runner.migrate()
    folder.write(m0001_a="-- forgedb: no-transaction\nBEGIN; SELECT 1")
    with pytest.raises(MigrationError, match=r"BEGIN is refused: this file's .* no transaction"):
        folder.runner.migrate()


@pytest.mark.parametrize(
    "table", ["select", "sqlite_x", "pg_x", "user", "Big", "a b", "a_begun", ""]
)
def test_a_history_has_a_plain_name(folder: Folder, table: str) -> None:
    with pytest.raises(UsageError, match="can't be the history's table"):
        folder.write(m0001_a=A).runner_with(table=table)


def test_a_table_of_another_program_is_no_history(folder: Folder) -> None:
    folder.db.client.execute("CREATE TABLE app_schema_migrations (version integer PRIMARY KEY)")
    folder.write(m0001_a=A)
    for call in (folder.runner.migrate, folder.runner.states, folder.runner.pending):
        with pytest.raises(UsageError, match=r"app_schema_migrations is another .*--table"):
            call()
    assert [each.label for each in folder.runner_with(table="ours").migrate()] == ["0001_a"]


def test_a_history_of_other_files_is_told_from_an_edited_one(folder: Folder) -> None:
    folder.db.migrate()
    mixed_up = folder.write(m0001_a=A).runner_with(table="schema_migrations")
    for call in (mixed_up.migrate, mixed_up.pending):
        with pytest.raises(MigrationError, match=r"of other files, up to \d{4}_\w+: .*--table"):
            call()
    assert [each.label for each in folder.runner.migrate()] == ["0001_a"]


def test_a_runner_takes_a_database_for_threads_and_a_number(folder: Folder, url: str) -> None:
    async def open_and_run() -> None:
        async with await forgedb.connect_async(url) as db:
            Runner(db, folder.path)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=r"AsyncDatabase can.t be .* a Migrator.*to AsyncMigrator"):
        asyncio.run(open_and_run())
    folder.write(m0001_a=A)
    for target in ("1", 1.0, True):
        with pytest.raises(InvalidValue, match="the number of a migration"):
            folder.runner.migrate(target)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no migration 7 in .*: they go from 1 to 1"):
        folder.runner.migrate(7)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", "CREATE INDEX CONCURRENTLY i ON a (id)"),
        ("postgres", "VACUUM a"),
        ("sqlite", "VACUUM"),
    ],
)
def test_what_refuses_to_run_in_a_transaction_is_told_its_header(folder: Folder, text: str) -> None:
    folder.write(m0001_a=A, m0002_b=text)
    with pytest.raises(MigrationError, match=r"^0002_b\.sql:1:1: .*`-- forgedb: no-transaction`"):
        folder.runner.migrate()
    folder.write(m0002_b=f"-- forgedb: no-transaction\n{text}").runner.migrate()


@pytest.mark.parametrize("dialect", ["postgres"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("INSERT INTO t VALUES (1)", r"Key \(id\)=\(1\) already exists"),
        ("INSERT INTO t VALUES (NULL)", r'null value in column "id" of relation "t"'),
        ("SELECT 1 / 0", "division by zero"),
        ("DROP TABLE t", r"constraint u_t_fkey on table u depends on table t; Use DROP"),
        (
            "DO $$ BEGIN RAISE 'no' USING HINT = 'ask ada'; END $$",
            "no; ask ada",
        ),
    ],
)
def test_an_error_has_all_that_postgresql_says(folder: Folder, text: str, said: str) -> None:
    folder.write(
        m0001_a="CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);"
        "CREATE TABLE u (t integer REFERENCES t);"
    ).runner.migrate()
    with pytest.raises(MigrationError, match=said) as refused:
        folder.write(m0002_b=text).runner.migrate()
    assert "None" not in str(refused.value)
