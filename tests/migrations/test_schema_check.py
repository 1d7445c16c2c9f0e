"""A program that uses a database whose schema isn't its own: older, or newer."""

from __future__ import annotations

import pytest

import forgedb
from forgedb import (
    Database,
    MigrationError,
    SchemaOutdated,
)
from forgedb.migrations.files import load, packaged

# Of both databases: the files have the same numbers and names.
OURS = load(packaged("sqlite"))


def test_an_unmigrated_database_is_told_what_is_pending(db: Database) -> None:
    for call in (
        lambda: db.projects.list(limit=1),
        lambda: db.projects.create("p", "P"),
        lambda: db.leases.active("01JD" + "0" * 22),
        lambda: db.audit.verify("01JD" + "0" * 22),
    ):
        with pytest.raises(SchemaOutdated) as refused:
            call()
        assert refused.value.pending == tuple(each.label for each in OURS)
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
        with pytest.warns(
            UserWarning,
            match=f"has migration 9999, and this forgedb knows up to {OURS[-1].version}",
        ):
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
