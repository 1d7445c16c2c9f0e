"""One way to say a statement to either database, and to hear by which rule it was refused.

Nothing of forgedb runs here but the splitter that the migration runner uses too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import apsw
import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

from forgedb.sql.split import split
from tests.schema.attacks import OPEN
from tests.schema.rows import (
    FREE,
    POSTGRES_SCRIPT,
    REPOSITORY,
    THERE,
    ULID_COLUMNS,
    VALID,
    telling,
)

FOREIGN_KEY = "a foreign key"
WRONG_TYPE = "the column's type"
"""The database's own refusal: no rule of the schema was reached."""

# SQLite names the columns of a key that has no trigger before it, PostgreSQL the key.
SQLITE_KEYS = {
    "object_metadata.repository_id, object_metadata.oid": "object_metadata_one_per_oid",
    "mirrors.id": "mirrors_one_per_id",
    "mirrors.repository_id": "mirrors_one_pull_per_repository",
    "mirrors.repository_id, mirrors.direction, mirrors.remote_url": "mirrors_one_per_remote",
    "repository_relationships.id": "repository_relationships_one_per_id",
    "repository_relationships.source_id": "repository_relationships_one_fork_parent",
    "lease_import_lines.source, lease_import_lines.line_number": "lease_import_lines_one_per_line",
    "lease_import_lines.legacy_lease_id, lease_import_lines.event": (
        "lease_import_lines_one_per_event"
    ),
}
# The domain answers for each of its columns.
ULID_RULES = {f"{table}_{column}_check" for table, column in ULID_COLUMNS}

Row = tuple[Any, ...]


class Refusal(Exception):
    """A statement was refused by the rule of this name; the driver's error is its cause."""

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(f"{rule} ({words})")
        self.rule = rule

    def is_by(self, rule: str) -> bool:
        return self.rule == rule or (self.rule == "ulid_check" and rule in ULID_RULES)


class Raw(Protocol):
    """A connection to a database that has the schema, and a row in each table."""

    dialect: str

    def execute(self, statement: str, /, **values: object) -> list[Row]:
        """The rows it gives, times as text; parameters are named, as ``:name``.

        Raises Refusal, and the statement has changed nothing.
        """

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is done inside doesn't stay."""

    def settle(self) -> None:
        """Look at what a COMMIT would look at, and go on.  Raises Refusal."""

    def drop_foreign_keys(self) -> None: ...


def insert(raw: Raw, table: str, *, verb: str = "INSERT", tail: str = "", **changed: Any) -> None:
    """Insert the table's valid row with some columns changed."""
    row = VALID[table] | changed
    assert row.keys() == VALID[table].keys(), "no such column"
    values = ", ".join(f":{column}" for column in row)
    raw.execute(f"{verb} INTO {table} ({', '.join(row)}) VALUES ({values}) {tail}", **row)


def tell(raw: Raw, lease_id: str, action: str, repository_id: str = REPOSITORY) -> None:
    """Append an entry of the lease to the repository's stream, and leave the stream's end."""
    ((seq,),) = raw.execute(
        "SELECT max(seq) + 1 FROM audit_entries WHERE stream_id = :id", id=REPOSITORY
    )
    entry = telling(lease_id, seq) | {"stream_id": repository_id, "action": action}
    insert(raw, "audit_entries", **entry)


def grant(raw: Raw, **changed: Any) -> None:
    """Insert an open lease with what belongs to it, in the order in which forgedb does."""
    lease = {"id": FREE, "fencing_token": 8, "repository_id": REPOSITORY} | OPEN | changed
    tell(raw, lease["id"], "lease.acquire", lease["repository_id"])
    raw.execute(
        "UPDATE repositories SET lease_epoch = :fencing_token WHERE id = :repository_id",
        fencing_token=lease["fencing_token"],
        repository_id=lease["repository_id"],
    )
    insert(raw, "leases", **lease)


def fill(raw: Raw) -> None:
    """Insert what each test finds."""
    for table, changed in THERE:
        insert(raw, table, **changed)


def content(raw: Raw) -> dict[str, list[Row]]:
    """All rows of all tables."""
    return {table: sorted(raw.execute(f"SELECT * FROM {table}"), key=repr) for table in VALID}


class SqliteRaw:
    """A connection of apsw's."""

    dialect = "sqlite"

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    def execute(self, statement: str, /, **values: object) -> list[Row]:
        try:
            return self.connection.execute(statement, values).fetchall()
        except apsw.ConstraintError as error:
            raise Refusal(_sqlite_rule(str(error)), str(error)) from error

    @contextmanager
    def undone(self) -> Iterator[None]:
        self.connection.execute("SAVEPOINT undone")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO undone")
            self.connection.execute("RELEASE undone")

    def settle(self) -> None:
        assert self.execute("PRAGMA foreign_key_check") == []

    def drop_foreign_keys(self) -> None:
        self.connection.pragma("foreign_keys", False)


def _sqlite_rule(words: str) -> str:
    if words.startswith("forgedb: "):
        return words.split(": ")[1]
    if words.startswith("cannot store "):
        return WRONG_TYPE
    what, _, named = words.partition(" constraint failed")
    named = named.removeprefix(": ")
    if what == "FOREIGN KEY":
        return FOREIGN_KEY
    if what == "NOT NULL":
        return f"{named} not null"
    if what == "UNIQUE":
        index = re.fullmatch("index '(.+)'", named)
        return index[1] if index else SQLITE_KEYS.get(named, named)
    return named


class PostgresRaw:
    """A connection of psycopg's that is in a transaction, or commits by itself.

    Each statement has a savepoint, so that its refusal leaves the transaction as it was.
    """

    dialect = "postgres"

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection
        # As it is stored, for what the schema promises is the text.
        connection.adapters.register_loader("json", TextLoader)
        connection.execute("SET TimeZone TO 'UTC'")

    def execute(self, statement: str, /, **values: object) -> list[Row]:
        text = re.sub(r"(?<![:\w]):([a-z]\w*)", r"%(\1)s", statement.replace("%", "%%"))
        try:
            with self.connection.transaction():
                cursor = self.connection.execute(text, values)
                rows = cursor.fetchall() if cursor.description else []
        except (
            psycopg.IntegrityError,
            psycopg.DataError,
            psycopg.errors.DatatypeMismatch,
        ) as error:
            raise Refusal(_postgres_rule(error), str(error)) from error
        return [tuple(map(_with_time_as_text, row)) for row in rows]

    @contextmanager
    def undone(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            yield

    def settle(self) -> None:
        self.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self.execute("SET CONSTRAINTS ALL DEFERRED")

    def drop_foreign_keys(self) -> None:
        found = self.execute(
            """
            SELECT conrelid::regclass::text, conname
            FROM pg_constraint
            WHERE contype = 'f' AND conparentid = 0
            """
        )
        for table, name in found:
            self.connection.execute(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                    sql.Identifier(table), sql.Identifier(name)
                )
            )


def _with_time_as_text(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value


def _postgres_rule(error: psycopg.Error) -> str:
    # A partition answers under its own name.
    table = re.sub(r"(object_metadata)_\d\d$", r"\1", error.diag.table_name or "")
    if isinstance(error, psycopg.errors.NotNullViolation):
        return f"{table}.{error.diag.column_name} not null"
    if isinstance(error, psycopg.errors.ForeignKeyViolation | psycopg.errors.RestrictViolation):
        return FOREIGN_KEY
    if not isinstance(error, psycopg.IntegrityError):
        return WRONG_TYPE
    rule = error.diag.constraint_name or ""
    return re.sub(r"^object_metadata_\d\d_pkey$", "object_metadata_one_per_oid", rule)


def apply_postgres(connection: psycopg.Connection[Any]) -> None:
    """Run the migration as the runner does, a statement at a time."""
    for statement in split(POSTGRES_SCRIPT, "postgres"):
        connection.execute(statement.text.encode())
