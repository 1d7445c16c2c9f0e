"""How often an operation on PostgreSQL waits for the server: counted on the wire."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

import forgedb
from forgedb import Database, NewObject, Repository
from forgedb.migrations import Runner
from forgedb.operations.steps import run
from tests.servers.postgres import Databases

WARM_UP = 8
"""Calls until statements are prepared."""


class Wire:
    """A connection's way to the server; a round trip is whatever the client sends after a reply."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.round_trips = 0
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        client, _ = self._listening.accept()
        with client, socket.create_connection(self._server) as server:
            selector = selectors.DefaultSelector()
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            replied = True
            while True:
                for key, _ in selector.select():
                    source: Any = key.fileobj
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and replied:
                        self.round_trips += 1
                    replied = source is server
                    key.data.sendall(data)

    def close(self) -> None:
        self._listening.close()
        self._thread.join(10)

    def of(self, call: Callable[[], Any]) -> int:
        """How many round trips the call takes."""
        before = self.round_trips
        call()
        return self.round_trips - before


@pytest.fixture
def wire(postgres: Databases) -> Iterator[tuple[Wire, Database]]:
    with postgres.new(migrated=True) as url:
        parts = urlsplit(url)
        wire = Wire((parts.hostname or "", parts.port or 5432))
        through = parts._replace(netloc=f"{parts.username}@127.0.0.1:{wire.port}")
        with forgedb.connect(urlunsplit(through), actor="user:ada", pool_max_size=1) as db:
            yield wire, db
        wire.close()


@pytest.fixture
def repository(wire: tuple[Wire, Database]) -> Repository:
    _, db = wire
    return db.repositories.create(db.projects.create("platform", "Platform").id, "api")


def test_a_connection_takes_one_more_than_libpqs_own(postgres: Databases) -> None:
    with postgres.new(migrated=True) as url:
        parts = urlsplit(url)
        wires = [Wire((parts.hostname or "", parts.port or 5432)) for _ in range(2)]
        plain, ours = (
            urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{wire.port}"))
            for wire in wires
        )
        psycopg.connect(plain).close()
        # Its settings, and which server it is.
        forgedb.connect(ours).close()
        for wire in wires:
            wire.close()
        # What says goodbye may count, on both.
        assert wires[1].round_trips == wires[0].round_trips + 1


def test_a_get_takes_one(wire: tuple[Wire, Database], repository: Repository) -> None:
    counted, db = wire
    for _ in range(WARM_UP):
        db.repositories.get(repository.id)
    assert counted.of(lambda: db.repositories.get(repository.id)) == 1
    assert counted.of(lambda: db.client.query("SELECT 1")) == 1


def test_a_lease_takes_three_and_its_release_one_more(
    wire: tuple[Wire, Database], repository: Repository
) -> None:
    counted, db = wire
    for _ in range(WARM_UP):
        db.leases.release(db.leases.acquire(repository.id).id)
    # BEGIN with the lock, the clock and the last lease; all writes; COMMIT.
    assert counted.of(lambda: db.leases.acquire(repository.id)) == 3
    lease = db.leases.active(repository.id)
    assert lease is not None
    # One more looks up which repository the lease is of.
    assert counted.of(lambda: db.leases.release(lease.id)) == 4


def test_a_new_repository_takes_three(wire: tuple[Wire, Database], repository: Repository) -> None:
    counted, db = wire
    for number in range(WARM_UP):
        db.repositories.create(repository.project_id, f"more-{number}")
    # BEGIN with the lock of the project and the clock; both rows; COMMIT.
    assert counted.of(lambda: db.repositories.create(repository.project_id, "new")) == 3


def test_a_change_takes_three_and_its_refusal_no_more(
    wire: tuple[Wire, Database], repository: Repository
) -> None:
    counted, db = wire
    for number in range(WARM_UP):
        db.repositories.update(repository.id, description=f"{number}")
    assert counted.of(lambda: db.repositories.update(repository.id, description="new")) == 3
    with pytest.raises(forgedb.NotFound):
        assert counted.of(lambda: db.repositories.update("01JD" + "0" * 22, slug="x")) <= 2


def test_a_transaction_and_its_savepoints_send_nothing_by_themselves_but_the_commit(
    wire: tuple[Wire, Database], repository: Repository
) -> None:
    counted, db = wire

    def nothing() -> None:
        with db.transaction() as tx, tx.transaction():
            pass

    def read_twice() -> None:
        with db.transaction() as tx:
            with tx.transaction() as inner:
                inner.repositories.get(repository.id)
            tx.repositories.get(repository.id)

    for _ in range(WARM_UP):
        read_twice()
    assert counted.of(nothing) == 0
    assert counted.of(read_twice) == 3


def test_many_objects_are_streamed(wire: tuple[Wire, Database], repository: Repository) -> None:
    counted, db = wire
    objects = [NewObject(number.to_bytes(20, "big"), 3, number) for number in range(20_000)]
    token = db.leases.acquire(repository.id).fencing_token
    assert counted.of(lambda: db.objects.add_many(repository.id, objects, token)) < 12


def test_a_migration_takes_four_however_many_statements_it_has(
    wire: tuple[Wire, Database], tmp_path: Path
) -> None:
    counted, db = wire
    for number in range(40):
        steps = "".join(f"CREATE TABLE t{number}_{each} (id integer);\n" for each in range(5))
        (tmp_path / f"{number:04}_five.sql").write_text(steps)
    runner = Runner(db, tmp_path, table="others")
    for target in (*range(WARM_UP), 30):
        runner.migrate(target)
    # Of each file BEGIN and the lock, its statements, its line in the history, COMMIT.
    two = counted.of(lambda: runner.migrate(32))
    six = counted.of(lambda: runner.migrate(38))
    assert six - two == 4 * 4


def test_statements_that_go_together_tell_which_of_them_failed(postgres: Databases) -> None:
    texts = "SELECT 1 -- a comment", "SELECT 1,\n nope", "SELECT 1"

    async def in_a_task(url: str) -> None:
        async with await forgedb.connect_async(url) as db:
            await db._runner.write(run(*texts))

    with postgres.new() as url, forgedb.connect(url) as db:
        for call in (lambda: db._runner.write(run(*texts)), lambda: asyncio.run(in_a_task(url))):
            with pytest.raises(forgedb.UsageError, match="nope") as refused:
                call()
            assert (refused.value.number, refused.value.position) == (1, 11)
