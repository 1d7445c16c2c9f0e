"""A database that isn't where it was, restored or copied, begins a new era with its first write."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from forgedb import Database, Repository
from tests.faults.surfaces import Surface, beside, until
from tests.servers.postgres import Databases

ERA = 1 << 32

Copied = tuple[str, str]
"""The URL of a database with a repository, which has given tokens 1 and 2, and that of its copy."""


def fill(db: Database) -> Repository:
    project = db.projects.create("platform", "Platform")
    repository = db.repositories.create(project.id, "api")
    for _ in range(2):
        db.leases.release(db.leases.acquire(repository.id).id)
    return repository


@pytest.fixture
def copied_file(open_db: Surface, tmp_path: Path) -> Copied:
    url, copy = f"sqlite:///{tmp_path}/forge.db", f"sqlite:///{tmp_path}/copy.db"
    db = open_db(url)
    db.migrate()
    fill(db)
    db.close()
    shutil.copy(tmp_path / "forge.db", tmp_path / "copy.db")
    return url, copy


@pytest.fixture
def copied_database(open_db: Surface, url: str, postgres: Databases) -> Iterator[Copied]:
    """Copied within its cluster, as a dump that is restored beside it is."""
    db = open_db(url)
    fill(db)
    db.close()
    base, _, name = url.rpartition("/")
    with copied_within(base, name, f"{name}_copy") as copy:
        yield url, copy


@contextmanager
def copied_within(base: str, name: str, copy: str) -> Iterator[str]:
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        names = sql.Identifier(copy), sql.Identifier(name)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        try:
            yield f"{base}/{copy}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


@pytest.fixture(params=["copied_file", "copied_database"])
def copied(request: pytest.FixtureRequest) -> Copied:
    made: Copied = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def files_copied_twice(copied_file: Copied, tmp_path: Path) -> tuple[str, str]:
    shutil.copy(tmp_path / "forge.db", tmp_path / "again.db")
    return copied_file[1], f"sqlite:///{tmp_path}/again.db"


@pytest.fixture
def databases_copied_twice(copied_database: Copied) -> Iterator[tuple[str, str]]:
    base, _, name = copied_database[0].rpartition("/")
    with copied_within(base, name, f"{name}_again") as again:
        yield copied_database[1], again


@pytest.fixture(params=["files_copied_twice", "databases_copied_twice"])
def copied_twice(request: pytest.FixtureRequest) -> tuple[str, str]:
    made: tuple[str, str] = request.getfixturevalue(request.param)
    return made


def test_the_first_write_of_a_copy_begins_a_new_era_and_says_so(
    open_db: Surface, copied: Copied, caplog: pytest.LogCaptureFixture
) -> None:
    db = open_db(copied[1], actor="user:bob")
    before = db.identity.get()
    assert before.era == 0
    with caplog.at_level(logging.WARNING, "forgedb"):
        db.projects.create("first", "First")
    after = db.identity.get()
    assert after.era > 0
    assert after.id == before.id
    entry = db.audit.list(stream=after.id).items[0]
    assert (entry.actor, entry.action) == ("user:bob", "database.advance_era")
    assert entry.reason is not None
    assert "restored, upgraded or copied" in entry.reason
    assert entry.changes["era"] == [0, after.era]
    (record,) = caplog.records
    assert f"era {after.era} begins" in record.getMessage()
    assert db.audit.verify().problems == []


def test_a_copy_never_gives_a_token_that_the_database_can_give(
    open_db: Surface, copied: Copied
) -> None:
    tokens: list[int] = []
    for each in copied:
        db = open_db(each)
        project = db.projects.list().items[0]
        repository = db.repositories.list(project.id).items[0]
        for _ in range(3):
            lease = db.leases.acquire(repository.id)
            tokens.append(lease.fencing_token)
            db.leases.release(lease.id)
        assert db.audit.verify().problems == []
    assert tokens[:3] == [3, 4, 5]
    assert all(token >= ERA for token in tokens[3:])
    assert len(set(tokens)) == 6


def test_a_copy_that_is_made_again_gives_tokens_above_all_of_the_first_one(
    open_db: Surface, copied_twice: tuple[str, str]
) -> None:
    """Neither copy knows of the other, and both are of one moment."""
    first, second = copied_twice
    db = open_db(first)
    repository = db.repositories.list(db.projects.list().items[0].id).items[0]
    db.projects.create("known", "Known as a copy by itself")
    lost = db.identity.advance_era("and advanced by hand, to be safe").era
    token = db.leases.acquire(repository.id).fencing_token
    db.close()
    until(lambda: (datetime.now(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() > lost + 1)
    later = open_db(second).leases.acquire(repository.id).fencing_token
    assert later >> 32 > token >> 32 == lost


def test_an_era_begins_once_however_many_write_first(open_db: Surface, copied: Copied) -> None:
    handles = [open_db(copied[1]) for _ in range(3)]
    for number, db in enumerate(handles):
        db.projects.create(f"p{number}", "P")
    identity = handles[0].identity.get()
    assert len(handles[0].audit.list(stream=identity.id).items) == 1


def test_reading_begins_no_era(open_db: Surface, copied: Copied) -> None:
    db = open_db(copied[1])
    db.projects.list()
    assert db.audit.verify().ok
    assert db.identity.get().era == 0


def test_a_first_write_that_is_undone_begins_no_era_and_the_next_one_does(
    open_db: Surface, copied: Copied
) -> None:
    db = open_db(copied[1])
    with suppress(ZeroDivisionError), db.transaction() as tx:
        tx.projects.create("undone", "Undone")
        assert tx.identity.get().era > 0
        raise ZeroDivisionError
    assert db.identity.get().era == 0
    db.projects.create("kept", "LastUsed")
    assert db.identity.get().era > 0


def test_writes_that_are_undone_together_begin_no_era_and_the_next_one_does(
    open_db: Surface, copied: Copied
) -> None:
    db = open_db(copied[1])
    with suppress(ZeroDivisionError), db.transaction() as tx:
        with tx.transaction() as savepoint:
            savepoint.projects.create("one", "Undone")
        tx.projects.create("two", "Undone")
        raise ZeroDivisionError
    with db.transaction() as tx:
        with suppress(ZeroDivisionError), tx.transaction() as savepoint:
            savepoint.projects.create("three", "Undone")
            savepoint.projects.create("four", "Undone")
            raise ZeroDivisionError
        assert tx.identity.get().era == 0
        tx.projects.create("kept", "LastUsed")
    assert db.identity.get().era > 0


def test_a_copy_that_gets_the_number_of_the_file_that_was_removed_is_another_file(
    open_db: Surface, tmp_path: Path
) -> None:
    """A file system gives the number of a file's inode again, often to the very next file."""
    file, kept = tmp_path / "forge.db", tmp_path / "kept.db"
    db = open_db(f"sqlite:///{file}")
    db.migrate()
    repository = fill(db)
    db.close()
    number = file.stat().st_ino
    shutil.copy(file, kept)
    for _ in range(100):
        file.unlink()
        shutil.copy(kept, file)
        if file.stat().st_ino == number:
            break
    db = open_db(f"sqlite:///{file}")
    assert db.leases.acquire(repository.id).fencing_token >> 32 > 0


def test_a_file_that_is_renamed_is_where_it_was(open_db: Surface, tmp_path: Path) -> None:
    db = open_db(f"sqlite:///{tmp_path}/forge.db")
    db.migrate()
    repository = fill(db)
    db.close()
    os.rename(tmp_path / "forge.db", tmp_path / "renamed.db")
    db = open_db(f"sqlite:///{tmp_path}/renamed.db")
    assert db.leases.acquire(repository.id).fencing_token == 3


def test_what_is_made_from_an_empty_template_stays_in_its_era(open_db: Surface, url: str) -> None:
    """There is no repository yet whose tokens could be given again."""
    assert fill(open_db(url)).lease_epoch == 0
    db = open_db(url)
    assert db.identity.get().era == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_in_another_cluster_or_file_an_empty_database_begins_an_era_too(
    open_db: Surface, url: str, tmp_path: Path, kind: str
) -> None:
    db = open_db(url if kind == "postgres" else f"sqlite:///{tmp_path}/forge.db")
    db.migrate()
    db.client.execute("UPDATE database_identity SET system_identifier = '7000000000000000001'")
    repository = fill(db)
    assert db.leases.acquire(repository.id).fencing_token >> 32 == db.identity.get().era > 0


def test_a_grant_is_durable_whatever_the_session_is_set_to(
    open_db: Surface, url: str, admin: psycopg.Connection[Any]
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    db = open_db(url)
    project = db.projects.create("p", "P")
    repository = db.repositories.create(project.id, "r")
    setting = "SELECT current_setting('synchronous_commit')"
    with db.transaction() as tx:
        assert tx.client.query_value(setting) == "off"
        tx.leases.acquire(repository.id)
        assert tx.client.query_value(setting) == "on"
    assert db.client.query_value(setting) == "off"


def test_a_service_that_tells_no_timeline_counts_as_one(
    open_db: Surface, url: str, postgres: Databases
) -> None:
    role = postgres.as_application(url)
    with beside(url) as admin:
        admin.execute("REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC")
        admin.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        try:
            db = open_db(role)
            repository = fill(db)
            assert db.leases.acquire(repository.id).fencing_token == 3
            assert db.client.query_value("SELECT forgedb_timeline()") is None
        finally:
            admin.execute("GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO PUBLIC")
            admin.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
