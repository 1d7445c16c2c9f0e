"""New migration files, for one database or for both."""

from __future__ import annotations

from pathlib import Path

import pytest

from forgedb import InvalidValue, MigrationError
from forgedb.migrations.new_files import create_files
from tests.migrations.folder import A, Folder


def _made(folder: Path, name: str) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in create_files(str(folder), name)]


def test_the_first_files_are_made_for_both_databases_with_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert _made(folder, "Add the users!") == [
        "sqlite/0001_add_the_users.sql",
        "postgres/0001_add_the_users.sql",
    ]
    for path in sorted(folder.rglob("*.sql")):
        assert path.read_text().startswith("-- Add the users\n--\n")


def test_the_number_is_after_the_highest_of_either_database(tmp_path: Path) -> None:
    for path in ("sqlite/0007_a.sql", "postgres/0009_b.sql"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(A)
    assert _made(tmp_path, "c") == ["sqlite/0010_c.sql", "postgres/0010_c.sql"]


def test_a_folder_that_holds_files_itself_gets_one_as_wide_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "000041_a.sql").write_text(A)
    assert _made(tmp_path, "b") == ["000042_b.sql"]
    assert not (tmp_path / "sqlite").exists()


def test_a_new_file_is_refused_until_its_sql_is_written(folder: Folder) -> None:
    folder.write(m0001_a=A)
    (path,) = create_files(str(folder.path), "b")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql: it holds no statement"):
        folder.runner.migrate()
    with Path(path).open("a") as file:
        file.write("CREATE TABLE b (id INTEGER);\n")
    assert [each.label for each in folder.runner.migrate()] == ["0001_a", "0002_b"]


@pytest.mark.parametrize("name", ["", " ", "___", "!?", "é"])
def test_a_name_without_a_letter_or_digit_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValue, match="it needs a letter or a digit"):
        create_files(str(tmp_path / "none"), name)
    assert not (tmp_path / "none").exists()


def test_no_file_is_made_where_those_that_are_there_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_text(A)
    (tmp_path / "0001_b.sql").write_text(A)
    with pytest.raises(MigrationError, match="has the same number"):
        create_files(str(tmp_path), "c")
    assert len([*tmp_path.iterdir()]) == 2


def test_a_name_with_other_letters_keeps_those_of_ascii(tmp_path: Path) -> None:
    assert _made(tmp_path, "Größe ../../x")[0] == "sqlite/0001_gr_e_x.sql"


def test_the_widest_number_is_followed_by_one_that_still_sorts(tmp_path: Path) -> None:
    (tmp_path / "9_a.sql").write_text(A)
    with pytest.raises(MigrationError, match="all numbers of 1 digits are used"):
        create_files(str(tmp_path), "b")
    assert [path.name for path in tmp_path.iterdir()] == ["9_a.sql"]


def test_the_first_number_beside_repeatable_files_goes_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "R__v.sql").write_text("SELECT 1")
    assert create_files(str(tmp_path), "x") == [f"{tmp_path}/0001_x.sql"]


def test_a_program_has_a_number_too(tmp_path: Path) -> None:
    (tmp_path / "0007_fill.py").write_text("def migrate(db): ...")
    assert create_files(str(tmp_path), "x") == [f"{tmp_path}/0008_x.sql"]
