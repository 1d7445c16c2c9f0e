"""Statements that SQLite refuses in a migration, or passes over in silence: the way out is said."""

from __future__ import annotations

import time

import apsw
import pytest

import forgedb
from forgedb import MigrationError
from forgedb.sql.lexer import Dialect
from forgedb.sql.pragmas import pragma_of
from tests.migrations.folder import A, Folder

ALONE = "-- forgedb: no-transaction\n"
REBUILD = "-- forgedb: rebuild\n"

TABLES = """
CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE);
CREATE VIEW named AS SELECT name FROM p;
"""

NEW = "CREATE TABLE new (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
SWAP = f"{NEW}\nDROP TABLE p;\nALTER TABLE new RENAME TO p;\n"


@pytest.fixture
def dialect() -> Dialect:
    return "sqlite"


@pytest.fixture
def made(folder: Folder) -> Folder:
    folder.write(m0001_a=TABLES).runner.migrate()
    return folder


@pytest.mark.parametrize(
    "text", ["PRAGMA wal_checkpoint", "pragma /**/ main . [wal_checkpoint] (TRUNCATE)"]
)
@pytest.mark.parametrize("header", ["", REBUILD])
def test_a_checkpoint_in_a_transaction_is_refused_before_anything_is_run(
    folder: Folder, text: str, header: str
) -> None:
    folder.write(m0001_a=A, m0002_b=f"{header}SELECT 1;\n {text};")
    with pytest.raises(
        MigrationError, match=r"^0002_b\.sql:\d:2: no checkpoint .*`-- forgedb: no-transaction`"
    ):
        folder.runner.migrate()
    assert folder.labels() == []
    folder.write(m0002_b=f"{ALONE}SELECT 1;\n {text};").runner.migrate()
    assert folder.labels() == ["0001_a", "0002_b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PRAGMA synchronous = OFF", "give it in the URL"),
        ("PRAGMA auto_vacuum = FULL", "does nothing in a transaction.*VACUUM behind it"),
        ("PRAGMA page_size = 8192", "does nothing to a database that is in WAL mode"),
        ("PRAGMA encoding = 'UTF-16'", "does nothing to a database that was made before"),
        ("PRAGMA journal_mode = DELETE", "keeps its databases in WAL mode"),
        ("PRAGMA query_only = ON", "nor could the history"),
        ("PRAGMA soft_heap_limit = 1000000", "the whole process's"),
        ("EXPLAIN PRAGMA foreign_keys = OFF", "begin the file with `-- forgedb: rebuild`"),
        ("ATTACH 'no.db' AS o", "; no.db was to be attached: ATTACH makes no file"),
        ("ATTACH ':memory:' AS o; DETACH o", "no database can be detached in a transaction"),
        ("VACUUM", "cannot VACUUM from within a transaction; begin the file with"),
    ],
)
def test_what_would_fail_or_do_nothing_in_a_transaction_is_refused_with_the_way_out(
    folder: Folder, text: str, why: str
) -> None:
    folder.write(m0001_a=text)
    began = time.monotonic()
    with pytest.raises(MigrationError, match=rf"^0001_a\.sql:1:\d+: .*{why}"):
        folder.runner.migrate()
    assert time.monotonic() - began < 5
    assert folder.labels() == []


@pytest.mark.parametrize("text", ["PRAGMA journal_mode = DELETE", "PRAGMA page_size = 8192"])
def test_what_no_file_can_have_is_refused_outside_a_transaction_too(
    folder: Folder, text: str
) -> None:
    folder.write(m0001_a=f"{ALONE}{text}")
    with pytest.raises(MigrationError, match="leave it out"):
        folder.runner.migrate()


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_it_is_already_may_be_said(folder: Folder, in_memory: bool) -> None:
    folder.write(
        m0001_a="PRAGMA journal_mode = WAL; PRAGMA encoding = 'UTF-8'; PRAGMA page_size = 4096;"
        "PRAGMA auto_vacuum = NONE; PRAGMA query_only = off; PRAGMA foreign_keys;"
        "PRAGMA foreign_key_check; PRAGMA user_version = 7; PRAGMA optimize;"
    )
    with forgedb.connect("sqlite://") as memory:
        db = memory if in_memory else folder.db
        assert len(folder.runner.on(db).migrate()) == 1
        assert db.client.query_value("PRAGMA user_version") == 7


def test_a_vacuum_may_change_what_it_alone_can_change(folder: Folder, url: str) -> None:
    folder.write(
        m0001_a=f"{ALONE}PRAGMA auto_vacuum = INCREMENTAL; VACUUM; CREATE TABLE b (x);"
        "INSERT INTO b SELECT randomblob(1000000); DROP TABLE b",
        m0002_b="PRAGMA incremental_vacuum",
    ).runner.migrate()
    other = apsw.Connection(url.removeprefix("sqlite:///"))
    assert other.pragma("auto_vacuum") == 2
    assert other.pragma("freelist_count") == 0, "it was run to its end"


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("PRAGMA foreign_keys", ("foreign_keys", None)),
        ("pragma main . Foreign_Keys = 0", ("foreign_keys", "0")),
        ("PRAGMA/**/'foreign_keys'(OFF)", ("foreign_keys", "OFF")),
        ("PRAGMA", None),
        ("SELECT 1", None),
    ],
)
def test_a_pragma_is_read_as_sqlite_reads_it(
    statement: str, found: tuple[str, str | None] | None
) -> None:
    assert pragma_of(statement) == found


@pytest.mark.parametrize("header", ["", ALONE])
def test_a_child_is_dropped_before_its_parents(folder: Folder, header: str) -> None:
    folder.write(
        m0001_a="CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE q (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (p REFERENCES p ON DELETE CASCADE, q REFERENCES q ON DELETE CASCADE);"
    )
    folder.runner.migrate()
    folder.write(m0002_b=f"{header}DROP TABLE p;\nDROP TABLE q;\nDROP TABLE c;")
    with pytest.raises(
        MigrationError, match=r"no such table: main\.p; c still refers to it: drop c before"
    ) as refused:
        folder.runner.migrate()
    assert refused.value.statement == "DROP TABLE q"
    if header:
        folder.runner.resolve(2, "applied")
        return
    folder.write(m0002_b=f"{header}DROP TABLE c;\nDROP TABLE p;\nDROP TABLE q;").runner.migrate()
    assert folder.tables() == set()


def test_a_rebuild_names_the_view_that_stands_in_its_way(made: Folder) -> None:
    made.write(m0002_b=f"{REBUILD}{SWAP}")
    with pytest.raises(
        MigrationError,
        match=r"^0002_b\.sql:4:1: .*error in view named: no such table: main.p; drop the view"
        " named before it, and make it anew behind it",
    ):
        made.runner.migrate()
    assert made.tables() == {"p", "c"}
    anew = "CREATE VIEW named AS SELECT name FROM p;"
    made.write(m0002_b=f"{REBUILD}DROP VIEW named;\n{SWAP}{anew}").runner.migrate()
    made.write(m0003_c=f"{REBUILD}PRAGMA legacy_alter_table = ON;\n{SWAP}").runner.migrate()
    assert made.db.client.query("SELECT name FROM named") == []


def test_so_is_a_trigger_and_whatever_needs_a_column(made: Folder) -> None:
    trigger = 'CREATE TRIGGER "t t" AFTER INSERT ON c BEGIN UPDATE p SET name = 1; END;'
    made.write(m0002_b=f"{REBUILD}DROP VIEW named;\n{trigger}\n{SWAP}")
    with pytest.raises(MigrationError, match="; drop the trigger t t before it, and make it anew"):
        made.runner.migrate()
    made.write(m0002_b="ALTER TABLE p DROP COLUMN name")
    with pytest.raises(MigrationError, match="; drop the view named before it, and make it anew"):
        made.runner.migrate()


def test_a_rebuild_that_renames_the_old_table_first_takes_the_references_along_and_is_refused(
    made: Folder,
) -> None:
    old_first = f"ALTER TABLE p RENAME TO old;\n{NEW}\nALTER TABLE new RENAME TO p;\n"
    made.write(m0002_b=f"{REBUILD}{old_first}DROP TABLE old;")
    with pytest.raises(
        MigrationError, match=r"^0002_b\.sql: c would refer to old, .*rename the new one last"
    ):
        made.runner.migrate()
    made.write(m0002_b=f"{REBUILD}DROP TABLE c;\n{old_first}DROP TABLE old;")
    with pytest.raises(MigrationError, match=r"^0002_b\.sql: the view named .*no such table"):
        made.runner.migrate()
    assert made.tables() == {"p", "c"}


def test_what_was_amiss_before_a_rebuild_is_not_blamed_on_it(made: Folder) -> None:
    made.write(
        m0002_b="CREATE TABLE lost (x REFERENCES nowhere); CREATE VIEW odd AS SELECT x FROM nil;",
        m0003_c=f"{REBUILD}PRAGMA legacy_alter_table = ON;\n{SWAP}",
    )
    assert len(made.runner.migrate()) == 2
