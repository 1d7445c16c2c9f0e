"""A history and a folder that disagree: what each disagreement is called, and refused for."""

from __future__ import annotations

import hashlib

import pytest

from forgedb import (
    MigrationDrift,
    MigrationError,
)
from forgedb.migrations.files import load
from tests.migrations.folder import A, B, Folder


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
