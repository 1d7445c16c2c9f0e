"""Files that make no sense: nothing at all is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgedb import (
    Database,
    MigrationError,
)
from forgedb.migrations import Runner
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


def test_a_file_beyond_16_mib_is_refused(folder: Folder) -> None:
    folder.write(m0001_a=b"--" + b" " * (16 * 1024 * 1024 - 1))
    with pytest.raises(MigrationError, match="larger than 16777216 bytes"):
        folder.runner.migrate()


def test_a_directory_in_the_place_of_a_file_is_named(folder: Folder) -> None:
    (folder.path / "0001_a.sql").mkdir()
    with pytest.raises(MigrationError, match="it can't be read") as refused:
        folder.runner.migrate()
    assert refused.value.file == "0001_a.sql"
