"""The schema's logical form, read from the live catalogue of either database."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tests.schema.reaching import PostgresRaw, SqliteRaw


class Column(NamedTuple):
    name: str
    type: str
    """One of ulid, time, json, text, bytes, bool, int."""
    nullable: bool


class ForeignKey(NamedTuple):
    column: str
    parent: str
    key: str
    on_update: str
    on_delete: str


class Index(NamedTuple):
    is_unique: bool
    columns: tuple[str, ...]
    """Columns or expressions, in plain form."""
    predicate: str


class Trigger(NamedTuple):
    table: str
    event: str
    columns: tuple[str, ...]
    """Those of UPDATE OF."""
    refusals: frozenset[str]
    """Rules and their words."""


class Form(NamedTuple):
    """What a schema says, by the names of tables, indexes and triggers."""

    columns: dict[str, list[Column]]
    primary_keys: dict[str, list[str]]
    foreign_keys: dict[str, set[ForeignKey]]
    checks: dict[str, set[str]]
    indexes: dict[str, dict[str, Index]]
    triggers: dict[str, Trigger]


def plain(expression: str | None) -> str:
    """An expression without what a database adds when it gives it back: casts, parentheses."""
    text = re.sub(r"::\w+", "", expression or "")
    return " ".join(re.sub(r"[()]", " ", text).replace(",", " , ").lower().split())


# SQLite.

_CHECK = r"CONSTRAINT (\w+) CHECK \("
_ON = r"\bON (\w+)\s*\("
_UPDATE_OF = r"UPDATE OF\s+((?:\w+\s*,\s*)*\w+)\s+ON"
_EVENT = r"(?:BEFORE|AFTER) (INSERT|UPDATE|DELETE|TRUNCATE)\b"
_REFUSAL = r"'forgedb: ((?:[^']|'')+)'"


def read_sqlite(raw: SqliteRaw) -> Form:
    written = {
        str(name): str(text)
        for name, text in raw.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    }
    tables = [
        str(name)
        for (name,) in raw.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
    ]
    checks = {table: _checks(written[table]) for table in tables}
    references = {table: _sqlite_references(raw, table) for table in tables}
    infos = {
        table: raw.execute(
            'SELECT name, type, "notnull", pk FROM pragma_table_info(:table)', table=table
        )
        for table in tables
    }
    return Form(
        columns={
            table: [
                Column(
                    name,
                    _sqlite_type(kind, checks[table].get(f"{table}_{name}_check", "")),
                    not required,
                )
                for name, kind, required, _ in infos[table]
            ]
            for table in tables
        },
        primary_keys={
            table: [name for _, name in sorted((pk, name) for name, _, _, pk in infos[table] if pk)]
            for table in tables
        },
        foreign_keys=references,
        checks={table: set(checks[table]) for table in tables},
        indexes={table: _sqlite_indexes(raw, table, written) for table in tables},
        triggers={
            name: _sqlite_trigger(table, written[name])
            for name, table in raw.execute(
                "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'"
            )
        },
    )


def _checks(text: str) -> dict[str, str]:
    """The table's CHECKs by their names."""
    return {found[1]: _balanced(text, found.end() - 1) for found in re.finditer(_CHECK, text)}


def _balanced(text: str, opening: int) -> str:
    """What stands between the parenthesis at ``opening`` and the one that closes it."""
    depth = 0
    for position in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return text[opening + 1 : position]
    raise AssertionError(f"never closed: {text}")


def _sqlite_type(declared: str, check: str) -> str:
    """SQLite has five types; what a column's text or number means, its check tells."""
    if declared == "INTEGER":
        return "bool" if "IN (0, 1)" in check else "int"
    if declared == "BLOB":
        return "bytes"
    for sign, kind in (
        ("[^0-9A-HJKMNP-TV-Z]", "ulid"),
        ("strftime", "time"),
        ("'????-??-??T", "time"),
        ("json_valid", "json"),
    ):
        if sign in check:
            return kind
    return "text"


def _sqlite_references(raw: SqliteRaw, table: str) -> set[ForeignKey]:
    return {
        ForeignKey(*row)
        for row in raw.execute(
            """
            SELECT "from", "table", "to", on_update, on_delete
            FROM pragma_foreign_key_list(:table)
            """,
            table=table,
        )
    }


def _sqlite_indexes(raw: SqliteRaw, table: str, written: dict[str, str]) -> dict[str, Index]:
    found: dict[str, Index] = {}
    for name, is_unique in raw.execute(
        """SELECT name, "unique" FROM pragma_index_list(:table) WHERE origin = 'c'""", table=table
    ):
        text = written[name]
        on = re.search(_ON, text)
        assert on is not None
        listed = _balanced(text, on.end() - 1)
        # A comma inside parentheses is an expression's.
        columns = re.split(r",(?![^(]*\))", listed)
        predicate = text.partition("WHERE")[2]
        found[name] = Index(bool(is_unique), tuple(map(plain, columns)), plain(predicate))
    return found


def _sqlite_trigger(table: str, text: str) -> Trigger:
    return Trigger(table, _event(text), _updated_columns(text), _refusals(text))


def _refusals(text: str) -> frozenset[str]:
    return frozenset(found.replace("''", "'") for found in re.findall(_REFUSAL, text))


def _event(text: str) -> str:
    event = re.search(_EVENT, text)
    assert event is not None
    return event[1]


def _updated_columns(text: str) -> tuple[str, ...]:
    columns = re.search(_UPDATE_OF, text)
    return tuple(sorted(re.findall(r"\w+", columns[1]))) if columns else ()


# PostgreSQL.

_TYPES = {
    "ulid": "ulid",
    "timestamp with time zone": "time",
    "json": "json",
    "text": "text",
    "bytea": "bytes",
    "boolean": "bool",
    "bigint": "int",
    "smallint": "int",
}
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_POSTGRES_REFUSAL = r"forgedb_refuse\('(\w+)', '((?:[^']|'')+)'\)"


def read_postgres(raw: PostgresRaw) -> Form:
    tables = [
        str(name)
        for (name,) in raw.execute(
            """
            SELECT relname
            FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT relispartition
            """
        )
    ]
    return Form(
        columns={table: _postgres_columns(raw, table) for table in tables},
        primary_keys={
            table: [
                str(name)
                for (name,) in raw.execute(
                    """
                    SELECT a.attname
                    FROM pg_constraint AS c
                    CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS key (attnum, position)
                    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = key.attnum
                    WHERE c.contype = 'p' AND c.conrelid = :table::regclass
                    ORDER BY key.position
                    """,
                    table=table,
                )
            ]
            for table in tables
        },
        foreign_keys={table: _postgres_references(raw, table) for table in tables},
        checks={
            table: {
                str(name)
                for (name,) in raw.execute(
                    """
                    SELECT conname
                    FROM pg_constraint
                    WHERE contype = 'c' AND conrelid = :table::regclass
                    """,
                    table=table,
                )
            }
            for table in tables
        },
        indexes={table: _postgres_indexes(raw, table) for table in tables},
        triggers={
            name: _postgres_trigger(table, text, body)
            for name, table, text, body in raw.execute(
                """
                SELECT g.tgname, g.tgrelid::regclass::text, pg_get_triggerdef(g.oid), p.prosrc
                FROM pg_trigger AS g
                JOIN pg_proc AS p ON p.oid = g.tgfoid
                WHERE NOT g.tgisinternal
                """
            )
        },
    )


def _postgres_columns(raw: PostgresRaw, table: str) -> list[Column]:
    found = raw.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull
        FROM pg_attribute
        WHERE attrelid = :table::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        table=table,
    )
    return [Column(name, _TYPES[kind], not required) for name, kind, required in found]


def _postgres_references(raw: PostgresRaw, table: str) -> set[ForeignKey]:
    found = raw.execute(
        """
        SELECT a.attname, c.confrelid::regclass::text, k.attname, c.confupdtype, c.confdeltype
        FROM pg_constraint AS c
        JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = ALL(c.conkey)
        JOIN pg_attribute AS k ON k.attrelid = c.confrelid AND k.attnum = ALL(c.confkey)
        WHERE c.contype = 'f' AND c.conrelid = :table::regclass
        """,
        table=table,
    )
    return {
        ForeignKey(column, parent, key, _ACTIONS[_letter(update)], _ACTIONS[_letter(delete)])
        for column, parent, key, update, delete in found
    }


def _letter(value: Any) -> str:
    """A value of PostgreSQL's type "char"."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _postgres_indexes(raw: PostgresRaw, table: str) -> dict[str, Index]:
    found = raw.execute(
        """
        SELECT
            i.indexrelid::regclass::text,
            i.indisunique,
            ARRAY(
                SELECT pg_get_indexdef(i.indexrelid, position, true)
                FROM generate_series(1, i.indnkeyatts) AS position
                ORDER BY position
            ),
            pg_get_expr(i.indpred, i.indrelid)
        FROM pg_index AS i
        WHERE i.indrelid = :table::regclass AND NOT i.indisprimary
        """,
        table=table,
    )
    return {
        name: Index(is_unique, tuple(map(plain, columns)), plain(predicate))
        for name, is_unique, columns, predicate in found
    }


def _postgres_trigger(table: str, text: str, body: str) -> Trigger:
    """What it refuses stands in its arguments, or in the body of its function."""
    found = re.search(_POSTGRES_REFUSAL, text)
    refusals = (
        frozenset([": ".join(found.groups()).replace("''", "'")]) if found else _refusals(body)
    )
    return Trigger(table, _event(text), _updated_columns(text), refusals)
