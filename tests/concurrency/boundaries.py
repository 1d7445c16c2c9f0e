"""A process that kills itself at one boundary between the statements of one operation.

What it has sent before is done: where statements go together, the server has carried out those
before the boundary.  The last boundary is after COMMIT, before the caller knows of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import forgedb
from forgedb import Database, Lease, NewObject, ObjectType

TERM = timedelta(seconds=1)
"""Of a lease that the operation begins or meets: enough for it, also on a busy machine."""

SHORT_TERM = timedelta(milliseconds=1)

HOLDER = "worker:1"

UNHEARD = -1
"""The boundary within COMMIT: it was sent to the server, and nobody hears of the answer."""

Prepared = Callable[[Database, str], Callable[[], object]]
"""Makes what the operation needs in a repository, and gives the call to it."""


def _acquire(db: Database, repository_id: str) -> Callable[[], object]:
    return lambda: db.leases.acquire(repository_id, duration=TERM)


def _acquire_after_another(db: Database, repository_id: str) -> Callable[[], object]:
    _over(db, repository_id)
    return lambda: db.leases.acquire(repository_id, duration=TERM)


def _release(db: Database, repository_id: str) -> Callable[[], object]:
    lease = db.leases.acquire(repository_id, duration=TERM)
    return lambda: db.leases.release(lease.id)


def _force_release(db: Database, repository_id: str) -> Callable[[], object]:
    lease = db.leases.acquire(repository_id, duration=TERM)
    return lambda: db.leases.force_release(lease.id, "it is in the way")


def _handover(db: Database, repository_id: str) -> Callable[[], object]:
    lease = db.leases.acquire(repository_id, duration=TERM)
    return lambda: db.leases.handover(lease.id, "worker:2")


def _expire_due(db: Database, repository_id: str) -> Callable[[], object]:
    _over(db, repository_id)
    return db.leases.expire_due


def _add_many(db: Database, repository_id: str) -> Callable[[], object]:
    lease = db.leases.acquire(repository_id, duration=TERM)
    new = [NewObject(bytes([number] * 20), ObjectType.BLOB, number) for number in range(3)]
    return lambda: db.objects.add_many(repository_id, new, lease.fencing_token)


def _add_more(db: Database, repository_id: str) -> Callable[[], object]:
    lease = db.leases.acquire(repository_id, duration=TERM)
    there = NewObject(bytes(20), ObjectType.BLOB, 0, disk_size=1)
    db.objects.add_many(repository_id, [there], lease.fencing_token)
    new = [NewObject(bytes([number] * 20), ObjectType.BLOB, number, 2) for number in range(3)]
    return lambda: db.objects.add_many(repository_id, new, lease.fencing_token)


def _over(db: Database, repository_id: str) -> Lease:
    lease = db.leases.acquire(repository_id, duration=SHORT_TERM)
    time.sleep(5 * SHORT_TERM.total_seconds())
    return lease


OPERATIONS: dict[str, Prepared] = {
    "acquire": _acquire,
    "acquire after another": _acquire_after_another,
    "release": _release,
    "force_release": _force_release,
    "handover": _handover,
    "expire_due": _expire_due,
    "add_many": _add_many,
    "add_many, some again": _add_more,
}


def die_at(url: str, operation: str, repository_id: str, boundary: int) -> None:
    """Carry the operation out, and be killed when so many of its statements have been."""
    with forgedb.connect(url, actor=HOLDER) as db:
        call = OPERATIONS[operation](db, repository_id)
        counted = Counted(boundary)
        if url.startswith("sqlite"):
            counted.on_sqlite(db)
        else:
            counted.on_postgres()
        call()
        # No statement was left to be killed before: this is what comes after the last.
        if counted.statements == boundary:
            kill()


class Counted:
    """Counts statements as they are about to be carried out."""

    def __init__(self, boundary: int) -> None:
        self._boundary = boundary
        self.statements = 0

    def _next(self, before_kill: Callable[[], object] = lambda: None) -> None:
        if self.statements == self._boundary:
            before_kill()
            kill()
        self.statements += 1

    def on_sqlite(self, db: Database) -> None:
        runner: Any = db._runner
        connection = runner.writer.take()

        def about_to(_cursor: object, _text: str, _bindings: object) -> bool:
            self._next()
            return True

        connection.raw.exec_trace = about_to
        runner.writer.give(connection)

    def on_postgres(self) -> None:
        import psycopg

        def counting(method: Callable[..., Any]) -> Callable[..., Any]:
            def call(cursor: psycopg.Cursor[Any], *args: Any, **kwargs: Any) -> Any:
                if self._boundary == UNHEARD and args[0] == b"COMMIT":
                    cursor.connection.pgconn.send_query(args[0])
                    kill()
                self._next(lambda: _carry_out(cursor.connection))
                return method(cursor, *args, **kwargs)

            return call

        def copying(method: Callable[..., Any]) -> Callable[..., Any]:
            def write(copy: psycopg.Copy, block: bytes) -> None:
                self._next()
                method(copy, block)

            return write

        patched: Any = psycopg.Cursor
        patched.execute = counting(psycopg.Cursor.execute)
        patched.copy = counting(psycopg.Cursor.copy)
        psycopg.Copy.write = copying(psycopg.Copy.write)  # type: ignore[method-assign]


def _carry_out(connection: Any) -> None:
    """Wait until the server has done what was sent to it in a pipeline."""
    if connection._pipeline is not None:
        connection._pipeline.sync()


def kill() -> None:
    """End this process so that nothing in it notices."""
    os.kill(os.getpid(), signal.SIGKILL)
