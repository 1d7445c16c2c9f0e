"""The means of someone who can write to the database past every guard, and undoes it all after."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from forgedb import Database, VerifyProblem, VerifyReport
from forgedb.audit.chain import entry_hash
from tests.conformance.rich import Rich
from tests.conformance.values import FREE

TIME = "2026-11-22T09:00:00.000000Z"

GUARDS = {
    "sqlite": "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'",
    "postgres": """
    SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass
    FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0
    """,
}
"""By dialect: what takes the schema's guards away, a statement a row."""


class Undone(Exception):
    pass


class Tampered(NamedTuple):
    """The rich history, in a transaction without guards that is undone after the test."""

    rich: Rich
    tx: Database

    def execute(self, text: str, **params: Any) -> None:
        assert self.tx.client.execute(text, params) > 0, "it changed nothing"

    def reword(self, old: str, new: str, action: str, stream: str) -> None:
        """Change the text of an entry's changes, and nothing else."""
        where = {"stream": stream, "action": action}
        key = "stream_id = :stream AND action = :action"
        changes = self.tx.client.query_value(
            f"SELECT changes FROM audit_entries WHERE {key}", where
        )
        assert old in changes
        where["changes"] = changes.replace(old, new)
        self.execute(f"UPDATE audit_entries SET changes = :changes WHERE {key}", **where)

    def problems(self, stream: str | None = None) -> list[VerifyProblem]:
        return self.verify(stream).problems

    def verify(self, stream: str | None = None, **options: Any) -> VerifyReport:
        """What is said of the streams: that the guards are gone, which was seen to, is left out."""
        report: VerifyReport = self.tx.audit.verify(stream, **options)
        problems = [problem for problem in report.problems if problem.schema is None]
        # Who asks for one stream isn't told of the schema.
        assert (len(problems) < len(report.problems)) is (stream is None)
        return msgspec.structs.replace(report, ok=not problems, problems=problems)

    def first(self) -> tuple[str | None, int | None]:
        """What the first problem is about: a stream and its entry."""
        problem = self.problems()[0]
        return problem.stream_id, problem.seq

    def last_seq(self, stream: str) -> int:
        found: int = self.tx.client.query_value(
            "SELECT max(seq) FROM audit_entries WHERE stream_id = :stream", {"stream": stream}
        )
        return found


@contextmanager
def without_guards(rich: Rich) -> Generator[Tampered]:
    """A transaction in which the database's triggers are gone; nothing of it is kept."""
    guards = rich.db.client.query(GUARDS[rich.db.client.dialect])
    with suppress(Undone), rich.db.transaction() as tx:
        for (drop,) in guards:
            tx.client.execute(drop)
        yield Tampered(rich, tx)
        raise Undone


@contextmanager
def without_checks(tampered: Tampered, table: str) -> Generator[None]:
    """The table's CHECKs are gone, and with them every hold on what a column can be."""
    client = tampered.tx.client
    if client.dialect == "sqlite":
        client.query("PRAGMA ignore_check_constraints = ON")
        try:
            yield
        finally:
            client.query("PRAGMA ignore_check_constraints = OFF")
        return
    checks = (
        "SELECT conname FROM pg_constraint"
        " WHERE contype = 'c' AND conrelid = CAST(:name AS regclass)"
    )
    for (name,) in client.query(checks, {"name": table}):
        client.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield


def renumber(tampered: Tampered, order: dict[int, int]) -> None:
    """Give the repository's entries other numbers: each key's entry becomes its value's."""
    stream, far = tampered.rich.repository.id, 1_000_000
    for shift in (far, 0):
        for old, new in order.items():
            tampered.execute(
                "UPDATE audit_entries SET seq = :new WHERE stream_id = :stream AND seq = :old",
                stream=stream,
                old=old if shift else far + new,
                new=far + new if shift else new,
            )


def put_in(tampered: Tampered, stream: str, seq: int, **fields: Any) -> None:
    entry = {
        "stream_id": stream,
        "seq": seq,
        "id": FREE,
        "at": TIME,
        "actor": "user:eve",
        "action": "scan.done",
        "target_type": "repository",
        "target_id": stream,
        "request_id": None,
        "source_ip": None,
        "reason": None,
        "changes": "{}",
        "hash_version": 1,
        "entry_hash": b"\7" * 32,
    } | fields
    values = ", ".join(f":{name}" for name in entry)
    tampered.execute(f"INSERT INTO audit_entries ({', '.join(entry)}) VALUES ({values})", **entry)


def rehash(tampered: Tampered, stream: str, since: int, *, head: bool = False) -> None:
    """Compute the hashes of a stream's entries anew from ``since`` on, as an insider would."""
    fields = "id, at, actor, action, target_type, target_id, request_id, source_ip, reason, changes"
    found = tampered.tx.client.query_as(
        Stored,
        f"SELECT seq, entry_hash, {fields} FROM audit_entries WHERE stream_id = :stream"
        " ORDER BY seq",
        {"stream": stream},
    )
    previous = bytes(32)
    for entry in found:
        content = {name: getattr(entry, name) for name in fields.split(", ")}
        if entry.seq >= since:
            previous = entry_hash(
                version=1, previous_hash=previous, stream_id=stream, seq=entry.seq, **content
            )
            tampered.execute(
                "UPDATE audit_entries SET entry_hash = :hash"
                " WHERE stream_id = :stream AND seq = :seq",
                hash=previous,
                stream=stream,
                seq=entry.seq,
            )
        else:
            previous = entry.entry_hash
    if head:
        for table in ("projects", "repositories", "database_identity"):
            tampered.tx.client.execute(
                f"UPDATE {table} SET audit_seq = :seq, audit_head = :head WHERE id = :stream",
                {"seq": found[-1].seq, "head": previous, "stream": stream},
            )


class Stored(msgspec.Struct):
    """What the hash covers."""

    seq: int
    entry_hash: bytes
    id: str
    at: datetime
    actor: str
    action: str
    target_type: str
    target_id: str
    request_id: str | None
    source_ip: str | None
    reason: str | None
    changes: str
