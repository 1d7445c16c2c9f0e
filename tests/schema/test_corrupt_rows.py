"""Rows that only someone past every guard could write: what reads them says what is corrupt."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

import forgedb
from forgedb import InvalidValue

NOT_UTF_8 = "CAST(x'61ff' AS TEXT)"
WITH_NUL = "'a' || char(0) || 'b'"


@contextmanager
def corrupted(tmp_path: Path, change: str) -> Iterator[forgedb.Database]:
    """A history of a lease that was taken and ended by force, and then changed by hand."""
    path = tmp_path / "forge.db"
    with forgedb.connect(f"sqlite:///{path}", actor="user:ada") as db:
        db.migrate()
        repository = db.repositories.create(db.projects.create("p", "P").id, "r")
        lease = db.leases.acquire(repository.id, "worker-1")
        db.leases.force_release(lease.id, "it hung")
    raw = apsw.Connection(str(path))
    raw.pragma("ignore_check_constraints", True)
    guards = raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        raw.execute(f"DROP TRIGGER {name}")
    raw.execute(change)
    for _, create in guards:
        raw.execute(create)
    raw.close()
    with forgedb.connect(f"sqlite:///{path}", actor="user:ada") as db:
        yield db


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (f"UPDATE leases SET holder = {WITH_NUL}", "holder", "a\0b"),
        (f"UPDATE leases SET purpose = {WITH_NUL}", "purpose", "a\0b"),
        (f"UPDATE leases SET ended_by = {WITH_NUL}", "by", "a\0b"),
        (f"UPDATE leases SET end_note = {WITH_NUL}", "reason", "a\0b"),
        ("UPDATE leases SET end_note = NULL", "reason", None),
        ("UPDATE leases SET ended_by = NULL", "by", None),
        ("UPDATE leases SET ended_at = NULL", "at", None),
        ("UPDATE leases SET acquired_at = 'soon'", "acquired_at", "soon"),
        (f"UPDATE leases SET holder = {NOT_UTF_8}", "text", b"a\xff"),
        (f"UPDATE audit_entries SET target_id = {NOT_UTF_8}", "text", b"a\xff"),
    ],
)
@pytest.mark.parametrize("file", [io.StringIO, io.BytesIO])
def test_a_corrupt_lease_is_named_as_the_log_is_written(
    tmp_path: Path,
    change: str,
    field: str,
    value: object,
    file: type[io.StringIO | io.BytesIO],
) -> None:
    with corrupted(tmp_path, change) as db, pytest.raises(InvalidValue) as refused:
        db.leases.export(file())
    assert (refused.value.field, refused.value.value) == (field, value)


@pytest.mark.parametrize(
    ("column", "text", "field", "value"),
    [
        ("actor", NOT_UTF_8, "text", b"a\xff"),
        ("changes", NOT_UTF_8, "text", b"a\xff"),
        ("changes", WITH_NUL, "changes", "a\0b"),
        ("at", WITH_NUL, "at", "a\0b"),
    ],
)
def test_a_corrupt_entry_is_named_as_the_trail_is_written(
    tmp_path: Path, column: str, text: str, field: str, value: object
) -> None:
    with corrupted(tmp_path, f"UPDATE audit_entries SET {column} = {text}") as db:
        with pytest.raises(InvalidValue) as refused:
            db.audit.export(io.BytesIO())
        assert (refused.value.field, refused.value.value) == (field, value)
        # Which entries they are is for verify to say, and it says so.
        assert not db.audit.verify().ok


def test_an_entry_whose_text_has_a_nul_is_written_as_it_is_and_found_by_verify(
    tmp_path: Path,
) -> None:
    with corrupted(tmp_path, f"UPDATE audit_entries SET actor = {WITH_NUL}") as db:
        file = io.StringIO()
        db.audit.export(file)
        assert '"actor":"a\\u0000b"' in file.getvalue()
        assert {problem.seq for problem in db.audit.verify().problems} >= {1, 2}


def test_what_a_check_refuses_is_told_with_the_value_or_the_statement(tmp_path: Path) -> None:
    with corrupted(tmp_path, "SELECT 1") as db:
        for statement, params, told in (
            ("UPDATE projects SET slug = :slug", {"slug": "A B"}, "A B"),
            ("UPDATE projects\n  SET slug = 'A B'", {}, "UPDATE projects SET slug = 'A B'"),
        ):
            with pytest.raises(InvalidValue) as refused:
                db.client.execute(statement, params)
            assert (refused.value.field, refused.value.value) == ("projects_slug_check", told)
