"""FileTransaction a folder of migrations: in which order, how far, and how it is put on record."""

from __future__ import annotations

import hashlib

import pytest

from forgedb import (
    AppliedMigration,
    Database,
    UsageError,
)
from forgedb.migrations import Progress, Runner
from forgedb.migrations.files import load, packaged
from forgedb.sql.lexer import Dialect
from tests.conformance.conftest import START
from tests.migrations.folder import A, B, C, Folder

EVERY_TABLE = {
    "sqlite": "SELECT * FROM sqlite_schema",
    "postgres": "SELECT * FROM pg_tables WHERE schemaname = 'public'",
}


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
    assert three.db.client.query(EVERY_TABLE[three.db.client.dialect]) == []


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

    class Seen(Progress):
        def applied(self, entry: AppliedMigration) -> None:
            seen.append((entry.label, three.labels()))

    Runner(three.db, three.path, progress=Seen()).migrate()
    assert seen == [
        ("0001_a", ["0001_a"]),
        ("0002_b", ["0001_a", "0002_b"]),
        ("0003_c", ["0001_a", "0002_b", "0003_c"]),
    ]


def test_what_is_no_sql_file_is_left_alone(three: Folder) -> None:
    (three.path / "README.md").write_text("about")
    (three.path / "0004_d.sql.orig").write_text("not SQL")
    assert len(three.runner.migrate()) == 3


TRIGGER = {
    "sqlite": """
    CREATE TRIGGER t AFTER INSERT ON a BEGIN
        UPDATE a SET note = CASE WHEN NEW.id > 1 THEN 'many;' ELSE 'one' END WHERE id = NEW.id;
        DELETE FROM a WHERE id = 0;
    END
    """,
    "postgres": """
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $many$
    BEGIN
        NEW.note := CASE WHEN NEW.id > 1 THEN $$many;$$ ELSE 'one' END; -- ;
        RETURN NEW;
    END;
    $many$;
    CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION noted()
    """,
}


def test_triggers_quotes_and_comments_do_not_end_a_statement(folder: Folder) -> None:
    script = f"""
    CREATE TABLE a (id INTEGER, note TEXT DEFAULT 'x;y'); -- a; b
    /* ; */ {TRIGGER[folder.db.client.dialect]};
    INSERT INTO a (id) VALUES (2)
    """
    folder.write(m0001_a=script).runner.migrate()
    assert folder.db.client.query("SELECT id, note FROM a") == [(2, "many;")]


def test_the_databases_own_migrations_apply_once(db: Database, dialect: Dialect) -> None:
    applied = db.migrate()
    assert [f"{each.label}.sql" for each in applied] == [
        migration.file for migration in load(packaged(dialect))
    ]
    assert db.migrate() == []
    assert db.pending_migrations() == []
    assert db.audit.verify().ok
